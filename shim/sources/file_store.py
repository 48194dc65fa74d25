"""An `mlruns` folder as a source: what MLflow's file store has written, of whichever release from 1.30 on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from native_api.core.datasets import NewInput
from native_api.core.errors import Invalid
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import AnyPoint, Name
from native_api.transfer.records import (
    Counts,
    Experiment,
    LoggedModel,
    ModelPoints,
    RegisteredModel,
    Run,
    RunModel,
    RunPoints,
    Version,
)
from shim.metric_names import split
from shim.sources import parts, translation
from shim.sources.folders import Broken, Folders, Found, has_meta, read_meta

BATCH = 500
"""How many runs or logged models are read at once."""

TRASH = ".trash"
REGISTRY = "models"
NO_RUNS = {"tags", "datasets", "models", "traces"}
"""What is in an experiment's folder beside its runs."""

RUN_ID = re.compile(r"[0-9a-f]{32}")
RUN_STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
MODEL_STATUSES = {0: "UNSPECIFIED", 1: "PENDING", 2: "READY", 3: "FAILED"}
LIMIT = 2**63
"""Of integers, in databases."""
DELETED_VERSION = "Deleted_Internal"
"""The stage of versions that MLflow keeps only so that their numbers are not given again."""

# What the files called meta.yaml say

Text: TypeAlias = str | int
"""Early releases wrote ids as numbers; a name or a digest of digits is one too, where someone wrote it by hand."""
Time: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Step: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class ExperimentMeta(Struct):
    experiment_id: Text
    name: Text
    artifact_location: str | None = None
    lifecycle_stage: str = "active"
    creation_time: Time | None = None
    last_update_time: Time | None = None


class RunMeta(Struct):
    experiment_id: Text
    run_id: Text | None = None
    run_uuid: Text | None = None
    run_name: Text | None = None
    name: Text | None = None
    status: int | str = 1
    start_time: Time | None = None
    end_time: Time | None = None
    lifecycle_stage: str = "active"
    deleted_time: Time | None = None
    user_id: Text | None = None
    artifact_uri: str | None = None


class DatasetMeta(Struct):
    name: Text
    digest: Text
    source_type: str | None = None
    source: str | None = None
    schema: str | None = None
    profile: str | None = None


class InputMeta(Struct):
    """A run's use of a dataset or of a logged model."""

    source_type: str
    source_id: Text
    tags: dict[str, Text] | None = None


class OutputMeta(Struct):
    """A logged model that a run made. Its id stands in both fields that MLflow writes."""

    destination_id: Text
    step: Step | None = None


class LoggedModelMeta(Struct):
    experiment_id: Text
    model_id: Text
    name: Text
    creation_timestamp: Time
    last_updated_timestamp: Time
    artifact_location: str | None = None
    status: int | str = 0
    status_message: str | None = None
    model_type: str | None = None
    source_run_id: Text | None = None
    lifecycle_stage: str = "active"


class RegisteredModelMeta(Struct):
    name: Text
    description: Text | None = None
    creation_timestamp: Time | None = None
    last_updated_timestamp: Time | None = None


class VersionMeta(Struct):
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | str
    creation_timestamp: Time | None = None
    last_updated_timestamp: Time | None = None
    description: Text | None = None
    current_stage: str | None = None
    source: str | None = None
    storage_location: str | None = None
    run_id: Text | None = None
    run_link: str | None = None
    model_id: str | None = None
    status: str | None = None
    status_message: str | None = None


