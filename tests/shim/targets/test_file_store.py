from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from native_api.core.errors import Invalid
from native_api.core.metrics import AnyPoint, Name
from native_api.transfer.records import Run
from shim.metric_names import split
from shim.sources.file_store import FileStore
from shim.targets.file_store import to_folder
from shim.targets.words import Exported
from tests.native_api.transfer.memory import FIRST, GONE, LOSS, MODEL, Memory, make


def export(source: Memory, folder: Path, *, with_files: bool = False) -> Exported:
    return to_folder(source, source if with_files else None, folder, lambda noun, more: None)


def meta(folder: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((folder / "meta.yaml").read_text())
    return found


def without_points(run: Run) -> Run:
    return replace(run, points="")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    given = make()
    done = export(given, tmp_path / "mlruns")
    assert done.problems == []
    assert done.counts == {
        **{"experiments": 2, "runs": 3, "points": 15, "logged models": 1},
        **{"registered models": 1, "model versions": 1},
    }
    there = FileStore(tmp_path / "mlruns")
    experiments = sorted(there.experiments(), key=lambda one: one.key)
    # When an experiment was deleted MLflow does not keep: it is the time of its last update.
    assert experiments == [replace(one, deleted_at=one.deleted_at and 2_000) for one in given.has_experiments]
    runs = [run for some in there.runs() for run in some]
    assert sorted(map(without_points, runs), key=lambda run: run.run_id) == given.has_runs
    points: dict[str, dict[Name, list[AnyPoint]]] = defaultdict(lambda: defaultdict(list))
    for some in there.points(runs):
        for run_id, pieces in some:
            for name, history in pieces.items():
                points[run_id][name] += history
    assert points == given.has_points
    models = [model for some in there.logged_models() for model in some]
    assert [replace(model, points="1") for model in models] == given.has_logged
    assert [piece for some in there.model_points(models) for piece in some] == given.has_model_points
    # A folder has no place for the number that was given last.
    assert list(there.registered_models()) == [replace(model, last_version=0) for model in given.has_registered]


def test_lines_are_as_mlflow_writes_them(tmp_path: Path) -> None:
    export(make(), tmp_path / "mlruns")
    run = tmp_path / "mlruns/7" / FIRST
    assert (run / "metrics/val/accuracy").read_text() == "5 nan 0\n5 inf 1\n5 -inf -1\n5 0.5 1\n"
    line = (tmp_path / "mlruns/7/models" / MODEL / "metrics/loss").read_text()
    assert line == f"5 0.5 1 {FIRST} petals d1\n"
    assert (run / "tags/mlflow.runName").read_text() == "run 1"
    assert (tmp_path / "mlruns/models/detector/aliases/champion").read_text() == "3"
    assert meta(run)["status"] == 3
    assert meta(tmp_path / "mlruns/.trash/8" / GONE)["deleted_time"] == 6_000


def test_a_final_value_is_a_point_of_step_0(tmp_path: Path) -> None:
    given = make()
    given.has_points = {FIRST: {LOSS: [(0, 7, 0.25, 0, 1)]}}
    export(given, tmp_path / "mlruns")
    assert (tmp_path / "mlruns/7" / FIRST / "metrics/loss").read_text() == "7 0.25 0\n"


def test_files_come_along_and_the_uris_say_so(tmp_path: Path) -> None:
    home = tmp_path / "mlruns"
    done = export(make(), home, with_files=True)
    assert done.counts["files"] == 2
    artifacts = home / "7" / FIRST / "artifacts"
    assert meta(home / "7" / FIRST)["artifact_uri"] == artifacts.as_uri()
    assert (artifacts / "model/weights.bin").read_bytes() == b"w"
    assert (artifacts / "käse.txt").read_bytes() == b"text"
    version = meta(home / "models/detector/version-3")
    assert version["storage_location"] == version["source"] == f"{artifacts.as_uri()}/model"


@pytest.mark.parametrize("key", ["../../../out", "/etc/out", "a//b", "x" * 256, ".."])
def test_no_key_leads_out_of_its_folder(tmp_path: Path, key: str) -> None:
    given = make()
    given.has_points = {FIRST: {Name(LOSS.scope, key): [(0, 1, 1.0, 0, 0)]}}
    given.has_registered = [replace(given.has_registered[0], name=key)]
    given.has_files = {given.has_runs[0].artifact_uri: {key: b"out"}}
    (tmp_path / "inside").mkdir()
    done = export(given, tmp_path / "inside/mlruns", with_files=True)
    assert len(done.problems) == 3
    assert os.listdir(tmp_path) == ["inside"]
    assert os.listdir(tmp_path / "inside") == ["mlruns"]


def test_a_key_that_another_is_a_folder_of_is_told(tmp_path: Path) -> None:
    given = make()
    given.has_points = {FIRST: {split("a"): [(0, 1, 1.0, 0, 0)], split("a/b"): [(0, 1, 1.0, 0, 0)]}}
    done = export(given, tmp_path / "mlruns")
    assert len(done.problems) == 1
    assert "'a/b'" in done.problems[0]
    assert done.counts["points"] == 1


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    with pytest.raises(Invalid, match="is there already"):
        export(make(), tmp_path / "mlruns")
    assert os.listdir(tmp_path / "mlruns") == []


def test_an_export_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    given = make()
    given.fails_after = 2
    with pytest.raises(KeyboardInterrupt):
        export(given, tmp_path / "mlruns")
    assert os.listdir(tmp_path) == []
    given.fails_after = None
    assert export(given, tmp_path / "mlruns").counts["points"] == 15
