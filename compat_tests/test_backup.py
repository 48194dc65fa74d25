"""Backups made while clients log: what was acknowledged before one began is in what it puts back."""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from typing import NamedTuple

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from compat_tests.upkeep import Place

WRITERS = 4
BACKUPS = 3
SECONDS = 1
"""How long is logged before each backup, and after the last one."""
ROUNDS = 6
"""How often a run is logged to until the next one begins."""
STEPS = 20
LARGE = 1_500_000
"""More than the server takes in one block."""


class Acknowledged(NamedTuple):
    """A round of a run, all calls of which were answered by then."""

    at: float
    run_id: str
    number: int


@dataclass
class Writer:
    """A client that logs, round by round, until it is told to stop."""

    uri: str
    experiment_id: str
    folder: Path
    rounds: list[Acknowledged] = field(default_factory=list)

    def write(self, stop: Event) -> None:
        client = MlflowClient(self.uri)
        self.folder.mkdir()
        for number in count():
            if stop.is_set():
                return
            if number % ROUNDS == 0:
                run_id = client.create_run(self.experiment_id).info.run_id
            client.log_batch(
                run_id,
                metrics=[Metric(key, value, 1000 + step, step) for key, step, value in points(number)],
                params=[Param(f"param-{number}", str(number))],
                tags=[RunTag("last", str(number)), RunTag(f"tag-{number}", str(number))],
            )
            self._send(client, run_id, f"round-{number}.bin", content(number), "folder")
            self._send(client, run_id, "last.txt", str(number).encode(), None)
            if number % ROUNDS == ROUNDS - 1:
                client.set_terminated(run_id)
            self.rounds.append(Acknowledged(time.monotonic(), run_id, number))

    def _send(self, client: MlflowClient, run_id: str, name: str, sent: bytes, folder: str | None) -> None:
        file = self.folder / name
        file.write_bytes(sent)
        client.log_artifact(run_id, str(file), folder)


def points(number: int) -> list[tuple[str, int, float]]:
    steps = range(number * STEPS, (number + 1) * STEPS)
    return [(key, step, number + step / 8) for step in steps for key in ("loss", "accuracy")]


def content(number: int) -> bytes:
    line = f"round {number}\n".encode()
    return line * (LARGE // len(line)) if number % ROUNDS == 2 else line


@contextmanager
def logging(writers: Sequence[Writer]) -> Iterator[None]:
    """All of them at work, each with a first round done."""
    stop = Event()
    with ThreadPoolExecutor(len(writers)) as pool:
        work = [pool.submit(writer.write, stop) for writer in writers]
        try:
            while not all(writer.rounds for writer in writers) and not any(future.done() for future in work):
                time.sleep(0.01)
            yield
        finally:
            stop.set()
        for future in work:
            future.result()


class Backup(NamedTuple):
    file: Path
    begun: float
    ended: float


def back_up(place: Place, file: Path) -> Backup:
    begun = time.monotonic()
    done = place.run("backup", str(file))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "The database and " in done.stdout
    return Backup(file, begun, time.monotonic())


def put_back(backup: Backup, folder: Path) -> Place:
    folder.mkdir()
    place = Place(folder)
    done = place.run("restore", str(backup.file))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "are restored" in done.stdout
    return place


def assert_has_all(client: MlflowClient, run_id: str, numbers: Sequence[int], folder: Path) -> None:
    """The run has what these rounds logged to it; what later ones replaced may be there as they made it."""
    run = client.get_run(run_id)
    newest = max(numbers)
    if newest % ROUNDS == ROUNDS - 1:
        assert run.info.status == "FINISHED"
    assert {f"param-{number}": str(number) for number in numbers}.items() <= run.data.params.items()
    assert {f"tag-{number}": str(number) for number in numbers}.items() <= run.data.tags.items()
    assert newest <= int(run.data.tags["last"])
    kept = {
        (metric.key, metric.step, metric.value)
        for key in ("loss", "accuracy")
        for metric in client.get_metric_history(run_id, key)
    }
    assert {point for number in numbers for point in points(number)} <= kept
    files = Path(client.download_artifacts(run_id, "", str(folder)))
    for number in numbers:
        assert (files / "folder" / f"round-{number}.bin").read_bytes() == content(number)
    assert newest <= int((files / "last.txt").read_bytes())


def test_what_was_acknowledged_before_a_backup_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    (tmp_path / "first").mkdir()
    first = Place(tmp_path / "first")
    backups = []
    with first.served() as server:
        experiment_id = MlflowClient(server.uri).create_experiment("backed up")
        writers = [Writer(server.uri, experiment_id, tmp_path / f"writer-{number}") for number in range(WRITERS)]
        with logging(writers):
            for number in range(BACKUPS):
                time.sleep(SECONDS)
                backups.append(back_up(first, tmp_path / f"{number}.backup"))
            time.sleep(SECONDS)
    for backup in backups:
        rounds = [done for writer in writers for done in writer.rounds]
        assert any(backup.begun < done.at < backup.ended for done in rounds)
        before = defaultdict(list)
        for done in rounds:
            if done.at < backup.begun:
                before[done.run_id].append(done.number)
        assert len(before) >= WRITERS
        again = put_back(backup, tmp_path / f"restored-{backup.file.stem}")
        again.assert_sound()
        with again.served() as server:
            client = MlflowClient(server.uri)
            for run_id, numbers in before.items():
                folder = tmp_path / backup.file.stem / run_id
                folder.mkdir(parents=True)
                assert_has_all(client, run_id, numbers, folder)
        again.assert_sound()


def test_a_restore_over_what_is_there_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    first = Place(tmp_path / "first")
    with first.served() as server:
        client = MlflowClient(server.uri)
        run_id = client.create_run("0").info.run_id
        client.log_text(run_id, "before", "note.txt")
        backup = back_up(first, tmp_path / "a.backup")
        client.log_text(run_id, "after", "note.txt")
    has_files_only, has_database_only = Place(tmp_path / "files"), Place(tmp_path / "database")
    for place in (has_files_only, has_database_only):
        put_back(backup, place.folder)
    has_files_only.database.unlink()
    shutil.rmtree(has_database_only.artifacts)
    for place in (first, has_files_only, has_database_only):
        before = place.files()
        done = place.run("restore", str(backup.file))
        assert done.returncode == 2
        assert done.stderr.startswith("mlflow-shim: The")
        assert done.stderr.count("\n") == 1
        assert place.files() == before
    with first.served() as server:
        client = MlflowClient(server.uri)
        assert Path(client.download_artifacts(run_id, "note.txt", str(tmp_path))).read_text() == "after"
