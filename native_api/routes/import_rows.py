"""What a row of an import may hold, and how it is read: values are text, as in CSV, or have their types, as in JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, NamedTuple, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError, from_json
from sqlalchemy import Connection

from native_api.core import metrics
from native_api.core.access import Actor
from native_api.core.artifact_types import kind_of
from native_api.core.import_rows import ArtifactRow, DatasetRow, put_artifacts, put_datasets
from native_api.core.import_runs import PointRow, RunRow, put_metrics, put_runs
from native_api.core.imports import Outcome
from native_api.core.metrics import MetricScope
from native_api.routes.artifacts import ArtifactType, Checksum
from native_api.routes.datasets import CreateDataset
from native_api.routes.messages import Id, LongText, Message, Name, Time, Uri
from native_api.routes.metrics import Key, ScopeName
from native_api.routes.run_configs import Params
from native_api.routes.runs import Status

Fields = Mapping[str, Any]

# Values that are text or typed


def whole(value: object) -> int:
    """A whole number of 64 bits; also one written as 3.0, as tools do that know but one kind of number."""
    if type(value) is str:
        if value.isdecimal() and len(value) < 19:
            return int(value)
        if _WHOLE.fullmatch(value):
            value = int(value.partition(".")[0])
    elif type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    raise ValueError("not a whole number of 64 bits")


_WHOLE = re.compile(r"-?[0-9]{1,19}(\.0*)?")


def number(value: object) -> float:
    """A number, or NaN, Infinity or -Infinity as text."""
    try:
        if type(value) is str:
            if value in _WORDS:
                return _WORDS[value]
            found = math.nan if "_" in value else float(value)
        else:
            found = float(value) if type(value) in (float, int) else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError("neither a number nor one of NaN, Infinity, -Infinity")
    return found + 0.0  # a zero has no sign in the database


_WORDS = {
    **dict.fromkeys(("NaN", "nan"), math.nan),
    **dict.fromkeys(("Infinity", "inf"), math.inf),
    **dict.fromkeys(("-Infinity", "-inf"), -math.inf),
}


def _from_text(value: object) -> object:
    """A JSON value that stands there as text."""
    try:
        return from_json(value, allow_inf_nan=False) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("not JSON") from None


def _experiment(value: object) -> int | str:
    """The short id of an experiment, which MLflow clients know it by, or its UUID."""
    try:
        if type(value) is str and len(value) >= 32:
            return UUID(value).hex
        return whole(value)
    except ValueError:
        raise ValueError("neither a UUID nor the short id of an experiment") from None


Whole = Annotated[int, BeforeValidator(whole)]
Count = Annotated[int, BeforeValidator(whole), Field(ge=0)]


# Datasets


def read_dataset(fields: Fields) -> DatasetRow:
    """A dataset as POST /datasets takes it."""
    row = CreateDataset.model_validate(fields)
    return DatasetRow(row.project_id, row.name, row.task_type, row.description)


# Runs


class RunColumns(Message):
    """A run. Its experiment is named by its UUID, or by the short id that MLflow clients see."""

    experiment_id: Annotated[int | str, BeforeValidator(_experiment)]
    run_id: Id | None = None
    run_name: Name | None = None
    status: Status = "running"
    started_at: Time | None = None
    finished_at: Time | None = None
    git_commit: Name | None = None
    notes: LongText | None = None
    dataset_version_id: Id | None = None
    params_json: Annotated[Params, BeforeValidator(_from_text)] = Field(default_factory=dict)


def read_run(fields: Fields) -> RunRow:
    """A run as POST /runs takes it, but for its params, which stand beside the rest."""
    return RunRow(**dict(RunColumns.model_validate(fields)))


# Metrics


class MetricColumns(Message):
    """A point of a run's metric. Without a step it is a final value, without a time it is as old as the run."""

    run_id: Id
    metric_key: Key
    scope: ScopeName | None = None
    step: Whole | None = None
    value: Annotated[float, BeforeValidator(number)]
    recorded_at: Time | None = None

    @model_validator(mode="after")
    def _has_its_scope_apart(self) -> Self:
        if self.scope is None and self.metric_key.startswith(("train/", "val/", "test/")):
            raise PydanticCustomError(
                "scope", "metric_key: MLflow names a metric with a scope so: give the scope apart"
            )
        return self


