"""Conditions and sort keys, and the SQL clauses that conditions become."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    and_,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    text,
    true,
)

from native_api.core import db
from native_api.core import tables as t
from native_api.core.errors import Invalid


class View(StrEnum):
    """Which of the things are looked at: those that are active, those that are deleted, or all."""

    ACTIVE = "active"
    DELETED = "deleted"
    ALL = "all"


class Op(StrEnum):
    """How a field is compared. LIKE minds case, ILIKE does not; neither has an escape."""

    EQ = "="
    NE = "!="
    GT = ">"
    GE = ">="
    LT = "<"
    LE = "<="
    LIKE = "LIKE"
    ILIKE = "ILIKE"
    IN = "IN"
    NOT_IN = "NOT IN"
    IS_NULL = "IS NULL"
    NOT_NULL = "IS NOT NULL"


@dataclass(frozen=True)
class Attribute:
    """A column of the searched table, by its native name: `started_at`, `run_name` ..."""

    name: str


@dataclass(frozen=True)
class Metric:
    """A run's latest value of a metric. scope: 0 none, 1 train, 2 val, 3 test."""

    scope: int
    key: str


@dataclass(frozen=True)
class Param:
    key: str


@dataclass(frozen=True)
class Tag:
    key: str


@dataclass(frozen=True)
class Input:
    """A dataset the run used: its `name`, `digest` or `context`."""

    name: str


Field = Attribute | Metric | Param | Tag | Input
Value = str | int | float | tuple[str, ...] | tuple[int, ...] | None


@dataclass(frozen=True)
class Comparison:
    """One parsed comparison. A missing value satisfies only IS NULL; a NaN only `!=`."""

    field: Field
    op: Op
    value: Value = None


@dataclass(frozen=True)
class All:
    """Every one of the conditions holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Some:
    """At least one of the conditions holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """The condition does not hold."""

    condition: Condition


Condition = Comparison | All | Some | Not


@dataclass(frozen=True)
class SortKey:
    """One parsed order. Missing values come last in both directions, a metric's NaN before them."""

    field: Field
    descending: bool = False


def conjuncts(condition: Condition | None) -> list[Condition]:
    """The conditions that all have to hold, as small as they can be told apart."""
    match condition:
        case None:
            return []
        case All(parts):
            return [conjunct for part in parts for conjunct in conjuncts(part)]
        case _:
            return [condition]


_NUMBERS = frozenset({Op.EQ, Op.GT, Op.GE, Op.LT, Op.LE})


def require_number(condition: Condition, metric: Metric) -> bool:
    """Whether only runs satisfy it whose metric is a number."""
    return isinstance(condition, Comparison) and condition.field == metric and condition.op in _NUMBERS


# Conditions -> clauses

MAX_COMPARISONS = 500
"""In one condition. SQLite refuses expressions more than 1,000 deep, and a chain of n comparisons is n deep."""
MAX_DEPTH = 20
"""Of conditions within conditions. Before 3.46, SQLite's parser had a stack of 100 symbols; a level takes three."""


def run_clause(conn: Connection, condition: Condition) -> ColumnElement[bool]:
    """The runs that satisfy the condition, for a statement that names `runs`."""
    return clause(condition, partial(_run_comparison, conn))


def experiment_clause(conn: Connection, condition: Condition) -> ColumnElement[bool]:
    """The experiments that satisfy the condition, for a statement that names `experiments`."""
    return clause(condition, partial(_experiment_comparison, conn))


def clause(condition: Condition, compare: Callable[[Comparison], ColumnElement[bool]]) -> ColumnElement[bool]:
    """What satisfies the condition, given what satisfies one comparison."""
    return _clause(condition, compare, is_long=_size(condition) > LONG)


LONG = 10
"""PostgreSQL makes a join of each EXISTS and plans 10 in 10 ms, 500 in 40 s: longer conditions keep it from that."""


def _size(condition: Condition) -> int:
    match condition:
        case All(parts) | Some(parts):
            return sum(map(_size, parts))
        case Not(inner):
            return _size(inner)
        case Comparison():
            return 1


