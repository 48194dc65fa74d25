"""Metric values as native callers read them: those of a run metric by metric, in step order, final values last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select, tuple_

from native_api.core import db, metrics, pages
from native_api.core import tables as t
from native_api.core.errors import Invalid
from native_api.core.pages import Page

_c = t.run_metric_values.c


class MetricValue(NamedTuple):
    """One value of a metric. metric_id is that of its definition, if it has one; a final value has step 0."""

    key: str
    metric_id: str | None
    scope: int
    is_final: int
    step: int
    recorded_at: int
    value: float
    is_nan: int


_ORDER = [
    *(pages.Column(column, int) for column in (_c.metric_id, _c.scope, _c.is_final, _c.step, _c.recorded_at)),
    *(pages.Column(_c.value, float), pages.Column(_c.is_nan, int)),
]
"""In which they are stored."""


def page(
    conn: Connection, run: int, limit: int, token: str | None, *, key: str | None = None, scope: int | None = None
) -> Page[MetricValue]:
    """One page of the values of the run with this internal id: of all its metrics, or of those wanted."""
    query = pages.fingerprint("values", run, key, scope)
    after = _after(conn, query, token) if token else None
    fixed: dict[str, int] = {} if scope is None else {"scope": scope}
    if key is not None:
        metric = metrics.find_id(conn, key)
        if metric is None:
            return Page([], None)
        fixed["metric_id"] = metric
    columns = [column.expression for column in _ORDER]
    statement = select(*columns).where(_c.run_id == run, *(_c[name] == value for name, value in fixed.items()))
    if after is not None:
        # Only what is not fixed, so that the range begins where the equalities end in the index.
        start = 0 if key is None else 1 if scope is None else 2
        statement = statement.where(tuple_(*columns[start:]) > tuple_(*after[start:]))
    rows = conn.execute(statement.order_by(*columns).limit(limit + 1)).all()
    names = metrics.names_of(conn, {row.metric_id for row in rows})
    definitions = _definitions(conn, {names[row.metric_id] for row in rows})
    values = [
        MetricValue(names[row.metric_id], definitions.get(names[row.metric_id]), *row[1:]) for row in rows[:limit]
    ]
    more = pages.encode(query, [values[-1].key, *rows[limit - 1][1:]]) if len(rows) > limit else None
    return Page(values, more)


def _after(conn: Connection, query: str, token: str) -> Sequence[pages.Value]:
    """The sort values in a token, which names the metric by its key."""
    key, *rest = pages.decode(query, token) or [None]
    metric = metrics.find_id(conn, key) if isinstance(key, str) and "\0" not in key else None
    after = [metric, *rest]
    if len(after) != len(_ORDER) or not all(column.takes(value) for column, value in zip(_ORDER, after, strict=True)):
        raise Invalid("Invalid page token")
    return after


def _definitions(conn: Connection, keys: set[str]) -> dict[str, str]:
    c = t.metric_definitions.c
    rows = conn.execute(select(c.key, c.metric_id).where(db.among(conn, c.key, keys)))
    return {row.key: row.metric_id for row in rows}