class FileStore:
    """A `Source` over a folder that MLflow calls `mlruns`.

    What is broken or half written is left out and told to the log, as are links, which may lead anywhere.
    """

    def __init__(self, folder: str | Path) -> None:
        self._root = Path(folder).expanduser().resolve()
        if not self._root.is_dir():
            raise Invalid(f"There is no folder {self._root}")
        self.location = str(self._root)
        self._folders = Folders()
        known = (TRASH, REGISTRY)
        if not any((self._root / name).is_dir() for name in known) and not self._experiment_folders():
            raise Invalid(f"There are no experiments in {self._root}: it is no mlruns folder of MLflow's")

    def close(self) -> None:
        """Nothing is kept open."""

    def counts(self) -> Counts:
        """How much there is: of runs and logged models also what will turn out to be broken."""
        folders = self._experiment_folders()
        registered = [*self.registered_models()]
        return Counts(
            experiments=len(self.experiments()),
            runs=sum(len(self._run_folders(folder)) for folder in folders),
            points=None,
            logged_models=sum(len(self._model_folders(folder)) for folder in folders),
            registered_models=len(registered),
            model_versions=sum(len(model.versions) for model in registered),
        )

    # Where what is

    def _experiment_folders(self) -> list[Path]:
        """Those of all experiments, deleted ones last."""
        live = [folder for folder in self._folders.inside(self._root) if folder.name not in (TRASH, REGISTRY)]
        return [folder for folder in [*live, *self._folders.inside(self._root / TRASH)] if has_meta(folder)]

    def _run_folders(self, experiment: Path) -> list[Path]:
        inside = self._folders.inside(experiment)
        return [folder for folder in inside if folder.name not in NO_RUNS and has_meta(folder)]

    def _model_folders(self, experiment: Path) -> list[Path]:
        return [folder for folder in self._folders.inside(experiment / "models") if has_meta(folder)]

    def _experiment_folder(self, key: str) -> Path:
        """The one of an experiment that was read, which may be in the trash, maybe since then."""
        live = self._root / key
        return live if live.is_dir() else self._root / TRASH / key

    # Experiments and runs

    def experiments(self) -> Sequence[Experiment]:
        """All of them, deleted ones included."""
        found = []
        for folder in self._experiment_folders():
            with self._folders.leaving_out(folder):
                found.append(self._experiment(folder))
        return found

    def _experiment(self, folder: Path) -> Experiment:
        meta = read_meta(folder, ExperimentMeta)
        _same(meta.experiment_id, folder.name, "experiment_id")
        return translation.experiment(
            folder.name,
            str(meta.name),
            meta.artifact_location or folder.as_uri(),
            lifecycle=translation.DELETED if folder.parent.name == TRASH else meta.lifecycle_stage,
            created_at=meta.creation_time,
            updated_at=meta.last_update_time,
            tags=self._folders.texts(folder / "tags"),
        )

    def runs(self) -> Iterator[Sequence[Run]]:
        """All runs, deleted ones included, by experiment and run id."""
        for experiment in self.experiments():
            folder = self._experiment_folder(experiment.key)
            datasets = Datasets(self._folders, folder / "datasets")
            folders = self._run_folders(folder)
            for start in range(0, len(folders), BATCH):
                found = []
                for run in folders[start : start + BATCH]:
                    with self._folders.leaving_out(run):
                        found.append(self._run(run, datasets))
                yield found

    def _run(self, folder: Path, datasets: Datasets) -> Run:
        meta = read_meta(folder, RunMeta)
        _same(meta.run_id or meta.run_uuid or "", folder.name, "run_id")
        _same(meta.experiment_id, folder.parent.name, "experiment_id")
        if not RUN_ID.fullmatch(folder.name):
            raise Broken("its run_id is not of 32 hex digits")
        inputs, models = self._uses(folder, datasets)
        return translation.run(
            folder.name,
            folder.parent.name,
            name=_text(meta.run_name or meta.name),
            status=RUN_STATUSES.get(meta.status, "") if isinstance(meta.status, int) else meta.status,
            start_time=meta.start_time,
            end_time=meta.end_time,
            lifecycle=meta.lifecycle_stage,
            deleted_at=meta.deleted_time,
            user=_text(meta.user_id),
            artifact_uri=meta.artifact_uri or (folder / "artifacts").as_uri(),
            params=self._folders.texts(folder / "params"),
            tags=self._folders.texts(folder / "tags"),
            inputs=inputs,
            models=models,
            points=self._size(folder),
        )

    def _uses(self, run: Path, datasets: Datasets) -> tuple[list[NewInput], list[RunModel]]:
        """The datasets that a run used, and the logged models that it used and made."""
        inputs, models = [], []
        for folder in self._folders.inside(run / "inputs"):
            with self._folders.leaving_out(folder):
                used = read_meta(folder, InputMeta)
                if used.source_type == "DATASET":
                    tags = {key: str(value) for key, value in (used.tags or {}).items()}
                    inputs.append(datasets.used(str(used.source_id), tags))
                elif used.source_type == "MODEL":
                    models.append(RunModel("input", str(used.source_id), 0))
        for folder in self._folders.inside(run / "outputs"):
            with self._folders.leaving_out(folder):
                made = read_meta(folder, OutputMeta)
                models.append(RunModel("output", str(made.destination_id), made.step or 0))
        return inputs, models

    def _size(self, folder: Path) -> str:
        """How far a run's or model's histories go: they are only ever added to."""
        sizes = [file.size for file in self._folders.files(folder / "metrics")]
        return f"{len(sizes)} files, {sum(sizes)} bytes"

    # Points

    def points(self, runs: Sequence[Run]) -> Iterator[Sequence[RunPoints]]:
        """The points of these runs. A long history comes in several parts."""
        return parts.of_runs(self._histories(runs))

    def _histories(self, runs: Sequence[Run]) -> Iterator[tuple[str, Name, list[AnyPoint]]]:
        for run in runs:
            folder = self._experiment_folder(run.experiment) / run.run_id
            for file in self._folders.files(folder / "metrics"):
                for points in self._history(file):
                    yield run.run_id, split(file.key), points

    def _history(self, file: Found) -> Iterator[list[AnyPoint]]:
        """What is in a run's file: "time value step" a line, with a dataset's name and digest in newer releases.

        MLflow itself takes a line with a dataset for one of step 0.
        """
        points: list[AnyPoint] = []
        for line in self._lines(file):
            try:
                points.append(_point(line))
            except ValueError:
                self._folders.tell(file.path, f"a line that is no point: {line[:80]!r}")
            if len(points) == parts.CHUNK:
                yield points
                points = []
        if points:
            yield points

    def _lines(self, file: Found) -> Iterator[bytes]:
        """The lines of a file as long as it was when it was found. What a run adds to it is seen next time."""
        with self._folders.leaving_out(file.path), file.path.open("rb") as lines:
            left = file.size
            for line in lines:
                left -= len(line)
                if left < 0:
                    break
                yield line

    # Logged models

    def logged_models(self) -> Iterator[Sequence[LoggedModel]]:
        """All logged models, deleted ones included, by experiment and model id."""
        for experiment in self.experiments():
            folder = self._experiment_folder(experiment.key)
            folders = self._model_folders(folder)
            for start in range(0, len(folders), BATCH):
                found = []
                for model in folders[start : start + BATCH]:
                    with self._folders.leaving_out(model):
                        found.append(self._logged_model(model, experiment.key))
                yield found

    def _logged_model(self, folder: Path, experiment: str) -> LoggedModel:
        meta = read_meta(folder, LoggedModelMeta)
        _same(meta.model_id, folder.name, "model_id")
        _same(meta.experiment_id, experiment, "experiment_id")
        return translation.logged_model(
            folder.name,
            experiment,
            name=str(meta.name),
            artifact_uri=meta.artifact_location or (folder / "artifacts").as_uri(),
            status=MODEL_STATUSES.get(meta.status, "") if isinstance(meta.status, int) else meta.status,
            status_message=meta.status_message,
            model_type=meta.model_type,
            source_run_id=_text(meta.source_run_id),
            created_at=meta.creation_timestamp,
            updated_at=meta.last_updated_timestamp,
            is_deleted=meta.lifecycle_stage == translation.DELETED,
            params=self._folders.texts(folder / "params"),
            tags=self._folders.texts(folder / "tags"),
            points=self._size(folder),
        )

    def model_points(self, models: Sequence[LoggedModel]) -> Iterator[Sequence[ModelPoints]]:
        """The points that tell of these models, by the run that logged them."""
        return parts.of_models(self._model_histories(models))

    def _model_histories(self, models: Sequence[LoggedModel]) -> Iterator[tuple[str, ModelPoint]]:
        """What is in a model's files: "time value step run" a line, maybe with a dataset's name and digest."""
        for model in models:
            folder = self._experiment_folder(model.experiment) / "models" / model.model_id
            for file in self._folders.files(folder / "metrics"):
                name = split(file.key)
                for line in self._lines(file):
                    try:
                        yield _model_point(model.model_id, name, line)
                    except ValueError:
                        self._folders.tell(file.path, f"a line that is no point: {line[:80]!r}")

    # The registry

    def registered_models(self) -> Iterator[RegisteredModel]:
        """All registered models, prompts among them, by name. Versions that were deleted are none."""
        for folder in self._folders.inside(self._root / REGISTRY):
            if has_meta(folder):
                with self._folders.leaving_out(folder):
                    yield self._registered_model(folder)

    def _registered_model(self, folder: Path) -> RegisteredModel:
        meta = read_meta(folder, RegisteredModelMeta)
        _same(meta.name, folder.name, "name")
        versions = []
        for inside in self._folders.inside(folder):
            if inside.name.startswith("version-") and has_meta(inside):
                with self._folders.leaving_out(inside):
                    version = read_meta(inside, VersionMeta)
                    if version.current_stage != DELETED_VERSION:
                        versions.append(self._version(inside, version))
        versions.sort(key=lambda version: version.version)
        numbers = {str(version.version) for version in versions}
        aliases = self._folders.texts(folder / "aliases")
        return RegisteredModel(
            name=folder.name,
            description=_text(meta.description) or None,
            created_at=meta.creation_timestamp or 0,
            updated_at=meta.last_updated_timestamp or meta.creation_timestamp or 0,
            tags=self._folders.texts(folder / "tags"),
            aliases={alias: int(number) for alias, number in aliases.items() if number in numbers},
            versions=versions,
        )

    def _version(self, folder: Path, meta: VersionMeta) -> Version:
        _same(f"version-{meta.version}", folder.name, "version")
        return translation.version(
            int(meta.version),
            description=_text(meta.description),
            source=meta.source,
            storage_location=meta.storage_location,
            run_id=_text(meta.run_id),
            run_link=meta.run_link,
            model_id=meta.model_id,
            stage=meta.current_stage,
            status=meta.status,
            status_message=meta.status_message,
            created_at=meta.creation_timestamp or 0,
            updated_at=meta.last_updated_timestamp,
            tags=self._folders.texts(folder / "tags"),
        )