_OF_METRIC = frozenset(MetricColumns.model_fields)


class MetricReader:
    """Reads rows of metrics: the usual ones by hand, in a fraction of the time that the message takes."""

    LIMIT = 100_000

    def __init__(self) -> None:
        self._runs: dict[object, str] = {}
        self._names: dict[tuple[object, object], metrics.Name] = {}

    def __call__(self, fields: Fields) -> PointRow:
        get = fields.get
        try:
            run_id, name = self._runs[fields["run_id"]], self._names[get("scope"), fields["metric_key"]]
            step, time, value = get("step"), get("recorded_at"), number(fields["value"])
            if fields.keys() <= _OF_METRIC:
                step, time = step if step is None else whole(step), time if time is None else _milliseconds(time)
                return _point_row(run_id, name, step, value, time)
        except (KeyError, ValueError, TypeError):  # a run or a metric that was not met before, or a bad row
            pass
        return self._any(fields)

    def _any(self, fields: Fields) -> PointRow:
        row = MetricColumns.model_validate(fields)
        name = metrics.Name(MetricScope[row.scope.upper()] if row.scope else MetricScope.NONE, row.metric_key)
        if max(len(self._runs), len(self._names)) >= self.LIMIT:
            self._runs, self._names = {}, {}
        self._runs[fields["run_id"]], self._names[row.scope, row.metric_key] = row.run_id, name
        return _point_row(row.run_id, name, row.step, row.value, row.recorded_at)


def _point_row(run_id: str, name: metrics.Name, step: int | None, value: float, time: int | None) -> PointRow:
    is_nan = value != value
    point = step or 0, time or 0, 0.0 if is_nan else value, +is_nan, +(step is None)
    return _point_row_of((run_id, name, point, time is not None))


_point_row_of: Callable[[tuple[str, metrics.Name, metrics.AnyPoint, bool]], PointRow] = partial(tuple.__new__, PointRow)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


_USUAL_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)


def _milliseconds(text: str) -> int:
    """What `Time` makes of a time in one of the usual forms; ValueError or TypeError for anything else."""
    if not _USUAL_TIME.fullmatch(text):
        raise ValueError
    moment = datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND


# Artifacts


class ArtifactColumns(Message):
    """An artifact, and the run that it is linked to, if one is named."""

    project_id: Id
    artifact_type: ArtifactType | None = None
    uri: Uri
    checksum: Checksum | None = None
    size_bytes: Count | None = None
    run_id: Id | None = None
    alias: Name | None = None

    @model_validator(mode="after")
    def _aliases_in_a_run(self) -> Self:
        if self.alias is not None and self.run_id is None:
            raise PydanticCustomError("alias", "alias: only a link to a run has one, and the row names no run")
        return self


def read_artifact(fields: Fields) -> ArtifactRow:
    """An artifact as POST /artifacts takes it, and POST /run-artifacts its link."""
    row = dict(ArtifactColumns.model_validate(fields))
    return ArtifactRow(**row | {"artifact_type": row["artifact_type"] or kind_of(row["uri"])})


# Kinds


class Kind(NamedTuple):
    """What the rows of one job_type are."""

    columns: type[BaseModel]
    reader: Callable[[], Callable[[Fields], Any]]
    """Makes the function that reads the rows of one file."""
    put: Callable[[Connection, Actor, Mapping[int, Any]], Outcome]
    rows_at_once: int
    """How many go in in one transaction: what takes some tenths of a second."""

    @property
    def known(self) -> list[str]:
        """The names of its columns."""
        return list(self.columns.model_fields)

    @property
    def needed(self) -> list[str]:
        """Those that a row cannot do without."""
        return [name for name, field in self.columns.model_fields.items() if field.is_required()]


KINDS = {
    "datasets": Kind(CreateDataset, lambda: read_dataset, put_datasets, 1000),
    "runs": Kind(RunColumns, lambda: read_run, put_runs, 100),
    "metrics": Kind(MetricColumns, MetricReader, put_metrics, 5000),
    "artifacts": Kind(ArtifactColumns, lambda: read_artifact, put_artifacts, 1000),
}
