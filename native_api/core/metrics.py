"""Metrics: points, the latest of each, and the keys as small integers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, func, select, tuple_

from native_api.core import db, rows
from native_api.core import tables as t
from native_api.core.errors import NotFound


class MetricScope(IntEnum):
    """Which part of the data a metric was measured on."""

    NONE = 0
    TRAIN = 1
    VAL = 2
    TEST = 3


class Name(NamedTuple):
    """What names a metric of a run."""

    scope: int
    key: str


class Point(NamedTuple):
    """One value of a metric. A NaN is value 0.0 with is_nan 1; a final value has step 0 and is_final 1."""

    step: int
    recorded_at: int
    value: float
    is_nan: int = 0
    is_final: int = 0


AnyPoint = tuple[int, int, float, int, int]
"""A Point, or its five fields as a plain tuple, which is made in a fifth of the time: a batch has a thousand."""

Points = Mapping[Name, Sequence[AnyPoint]]
"""What is logged to one run."""


class Final(NamedTuple):
    """A final value of a metric, recorded when the run ended unless it says when."""

    name: Name
    value: float
    is_nan: int
    recorded_at: int | None


def points_of(finals: Iterable[Final], ended_at: int) -> Points:
    """The final values of a run that ended then, as points."""
    points: dict[Name, list[Point]] = {}
    for name, value, is_nan, recorded_at in finals:
        time = ended_at if recorded_at is None else recorded_at
        points.setdefault(name, []).append(Point(0, time, value, is_nan, is_final=1))
    return points


class Latest(NamedTuple):
    """The latest point of one metric of the run with this internal id."""

    run: int
    scope: int
    key: str
    step: int
    recorded_at: int
    value: float
    is_nan: int


class Keys:
    """Metric keys and their ids, as far as this process has met them. Neither ever changes once committed."""

    LIMIT = 200_000

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.names: dict[int, str] = {}

    def remember(self, pairs: dict[str, int]) -> None:
        """Keep what was read or committed; starts afresh when too many came by."""
        if len(self.ids) > self.LIMIT:
            self.ids, self.names = {}, {}
        self.ids.update(pairs)
        self.names.update({number: key for key, number in pairs.items()})


# Writing

_values = t.run_metric_values
_latest = t.run_metric_latest

_add_keys = db.BulkInsert(t.metric_keys, ["key"], "ON CONFLICT DO NOTHING")
_add_points = db.BulkInsert(_values, ["run_id", "metric_id", "scope", *Point._fields], "ON CONFLICT DO NOTHING")


def _where_newer(column: str) -> str:
    order = ("is_final", "step", "recorded_at", "value")
    new = ", ".join(f"excluded.{name}" for name in order)
    old = ", ".join(f"run_metric_latest.{name}" for name in order)
    return f"{column} = CASE WHEN ({new}) > ({old}) THEN excluded.{column} ELSE run_metric_latest.{column} END"


def _where_earlier(column: str) -> str:
    new, old = (f"({row}.first_step, {row}.first_recorded_at)" for row in ("excluded", "run_metric_latest"))
    return f"{column} = CASE WHEN {new} < {old} THEN excluded.{column} ELSE run_metric_latest.{column} END"


def _extreme(column: str, sign: str) -> str:
    new, old = f"excluded.{column}", f"run_metric_latest.{column}"
    return f"{column} = CASE WHEN {old} IS NULL OR {new} {sign} {old} THEN {new} ELSE {old} END"


_keep_latest = db.BulkInsert(
    _latest,
    [column.name for column in _latest.c],
    "ON CONFLICT (run_id, metric_id, scope) DO UPDATE SET "
    + ", ".join(
        [
            *map(_where_newer, ("is_final", "step", "recorded_at", "value", "is_nan")),
            'count = run_metric_latest."count" + excluded."count"',
            _extreme("min_value", "<"),
            _extreme("max_value", ">"),
            *map(_where_earlier, ("first_value", "first_step", "first_recorded_at")),
        ]
    ),
)


def append(conn: Connection, logged: Sequence[tuple[int, int, Points]]) -> int:
    """Add (run, experiment, points) to the histories and move each metric's latest point forward, never back.

    Gives how many points were new: one that is already there is dropped, whether it comes twice at once or was stored
    before. The order of arrival does not matter. Whoever calls this holds the rows of the runs.
    """
    ids = intern(conn, {name.key for _, _, points in logged for name in points})
    experiments: dict[int, int] = {}
    histories: dict[Metric, Sequence[AnyPoint]] = {}
    for run, experiment, points in logged:
        experiments[run] = experiment
        for (scope, key), some in points.items():
            metric = run, ids[key], scope
            before = histories.get(metric)
            histories[metric] = [*before, *some] if before else some
    rows: list[tuple[Any, ...]] = []
    latest: list[tuple[Any, ...]] = []
    metrics = sorted(histories)
    for metric in metrics:
        history = histories[metric]
        if len(history) == 1:
            rows.append(metric + history[0])
        else:
            # One metric's points mostly come in order, which makes this far cheaper than sorting the rows.
            history = sorted(history)
            rows += [metric + point for point in history]
        latest.append(_summary(metric, experiments[metric[0]], history))
    added = _add_points(conn, rows)
    if added:
        _keep_latest(conn, latest)
        if added < len(rows):
            _recount(conn, metrics)
    return added


Metric = tuple[int, int, int]
"""A metric of a run in the tables: (run, metric, scope)."""


def _summary(metric: Metric, experiment: int, history: Sequence[AnyPoint]) -> tuple[Any, ...]:
    """The row of `run_metric_latest` for points of one metric, which come in order."""
    last = history[-1]
    least: float | None
    greatest: float | None
    if len(history) == 1:
        least = greatest = None if last[3] else last[2]
    else:
        _, _, values, nans, finals = zip(*history, strict=True)
        if 1 in finals:
            last = [point for point in history if point[4]][-1]
        if 1 in nans:
            values = tuple(value for value, is_nan in zip(values, nans, strict=True) if not is_nan)
        least, greatest = (min(values), max(values)) if values else (None, None)
    step, recorded_at, value, is_nan, is_final = last
    first_step, first_recorded_at, first, first_is_nan, _ = history[0]
    return (
        *(*metric, experiment, is_final, step, recorded_at, value, is_nan, len(history)),
        *(least, greatest, None if first_is_nan else first, first_step, first_recorded_at),
    )


def _recount(conn: Connection, metrics: Sequence[Metric]) -> None:
    """Some points were there before: count these metrics' histories anew."""
    of_metric = and_(
        _values.c.run_id == _latest.c.run_id,
        _values.c.metric_id == _latest.c.metric_id,
        _values.c.scope == _latest.c.scope,
    )
    count = select(func.count()).select_from(_values).where(of_metric).scalar_subquery()
    names = tuple_(_latest.c.run_id, _latest.c.metric_id, _latest.c.scope)
    for start in range(0, len(metrics), 500):
        some = metrics[start : start + 500]
        conn.execute(_latest.update().where(names.in_(some)).values(count=count))


