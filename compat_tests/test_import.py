"""What releases of MLflow kept, imported: a client sees the same before and after.

Releases other than this client's are in environments that `make imports` makes.
"""

import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compat_tests import processes, servers
from compat_tests.importing import reading
from compat_tests.importing.differences import differences
from compat_tests.importing.reading import Seen

ROOT = Path(__file__).parents[1]
MAKE_DATA = ROOT / "compat_tests" / "importing" / "make_data.py"
NEWEST = "3.17"
PATIENCE = 300

ALLOWED_FOLDERS = {"MLFLOW_ALLOW_FILE_STORE": "true"}
"""Newer releases of MLflow want to be asked twice for a folder of files."""

SOURCES = [f"{release}-{store}" for release in ("1.30", "2.9", "2.22", NEWEST) for store in ("sqlite", "folder")]


@dataclass(frozen=True)
class Source:
    """A store of a release, with its artifacts, in a folder of its own."""

    release: str
    folder: Path
    uri: str

    def make(self, *options: str) -> None:
        """Let the release log to it."""
        command = [python_of(self.release), str(MAKE_DATA), self.uri, *options]
        environment = {**os.environ, **ALLOWED_FOLDERS}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr[-2000:]

    def read(self, folder: Path) -> Seen:
        """What a client sees of it, through MLflow's newest server over a copy."""
        folder.mkdir()
        with serving_copy(self.uri, folder) as uri, chdir(self.folder):  # MLflow 1.30 names places like ./mlruns/0
            return reading.read(uri)


@contextmanager
def serving_copy(store: str, folder: Path) -> Iterator[str]:
    if store.startswith("sqlite:"):
        copy = folder / "copy.db"
        shutil.copy(store.removeprefix("sqlite:///"), copy)
        place = f"sqlite:///{copy}"
        mlflow = shlex.split(os.environ.get("MLFLOW_COMMAND") or f"{sys.executable} -m mlflow")
        subprocess.run([*mlflow, "db", "upgrade", place], check=True, capture_output=True, timeout=PATIENCE)
    else:
        place = str(shutil.copytree(store, folder / "copy"))
    with servers.running_stock(folder, ["--backend-store-uri", place], ALLOWED_FOLDERS) as uri:
        yield uri


@dataclass(frozen=True)
class Target:
    """A database of ours, and its artifacts."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "tracking.db"

    @property
    def options(self) -> list[str]:
        return [
            *("--database-url", f"sqlite:///{self.database}"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]

    def command(self, source: Source, *options: str) -> list[str]:
        program = shlex.split(os.environ.get("MLFLOW_SHIM_COMMAND") or str(ROOT / ".venv/bin/mlflow-shim"))
        return [*program, "import", source.uri, *self.options, *options]

    def bring_in(self, source: Source, *options: str) -> dict[str, Any]:
        """The report of an import, which is complete and verified."""
        report = self.folder / "report.json"
        command = self.command(source, "--report", str(report), *options)
        done = subprocess.run(command, cwd=source.folder, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        told: dict[str, Any] = json.loads(report.read_text())
        return told

    def read(self) -> Seen:
        server = processes.Server(self.folder, self.options)
        server.start()
        try:
            return reading.read(server.uri)
        finally:
            server.stop()

    def count(self, table: str) -> int:
        """How many rows a table has; none where there is no table yet."""
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db,
        ):
            return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        return 0


COPIED = ("--copy-artifacts", "--verify", "full")


def python_of(release: str) -> str:
    return sys.executable if release == NEWEST else str(ROOT / f".venv-store-{release}" / "bin" / "python")


def changed(report: dict[str, Any]) -> int:
    """How many things an import has added or changed."""
    return sum(count["created"] + count["updated"] for count in report["changed"].values())


@pytest.fixture(scope="module", params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A full store."""
    release, store = request.param.rsplit("-", 1)
    if not Path(python_of(release)).exists():
        pytest.skip(f"MLflow {release} has no environment here: make imports")
    folder = tmp_path_factory.mktemp(request.param)
    made = Source(release, folder, f"sqlite:///{folder}/mlflow.db" if store == "sqlite" else str(folder / "mlruns"))
    made.make()
    return made


@pytest.fixture(scope="module")
def before(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What a client sees of the full store."""
    return source.read(tmp_path_factory.mktemp("before") / "server")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """An empty database of ours."""
    return Target(tmp_path)


def test_a_client_sees_the_same_afterwards_and_a_second_import_changes_nothing(
    source: Source, before: Seen, target: Target
) -> None:
    first = target.bring_in(source, *COPIED)
    assert changed(first) > 0
    assert first["differences"] == []
    again = target.bring_in(source, *COPIED)
    assert changed(again) == 0
    assert differences(before, target.read()) == []


def test_files_that_are_left_in_their_place_are_found_by_a_client_here(
    source: Source, before: Seen, target: Target
) -> None:
    target.bring_in(source)
    with chdir(source.folder):  # as in `Source.read`
        after = target.read()
    files = {names: value for names, value in before.items() if names[0] == "run" and "files" in names}
    assert any(isinstance(value, tuple) for value in files.values())
    assert {names: after.get(names) for names in files} == files


def test_an_import_that_is_killed_is_completed_by_the_next(source: Source, before: Seen, target: Target) -> None:
    command = target.command(source, *COPIED)
    with subprocess.Popen(command, cwd=source.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and target.count("run_metric_values") == 0:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
    target.bring_in(source, *COPIED)
    assert differences(before, target.read()) == []


def test_a_dry_run_counts_and_changes_nothing(source: Source, target: Target) -> None:
    would = target.bring_in(source, "--dry-run")
    assert changed(would) > 0
    assert target.count("runs") == 0
    assert changed(target.bring_in(source, "--verify", "none")) >= changed(would)


def test_what_is_logged_later_is_brought_in_by_the_next(source: Source, target: Target, tmp_path: Path) -> None:
    target.bring_in(source, *COPIED)
    # The last test of a store, as it goes on with it.
    source.make("--more")
    assert changed(target.bring_in(source, *COPIED)) > 0
    assert differences(source.read(tmp_path / "later"), target.read()) == []
