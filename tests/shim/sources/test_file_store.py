"""Folders of MLflow's file store, written by hand in the shapes of its releases."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import pytest
import yaml

from native_api.core.datasets import NewInput
from native_api.core.errors import Invalid
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import Name
from native_api.transfer.records import RunModel
from shim.sources import parts
from shim.sources.file_store import FileStore

RUN = "a" * 32
OTHER = "b" * 32
DATASET = "d" * 32
MODEL = "m-" + "c" * 32


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_meta(folder: Path, **fields: object) -> Path:
    write(folder / "meta.yaml", yaml.safe_dump(fields))
    return folder


def experiment(folder: Path, **fields: object) -> Path:
    key = folder.name
    given = {"experiment_id": key, "name": f"exp {key}", "artifact_location": f"file:///data/{key}"}
    return write_meta(folder, **{**given, "lifecycle_stage": "active", **fields})


def run(folder: Path, **fields: object) -> Path:
    given = {"run_id": folder.name, "run_uuid": folder.name, "experiment_id": folder.parent.name, "status": 3}
    return write_meta(folder, **{**given, "start_time": 1000, "lifecycle_stage": "active", **fields})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "mlruns"
    (root / ".trash").mkdir(parents=True)
    experiment(root / "0", name="Default", creation_time=5, last_update_time=6)
    return root


def points_of(store: FileStore) -> dict[str, dict[Name, list[tuple[float, ...]]]]:
    found: dict[str, dict[Name, list[tuple[float, ...]]]] = {}
    for runs in store.runs():
        for part in store.points(runs):
            for run_id, points in part:
                for name, values in points.items():
                    found.setdefault(run_id, {}).setdefault(name, []).extend(values)
    return found


def test_experiments_of_all_kinds(root: Path) -> None:
    write(root / "0/tags/mlflow.note.content", "why\nso")
    write(root / "0/tags/team/name", "blue")
    experiment(root / "1", experiment_id=1)  # early releases wrote a number
    experiment(root / ".trash/123456789012345678", lifecycle_stage="deleted", creation_time=7, last_update_time=9)
    first, second, deleted = FileStore(root).experiments()
    assert (first.key, first.number, first.name, first.objective) == ("0", 0, "Default", "why\nso")
    assert (first.tags, first.created_at, first.updated_at, first.deleted_at) == ({"team/name": "blue"}, 5, 6, None)
    assert first.artifact_location == "file:///data/0"
    assert (second.key, second.number, second.created_at) == ("1", 1, 0)
    assert (deleted.key, deleted.deleted_at) == ("123456789012345678", 9)


def test_a_run_with_all_it_has(root: Path) -> None:
    folder = run(
        root / "0" / RUN,
        run_name="kind-owl-1",
        end_time=2000,
        user_id="ada",
        artifact_uri="mlflow-artifacts:/0/x",
        source_version="",
        tags=[],
    )
    write(folder / "params/opt/lr", "0.1\n")
    write(folder / "params/empty", "")
    write(folder / "tags/mlflow.source.git.commit", "f00")
    write(folder / "tags/mlflow.note.content", "ünï")
    write(folder / "tags/mlflow.runName", "kind-owl-1")
    write(folder / "tags/colour", "red")
    write_meta(
        root / "0/datasets" / DATASET, name="wine", digest="12345678", source_type="local", source="{}", profile=None
    )
    write_meta(
        folder / "inputs" / ("e" * 32),
        source_type="DATASET",
        source_id=DATASET,
        destination_type="RUN",
        destination_id=DATASET,
        tags={"mlflow.data.context": "training", "fold": "1"},
    )
    write_meta(folder / "inputs" / ("f" * 32), source_type="MODEL", source_id=MODEL, tags={})
    write_meta(folder / "outputs" / MODEL, source_type="RUN_OUTPUT", destination_id=MODEL, tags={}, step=7)
    (found,) = [found for runs in FileStore(root).runs() for found in runs]
    assert (found.run_id, found.experiment, found.run_name, found.status) == (RUN, "0", "kind-owl-1", "finished")
    assert (found.started_at, found.finished_at, found.created_at, found.deleted_at) == (1000, 2000, 1000, None)
    assert (found.user_name, found.git_commit, found.notes) == ("ada", "f00", "ünï")
    assert found.artifact_uri == "mlflow-artifacts:/0/x"
    assert found.params == {"empty": "", "opt/lr": "0.1\n"}
    assert found.tags == {"colour": "red"}
    assert found.inputs == [
        NewInput("wine", "12345678", "local", "{}", None, None, context="training", tags={"fold": "1"})
    ]
    assert found.models == [RunModel("input", MODEL, 0), RunModel("output", MODEL, 7)]


def test_runs_deleted_and_of_deleted_experiments(root: Path) -> None:
    run(root / "0" / RUN, lifecycle_stage="deleted", deleted_time=3000, status=5)
    experiment(root / ".trash/4", lifecycle_stage="deleted", last_update_time=9)
    write_meta(root / ".trash/4" / OTHER, run_uuid=OTHER, experiment_id=4, status=1, name="old", start_time=1)
    write(root / ".trash/4" / OTHER / "metrics/loss", "10 0.5\n")
    store = FileStore(root)
    batches = [*store.runs()]
    assert [len(runs) for runs in batches] == [1, 1]
    deleted, other = batches[0][0], batches[1][0]
    assert (deleted.status, deleted.deleted_at) == ("killed", 3000)
    assert (other.run_name, other.status, other.experiment, other.deleted_at) == ("old", "running", "4", None)
    assert points_of(store) == {OTHER: {Name(0, "loss"): [(0, 10, 0.5, 0, 0)]}}
    assert store.counts() == (2, 2, None, 0, 0, 0)


def test_points_of_every_shape_of_line(root: Path) -> None:
    folder = run(root / "0" / RUN)
    write(folder / "metrics/val/deep/acc", "10 0.5 1\n11 nan 2\n12 inf -3\n13 -inf 4\n")
    write(folder / "metrics/loss", "20 1.7976931348623157e+308 0\n21 1e-320 5 wine cellar abc123\n22 0.25 6")
    found = points_of(FileStore(root))[RUN]
    assert found[Name(2, "deep/acc")] == [
        (1, 10, 0.5, 0, 0),
        (2, 11, 0.0, 1, 0),
        (-3, 12, math.inf, 0, 0),
        (4, 13, -math.inf, 0, 0),
    ]
    assert found[Name(0, "loss")] == [
        (0, 20, 1.7976931348623157e308, 0, 0),
        (5, 21, 1e-320, 0, 0),
        (6, 22, 0.25, 0, 0),
    ]


def test_lines_that_are_no_points_are_told_and_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = run(root / "0" / RUN)
    write(folder / "metrics/loss", f"1 0.5 1\n\nx y z\n2 0.5 {2**63}\n3 0.25 2\n4 0.1")
    assert points_of(FileStore(root)) == {RUN: {Name(0, "loss"): [(1, 1, 0.5, 0, 0), (2, 3, 0.25, 0, 0)]}}
    assert caplog.text.count("a line that is no point") == 1  # of each file one


def test_a_long_history_comes_in_parts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "CHUNK", 10)
    folder = run(root / "0" / RUN)
    write(folder / "metrics/a", "".join(f"{n} {n} {n}\n" for n in range(25)))
    write(folder / "metrics/b", "".join(f"{n} {n} {n}\n" for n in range(5)))
    store = FileStore(root)
    (runs,) = store.runs()
    given = [*store.points(runs)]
    assert [sum(len(points) for _, named in part for points in named.values()) for part in given] == [10, 10, 10]
    assert points_of(store)[RUN][Name(0, "a")] == [(n, n, float(n), 0, 0) for n in range(25)]


def test_what_is_written_meanwhile_is_seen_next_time(root: Path) -> None:
    folder = run(root / "0" / RUN, status=1)
    write(folder / "metrics/loss", "1 0.5 1\n")
    store = FileStore(root)
    ((before,),) = store.runs()
    with (folder / "metrics/loss").open("a") as more:
        more.write("2 0.25 2\n")
    ((after,),) = store.runs()
    assert before.points == "1 files, 8 bytes"
    assert after.points == "1 files, 17 bytes"


def test_logged_models_and_their_points(root: Path) -> None:
    folder = root / "0/models" / MODEL
    given = {"experiment_id": "0", "model_id": MODEL, "name": "net", "creation_timestamp": 1, "model_type": None}
    write_meta(
        folder,
        **given,
        last_updated_timestamp=2,
        status=2,
        source_run_id=RUN,
        artifact_location="file:///m",
        status_message=None,
        lifecycle_stage="deleted",
    )
    write(folder / "params/depth", "3")
    write(folder / "tags/colour", "red")
    write(
        folder / "metrics/val/acc", f"10 0.5 1 {RUN}\n11 nan 2 {RUN} red wine abc\n12 1 3 {RUN[:9]}\n13 1 3 {RUN} x\n"
    )
    store = FileStore(root)
    ((model,),) = store.logged_models()
    assert (model.model_id, model.experiment, model.name, model.status) == (MODEL, "0", "net", "ready")
    assert (model.source_run_id, model.artifact_uri, model.deleted_at) == (RUN, "file:///m", 2)
    assert (model.params, model.tags) == ({"depth": "3"}, {"colour": "red"})
    acc = Name(2, "acc")
    assert [*store.model_points([model])] == [
        [(RUN, [ModelPoint(MODEL, acc, 1, 10, 0.5), ModelPoint(MODEL, acc, 2, 11, 0.0, 1, "red wine", "abc")])]
    ]
    assert store.counts() == (1, 0, None, 1, 0, 0)


def test_the_registry(root: Path) -> None:
    folder = write_meta(
        root / "models/net", name="net", description="a net", creation_timestamp=1, last_updated_timestamp=4
    )
    write(folder / "tags/colour", "red")
    write(folder / "aliases/best", "10")
    write(folder / "aliases/gone", "3")
    for number, stage in ((2, "Production"), (3, "Deleted_Internal"), (10, "None")):
        write_meta(
            folder / f"version-{number}",
            version=number,
            name="net",
            creation_timestamp=2,
            last_updated_timestamp=3,
            current_stage=stage,
            source="models:/" + MODEL,
            storage_location="file:///m",
            run_id=RUN,
            status="READY",
            model_id=MODEL,
            description=None,
        )
    write(folder / "version-2/tags/mlflow.prompt.text", "{{ it }}")
    store = FileStore(root)
    (model,) = store.registered_models()
    assert (model.name, model.description, model.created_at, model.updated_at) == ("net", "a net", 1, 4)
    assert (model.tags, model.aliases) == ({"colour": "red"}, {"best": 10})
    assert [(version.version, version.stage) for version in model.versions] == [(2, "production"), (10, "none")]
    version = model.versions[0]
    assert (version.source, version.storage_uri, version.run_id) == ("models:/" + MODEL, "file:///m", RUN)
    assert (version.model_id, version.status, version.tags) == (MODEL, "ready", {"mlflow.prompt.text": "{{ it }}"})
    assert [experiment.key for experiment in store.experiments()] == ["0"]
    assert store.counts() == (1, 0, None, 0, 1, 2)


BROKEN = {
    "empty": "",
    "half": "run_id: aaaa\nexperi",
    "no yaml": "{[",
    "deep": "[" * 100_000,
    "bad date": "start_time: 2020-99-99",
    "another run": yaml.safe_dump({"run_id": OTHER, "experiment_id": "0"}),
    "another experiment": yaml.safe_dump({"run_id": RUN, "experiment_id": "9"}),
    "a time of 30 digits": yaml.safe_dump({"run_id": RUN, "experiment_id": "0", "start_time": 10**30}),
    "no text": "\x80",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_run_is_told_and_left_out(root: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    run(root / "0" / OTHER)
    folder = root / "0" / RUN
    folder.mkdir()
    (folder / "meta.yaml").write_bytes(text.encode("latin-1"))
    store = FileStore(root)
    for _ in range(2):
        assert [found.run_id for runs in store.runs() for found in runs] == [OTHER]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(folder) in caplog.text


def test_a_broken_part_of_a_run_is_left_out_and_the_rest_is_not(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = run(root / "0" / RUN)
    write(folder / "params/good", "1")
    (folder / "params/bad").write_bytes(b"\xff\xfe")
    write_meta(folder / "inputs/one", source_type="DATASET", source_id=DATASET, tags={})
    write_meta(folder / "inputs/two", source_type="DATASET", source_id="../../../etc", tags={})
    write(folder / "outputs/half/meta.yaml", "")
    ((found,),) = FileStore(root).runs()
    assert (found.params, found.inputs, found.models) == ({"good": "1"}, [], [])
    assert len(caplog.records) == 4


def test_links_are_not_followed(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = tmp_path / "secret"
    experiment(secret / "7")
    run(secret / "7" / OTHER)
    folder = run(root / "0" / RUN)
    write(folder / "params/good", "1")
    write(secret / "key", "1 1 1\n")
    (folder / "params/key").symlink_to(secret / "key")
    (folder / "tags").symlink_to(secret)
    (folder / "metrics").mkdir()
    (folder / "metrics/key").symlink_to(secret / "key")
    (root / "7").symlink_to(secret / "7")
    (root / "0" / OTHER).symlink_to(secret / "7" / OTHER)
    store = FileStore(root)
    assert [found.key for found in store.experiments()] == ["0"]
    ((found,),) = store.runs()
    assert (found.params, found.tags, found.points) == ({"good": "1"}, {}, "0 files, 0 bytes")
    assert [*store.points([found])] == []
    assert caplog.text.count("it is a link") == 5


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="There is no folder"):
        FileStore(tmp_path / "none")
    with pytest.raises(Invalid, match="no mlruns folder"):
        FileStore(tmp_path)
    (tmp_path / "models").mkdir()
    assert [*FileStore(tmp_path).runs()] == []


def test_the_location_is_the_whole_path(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    assert FileStore("mlruns").location == str(root.resolve())
