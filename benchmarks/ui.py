"""How long large screens of MLflow's web UI take in a browser: a runs table over many runs, a chart of many points."""

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import databases, filling, processes, sample, servers, wire
from benchmarks.checks import require
from benchmarks.databases import Databases
from benchmarks.filling import Story
from benchmarks.progress import say
from benchmarks.report import facts, number, table
from benchmarks.servers import Product

FILL_AT_ONCE = 1_000
SECONDS = 600
IDLE, QUIET_SECONDS = 0.1, 60  # a server is quiet that takes less of a second than this; how long to wait for it


class Size(NamedTuple):
    """How much there is to show: runs in a table, each with so many metrics and params, and lines in a chart."""

    runs: int = 10_000
    metrics: int = 50
    params: int = 50
    lines: int = 20
    points: int = 100_000


TINY = Size(runs=250, metrics=5, params=5, lines=3, points=1_000)


class Call(NamedTuple):
    """What the UI asked the server for as a page opened; `start` counts from the page's own, in milliseconds."""

    path: str
    start: float
    milliseconds: float
    bytes: int


@dataclass(frozen=True)
class Visits:
    """The seconds of each round, by screen and by server; the first of these is ours."""

    about: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    """Of a first visit to the runs table, in the last round, by server."""


def measure(products: Sequence[Product], size: Size, rounds: int, folder: Path) -> Visits:
    """Look at each server in turn, each alone on its own SQLite database of the same content."""
    visits = Visits()
    with databases.opened("sqlite", folder / "sqlite") as db:
        visits.about["sqlite"] = db.version
        charts: dict[str, str] = {}
        for product in products:
            db.create(product.store)
            with servers.running(product, db.url(product.store), folder) as server:
                say(f"filling the database of {product.name}")
                visits.about[f"{product.store} version"] = servers.version(server.port)
                charts[product.store] = fill(product.store, db, server.port, size)
        for turn in range(rounds):
            for product in products if turn % 2 == 0 else reversed(products):
                with servers.running(product, db.url(product.store), folder) as server:
                    _quiet(server.pid)
                    seconds, visits.calls[product.name] = _look(server.port, charts[product.store], size)
                for screen, taken in seconds.items():
                    visits.seconds.setdefault(screen, {}).setdefault(product.name, []).append(taken)
                    say(f"round {turn + 1} of {rounds}, {product.name}: {screen} in {taken:.2f} s")
    return visits


def fill(store: str, db: Databases, port: int, size: Size) -> str:
    """Fill the default experiment with runs for the table; the id of another one, with runs for the chart."""
    for start in range(0, size.runs, FILL_AT_ONCE):
        indices = range(start, min(start + FILL_AT_ONCE, size.runs))
        runs = [sample.run(index, size.runs, size.metrics, size.params) for index in indices]
        filling.add(store, db, port, [Story(run, "0") for run in runs])
    (chart,) = wire.ask(port, wire.post("experiments/create", {"name": "chart"}))
    for place in range(size.lines):
        run = sample.series(f"line-{place}", size.points)
        filling.add(store, db, port, [Story(run, chart["experiment_id"], size.points)])
    return str(chart["experiment_id"])


def _quiet(pid: int) -> None:
    """Waits until a server that has started is done with what it begins beside its first answers."""
    for _ in range(QUIET_SECONDS):
        before = processes.cpu_seconds(pid)
        time.sleep(1)
        if processes.cpu_seconds(pid) - before < IDLE:
            return


def _look(port: int, chart: str, size: Size) -> tuple[dict[str, float], list[Call]]:
    """The seconds of each screen, and the calls of the first, in a browser driven by the Python that can."""
    command = [servers.mlflow_python(), "-m", "benchmarks.browsing", f"http://127.0.0.1:{port}"]
    told = subprocess.run(
        [*command, "0", str(size.runs), chart, str(size.lines)],
        cwd=servers.ROOT, capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    require(told.returncode == 0, f"a browser that sees every screen, not: {told.stderr}")
    seen = json.loads(told.stdout)
    return seen["seconds"], [Call(**call) for call in seen["calls"]]


def markdown(visits: Visits) -> str:
    """Medians of the rounds, with each in brackets, and what the UI asked for."""
    names = list(visits.calls)
    lines = [[screen, *(_cell(by_name.get(name, [])) for name in names)] for screen, by_name in visits.seconds.items()]
    calls = [
        [name, call.path, f"{number(call.start)} ms", f"{number(call.milliseconds)} ms", f"{call.bytes:,}"]
        for name, made in visits.calls.items()
        for call in made
    ]
    head = ["server", "asked for on the first visit", "after", "took", "bytes"]
    return "\n\n".join([facts(visits.about), table(["screen", *names], lines), table(head, calls)])


def _cell(times: Sequence[float]) -> str:
    return f"{number(median(times))} s ({', '.join(map(number, times))})" if times else ""