def _clause(
    condition: Condition, compare: Callable[[Comparison], ColumnElement[bool]], is_long: bool
) -> ColumnElement[bool]:
    match condition:
        case All(parts):
            return and_(true(), *(_clause(part, compare, is_long) for part in parts))
        case Some(parts):
            return or_(false(), *(_clause(part, compare, is_long) for part in parts))
        case Not(inner):  # a comparison with null is neither true nor false
            return _clause(inner, compare, is_long).is_not(true())
        case Comparison():
            return compare(condition).is_(true()) if is_long else compare(condition)


def _run_comparison(conn: Connection, comparison: Comparison) -> ColumnElement[bool]:
    field, runs = comparison.field, t.runs.c
    match field:
        case Attribute(name):
            return compare(conn, runs[name], comparison.op, comparison.value)
        case Metric():
            return _compare_metric(comparison.op, comparison.value, field)
        case Param(key):
            return compare_pair(conn, comparison, runs.id, t.run_params, t.run_params.c.run_id, key)
        case Tag(key):
            return compare_pair(conn, comparison, runs.id, t.run_tags, t.run_tags.c.run_id, key)
        case Input():
            return _compare_input(conn, comparison.op, comparison.value, field)


def _experiment_comparison(conn: Connection, comparison: Comparison) -> ColumnElement[bool]:
    field, experiments = comparison.field, t.experiments.c
    match field:
        case Attribute(name):
            return compare(conn, experiments[name], comparison.op, comparison.value)
        case Tag(key):
            tags = t.experiment_tags
            return compare_pair(conn, comparison, experiments.id, tags, tags.c.experiment_id, key)
    raise Invalid(f"Experiments have no {type(field).__name__.lower()}s")


def compare_pair(
    conn: Connection, comparison: Comparison, owner: ColumnElement[Any], pairs: Table, of: ColumnElement[Any], key: str
) -> ColumnElement[bool]:
    """Compare what a table of keys and values has under the key for the owner."""
    has_key = and_(of == owner, pairs.c.key == key)
    if comparison.op is Op.IS_NULL:
        return ~exists().where(has_key)
    return exists().where(has_key, compare(conn, pairs.c.value, comparison.op, comparison.value))


def of_metric(latest: FromClause, metric: Metric) -> ColumnElement[bool]:
    """The row of `latest` that is the run's for this metric."""
    return and_(latest.c.run_id == t.runs.c.id, is_metric(latest, metric))


def is_metric(latest: FromClause, metric: Metric) -> ColumnElement[bool]:
    """The rows of `latest` that are of this metric."""
    key = select(t.metric_keys.c.id).where(t.metric_keys.c.key == metric.key).scalar_subquery()
    return and_(latest.c.metric_id == key, latest.c.scope == metric.scope)


def _compare_metric(op: Op, value: Value, metric: Metric) -> ColumnElement[bool]:
    latest = t.run_metric_latest.c
    found = exists().where(of_metric(t.run_metric_latest, metric))
    if op is Op.IS_NULL:
        return ~found
    return found if op is Op.NOT_NULL else found.where(compare_point(latest.value, latest.is_nan, op, value))


def compare_point(
    number: ColumnElement[float], is_nan: ColumnElement[int], op: Op, value: Value
) -> ColumnElement[bool]:
    """Compare the value of a point: a NaN satisfies only `!=`."""
    compared = _ORDERED[op](number, value)
    return or_(is_nan == 1, compared) if op is Op.NE else and_(is_nan == 0, compared)


def _compare_input(conn: Connection, op: Op, value: Value, field: Input) -> ColumnElement[bool]:
    """Whether one of the run's inputs satisfies it."""
    inputs, versions, datasets = t.run_inputs.c, t.dataset_versions.c, t.datasets.c
    columns: dict[str, ColumnElement[Any]] = {
        "name": datasets.name,
        "digest": versions.content_hash,
        "context": inputs.context,
    }
    column = columns[field.name]
    found = exists().where(
        inputs.run_id == t.runs.c.id,
        versions.dataset_version_id == inputs.dataset_version_id,
        datasets.dataset_id == versions.dataset_id,
    )
    if op is Op.IS_NULL:
        return ~found.where(column.is_not(None))
    return found.where(compare(conn, column, op, value))


_ORDERED: dict[Op, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]] = {
    Op.EQ: lambda column, value: column == value,
    Op.NE: lambda column, value: column != value,
    Op.GT: lambda column, value: column > value,
    Op.GE: lambda column, value: column >= value,
    Op.LT: lambda column, value: column < value,
    Op.LE: lambda column, value: column <= value,
}


