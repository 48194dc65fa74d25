"""Collecting what clients deleted, while they are served: it is gone for good, and everything else is there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from compat_tests.upkeep import OBEYING, Place

KEYS, STEPS = 5, 100
MANY = 24
KILLS = 3


@dataclass
class World:
    """What a client has made; of its runs, the ids by what they are for."""

    client: MlflowClient
    kept: str
    """The experiment that stays, `kept`."""
    old: str
    """The one that is deleted, `old`."""
    runs: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)


def files(name: str) -> dict[str, bytes]:
    return {"note.txt": f"of {name}".encode(), "inner/weights.bin": name.encode() * 10_000}


def points() -> list[tuple[int, float]]:
    return [(step, step / 8) for step in range(STEPS)]


def log_run(client: MlflowClient, experiment_id: str, name: str, folder: Path) -> str:
    run_id = str(client.create_run(experiment_id, run_name=name).info.run_id)
    metrics = [Metric(f"m{key}", value, 1, step) for step, value in points() for key in range(KEYS)]
    client.log_batch(run_id, metrics=metrics, params=[Param("name", name)], tags=[RunTag("team", name)])
    for path, content in files(name).items():
        file = folder / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    client.log_artifacts(run_id, str(folder / name))
    client.set_terminated(run_id)
    return run_id


def log_model(client: MlflowClient, experiment_id: str, name: str, run_id: str, folder: Path) -> str:
    model_id = str(client.create_logged_model(experiment_id, name, run_id, tags={"team": name}).model_id)
    client.log_model_artifacts(model_id, str(folder / "kept"))
    client.finalize_logged_model(model_id, "READY")
    client.log_metric(run_id, "of model", 0.5, model_id=model_id)
    return model_id


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    (tmp_path / "server").mkdir()
    return Place(tmp_path / "server")


@pytest.fixture
def world(place: Place, tmp_path: Path) -> Iterator[World]:
    """A server at work, with `kept` runs and models that stay and others that are deleted."""
    with place.served() as server:
        client = MlflowClient(server.uri)
        made = World(client, client.create_experiment("kept"), client.create_experiment("old"))
        for name in ("kept", "deleted", "missing", "locked"):
            made.runs[name] = log_run(client, made.kept, name, tmp_path)
        made.runs["in old"] = log_run(client, made.old, "in old", tmp_path)
        for name, experiment_id, run in (("kept", made.kept, "deleted"), ("deleted", made.kept, "kept")):
            made.models[name] = log_model(client, experiment_id, name, made.runs[run], tmp_path)
        made.models["in old"] = log_model(client, made.old, "in old", made.runs["in old"], tmp_path)
        for name in ("kept", "deleted"):
            client.create_registered_model(name)
            client.create_model_version(name, f"runs:/{made.runs['kept']}/inner", made.runs["kept"])
        yield made


def delete(world: World) -> None:
    for name in ("deleted", "missing", "locked"):
        world.client.delete_run(world.runs[name])
    world.client.delete_experiment(world.old)
    world.client.delete_logged_model(world.models["deleted"])
    world.client.delete_registered_model("deleted")


def counts(words: str) -> dict[str, int]:
    """`gone: 1 experiments, 2 runs` as numbers."""
    return {
        name: int(number.replace(",", ""))
        for number, name in (item.split(" ", 1) for item in words.split(": ", 1)[1].strip().split(", "))
    }


EXPECTED = {
    "experiments": 1,
    "runs": 4,
    "logged models": 2,
    "points": 4 * KEYS * STEPS + 2,
    "files": 8,
    "bytes": sum(len(file) for name in ("deleted", "missing", "locked", "in old") for file in files(name).values()),
}
"""What goes of the world; points of models are told as their runs'."""


def assert_gone(world: World, place: Place) -> None:
    client = world.client
    for name, run_id in world.runs.items():
        if name != "kept":
            with pytest.raises(MlflowException) as refused:
                client.get_run(run_id)
            assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
            with pytest.raises(MlflowException):
                client.restore_run(run_id)
    for name in ("deleted", "in old"):
        with pytest.raises(MlflowException) as refused:
            client.get_logged_model(world.models[name])
        assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(MlflowException) as refused:
        client.get_experiment(world.old)
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(MlflowException) as refused:
        client.get_registered_model("deleted")
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    gone = {*world.runs.values(), *world.models.values()} - {world.runs["kept"], world.models["kept"]}
    assert [name for name in place.files() if gone & set(name.split("/"))] == []
    assert [name for name in place.files() if ".uploads" in name] == []


