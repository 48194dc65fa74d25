"""How the costs of this server grow with what it holds: from 1,000 to 100,000 runs, from 10^5 to 10^7 points."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import databases, filling, processes, sample, servers, wire
from benchmarks.checks import require
from benchmarks.databases import Databases
from benchmarks.filling import Story
from benchmarks.processes import Spent
from benchmarks.progress import say
from benchmarks.report import DATABASES, facts, number, table
from benchmarks.sample import NOTHING, Size
from benchmarks.scenario import Target, Times, walks
from benchmarks.scenarios import logging, searches

FILL_AT_ONCE = 5_000
PAGE = 100
HITS = 10
REPEATS = 50
CREATES = 200
RUNS_AT_ONCE, BATCHES, STEPS = 20, 5, 100
CHUNK = RUNS_AT_ONCE * BATCHES * STEPS * logging.KEYS
CHUNKS_SEEN = 5


@dataclass(frozen=True)
class Plan:
    """At how many runs and how many points to look."""

    runs: Sequence[int] = (1_000, 10_000, 100_000)
    points: Sequence[int] = (CHUNK, 10 * CHUNK, 100 * CHUNK)


TINY = Plan((500, 1_000), (CHUNK, 2 * CHUNK))


@dataclass(frozen=True)
class Cost:
    """What something cost, by how much the database held."""

    database: str
    what: str
    unit: str
    at: dict[int, float] = field(default_factory=dict)

    @property
    def growth(self) -> float:
        """The last over the first."""
        return self.at[max(self.at)] / self.at[min(self.at)]


@dataclass(frozen=True)
class Growth:
    about: dict[str, str] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)

    def add(self, database: str, what: str, unit: str, size: int, value: float) -> None:
        cost = next((cost for cost in self.costs if (cost.database, cost.what) == (database, what)), None)
        if cost is None:
            cost = Cost(database, what, unit)
            self.costs.append(cost)
        cost.at[size] = value


def measure(kinds: Sequence[str], plan: Plan, folder: Path) -> Growth:
    growth = Growth()
    for kind in kinds:
        with databases.opened(kind, folder / kind) as db:
            growth.about[kind] = db.version
            for size, what, value in _runs(db, plan.runs, folder):
                growth.add(kind, what, "ms", size, value)
            for what, lanes in {"spread over runs": _new_runs, "all in one run": _one_run}.items():
                say(f"{kind}: points, {what}")
                for size, spent in _points(db, lanes, plan.points, folder):
                    growth.add(kind, f"points, {what}: server CPU", "µs a point", size, spent.server)
                    growth.add(kind, f"points, {what}: time", "µs a point", size, spent.seconds)
    return growth


def _runs(db: Databases, sizes: Sequence[int], folder: Path) -> Iterator[tuple[int, str, float]]:
    """The costs, in milliseconds, as the database fills."""
    db.create("runs")
    for held, size in zip([0, *sizes], sizes, strict=False):
        say(f"filling up to {size:,} runs")
        with _running(db, "runs", folder) as target:
            for start in range(held, size, FILL_AT_ONCE):
                indices = range(start, min(start + FILL_AT_ONCE, size))
                filling.log(target.port, [Story(sample.run(index, sizes[-1]), "0") for index in indices])
        db.settle("runs")
        with _running(db, "runs", folder) as target:
            yield from ((size, what, value) for what, value in [*_reads(target, size), *_writes(target)])
    db.drop("runs")


@contextmanager
def _running(db: Databases, name: str, folder: Path) -> Iterator[Target]:
    with servers.running(servers.ours(), db.url(name), folder) as server:
        yield Target(server, processes.Peak(server.pid), NOTHING, Size(patience=30))


def _reads(target: Target, size: int) -> Iterator[tuple[str, float]]:
    """Of a server that has just started."""
    first = searches.first_by("accuracy", PAGE)
    cold, _ = target.exchange([[first]])
    yield "first 100 by a metric, cold", Times.of(cold.answers).p50
    warm, _ = target.exchange([[first] * REPEATS])
    best = [sample.seen(run).metrics["accuracy"] for run in warm.answers[-1].message()["runs"]]
    require(len(best) == PAGE and best == sorted(best, reverse=True), "the greatest, in order")
    yield "first 100 by a metric, warm", Times.of(warm.answers).p50
    filtered, _ = target.exchange([[searches.filtered_by(HITS)] * REPEATS])
    require(len(filtered.answers[-1].message()["runs"]) == HITS, "a full page of hits")
    yield f"first {HITS} by a metric and a param, warm", Times.of(filtered.answers).p50
    through, answers = walks(target, partial(searches.pages, searches.PAGE), math.ceil(size / searches.PAGE), most=2)
    require(sum(len(answer.message()["runs"]) for answer in answers) == size or through.scaled, "every run")
    yield "paging through, 1,000 runs", through.value * 1000 / size * 1000


def _writes(target: Target) -> Iterator[tuple[str, float]]:
    create = wire.post("runs/create", {"experiment_id": logging.new_experiment(target.port)})
    created, spent = target.exchange([[create] * CREATES])
    require(created.failed == 0, "runs created")
    yield "runs/create, 1 client", Times.of(created.answers).p50
    yield "runs/create, server CPU", spent.server / CREATES * 1000
    outcome = logging.batch_of_100(target)
    yield "log-batch of 100, server CPU", outcome.spent.server / outcome.count * 1000


Chunks = Iterator[list[wire.Lane]]


def _new_runs(target: Target) -> Chunks:
    """RUNS_AT_ONCE clients, each with a run of its own, which is a new one in each chunk."""
    requests = [logging.batch(number, STEPS) for number in range(BATCHES)]
    while True:
        yield [logging.addressed(requests, run_id) for run_id in logging.new_runs(target.port, RUNS_AT_ONCE)]


def _one_run(target: Target) -> Chunks:
    """One client, which logs to one run for ever."""
    (run_id,) = logging.new_runs(target.port, 1)
    each = RUNS_AT_ONCE * BATCHES
    for start in itertools.count(0, each):
        requests = [logging.batch(number, STEPS) for number in range(start, start + each)]
        yield [logging.addressed(requests, run_id)]


def _points(
    db: Databases, chunks: Callable[[Target], Chunks], marks: Sequence[int], folder: Path
) -> Iterator[tuple[int, Spent]]:
    """At each mark, what a point cost in microseconds, over the last CHUNKS_SEEN chunks."""
    db.create("points")
    with _running(db, "points", folder) as target:
        target.exchange(next(_new_runs(target)))  # the first requests of a process cost more
        taken: list[Spent] = []
        for lanes in chunks(target):
            done, spent = target.exchange(lanes)
            require(done.failed == 0, "every point logged")
            taken.append(spent)
            if (held := len(taken) * CHUNK) in marks:
                say(f"{held:,} points")
                seen = taken[-CHUNKS_SEEN:]
                yield held, Spent.sum(seen).scaled(1e6 / (len(seen) * CHUNK))
            if held >= marks[-1]:
                break
    db.drop("points")


def markdown(growth: Growth) -> str:
    parts = [facts(growth.about)]
    for database, title in DATABASES.items():
        for unit in ("ms", "µs a point"):
            costs = [cost for cost in growth.costs if (cost.database, cost.unit) == (database, unit)]
            if costs:
                sizes = [f"at {size:,}" for size in costs[0].at]
                lines = [
                    [cost.what, *(f"{number(value)} {unit}" for value in cost.at.values()), f"{number(cost.growth)}x"]
                    for cost in costs
                ]
                held = "runs" if unit == "ms" else "points"
                parts.append(table([f"{title}, by {held}", *sizes, "last / first"], lines))
    return "\n\n".join(parts)
