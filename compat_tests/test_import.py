"""What releases of MLflow kept, imported: a client sees the same before and after."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from compat_tests.importing import destinations, sources
from compat_tests.importing.destinations import Destination
from compat_tests.importing.differences import differences
from compat_tests.importing.reading import Seen
from compat_tests.importing.sources import NEWEST, Source


class Move(NamedTuple):
    """A release, the kind of source that it logs to, and the database of ours that this is imported to."""

    release: str
    kind: str
    database: str


MOVES = [
    *(Move(release, kind, "sqlite") for release in ("1.30", "2.9", "2.22", NEWEST) for kind in ("sqlite", "folder")),
    *(Move(NEWEST, kind, "sqlite") for kind in ("postgresql", "server", "behind-server")),
    *(Move(NEWEST, kind, "postgresql") for kind in ("sqlite", "postgresql")),
]

FULL = ("--verify", "full")


def changed(report: dict[str, Any]) -> int:
    """How many things an import has added or changed."""
    return sum(count["created"] + count["updated"] for count in report["changed"].values())


@pytest.fixture(scope="module", params=MOVES, ids="{0.release}-{0.kind}-to-{0.database}".format)
def move(request: pytest.FixtureRequest) -> Move:
    """What is imported, and to which database."""
    asked: Move = request.param
    return asked


@pytest.fixture(scope="module")
def source(move: Move, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """A full source."""
    if not Path(sources.python_of(move.release)).exists():
        pytest.skip(f"MLflow {move.release} has no environment here: make imports")
    with sources.running(move.release, move.kind, tmp_path_factory.mktemp("source")) as made:
        made.make()
        yield made


@pytest.fixture(scope="module")
def before(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What a client sees of the full source."""
    return source.read(tmp_path_factory.mktemp("before") / "server")


@pytest.fixture
def target(move: Move, tmp_path: Path) -> Iterator[Destination]:
    """An empty database of ours."""
    with destinations.fresh(move.database, tmp_path) as empty:
        yield empty


def test_a_client_sees_the_same_afterwards_and_a_second_import_changes_nothing(
    source: Source, before: Seen, target: Destination
) -> None:
    first = target.bring_in(source, *source.copying, *FULL)
    assert changed(first) > 0
    assert first["differences"] == []
    again = target.bring_in(source, *source.copying, *FULL)
    assert changed(again) == 0
    assert differences(before, target.read()) == []


def test_files_that_are_left_in_their_place_are_found_by_a_client_here(
    source: Source, before: Seen, target: Destination
) -> None:
    if source.kept:  # what is `mlflow-artifacts:` there is so here
        target = replace(target, artifacts=source.kept)
    target.bring_in(source)
    with chdir(source.folder):  # as in `Source.read`
        after = target.read()
    files = {names: value for names, value in before.items() if names[0] == "run" and "files" in names}
    assert any(isinstance(value, tuple) for value in files.values())
    assert {names: after.get(names) for names in files} == files


def test_an_import_that_is_killed_is_completed_by_the_next(source: Source, before: Seen, target: Destination) -> None:
    command = target.command(source, [*source.copying, *FULL])
    with subprocess.Popen(command, cwd=source.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and target.count("run_metric_values") == 0:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
    target.bring_in(source, *source.copying, *FULL)
    assert differences(before, target.read()) == []


def test_a_dry_run_counts_and_changes_nothing(source: Source, target: Destination) -> None:
    would = target.bring_in(source, "--dry-run")
    assert changed(would) > 0
    assert target.count("runs") == 0
    assert changed(target.bring_in(source, "--verify", "none")) >= changed(would)
    assert target.count("runs") > 0


def test_what_is_logged_later_is_brought_in_by_the_next(source: Source, target: Destination, tmp_path: Path) -> None:
    target.bring_in(source, *source.copying, *FULL)
    # The last test of a store, as it goes on with it.
    source.make("--more")
    assert changed(target.bring_in(source, *source.copying, *FULL)) > 0
    assert differences(source.read(tmp_path / "later"), target.read()) == []