def assert_kept(world: World, folder: Path) -> None:
    client, run_id = world.client, world.runs["kept"]
    run = client.get_run(run_id)
    assert (run.info.status, run.data.params, run.data.tags["team"]) == ("FINISHED", {"name": "kept"}, "kept")
    for key in range(KEYS):
        history = client.get_metric_history(run_id, f"m{key}")
        assert [(metric.step, metric.value) for metric in history] == points()
    folder.mkdir()
    there = Path(client.download_artifacts(run_id, "", str(folder)))
    for path, content in files("kept").items():
        assert (there / path).read_bytes() == content
    model = client.get_logged_model(world.models["kept"])
    assert model.tags["team"] == "kept"
    assert {item.path for item in client.list_logged_model_artifacts(world.models["kept"])} == {"inner", "note.txt"}
    assert [version.run_id for version in client.search_model_versions("name='kept'")] == [run_id]
    assert [found.info.run_id for found in client.search_runs([world.kept])] == [run_id]


def artifacts_of(place: Place, run_id: str) -> Path:
    (found,) = place.artifacts.glob(f"*/{run_id}/artifacts")
    return found


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nothing in the folder can be deleted."""
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(mode)


def test_what_was_deleted_is_collected_under_a_server(world: World, place: Place, tmp_path: Path) -> None:
    delete(world)
    inner = artifacts_of(place, world.runs["locked"]) / "inner"
    artifacts_of(place, world.runs["missing"]).rename(tmp_path / "missed")

    before = {name: digest for name, digest in place.files().items() if name.startswith("artifacts/")}
    trial = place.run("gc", "--older-than", "0s", "--dry-run")
    assert (trial.returncode, trial.stderr) == (0, "")
    assert counts(trial.stdout) == EXPECTED
    assert world.client.get_run(world.runs["deleted"]).info.lifecycle_stage == "deleted"
    assert {name: digest for name, digest in place.files().items() if name.startswith("artifacts/")} == before
    early = place.run("gc", "--older-than", "1h")
    assert (early.returncode, set(counts(early.stdout).values())) == (0, {0})

    with locked(inner):
        done = place.run("gc", "--older-than", "0s", through=OBEYING)
        assert done.returncode == 1, done.stdout + done.stderr
        *told, last = done.stdout.splitlines()
        assert counts(last) == EXPECTED
        assert [world.runs["locked"] in words and "could not be deleted" in words for words in told] == [True]
        assert (inner / "weights.bin").exists()
    again = place.run("gc", "--older-than", "0s")
    assert (again.returncode, set(counts(again.stdout).values())) == (0, {0})

    assert_gone(world, place)
    assert_kept(world, tmp_path / "kept-files")
    old = world.client.create_experiment("old")
    log_run(world.client, old, "anew", tmp_path)
    world.client.create_registered_model("deleted")
    place.assert_sound()


def test_killed_in_the_middle_it_goes_on_the_next_time(world: World, place: Place, tmp_path: Path) -> None:
    many = [log_run(world.client, world.kept, f"more-{number}", tmp_path) for number in range(MANY)]
    world.runs.update({run_id: run_id for run_id in many})
    delete(world)
    for run_id in many:
        world.client.delete_run(run_id)
    assert kill_as_files_go(place, many)
    done = place.run("gc", "--older-than", "0s")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert_gone(world, place)
    assert_kept(world, tmp_path / "kept-files")
    place.assert_sound()


def kill_as_files_go(place: Place, runs: Sequence[str]) -> bool:
    """Kill it a few times, each time as soon as it has cleared a run away; whether some were cleared and some not."""
    for _ in range(KILLS):
        left = len(present(place, runs))
        process = place.begin("gc", "--older-than", "0s")
        while process.poll() is None and len(present(place, runs)) == left:
            time.sleep(0.0005)
        process.kill()
        process.communicate()
    return 0 < len(present(place, runs)) < len(runs)


def present(place: Place, runs: Sequence[str]) -> list[str]:
    return [run_id for run_id in runs if any(place.artifacts.glob(f"*/{run_id}/artifacts"))]
