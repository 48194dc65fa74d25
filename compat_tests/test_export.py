"""What was logged to our server, taken away again: to MLflow's folder of files, to its server, and to one of ours."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas
import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from compat_tests import processes, servers
from compat_tests.importing import destinations, exported, reading
from compat_tests.importing.destinations import Destination
from compat_tests.importing.differences import differences
from compat_tests.importing.reading import AT_ONCE, Seen
from compat_tests.importing.sources import ALLOWED_FOLDERS, NEWEST, PATIENCE, Source, python_of


@dataclass(frozen=True)
class Kept:
    """A database of ours with all that the newest client can log, and what a client sees of it."""

    place: Destination
    seen: Seen

    def command(self, target: str, *options: str) -> list[str]:
        return [*servers.program(), "export", target, *self.place.options, *options]

    def export(self, target: str, *options: str) -> str:
        """What an export says, which had no problem."""
        done = subprocess.run(self.command(target, *options), capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
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


ON_SQLITE = pytest.mark.parametrize("kept", ["sqlite"], indirect=True)


@ON_SQLITE
def test_mlflow_reads_the_folder_of_files(kept: Kept, tmp_path: Path) -> None:
    folder = tmp_path / "mlruns"
    kept.export(str(folder), "--mlruns", "--with-artifacts")
    with servers.running_stock(tmp_path, ["--backend-store-uri", str(folder)], ALLOWED_FOLDERS) as uri:
        found = exported.at_our_places(reading.read(uri), folder)
        found |= files_of_deleted(MlflowClient(uri))
    assert differences(kept.seen, found, exported.IN_FOLDERS) == []


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


@dataclass(frozen=True)
class Theirs:
    """A server of MLflow and the database behind it."""

    uri: str
    database: Destination


@contextmanager
def mlflow_server(folder: Path) -> Iterator[Theirs]:
    folder.mkdir()
    with servers.running_stock(folder) as uri:
        yield Theirs(uri, Destination(folder, f"sqlite:///{folder}/tracking.db", folder / "artifacts"))


def sent(told: str) -> int:
    """How much an export to a server has sent."""
    return sum(int(count.replace(",", "")) for count in re.findall(r"^ +([\d,]+) ", told, re.MULTILINE))


@ON_SQLITE
def test_a_server_shows_the_same_after_a_kill_and_is_sent_nothing_twice(kept: Kept, tmp_path: Path) -> None:
    with mlflow_server(tmp_path / "theirs") as theirs:
        command = kept.command(theirs.uri, "--with-artifacts")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and theirs.database.count("metrics") <= AT_ONCE:
                time.sleep(0.1)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
        assert sent(kept.export(theirs.uri, "--with-artifacts")) > 0
        found = reading.read(theirs.uri)
        assert differences(kept.seen, exported.under_our_ids(found), exported.ON_SERVERS) == []
        assert sent(kept.export(theirs.uri, "--with-artifacts")) == 0
        assert reading.read(theirs.uri) == found


@ON_SQLITE
def test_a_server_of_mlflow_2_gets_all_but_logged_models(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Path(python_of("2.22"))
    if not old.exists():
        pytest.skip("MLflow 2.22 has no environment here: make imports")
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_COMMAND", f"{old} -m mlflow")
        with mlflow_server(tmp_path / "theirs") as theirs:
            told = kept.export(theirs.uri, "--with-artifacts")
            assert sent(kept.export(theirs.uri, "--with-artifacts")) == 0
    assert "left out: logged models: a server of MLflow 2 has none" in told
    assert "version 1 of 'of a logged model': it is of a logged model, so it is left out" in told
    runs = {names[1] for names in kept.seen if names[0] == "run"}
    assert theirs.database.count("runs") == len(runs)
    assert theirs.database.count("model_versions") == 5


@pytest.mark.parametrize(
    ("kept", "database"), [("sqlite", "postgresql"), ("postgresql", "postgresql")], indirect=["kept"]
)
def test_another_server_of_ours_shows_the_same_and_exports_the_same(kept: Kept, tmp_path: Path, database: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    kept.export(str(first), "--with-artifacts")
    with destinations.fresh(database, tmp_path) as place:
        command = [*servers.program(), "import", str(first), *place.options]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
        assert differences(kept.seen, place.read(), []) == []
        Kept(place, {}).export(str(second), "--with-artifacts")
    assert contents(first) == contents(second)


@ON_SQLITE
def test_pandas_reads_the_points_of_an_export(kept: Kept, tmp_path: Path) -> None:
    kept.export(str(tmp_path / "taken-away"))
    found = pandas.read_parquet(tmp_path / "taken-away/run_metric_values.parquet")
    histories = {names: history for names, history in kept.seen.items() if names[0] == "run" and names[2] == "history"}
    assert len(found) == sum(len(history) for history in histories.values())
    assert set(found.run_id) == {run_id for _, run_id, *_ in histories}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the manifest, which says when it was made."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