def compare(conn: Connection, column: ColumnElement[Any], op: Op, value: Value) -> ColumnElement[bool]:
    """Compare a column of texts or of integers."""
    match op, value:
        case Op.IS_NULL, _:
            return column.is_(None)
        case Op.NOT_NULL, _:
            return column.is_not(None)
        case Op.LIKE, str():
            return db.like(conn, column, value)
        case Op.ILIKE, str():
            return db.ilike(conn, column, value)
        case Op.IN, tuple():
            return db.among(conn, column, _storable(value))
        case Op.NOT_IN, tuple():
            # Of no values at all: a null is not among them, and yet satisfies nothing.
            return and_(column.is_not(None), not_(db.among(conn, column, _storable(value))))
        case _, int() | float():
            return _compare_integers(column, op, value)
    return _ORDERED[op](column, value)


_LEAST, _GREATEST = -(2**63), 2**63 - 1


def _storable(values: tuple[str, ...] | tuple[int, ...]) -> list[str | int]:
    return [value for value in values if isinstance(value, str) or _LEAST <= value <= _GREATEST]


def _compare_integers(column: ColumnElement[int], op: Op, value: int | float) -> ColumnElement[bool]:
    """Compare a column of integers with any number, also one that is none of them."""
    near = max(_LEAST, min(_GREATEST, value))
    if op in (Op.EQ, Op.NE) and not near == value == math.floor(near):
        return false() if op is Op.EQ else column.is_not(None)
    return _ORDERED[op](column, math.floor(near) if op in (Op.GT, Op.LE) else math.ceil(near))


# Conditions -> runs

FEW = 2_000
"""Up to so many runs that satisfy a comparison are looked at one by one, however many runs there are.

More are found soon by going through the runs in order. Which of the two it is, the databases guess badly: SQLite has no
statistics, and PostgreSQL's know nothing of one metric in one experiment.
"""
TRIED = 4
"""How many comparisons of a condition are tried: each takes a statement."""


class Few(NamedTuple):
    """Few runs, by internal id: all that satisfy the comparison, and maybe some of other experiments."""

    comparison: Comparison
    runs: Sequence[int]


def find_few(conn: Connection, conditions: Sequence[Condition], experiments: Sequence[int]) -> Few | None:
    """The runs of these experiments that satisfy one of the conditions, if an index tells that they are few."""
    comparisons = [condition for condition in conditions if isinstance(condition, Comparison)]
    comparisons.sort(key=lambda comparison: comparison.op is not Op.EQ)  # what is equal is mostly fewer
    ranges = ((comparison, _range(conn, comparison, experiments)) for comparison in comparisons)
    for comparison, ids in islice(((comparison, ids) for comparison, ids in ranges if ids is not None), TRIED):
        found = conn.scalars(ids.limit(FEW + 1)).all()
        if len(found) <= FEW:
            return Few(comparison, found)
    return None


def _range(conn: Connection, comparison: Comparison, experiments: Sequence[int]) -> Select[int] | None:
    """The runs that satisfy the comparison, if they are a range of an index."""
    field, op, value = comparison.field, comparison.op, comparison.value
    match field:
        case Attribute("run_id") if op in (Op.EQ, Op.IN):
            return select(t.runs.c.id).where(compare(conn, t.runs.c.run_id, op, value))
        case Metric() if op in _NUMBERS:
            c = t.run_metric_latest.c
            of_experiments = c.experiment_id == experiments[0]
            if len(experiments) > 1:
                of_experiments = db.among(conn, c.experiment_id, experiments)
            number = and_(c.is_nan == 0, _ORDERED[op](c.value, value))
            return select(c.run_id).where(of_experiments, is_metric(t.run_metric_latest, field), number)
        case Param(key) | Tag(key) if op is Op.EQ and isinstance(value, str):
            pairs = t.run_params if isinstance(field, Param) else t.run_tags
            return select(pairs.c.run_id).where(pairs.c.key == key, _equals(pairs.c.value, value))
    return None


def _equals(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Equality that the indexes over keys and the beginnings of values serve, written as they are.

    The rest is not compared as a whole: given `value = x`, SQLite no longer sees the indexed expression.
    """
    length = t.INDEXED_VALUE_LENGTH
    begins = func.substr(column, text("1"), text(str(length))) == value[:length]
    return begins if len(value) < length else and_(begins, func.substr(column, text(str(length + 1))) == value[length:])
