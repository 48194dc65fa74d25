"""MLflow's requests as Pydantic models: 64-bit integers, enums, NaN on the wire.

Field names and limits are MLflow's (its `service.proto` and `utils/validation.py`). Bodies may spell names in camelCase
as well, numbers may come as text, and null is the same as absent.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Annotated, Any, Literal, NotRequired, Required, TypeVar

import msgspec
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypedDict

from native_api.core.errors import Invalid
from native_api.core.projects import RESERVED

T = TypeVar("T")

# The scalars


def _whole(text: str) -> int:
    """Whole numbers in a float's notation, such as the R client's "1.7e+12"."""
    with suppress(InvalidOperation):  # no number at all, or one that has no order
        number = Decimal(text)
        if -(2**63) <= number < 2**63 and number == int(number):
            return int(number)
    raise ValueError("not a whole number of 64 bits")


@dataclass(frozen=True)
class _Whole:
    """An integer of 64 bits, at least `low`: as a number, as text, or as text in a float's notation."""

    low: int = -(2**63)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        plain = core_schema.int_schema(ge=self.low, le=2**63 - 1)
        text = core_schema.no_info_after_validator_function(_whole, core_schema.str_schema())
        return core_schema.union_schema([plain, core_schema.chain_schema([text, plain])], mode="left_to_right")


Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Int64 = Annotated[int, _Whole()]
Time = Annotated[int, _Whole(low=0)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=250)]
AnyKey = Annotated[str, StringConstraints(min_length=1, max_length=250, pattern=r"^[^\x00]*$")]
"""What MLflow takes for a key where it looks it up, or of a new run; where it checks, `check_key` does the rest."""
AnyRunId = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]
"""What MLflow takes for a run's id where it only looks it up; where it checks, a RunId."""
RunId = Annotated[str, StringConstraints(max_length=256, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_\-]*$")]
ExperimentId = Annotated[Int64, BeforeValidator(lambda value: str(value) if isinstance(value, bool) else value)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
DatasetName = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
Digest = Annotated[str, StringConstraints(max_length=36, pattern=r"^[^\x00]*$")]

STATUSES = {"RUNNING": "running", "SCHEDULED": "queued", "FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
_STATUS_NUMBERS = dict(enumerate(STATUSES.values(), start=1))
VIEWS = {"ACTIVE_ONLY": "active", "DELETED_ONLY": "deleted", "ALL": "all"}
_VIEW_NUMBERS = dict(enumerate(VIEWS.values(), start=1))


def known(names: dict[str, str], numbers: dict[int, str]) -> BeforeValidator:
    """An enum by name, or by number, which may be text or a float; what is unknown counts as absent, as in MLflow."""
    by_text = names | {str(number): name for number, name in numbers.items()}
    by_number = {float(number): name for number, name in numbers.items()}

    def known(value: object) -> str | None:
        if isinstance(value, str):
            return by_text.get(value)
        return by_number.get(value) if isinstance(value, int | float) else None

    return BeforeValidator(known)


Status = Annotated[str | None, known(STATUSES, _STATUS_NUMBERS)]
ViewType = Annotated[str | None, known(VIEWS, _VIEW_NUMBERS)]


def check_key(key: str, where: str) -> None:
    """Raise Invalid unless it may name a metric, param or tag (MLflow's `_validate_metric_name` and its like).

    Letters of any script, digits and `_ - . / : space`; and, since stores may keep each in a file of its name, it must
    be its own normal form as a path.
    """
    if not _may_be_key(key):
        raise Invalid(
            f"Invalid value {key!r} for parameter '{where}' supplied: Names may only contain alphanumerics, "
            "underscores (_), dashes (-), periods (.), spaces ( ), colons (:) and slashes (/), and must be a path in "
            "its normal form."
        )


@lru_cache(maxsize=10_000)
def _may_be_key(key: str) -> bool:
    """Kept, as the same names come with every batch."""
    plain = key.translate(_KEY_MARKS)
    normal = posixpath.normpath(key)
    return (plain.isalnum() or not plain) and normal == key and normal != "." and not normal.startswith(("..", "/"))


_KEY_MARKS = str.maketrans("", "", "_-. /:")


# Parts of messages

Items = Annotated[list[T], Field(fail_fast=True)]
"""A list of any length. Only the first wrong item is told: 32 MiB of them would take gigabytes to describe."""


class Message(BaseModel):
    """A request. Unknown fields are ignored."""

    model_config = ConfigDict(
        extra="ignore",
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(name, to_camel(name))),
    )


class Nothing(Message):
    """A request without fields."""


class GraphQL(Message):
    """A GraphQL request, as the UI sends it."""

    operation_name: Text | None = None
    query: Text | None = None
    variables: dict[str, Any] | None = None


class Metric(msgspec.Struct, gc=False):
    """One point of a batch, which has a thousand of them."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=250)]
    value: float
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    step: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    model_id: Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*\Z")] | None = None
    dataset_name: Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00]*\Z")] | None = None
    dataset_digest: Annotated[str, msgspec.Meta(max_length=36, pattern=r"^[^\x00]*\Z")] | None = None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        fields = handler.generate_schema(_MetricFields)
        return core_schema.no_info_after_validator_function(lambda given: cls(**given), fields)


class _MetricFields(TypedDict):
    key: Required[Key]
    value: Required[float]
    timestamp: Required[Time]
    step: NotRequired[Int64 | None]
    model_id: NotRequired[Text | None]
    dataset_name: NotRequired[DatasetName | None]
    dataset_digest: NotRequired[Digest | None]


class Pair(TypedDict):
    """A param or a tag."""

    key: Required[AnyKey]
    value: NotRequired[Text | None]


class OfRun(Message):
    """Names a run, by MLflow's older name if need be."""

    run_id: Annotated[AnyRunId, Field(validation_alias=AliasChoices("run_id", "runId", "run_uuid", "runUuid"))]


class DatasetTag(TypedDict):
    key: Required[Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]]
    value: NotRequired[Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")] | None]


def at_most(length: int) -> StringConstraints:
    return StringConstraints(max_length=length, pattern=r"^[^\x00]*$")


class Dataset(Message):
    name: Annotated[DatasetName, StringConstraints(min_length=1)]
    digest: Annotated[Digest, StringConstraints(min_length=1)]
    source_type: Text | None = None
    source: Annotated[str, at_most(65535)] | None = None
    schema_: Annotated[str, at_most(1048575)] | None = Field(None, validation_alias="schema")
    profile: Annotated[str, at_most(16777215)] | None = None


class DatasetInput(Message):
    dataset: Dataset
    tags: Items[DatasetTag] | None = None


class ModelInput(Message):
    model_id: Name


class ModelOutput(Message):
    model_id: Name
    step: Int64 | None = None


def tag_map(pairs: Sequence[Pair | ExperimentTag], *, checked: bool = True) -> dict[str, str]:
    """Tags by key; Invalid for one that comes twice or, if `checked`, may not be one. MLflow checks no new run's."""
    for number, pair in enumerate(pairs if checked else ()):
        check_key(pair["key"], f"tags[{number}].key")
    found = {pair["key"]: pair.get("value") or "" for pair in pairs}
    if len(found) < len(pairs):
        raise Invalid("Duplicate tag keys have been submitted")
    return found


# Experiments


class ExperimentTag(TypedDict):
    key: Required[Key]
    value: NotRequired[Annotated[str, at_most(20000)] | None]


class CreateExperiment(Message):
    name: Name
    artifact_location: Annotated[str, at_most(2048)] | None = None
    tags: Items[ExperimentTag] | None = None


class GetExperiment(Message):
    experiment_id: ExperimentId


class GetExperimentByName(Message):
    experiment_name: Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]


class SearchExperiments(Message):
    max_results: Annotated[Int64, Field(ge=1, le=50000)]
    page_token: str | None = None
    filter: str | None = None
    order_by: Items[str] | None = None
    view_type: ViewType = None


class ListExperiments(Message):
    max_results: Annotated[Int64, Field(ge=1, le=50000)] | None = None
    page_token: str | None = None
    view_type: ViewType = None


class UpdateExperiment(Message):
    experiment_id: ExperimentId
    new_name: Name


class SetExperimentTag(Message):
    experiment_id: ExperimentId
    key: Key
    value: Annotated[str, at_most(20000)] | None = None


class DeleteExperimentTag(Message):
    experiment_id: ExperimentId
    key: AnyKey


class SearchDatasets(Message):
    experiment_ids: Annotated[list[ExperimentId], Field(min_length=1, max_length=20)]


# Runs


class CreateRun(Message):
    experiment_id: ExperimentId | None = None
    user_id: Text | None = None
    run_name: Text | None = None
    start_time: Int64 | None = None
    tags: Items[Pair] | None = None


class GetRun(OfRun):
    pass


class UpdateRun(OfRun):
    status: Status = None
    end_time: Int64 | None = None
    run_name: Text | None = None


class OneRun(Message):
    run_id: AnyRunId


class SearchRuns(Message):
    experiment_ids: Items[ExperimentId] | None = None
    filter: str | None = None
    run_view_type: ViewType = None
    max_results: Annotated[Int64, Field(ge=1, le=50000)] | None = None
    order_by: Items[str] | None = None
    page_token: str | None = None


class LogMetric(OfRun):
    key: Key
    value: float
    timestamp: Time
    step: Int64 | None = None
    model_id: Text | None = None
    dataset_name: DatasetName | None = None
    dataset_digest: Digest | None = None


class LogParam(OfRun):
    key: Key
    value: Text | None = None


class SetTag(OfRun):
    key: Key
    value: Text | None = None


class DeleteTag(OneRun):
    key: AnyKey


class LogBatch(Message):
    run_id: RunId
    metrics: Annotated[list[Metric], Field(max_length=1000)] | None = None
    params: Annotated[list[Pair], Field(max_length=100)] | None = None
    tags: Annotated[list[Pair], Field(max_length=100)] | None = None

    @classmethod
    def read_quickly(cls, body: bytes) -> LogBatch | None:
        """A batch of metrics alone, spelt the usual way, in half the time; None: let Pydantic judge the body."""
        try:
            plain = _plain_batch.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        batch = cls.model_construct(run_id=plain.run_id, metrics=plain.metrics, params=None, tags=None)
        batch._check_as_a_whole()
        return batch

    @model_validator(mode="after")
    def _as_a_whole(self) -> LogBatch:
        self._check_as_a_whole()
        return self

    def _check_as_a_whole(self) -> None:
        parts: Sequence[Sequence[Any]] = (self.metrics or (), self.params or (), self.tags or ())
        if sum(map(len, parts)) > 1000:
            raise Invalid("A batch may hold at most 1000 metrics, params and tags in all")
        keys = [param["key"] for param in self.params or ()]
        _check_keys([metric.key for metric in self.metrics or ()], "metrics")
        _check_keys(keys, "params")
        _check_keys([tag["key"] for tag in self.tags or ()], "tags")
        if len(set(keys)) < len(keys):
            raise Invalid(f"Duplicate parameter keys have been submitted: {sorted(keys)}")


def _check_keys(keys: Sequence[str], noun: str) -> None:
    for key in set(keys):
        try:
            check_key(key, noun)
        except Invalid:
            check_key(key, f"{noun}[{keys.index(key)}].key")


class _PlainBatch(msgspec.Struct, forbid_unknown_fields=True):  # such as runId
    run_id: Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_\-]*\Z")]
    metrics: Annotated[list[Metric], msgspec.Meta(max_length=1000)]
    params: Annotated[list[Any], msgspec.Meta(max_length=0)] | None = None
    tags: Annotated[list[Any], msgspec.Meta(max_length=0)] | None = None


