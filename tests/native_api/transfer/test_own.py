from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine

from native_api.core.folder import Folder
from native_api.core.metrics import AnyPoint, Name
from native_api.transfer import importing, own
from native_api.transfer.importing import Copying
from native_api.transfer.intake import Intake
from native_api.transfer.own import Own, StoreFiles
from native_api.transfer.records import Counts, Run
from tests.native_api.transfer.memory import FIRST, MODEL, Memory, make


def bring_in(target: Engine, project_id: str, source: Memory, copying: Copying | None = None) -> None:
    intake = Intake(target, project_id, source.location, "mlflow-artifacts:/" if copying else None)
    importing.bring_in(intake, source, lambda noun, more: None, copying)


def as_given(run: Run) -> Run:
    return replace(run, points="")


def test_it_gives_what_was_brought_in(target: Engine, project_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "BATCH", 1)
    monkeypatch.setattr(own, "CHUNK", 3)
    given = make()
    bring_in(target, project_id, given)
    here = Own(target, project_id)
    assert here.counts() == Counts(3, 3, 15, 1, 1, 1)
    assert [record for record in here.experiments() if record.key != "0"] == given.has_experiments
    runs = [run for batch in here.runs() for run in batch]
    assert sorted(runs, key=lambda run: run.run_id) == [as_given(run) for run in given.has_runs]
    points: dict[str, dict[Name, list[AnyPoint]]] = defaultdict(lambda: defaultdict(list))
    for some in here.points(runs):
        for run_id, pieces in some:
            for name, history in pieces.items():
                points[run_id][name] += history
    assert points == {
        run_id: {name: sorted(history) for name, history in by_name.items()}
        for run_id, by_name in given.has_points.items()
    }
    models = [model for batch in here.logged_models() for model in batch]
    assert models == [replace(model, points="") for model in given.has_logged]
    assert [piece for some in here.model_points(models) for piece in some] == given.has_model_points
    assert list(here.registered_models()) == given.has_registered


def test_it_gives_the_files_in_the_store(target: Engine, project_id: str, tmp_path: Path) -> None:
    given, store = make(), Folder(tmp_path / "artifacts")
    bring_in(target, project_id, given, Copying(given, store))
    (run,) = (run for batch in Own(target, project_id).runs() for run in batch if run.run_id == FIRST)
    files = StoreFiles(store)
    content = {path: b"".join(files.read(run.artifact_uri, path)) for path, _ in files.below(run.artifact_uri)}
    assert content == {"model/weights.bin": b"w", "käse.txt": b"text"}
    assert files.below("s3://elsewhere/x") == []
    assert files.below(f"mlflow-artifacts:/7/models/{MODEL}/artifacts") == []
