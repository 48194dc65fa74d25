"""What was logged to our server, taken away again: to MLflow's folder of files, to its server, and to one of ours."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from compat_tests import processes, servers
from compat_tests.importing import destinations, exported, reading
from compat_tests.importing.destinations import PROGRAM, Destination
from compat_tests.importing.reading import Seen
from compat_tests.importing.sources import ALLOWED_FOLDERS, NEWEST, PATIENCE, Source


@dataclass(frozen=True)
class Kept:
    """A database of ours with all that the newest client can log, and what a client sees of it."""

    place: Destination
    seen: Seen

    def command(self, target: str, *options: str) -> list[str]:
        return [*PROGRAM, "export", target, *self.place.options, *options]

    def export(self, target: str, *options: str) -> str:
        """What an export says, which had no problem."""
        done = subprocess.run(self.command(target, *options), capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("kept")
    with destinations.fresh(request.param, folder) as place:
        server = processes.Server(folder, place.options)
        server.start()
        try:
            Source(NEWEST, folder, server.uri, server.uri).make()
            seen = reading.read(server.uri)
        finally:
            server.stop()
        yield Kept(place, seen)


def test_mlflow_reads_the_folder_of_files(kept: Kept, tmp_path: Path) -> None:
    folder = tmp_path / "mlruns"
    kept.export(str(folder), "--mlruns", "--with-artifacts")
    with servers.running_stock(tmp_path, ["--backend-store-uri", str(folder)], ALLOWED_FOLDERS) as uri:
        found = exported.at_our_places(reading.read(uri), folder)
        found |= files_of_deleted(MlflowClient(uri))
    assert exported.differences(kept.seen, found, exported.IN_FOLDERS) == []


def files_of_deleted(client: MlflowClient) -> Seen:
    """The files of the runs of deleted experiments, which MLflow finds in its trash only once they are restored."""
    seen: Seen = {}
    for experiment in client.search_experiments(ViewType.DELETED_ONLY):
        client.restore_experiment(experiment.experiment_id)
        for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL):
            here = ("run", run.info.run_id)
            seen |= reading.files((*here, "files"), f"runs:/{run.info.run_id}/")
            seen[(*here, "listing")] = reading.listing(client, run.info.run_id)
    return seen


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    folder.mkdir()
    with servers.running_stock(folder) as uri:
        yield uri


def sent(told: str) -> int:
    """How much an export to a server has sent."""
    return sum(int(count.replace(",", "")) for count in re.findall(r"^ +([\d,]+) ", told, re.MULTILINE))


def test_a_server_of_mlflow_shows_the_same_and_is_sent_nothing_twice(kept: Kept, tmp_path: Path) -> None:
    with mlflow_server(tmp_path / "theirs") as uri:
        assert sent(kept.export(uri, "--with-artifacts")) > 0
        first = reading.read(uri)
        assert exported.differences(kept.seen, exported.under_our_ids(first), exported.ON_SERVERS) == []
        assert sent(kept.export(uri, "--with-artifacts")) == 0
        assert reading.read(uri) == first


def test_an_export_to_a_server_that_was_killed_is_completed_by_the_next(kept: Kept, tmp_path: Path) -> None:
    with mlflow_server(tmp_path / "theirs") as uri:
        command = kept.command(uri, "--with-artifacts")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(4)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
        assert sent(kept.export(uri, "--with-artifacts")) > 0
        found = exported.under_our_ids(reading.read(uri))
        assert exported.differences(kept.seen, found, exported.ON_SERVERS) == []


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_another_server_of_ours_shows_the_same_and_exports_the_same(kept: Kept, tmp_path: Path, database: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    kept.export(str(first), "--with-artifacts")
    with destinations.fresh(database, tmp_path) as place:
        command = [*PROGRAM, "import", str(first), *place.options]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
        assert exported.differences(kept.seen, place.read(), []) == []
        Kept(place, {}).export(str(second), "--with-artifacts")
    assert contents(first) == contents(second)
    shutil.rmtree(second)


def contents(folder: Path) -> dict[str, Any]:
    """Every file but the manifest, which says when it was made."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
