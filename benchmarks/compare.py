"""The scenarios, on one server after the other, round by round."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import databases, filling, processes, servers
from benchmarks.databases import Databases
from benchmarks.progress import say
from benchmarks.report import Measured, Results
from benchmarks.sample import NOTHING, Sample, Size
from benchmarks.scenario import Data, NotServed, Scenario, Target
from benchmarks.servers import Product
from benchmarks.wire import Refused

ATTEMPTS = 3


class Plan(NamedTuple):
    """What to measure; no round begins that would end after `minutes`, if it took as long as the last one."""

    products: Sequence[Product]
    kinds: Sequence[str]
    scenarios: Sequence[Scenario]
    size: Size
    rounds: int
    minutes: float


def measure(plan: Plan, folder: Path) -> Results:
    """Start each server in turn, alone, on a fresh copy of its database, and run the scenarios on it."""
    results = Results([product.name for product in plan.products])
    begun = time.monotonic()
    for number, kind in enumerate(plan.kinds, 1):
        deadline = begun + 60 * plan.minutes * number / len(plan.kinds)
        with databases.opened(kind, folder / kind) as db:
            results.about[kind] = db.version
            samples = {store: _fill(plan, store, db, folder, results) for store in _stores(plan)}
            for turn in _turns(plan.rounds, deadline):
                for product in plan.products if turn % 2 == 0 else reversed(plan.products):
                    say(f"{kind}, round {turn + 1} of {plan.rounds}: {product.name}")
                    sample = samples[product.store]
                    for data in Data:
                        for scenario, measured in _measure_on(plan, product, data, db, sample, folder):
                            results.add(kind, scenario, product.name, measured)
    return results


def _stores(plan: Plan) -> dict[str, Product]:
    """For each kind of tables, one product that makes them."""
    return {product.store: product for product in plan.products}


def _fill(plan: Plan, store: str, db: Databases, folder: Path, results: Results) -> Sample:
    """Make the database that each round starts from."""
    product = _stores(plan)[store]
    db.create(store)
    with servers.running(product, db.url(store), folder) as server:
        results.about[f"{store} version"] = servers.version(server.port)
        needed = any(scenario.needs is Data.SAMPLE for scenario in plan.scenarios)
        if needed:
            say(f"filling the database of {store}")
        sample = filling.fill(store, db, server.port, plan.size) if needed else NOTHING
    db.settle(store)
    return sample


def _turns(rounds: int, deadline: float) -> Iterator[int]:
    for turn in range(rounds):
        begun = time.monotonic()
        yield turn
        now = time.monotonic()
        if now + (now - begun) > deadline:
            return


def _measure_on(
    plan: Plan, product: Product, data: Data, db: Databases, sample: Sample, folder: Path
) -> Iterator[tuple[Scenario, Measured]]:
    scenarios = [scenario for scenario in plan.scenarios if scenario.needs is data]
    if not scenarios:
        return
    if data is Data.NOTHING:
        db.create("measured")
    else:
        db.copy(product.store, "measured")
    try:
        with (
            servers.running(product, db.url("measured"), folder) as server,
            processes.peak(server.pid) as memory,
        ):
            target = Target(server, memory, sample if data is Data.SAMPLE else NOTHING, plan.size)
            for scenario in scenarios:
                yield scenario, _run(scenario, target, may_fail=product.store != "ours")
    finally:
        db.drop("measured")


def _run(scenario: Scenario, target: Target, may_fail: bool) -> Measured:
    """Peers may refuse or fail, which is told. MLflow's server, which ends workers that seem to hang, may try again."""
    target.memory.look()
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            outcome = scenario.run(target)
            break
        except (NotServed, Refused, ConnectionError, TimeoutError, AssertionError) as error:
            if not may_fail:
                raise
            if isinstance(error, NotServed) or (isinstance(error, Refused) and error.unknown):
                return Measured(refused="not served")
            say(f"{scenario.name}: {error}")
            if not attempts_left or not isinstance(error, ConnectionError):
                return Measured(refused=f"{type(error).__name__}: {error}")
    if outcome.failed and not may_fail:
        raise RuntimeError(f"{scenario.name}: {outcome.failed} of {outcome.count} failed")
    return Measured(outcome, target.memory.look() / 2**20)
