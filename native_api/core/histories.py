"""Histories of metrics: whole, a page at a time, or a sample for a chart."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, tuple_

from native_api.core import metrics, pages, rows
from native_api.core import tables as t
from native_api.core.errors import Invalid
from native_api.core.metrics import Name
from native_api.core.pages import Page

_c = t.run_metric_values.c


Moment: TypeAlias = tuple[int, int, float, int]
"""A point of a known metric: (recorded_at, step, value, mark), which a history is in the order of.

The mark is 2 for a NaN, whose value is 0, and 1 more for a final value. A page has 25,000 of them, so each stays the
plain tuple that the driver makes.
"""

NAN = 2
"""The mark of a NaN."""

_MARK = _c.is_nan * NAN + _c.is_final
_MOMENT: list[ColumnElement[Any]] = [_c.recorded_at, _c.step, _c.value, _MARK]
_PLACES = [
    *(pages.Column(column, int) for column in _MOMENT[:2]),
    pages.Column(_c.value, float),
    pages.Column(_MARK, int),
]


def whole(conn: Connection, run: int, name: Name) -> list[Moment]:
    """All points of one metric by (recorded_at, step, value)."""
    metric = metrics.find_id(conn, name.key)
    if metric is None:
        return []
    found = rows.plain(conn.execute(select(*_MOMENT).where(*_of(run, metric, name.scope))))
    found.sort()  # by step, as they are stored, they are mostly in order already
    return found


def _of(run: int, metric: int, scope: int) -> tuple[ColumnElement[bool], ...]:
    return _c.run_id == run, _c.metric_id == metric, _c.scope == scope


def page(conn: Connection, run: int, name: Name, limit: int, token: str | None = None) -> Page[Moment]:
    """One page of what `whole` gives."""
    query = pages.fingerprint("history", run, name)
    after = _after(query, token) if token else None
    metric = metrics.find_id(conn, name.key)
    if metric is None:
        return Page([], None)
    history = _of(run, metric, name.scope)
    found = _in_step_order(conn, history, after, limit + 1)
    if found is None:
        found = _sorted(conn, history, after, limit + 1)
    return Page(found[:limit], pages.encode(query, found[limit - 1]) if len(found) > limit else None)


def _after(query: str, token: str) -> Moment:
    values = pages.decode(query, token)
    are_taken = len(values) == len(_PLACES) and all(c.takes(v) for c, v in zip(_PLACES, values, strict=True))
    if not are_taken or values[-1] not in range(4):
        raise Invalid("Invalid page token")
    return tuple(values)  # type: ignore[return-value]


def _in_step_order(
    conn: Connection, history: Sequence[ColumnElement[bool]], after: Moment | None, limit: int
) -> list[Moment] | None:
    """The next points by step, as they are stored, if by time they are the next ones, too: mostly they are.

    None if they are not. Then a page costs a look at the whole history, and sorting what is left of it.
    """
    stored: list[ColumnElement[Any]] = [_c.step, _c.recorded_at, _c.value, _c.is_nan]
    statement = select(*_MOMENT).where(*history, _c.is_final == 0).order_by(*stored).limit(limit)
    misplaced: list[ColumnElement[bool]] = [_c.is_final == 1]
    if after is not None:
        time, step, value, mark = after
        statement = statement.where(tuple_(*stored) > tuple_(step, time, value, mark // NAN))
        misplaced.append(and_(_c.step < step, _c.recorded_at > time))
    found = rows.plain(conn.execute(statement))
    if found != sorted(found) or (found and after and found[0] < after):
        return None
    if len(found) == limit:
        time, step = found[-1][:2]
        misplaced.append(and_(_c.step > step, _c.recorded_at < time))
    # Not EXISTS: PostgreSQL would expect to come across one soon, wherever it begins, and read through the table.
    others = conn.scalar(select(func.count()).select_from(t.run_metric_values).where(*history, or_(*misplaced)))
    return None if others else found


def _sorted(conn: Connection, history: Sequence[ColumnElement[bool]], after: Moment | None, limit: int) -> list[Moment]:
    statement = select(*_MOMENT).where(*history).order_by(*_MOMENT).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(*_MOMENT) > tuple_(*after))
    return rows.plain(conn.execute(statement))


def sample(conn: Connection, run: int, name: Name, steps: tuple[int, int] | None, limit: int) -> list[Moment]:
    """At most `limit` points in step order, spread evenly over the history.

    Of each of `limit` near-equal buckets the first point, and always the very last one, as MLflow's SQL store does it.
    Beyond that a bucket in the middle that holds the least or the greatest value gives this one instead: a chart
    keeps its spikes.
    """
    metric = metrics.find_id(conn, name.key)
    if metric is None:
        return []
    statement = select(_c.step, _c.recorded_at, _c.value, _MARK).where(*_of(run, metric, name.scope))
    if steps:
        statement = statement.where(_c.is_final.in_((0, 1)), _c.step.between(*steps))  # each a range of the key
    found = rows.plain(conn.execute(statement))
    found.sort()  # as they are stored, final values come last
    chosen = [found[index] for index in spread([row[2] for row in found], limit)]
    return [(recorded_at, step, value, mark) for step, recorded_at, value, mark in chosen]


def spread(values: Sequence[float], limit: int) -> list[int]:
    """Which of the values to keep, in order: evenly spread ones, the last, the least and the greatest."""
    count = len(values)
    if count <= limit:
        return list(range(count))
    if limit == 1:
        return [count - 1]
    size, larger = divmod(count, limit)
    first_smaller = larger * (size + 1)
    starts = [*range(0, first_smaller, size + 1), *range(first_smaller, count, size)]
    chosen = [*starts[:-1], count - 1]
    free = range(1, limit - 1)
    taken = None
    for extreme in (values.index(min(values)), values.index(max(values))):
        bucket = bisect_right(starts, extreme) - 1
        near = min(max(bucket, 1), limit - 2)
        places = [place for place in (near - 1, near, near + 1) if place in free and place != taken]
        if extreme not in chosen and places:
            taken = min(places, key=lambda place: abs(place - bucket))
            chosen[taken] = extreme
    return sorted(chosen)