class Datasets:
    """The datasets of an experiment, by the id that MLflow makes of name and digest; each is read once."""

    def __init__(self, folders: Folders, folder: Path) -> None:
        self._folders, self._folder = folders, folder
        self._known: dict[str, DatasetMeta] = {}

    def used(self, dataset_id: str, tags: Mapping[str, str]) -> NewInput:
        """The use of one of them. Raises Broken, or OSError where it is missing."""
        if dataset_id not in self._known:
            if not RUN_ID.fullmatch(dataset_id):
                raise Broken("its source_id is no dataset's")
            self._known[dataset_id] = read_meta(self._folder / dataset_id, DatasetMeta)
        meta = self._known[dataset_id]
        name, digest = str(meta.name), str(meta.digest)
        return translation.dataset_input(name, digest, meta.source_type, meta.source, meta.schema, meta.profile, tags)


def _point(line: bytes) -> AnyPoint:
    """The point in a line. A line without a step, as early releases wrote, must be finished. Raises ValueError."""
    time, value, *more = line.split(b" ", 3)
    if not more and not value.endswith(b"\n"):
        raise ValueError
    number = float(value)
    step, recorded_at = int(more[0]) if more else 0, int(time)
    if not (-LIMIT <= step < LIMIT and -LIMIT <= recorded_at < LIMIT):
        raise ValueError
    if number != number:
        return (step, recorded_at, 0.0, 1, 0)
    return (step, recorded_at, number + 0.0, 0, 0)


def _model_point(model_id: str, name: Name, line: bytes) -> tuple[str, ModelPoint]:
    """The point of a model in a line, and the run that logged it. Raises ValueError."""
    _, _, _, run, *more = line.decode().rstrip("\n").split(" ", 4)
    dataset, _, digest = more[0].rpartition(" ") if more else ("", "", "")
    if not RUN_ID.fullmatch(run) or (more and not (dataset and digest)):
        raise ValueError
    return run, ModelPoint(model_id, name, *_point(line)[:4], dataset, digest)


def _same(said: Text, expected: str, what: str) -> None:
    """Raise Broken where a file tells of something else than its folder's name does, as after a copy."""
    if str(said) != expected:
        raise Broken(f"its {what} is {str(said)[:80]!r}")


def _text(value: Text | None) -> str | None:
    return None if value is None else str(value)
