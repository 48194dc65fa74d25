"""How long it takes to bring an MLflow database over: a million points from SQLite, the first time and again."""

import shlex
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import databases, servers
from benchmarks.checks import require
from benchmarks.progress import say
from benchmarks.report import DATABASES, facts, number, table

KEYS = 10


@dataclass(frozen=True)
class Plan:
    """How much there is to bring over."""

    runs: int = 100
    steps: int = 1_000


TINY = Plan(10, 10)


@dataclass(frozen=True)
class Imports:
    about: dict[str, str] = field(default_factory=dict)
    points: int = 0
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """Of each round, by database and by what was done."""


def measure(kinds: Sequence[str], plan: Plan, rounds: int, folder: Path) -> Imports:
    """Import one MLflow database into empty ones of these kinds, without and with a comparison of all, and again."""
    points = plan.runs * plan.steps * KEYS
    imports = Imports(points=points)
    source = _mlflow_database(folder, plan)
    for kind in kinds:
        times = imports.seconds.setdefault(kind, {})
        with databases.opened(kind, folder / kind) as db:
            for place in range(rounds):
                name = f"import_{place}"
                db.create(name)
                _shim("db", "upgrade", "--database-url", db.url(name))
                for what, verify in (("import", "none"), ("again", "none"), ("again, and compare all", "full")):
                    begun = time.perf_counter()
                    _shim("import", source, "--database-url", db.url(name), "--verify", verify)
                    times.setdefault(what, []).append(time.perf_counter() - begun)
                    say(f"{DATABASES[kind]}: {what} in {times[what][-1]:.1f} s")
                db.drop(name)
    return imports


def _mlflow_database(folder: Path, plan: Plan) -> str:
    """A database with MLflow's own schema: its runs with as many points as the plan says."""
    file = folder / "mlflow.db"
    url = f"sqlite:///{file}"
    program = servers.mlflow("mlflow").command(url, folder, 0)[0]
    subprocess.run([*shlex.split(program), "db", "upgrade", url], check=True, capture_output=True)
    runs = [f"{place:032x}" for place in range(plan.runs)]
    with closing(sqlite3.connect(file)) as conn, conn:
        conn.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) "
            "VALUES (1, 'bench', 'mlflow-artifacts:/1', 'active')"
        )
        conn.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, status, start_time, end_time, lifecycle_stage, "
            "artifact_uri, experiment_id) VALUES (?, 'run', 'LOCAL', 'FINISHED', 1, 2, 'active', '', 1)",
            [(run,) for run in runs],
        )
        conn.executemany(
            "INSERT INTO metrics (run_uuid, key, timestamp, step, value, is_nan) VALUES (?, ?, ?, ?, ?, 0)",
            _points(runs, plan.steps),
        )
    return url


def _points(runs: Sequence[str], steps: int) -> Iterator[tuple[str, str, int, int, float]]:
    """As clients write them: all runs at once, step by step."""
    for step in range(steps):
        for run in runs:
            for key in range(KEYS):
                yield run, f"metric_{key}", 1_700_000_000_000 + step, step, 1 / (step + key + 1)


def _shim(*arguments: str) -> None:
    program = servers.ours().command("", Path(), 0)
    command = [*program[: program.index("serve")], *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"a command that succeeds, not: {done.stdout}{done.stderr}")


def markdown(imports: Imports) -> str:
    """Medians of the rounds."""
    lines = [
        [DATABASES[kind], what, f"{number(median(times))} s", f"{imports.points / median(times):,.0f} points/s"]
        for kind, by_what in imports.seconds.items()
        for what, times in by_what.items()
    ]
    head = ["into", f"{imports.points:,} points of an MLflow database on SQLite", "median", "rate"]
    return f"{table(head, lines)}\n\n{facts(imports.about)}"
