"""A folder that MLflow's file store reads: `mlruns`, as MLflow 3.17 writes it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from native_api.core.errors import Invalid
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import AnyPoint
from native_api.transfer.records import (
    Experiment,
    Files,
    LoggedModel,
    RegisteredModel,
    Run,
    Source,
    Version,
)
from native_api.transfer.roots import moved
from shim.metric_names import full_name
from shim.targets import words
from shim.targets.words import Exported, Tell

TRASH = ".trash"
REGISTRY = "models"
LONGEST_NAME = 255
"""Of a file, in bytes, as file systems have it."""

RUN_NUMBERS = {"running": 1, "queued": 2, "finished": 3, "failed": 4, "killed": 5}
MODEL_NUMBERS = {"unspecified": 0, "pending": 1, "ready": 2, "failed": 3}


def to_folder(source: Source, files: Files | None, folder: Path, tell: Tell) -> Exported:
    """Write all that a source has, with its files if they are given, to a folder that is not there yet.

    It appears only when it is complete. Raises Invalid where something is there, or nothing can be written.
    """
    folder = folder.absolute()
    if folder.exists() or folder.is_symlink():
        raise Invalid(f"{folder} is there already")
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as problem:
        raise Invalid(f"{folder} cannot be written: {(problem.strerror or 'no reason given').lower()}") from None
    try:
        done = _Writing(source, files, partial, folder, tell).all()
        partial.chmod(0o755)
        partial.rename(folder)
    except OSError as problem:
        raise Invalid(f"{folder} cannot be written: {(problem.strerror or 'no reason given').lower()}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return done


class _Writing:
    """One export to a folder, which is at `root` while it grows and will be at `home`."""

    def __init__(self, source: Source, files: Files | None, root: Path, home: Path, tell: Tell) -> None:
        self._source, self._files, self._tell = source, files, tell
        self._root, self._home = root, home
        self._done = Exported()
        self._experiments: dict[str, Path] = {}
        self._places: dict[str, str] = {}
        """The new URIs of the artifact roots whose files have been taken along."""

    def all(self) -> Exported:
        (self._root / TRASH).mkdir()
        (self._root / REGISTRY).mkdir()
        for experiment in self._source.experiments():
            self._experiment(experiment)
        for runs in self._source.runs():
            for run in runs:
                self._run(run)
            self._points(runs)
        for models in self._source.logged_models():
            for model in models:
                self._logged_model(model)
            self._model_points(models)
        for registered in self._source.registered_models():
            self._registered_model(registered)
        return self._done

    # Experiments and runs

    def _experiment(self, experiment: Experiment) -> None:
        folder = self._root / experiment.key
        if experiment.deleted_at is not None:
            folder = self._root / TRASH / experiment.key
        folder.mkdir()
        self._experiments[experiment.key] = folder
        location = experiment.artifact_location if self._files is None else (self._home / experiment.key).as_uri()
        meta = {
            "artifact_location": location,
            "creation_time": experiment.created_at,
            "experiment_id": experiment.key,
            "last_update_time": experiment.updated_at,
            "lifecycle_stage": words.lifecycle(experiment.deleted_at),
            "name": experiment.name,
        }
        _write_meta(folder, meta)
        self._texts(folder / "tags", words.experiment_tags(experiment), f"experiment {experiment.key}: tag")
        self._done.add("experiments", 1, self._tell)

    def _run(self, run: Run) -> None:
        folder = self._experiments[run.experiment] / run.run_id
        for inside in ("metrics", "params", "artifacts"):
            (folder / inside).mkdir(parents=True)
        uri = self._take_files(run.artifact_uri, folder / "artifacts")
        meta: dict[str, object] = {
            "artifact_uri": uri,
            "deleted_time": run.deleted_at,
            "end_time": run.finished_at,
            "entry_point_name": "",
            "experiment_id": run.experiment,
            "lifecycle_stage": words.lifecycle(run.deleted_at),
            "run_id": run.run_id,
            "run_name": run.run_name or "",
            "run_uuid": run.run_id,
            "source_name": "",
            "source_type": 4,
            "source_version": "",
            "start_time": run.started_at,
            "status": RUN_NUMBERS[run.status],
            "tags": [],
            "user_id": run.user_name,
        }
        _write_meta(folder, meta)
        self._texts(folder / "params", run.params, f"run {run.run_id}: param")
        self._texts(folder / "tags", words.run_tags(run), f"run {run.run_id}: tag")
        self._uses(run, folder)
        self._done.add("runs", 1, self._tell)

    def _uses(self, run: Run, folder: Path) -> None:
        """The datasets that a run used, and the logged models that it used and made."""
        for used in run.inputs:
            dataset = _digest(used.name, used.digest)
            shared = folder.parent / "datasets" / dataset
            if not shared.exists():
                names = ("digest", "name", "profile", "schema", "source", "source_type")
                _write_meta(shared, {name: getattr(used, name) for name in names})
            tags = words.input_tags(used.context, used.tags)
            self._use(folder / "inputs" / _digest(dataset, run.run_id), "DATASET", dataset, tags)
        for model in run.models:
            if model.direction == "input":
                self._use(folder / "inputs" / _digest(model.model_id, run.run_id), "MODEL", model.model_id, {})
            else:
                meta = {"source_type": "RUN_OUTPUT", "destination_type": "MODEL_OUTPUT", "tags": {}, "step": model.step}
                ids = {"source_id": model.model_id, "destination_id": model.model_id}  # as MLflow has it: both
                _write_meta(folder / "outputs" / model.model_id, {**meta, **ids})

    def _use(self, folder: Path, kind: str, number: str, tags: Mapping[str, str]) -> None:
        if not folder.exists():
            ids = {"source_id": number, "destination_id": number}
            _write_meta(folder, {"source_type": kind, "destination_type": "RUN", "tags": dict(tags), **ids})

    def _points(self, runs: Sequence[Run]) -> None:
        folders = {run.run_id: self._experiments[run.experiment] / run.run_id / "metrics" for run in runs}
        for some in self._source.points(runs):
            for run_id, points in some:
                for key, history in words.histories(points):
                    lines = [_line(point) for point in history]
                    if self._append(folders[run_id], key, lines, f"run {run_id}: metric"):
                        self._done.add("points", len(lines), self._tell)

    # Logged models

    def _logged_model(self, model: LoggedModel) -> None:
        folder = self._experiments[model.experiment] / "models" / model.model_id
        for inside in ("metrics", "params"):
            (folder / inside).mkdir(parents=True)
        meta = {
            "artifact_location": self._take_files(model.artifact_uri, folder / "artifacts"),
            "creation_timestamp": model.created_at,
            "experiment_id": model.experiment,
            "last_updated_timestamp": model.updated_at,
            "lifecycle_stage": words.lifecycle(model.deleted_at),
            "model_id": model.model_id,
            "model_type": model.model_type or None,
            "name": model.name,
            "source_run_id": model.source_run_id or None,
            "status": MODEL_NUMBERS[model.status],
            "status_message": model.status_message,
        }
        _write_meta(folder, meta)
        self._texts(folder / "params", model.params, f"logged model {model.model_id}: param")
        self._texts(folder / "tags", model.tags, f"logged model {model.model_id}: tag")
        self._done.add("logged models", 1, self._tell)

    def _model_points(self, models: Sequence[LoggedModel]) -> None:
        folders = {
            one.model_id: self._experiments[one.experiment] / "models" / one.model_id / "metrics" for one in models
        }
        for some in self._source.model_points(models):
            for run_id, points in some:
                for point in points:
                    what = f"logged model {point.model_id}: metric"
                    if " " in point.dataset_name or " " in point.dataset_digest:
                        # A blank ends a field there, and MLflow cannot read a metric with such a line any more.
                        self._problem(f"{what} {full_name(*point.name)!r}: its dataset's name has a blank in it")
                        continue
                    key = full_name(*point.name)
                    self._append(folders[point.model_id], key, [_model_line(run_id, point)], what)

    # The registry

    def _registered_model(self, model: RegisteredModel) -> None:
        folder = self._root / REGISTRY / model.name
        if "/" in model.name or not _is_safe(model.name):
            self._problem(f"registered model {model.name!r}: no folder can have that name")
            return
        meta = {
            "creation_timestamp": model.created_at,
            "description": model.description,
            "last_updated_timestamp": model.updated_at,
            "name": model.name,
        }
        _write_meta(folder, {**meta, "deployment_job_id": None, "deployment_job_state": None})
        self._texts(folder / "tags", model.tags, f"registered model {model.name}: tag")
        aliases = {alias: str(number) for alias, number in model.aliases.items()}
        self._texts(folder / "aliases", aliases, f"registered model {model.name}: alias")
        for version in model.versions:
            self._version(model.name, version, folder / f"version-{version.version}")
        self._done.add("registered models", 1, self._tell)

    def _version(self, name: str, version: Version, folder: Path) -> None:
        storage = moved(version.storage_uri, self._places)
        if storage is None:
            storage = self._take_files(version.storage_uri, folder / "artifacts")
        meta = {
            "creation_timestamp": version.created_at,
            "current_stage": words.stage(version.stage),
            "deployment_job_state": None,
            "description": version.description,
            "last_updated_timestamp": version.updated_at,
            "model_id": version.model_id,
            "name": name,
            "run_id": version.run_id or None,
            "run_link": version.run_link,
            "source": moved(version.source, self._places) or version.source,
            "status": words.MODEL_VERSION_STATUSES[version.status],
            "status_message": version.status_message,
            "storage_location": storage,
            "user_id": None,
            "version": version.version,
        }
        _write_meta(folder, meta)
        self._texts(folder / "tags", version.tags, f"version {version.version} of {name}: tag")
        self._done.add("model versions", 1, self._tell)

    # Files

    def _take_files(self, root: str, folder: Path) -> str:
        """Copy the files below an artifact root to this folder, and give the URI that it has from now on.

        What is in the trash has the URI at which it is once it is restored, as MLflow does it.
        """
        found = [] if self._files is None else self._files.below(root)
        if self._files is None or not (found or root.startswith("mlflow-artifacts:")):
            return root
        for path, _ in found:
            target = folder / path
            if not _is_safe(path):
                self._problem(f"file {path!r} below {root}: no file can have that name")
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                file.writelines(self._files.read(root, path))
            self._done.add("files", 1, self._tell)
        inside = [part for part in folder.relative_to(self._root).parts if part != TRASH]
        uri = self._home.joinpath(*inside).as_uri()
        self._places[root.rstrip("/")] = uri
        return uri

    def _texts(self, folder: Path, values: Mapping[str, str], what: str) -> None:
        for key, value in values.items():
            self._append(folder, key, [value], what)

    def _append(self, folder: Path, key: str, lines: Iterable[str], what: str) -> bool:
        """Add to the file of a key, whose slashes are folders. A key that no file can have is a problem."""
        if not _is_safe(key):
            self._problem(f"{what} {key!r}: no file can have that name")
            return False
        path = folder / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8", newline="") as file:
                file.writelines(lines)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            self._problem(f"{what} {key!r}: another is in the way, for a file store has a folder for each slash")
            return False
        return True

    def _problem(self, text: str) -> None:
        if text not in self._done.problems:
            self._done.problems.append(text)


def _write_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "meta.yaml").open("w", encoding="utf-8", newline="") as file:
        yaml.dump(dict(meta), file, Dumper=yaml.CSafeDumper, default_flow_style=False, allow_unicode=True)


def _line(point: AnyPoint) -> str:
    step, recorded_at, value, is_nan, _ = point
    return f"{recorded_at} {_value(value, is_nan)} {step}\n"


def _model_line(run_id: str, point: ModelPoint) -> str:
    dataset = f" {point.dataset_name} {point.dataset_digest}" if point.dataset_name else ""
    return f"{point.recorded_at} {_value(point.value, point.is_nan)} {point.step} {run_id}{dataset}\n"


def _value(value: float, is_nan: int) -> float:
    return float("nan") if is_nan else float(value)


def _digest(*texts: str) -> str:
    """The name that MLflow's file store gives to a dataset, and to a use of one."""
    return hashlib.md5("".join(texts).encode(), usedforsecurity=False).hexdigest()


def _is_safe(path: str) -> bool:
    """Whether this is a path of files below a folder, as it stands."""
    parts = path.split("/")
    return "\0" not in path and all(
        part not in ("", os.curdir, os.pardir) and len(part.encode(errors="replace")) <= LONGEST_NAME for part in parts
    )