_plain_batch = msgspec.json.Decoder(_PlainBatch)


class LogModel(OneRun):
    model_json: Text


class LogInputs(Message):
    run_id: RunId
    datasets: Items[DatasetInput] | None = None
    models: Items[ModelInput] | None = None


class LogOutputs(OneRun):
    models: Items[ModelOutput]


# Metrics


MetricKey = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]


class GetHistory(OfRun):
    metric_key: MetricKey
    page_token: str | None = None
    max_results: Annotated[Int64, Field(ge=1, lt=2**31)] | None = None


class GetHistoryBulk(Message):
    run_id: Annotated[list[Text], Field(min_length=1, max_length=100)]
    metric_key: MetricKey
    max_results: Annotated[Int64, Field(ge=1, le=25000)] | None = None


class GetHistoryInterval(Message):
    run_ids: Annotated[list[Text], Field(min_length=1, max_length=100)]
    metric_key: MetricKey
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: Annotated[Int64, Field(ge=1, le=2500)] | None = None


# Workspaces


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError("the name is reserved")
    return name


WorkspaceName = Annotated[
    str,
    StringConstraints(min_length=2, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
    AfterValidator(_not_reserved),
]


class TraceArchivalConfig(Message):
    location: Text | None = None
    retention: Text | None = None


class OneWorkspace(Message):
    workspace_name: WorkspaceName


class CreateWorkspace(Message):
    name: WorkspaceName
    description: Text | None = None
    default_artifact_root: Text | None = None
    trace_archival_config: TraceArchivalConfig | None = None


class UpdateWorkspace(OneWorkspace):
    description: Text | None = None
    default_artifact_root: Text | None = None
    trace_archival_config: TraceArchivalConfig | None = None


class DeleteWorkspace(OneWorkspace):
    mode: Literal["RESTRICT", "CASCADE", "SET_DEFAULT"] | None = None
