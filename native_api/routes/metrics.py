"""Metrics of runs on the native surface: messages and handlers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from sqlalchemy import Connection

from native_api.core import clock, metric_values, metrics, runs
from native_api.core.access import Actor
from native_api.core.errors import Invalid
from native_api.core.metrics import MetricScope, Name, Point
from native_api.routes.messages import (
    Answer,
    Id,
    Listing,
    Message,
    Page,
    ShownTime,
    ShownValue,
    Time,
    Whole,
    page_of,
    text,
)

ScopeName = Literal["train", "val", "test"]
Key = Annotated[str, text(250, at_least=1)]

_WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def _value(given: object) -> float:
    if isinstance(given, str) and given in _WORDS:
        return _WORDS[given]
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError("neither a number nor one of NaN, Infinity, -Infinity")
    try:
        return float(given)
    except OverflowError:
        raise ValueError("not a number of 64 bits") from None


Value = Annotated[
    float,
    BeforeValidator(_value),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": list(_WORDS)}]}),
]
"""The value of a metric in a request."""


# Logging


def _optional(schema: dict[str, Any]) -> None:
    """Absent rather than of the default value."""
    del schema["default"]


class _Metric(Message):
    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["metric_key"]}, {"required": ["metric_id"]}]})

    metric_key: Key = Field(default="", json_schema_extra=_optional)
    metric_id: Id = Field(default="", json_schema_extra=_optional)
    scope: ScopeName | None = None
    value: Value
    recorded_at: Time | None = None

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if bool(self.metric_key) == bool(self.metric_id):
            raise ValueError("give either metric_key or metric_id")
        return self


class LoggedValue(_Metric):
    """One value of a metric, named by its key or by its definition. Without a step it is the final value.

    Without a time it was recorded now.
    """

    step: Whole | None = None


class FinalValue(_Metric):
    """A final value of a metric, named by its key or by its definition. Without a time it was recorded at the end."""

    step: None = None


class LogMetrics(Message):
    """Values to add to a run."""

    body: ClassVar[str] = "points"

    run_id: Id
    points: Annotated[list[LoggedValue], Field(max_length=10_000)]


class Logged(Answer):
    """How many values were taken."""

    logged: int


def log(conn: Connection, actor: Actor, msg: LogMetrics) -> Logged:
    """Add values of metrics to a run. A value that is there already is ignored: it is safe to send them again."""
    now = clock.now()
    points: dict[Name, list[Point]] = {}
    for name, given in zip(_names(conn, msg.points), msg.points, strict=True):
        value, is_nan = _split(given.value)
        time = now if given.recorded_at is None else given.recorded_at
        is_final = int(given.step is None)
        points.setdefault(name, []).append(Point(given.step or 0, time, value, is_nan, is_final))
    (problem,) = runs.log(conn, [runs.LogEntry(actor, msg.run_id, points)])
    if problem:
        raise problem
    return Logged(logged=len(msg.points))


def finals_of(conn: Connection, given: Sequence[FinalValue]) -> list[metrics.Final]:
    """These final values in the core's terms."""
    return [
        metrics.Final(name, *_split(one.value), one.recorded_at)
        for name, one in zip(_names(conn, given), given, strict=True)
    ]


def _names(conn: Connection, given: Sequence[_Metric]) -> list[Name]:
    metric_ids = {one.metric_id for one in given if one.metric_id}
    keys = metrics.keys_of(conn, metric_ids) if metric_ids else {}
    return [_name(one.scope, one.metric_key or keys[one.metric_id]) for one in given]


def _name(scope: ScopeName | None, key: str) -> Name:
    if scope is not None:
        return Name(MetricScope[scope.upper()], key)
    if key.startswith(("train/", "val/", "test/")):
        raise Invalid(f"metric_key: {key!r} is how MLflow names a metric with a scope: give the scope apart")
    return Name(MetricScope.NONE, key)


def _split(value: float) -> tuple[float, int]:
    """A value as the database keeps it. Adding 0.0 makes -0.0 the plain 0.0 that SQLite would make it."""
    return (value + 0.0, 0) if value == value else (0.0, 1)


# Reading


class ListMetrics(Listing):
    """A page of a run's values."""

    run_id: Id
    metric_key: Key | None = None
    scope: ScopeName | None = None


class MetricValue(Answer):
    """One value of a metric; `metric_id` is its definition's, if it has one. Without a step it is a final value."""

    metric_key: str
    metric_id: Id | None
    scope: ScopeName | None
    step: int | None
    value: ShownValue
    recorded_at: ShownTime


def page(conn: Connection, actor: Actor, msg: ListMetrics) -> Page[MetricValue]:
    """List a run's values, metric by metric, each in step order with its final values last."""
    run, _ = runs.find(conn, actor, msg.run_id)
    scope = MetricScope[msg.scope.upper()] if msg.scope else None
    found = metric_values.page(conn, run, msg.limit, msg.cursor, key=msg.metric_key, scope=scope)
    return page_of(found, _shown)


_SCOPES: dict[int, ScopeName | None] = {0: None, 1: "train", 2: "val", 3: "test"}


def _shown(value: metric_values.MetricValue) -> MetricValue:
    return MetricValue(
        metric_key=value.key,
        metric_id=value.metric_id,
        scope=_SCOPES[value.scope],
        step=None if value.is_final else value.step,
        value=float("nan") if value.is_nan else value.value,
        recorded_at=value.recorded_at,
    )