def intern(conn: Connection, keys: set[str]) -> dict[str, int]:
    """The id of each of these metric keys, new ones included."""
    if not keys:
        return {}
    known = db.memory(conn, Keys)
    ids = known.ids
    missing = sorted(key for key in keys if key not in ids)
    if not missing:
        return ids
    found = _read_ids(conn, missing)
    if len(found) < len(missing):
        _add_keys(conn, [(key,) for key in missing if key not in found])
        found = _read_ids(conn, missing)
    db.after_commit(conn, lambda: known.remember(found))
    return ids | found


def _read_ids(conn: Connection, keys: Sequence[str]) -> dict[str, int]:
    c = t.metric_keys.c
    rows = conn.execute(select(c.key, c.id).where(db.among(conn, c.key, keys)))
    return {row.key: row.id for row in rows}


def find_id(conn: Connection, key: str) -> int | None:
    """The id of a metric key, if any run ever logged it."""
    known = db.memory(conn, Keys).ids.get(key)
    return known if known is not None else _read_ids(conn, [key]).get(key)


def keys_of(conn: Connection, metric_ids: Collection[str]) -> dict[str, str]:
    """The keys of these metric definitions. Raises NotFound if there is no such definition."""
    c = t.metric_definitions.c
    rows = conn.execute(select(c.metric_id, c.key).where(db.among(conn, c.metric_id, metric_ids)))
    keys = {row.metric_id: row.key for row in rows}
    for metric_id in metric_ids:
        if metric_id not in keys:
            raise NotFound("metric definition", metric_id)
    return keys


# Reading


def latest(conn: Connection, runs: Sequence[int]) -> list[Latest]:
    """The latest point of every metric of these runs, by internal id: those of one run together."""
    statement = select(*_LATEST).where(db.among(conn, _latest.c.run_id, runs)).order_by(*_latest.primary_key)
    found = rows.plain(conn.execute(statement))
    names = names_of(conn, {row[2] for row in found})
    return [
        _latest_of((run, scope, names[metric], step, recorded_at, value, is_nan))
        for run, scope, metric, step, recorded_at, value, is_nan in found
    ]


_LATEST = [_latest.c[name] for name in ("run_id", "scope", "metric_id", "step", "recorded_at", "value", "is_nan")]
_latest_of: Callable[[tuple[int, int, str, int, int, float, int]], Latest] = partial(tuple.__new__, Latest)
"""In less than half of the time that `Latest` takes: a page of runs may have 20,000."""


def has_finals(conn: Connection, run: int, points: Points) -> bool:
    """Whether the run has all of these final values."""
    wanted = {(name, point) for name, some in points.items() for point in some}
    c, k = _values.c, t.metric_keys.c
    columns = [c[name] for name in Point._fields]
    found = conn.execute(
        select(c.scope, k.key, *columns)
        .join(t.metric_keys, k.id == c.metric_id)
        .where(c.run_id == run, db.among(conn, k.key, {name.key for name in points}), c.is_final == 1)
    )
    return wanted <= {(Name(scope, key), Point(*point)) for scope, key, *point in found}


def names_of(conn: Connection, ids: set[int]) -> Mapping[int, str]:
    """The metric keys with these ids, among others."""
    known = db.memory(conn, Keys)
    unknown = ids - known.names.keys()
    if unknown:
        k = t.metric_keys.c
        found = conn.execute(select(k.key, k.id).where(db.among(conn, k.id, unknown)))
        known.remember({row.key: row.id for row in found})
    return known.names
