"""A quick look at speed, with a table of medians and ratios at the end: `python -m benchmarks.quick --help`."""

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import sample, scenarios, servers
from benchmarks.databases import Databases, Postgres, Sqlite
from benchmarks.scenarios import Figure
from benchmarks.servers import Product

RUNS = 10_000
ATTEMPTS = 3

# By scenario and product, one for each round.
Results = dict[str, dict[str, list[Figure]]]


def main() -> None:
    options = parse_arguments()
    products = [servers.ours()]
    if not options.ours_only:
        products += [servers.mlflow("mlflow"), servers.mlflow("mlflow, 1 worker", "--workers", "1")]
    with (
        tempfile.TemporaryDirectory(prefix="mlflow-shim-bench-") as name,
        databases(options.database, Path(name)) as db,
    ):
        facts = about(db)
        runs = sample.runs(0 if options.writes_only else RUNS)
        results, versions = measure(products, db, Path(name), runs, options.rounds, options.minutes)
    facts |= versions
    print_facts(facts)
    print_table(results, [product.name for product in products])
    if options.json:
        options.json.write_text(json.dumps(document(facts, results), indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quick", description=measure.__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure each server (default 3)")
    parser.add_argument("--minutes", type=float, default=5, help="begin no round that would end later (default 5)")
    parser.add_argument("--writes-only", action="store_true", help="leave the searches and their sample of runs out")
    parser.add_argument("--ours-only", action="store_true", help="leave MLflow's own server out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    return parser.parse_args()


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[Databases]:
    if kind == "sqlite":
        yield Sqlite(folder)
        return
    postgres = Postgres(folder)
    try:
        yield postgres
    finally:
        postgres.close()


def measure(
    products: Sequence[Product],
    db: Databases,
    folder: Path,
    runs: Sequence[sample.Run],
    rounds: int,
    minutes: float,
) -> tuple[Results, dict[str, str]]:
    """Start each server in turn, alone, on a fresh copy of a database with the sample of runs, and measure it."""
    deadline = time.monotonic() + 60 * minutes
    versions = {f"{product.store} version": fill(product, db, folder, runs) for product in one_of_each_store(products)}
    results: Results = defaultdict(lambda: defaultdict(list))
    for turn in range(rounds):
        started = time.monotonic()
        for product in products if turn % 2 == 0 else reversed(products):
            say(f"round {turn + 1} of {rounds}: {product.name}")
            for figure in measure_once(product, db, folder, runs):
                results[figure.scenario][product.name].append(figure)
        now = time.monotonic()
        if now + (now - started) > deadline:
            break
    return results, versions


def measure_once(product: Product, db: Databases, folder: Path, runs: Sequence[sample.Run]) -> list[Figure]:
    """From a fresh start. MLflow's own server, whose supervisor ends workers that seem to hang, may try again."""
    for attempts_left in reversed(range(ATTEMPTS if product.store == "mlflow" else 1)):
        db.copy(product.store, "measured")
        try:
            with servers.running(product, db.url("measured"), folder) as port:
                searched = scenarios.searches(port, runs) if runs else []
                figures = [*searched, scenarios.log_metric(port), scenarios.log_batch(port)]
            break
        except ConnectionError as error:
            if not attempts_left:
                raise
            say(f"{product.name}: {error}; trying again")
        finally:
            db.drop("measured")
    failed = [figure.scenario for figure in figures if figure.failed]
    scenarios.require(product.store != "ours" or not failed, f"no failure, but in {failed}")
    return figures


def one_of_each_store(products: Sequence[Product]) -> list[Product]:
    return list({product.store: product for product in products}.values())


def fill(product: Product, db: Databases, folder: Path, runs: Sequence[sample.Run]) -> str:
    """Make the database of this store that each round starts from; the server's version."""
    say(f"filling the database of {product.store}")
    db.create(product.store)
    with servers.running(product, db.url(product.store), folder) as port:
        if product.store == "ours":
            sample.log(port, runs)
        elif runs:
            db.insert(product.store, sample.mlflow_rows(runs))
        version = servers.version(port)
    db.settle(product.store)
    return version


def say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


def about(db: Databases) -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "command": shlex.join(["python", "-m", "benchmarks.quick", *sys.argv[1:]]),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} processors ({platform.machine()}), {memory:.0f} GiB, {platform.system()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "database": db.version,
        "sample": f"{RUNS:,} runs of {sample.METRICS} metrics, {sample.PARAMS} params, {sample.TAGS} tags; "
        "ours filled over HTTP, mlflow past its server, which would take minutes",
    }


def print_facts(facts: dict[str, str]) -> None:
    for key, value in facts.items():
        print(f"{key + ':':16} {value}")
    print()


def print_table(results: Results, names: Sequence[str]) -> None:
    """Medians over the rounds; beside each peer, how many times better ours is."""
    ours, *peers = names
    print("|", " | ".join(["scenario", "unit", ours, *(column for peer in peers for column in (peer, "times"))]), "|")
    print("|", " | ".join(["---", "---"] + ["---:"] * (1 + 2 * len(peers))), "|")
    for scenario, by_product in results.items():
        unit = by_product[ours][0].unit
        cells = [scenario, unit, shown(by_product[ours])]
        for peer in peers:
            ratio = median(by_product[peer]) / median(by_product[ours])
            cells += [shown(by_product[peer]), f"{ratio if unit == 'ms' else 1 / ratio:,.1f}"]
        print("|", " | ".join(cells), "|")
    every = [figures for by_product in results.values() for figures in by_product.values()]
    busiest = max(figure.client for figures in every for figure in figures)
    print(f"\nRounds: {len(every[0])}. The client used at most {busiest:.0%} of one processor.")


def shown(figures: Sequence[Figure]) -> str:
    failed = sum(figure.failed for figure in figures)
    return f"{median(figures):,.1f}" + (f" ({failed} failed)" if failed else "")


def median(figures: Sequence[Figure]) -> float:
    return statistics.median(figure.value for figure in figures)


def document(facts: dict[str, str], results: Results) -> dict[str, object]:
    figures = [
        {
            "scenario": scenario,
            "product": product,
            "unit": rounds[0].unit,
            "median": median(rounds),
            "rounds": [figure.value for figure in rounds],
            "failed": sum(figure.failed for figure in rounds),
            "client": max(figure.client for figure in rounds),
        }
        for scenario, by_product in results.items()
        for product, rounds in by_product.items()
    ]
    return {"about": facts, "figures": figures}


if __name__ == "__main__":
    main()
