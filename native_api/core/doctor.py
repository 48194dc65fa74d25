"""The doctor: what does not fit together in a database. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, FromClause, and_, case, func, or_, select, tuple_

from native_api.core import audit, db
from native_api.core import tables as t
from native_api.core.params import text_of

Findings = Iterator[str]
"""What was found, in a line each."""

STREAMED: Mapping[str, Any] = {"yield_per": 1000}


def examine(conn: Connection) -> Findings:
    """All that the database can be asked. Needs a reader's connection where others write meanwhile.

    Where SQLite's file itself is damaged nothing else is looked at.
    """
    damages = db.damages(conn)
    yield from damages
    if damages:
        return
    for check in (_foreign_keys, _orphans, _latest, _sums, _params, _models, _audit):
        yield from check(conn)


# Rows that refer to nothing


def _foreign_keys(conn: Connection) -> Findings:
    for table, parent, count in db.broken_foreign_keys(conn):
        yield f"{table}: {count} rows refer to what is not in {parent}"


_v, _m = t.run_metric_values.c, t.run_metric_latest.c
_g = t.logged_model_metrics.c

_REFERENCES: Sequence[tuple[ColumnElement[int], ColumnElement[int]]] = [
    (_v.run_id, t.runs.c.id),
    (_v.metric_id, t.metric_keys.c.id),
    (_m.run_id, t.runs.c.id),
    (_m.metric_id, t.metric_keys.c.id),
    (_g.logged_model_id, t.logged_models.c.id),
    (_g.run_id, t.runs.c.id),
    (_g.metric_id, t.metric_keys.c.id),
]


def _orphans(conn: Connection) -> Findings:
    for column, key in _REFERENCES:
        table = column.table
        absent = select(column, func.count()).select_from(table).where(~select(key).where(key == column).exists())
        for number, count in conn.execute(absent.group_by(column), execution_options=STREAMED):
            yield f"{table}: {count} rows have {column.name} {number}, which is not in {key.table}"


# The latest point of each metric against its history

_POINT = ("is_final", "step", "recorded_at", "value", "is_nan")


def _same_metric(one: Any, other: Any) -> ColumnElement[bool]:
    return and_(one.run_id == other.run_id, one.metric_id == other.metric_id, one.scope == other.scope)


def _latest(conn: Connection) -> Findings:
    """Each of these looks up a point or two per metric."""
    points = select(_v.run_id).where(_same_metric(_v, _m))
    order = _POINT[:-1]
    newer = points.where(tuple_(*(_v[name] for name in order)) > tuple_(*(_m[name] for name in order)))
    is_either = _v.is_final.in_((0, 1))  # each a range of the key
    first = points.where(
        is_either,
        _v.step == _m.first_step,
        _v.recorded_at == _m.first_recorded_at,
        or_(and_(_m.first_value.is_(None), _v.is_nan == 1), and_(_v.value == _m.first_value, _v.is_nan == 0)),
    )
    earlier = points.where(is_either, tuple_(_v.step, _v.recorded_at) < tuple_(_m.first_step, _m.first_recorded_at))
    moved = select(t.runs.c.id).where(t.runs.c.id == _m.run_id, t.runs.c.experiment_id != _m.experiment_id)
    checks: list[tuple[ColumnElement[bool], str]] = [
        (~points.where(*(_v[name] == _m[name] for name in _POINT)).exists(), "is not a point of its history"),
        (newer.exists(), "is not the latest point of its history"),
        (~first.exists(), "has a first value that is not a point of its history"),
        (earlier.exists(), "has a first value that is not the first point of its history"),
        (moved.exists(), "is in another experiment than its run"),
    ]
    for is_wrong, words in checks:
        wrong = select(_m.run_id, _m.metric_id, _m.scope).where(is_wrong)
        for metric in conn.execute(wrong, execution_options=STREAMED):
            yield f"run_metric_latest: {_named(*metric)} {words}"


def _named(run: int, metric: int, scope: int) -> str:
    return f"run {run}, metric {metric}, scope {scope}"


def _sums(conn: Connection) -> Findings:
    """Count, least and greatest, in one pass over all points; and histories that nothing sums up."""
    number = case((_v.is_nan == 0, _v.value))
    h = (
        select(_v.run_id, _v.metric_id, _v.scope, func.count().label("points"))
        .add_columns(func.min(number).label("least"), func.max(number).label("greatest"))
        .group_by(_v.run_id, _v.metric_id, _v.scope)
        .subquery()
    )
    pairs = [(h.c.points, _m["count"]), (h.c.least, _m.min_value), (h.c.greatest, _m.max_value)]
    differs = or_(*(found.is_distinct_from(kept) for found, kept in pairs))
    compared = (
        select(
            h.c.run_id, h.c.metric_id, h.c.scope, _m.run_id.is_(None), *(column for pair in pairs for column in pair)
        )
        .select_from(h.outerjoin(t.run_metric_latest, _same_metric(h.c, _m)))
        .where(differs)
    )
    for run, metric, scope, is_missing, *values in conn.execute(compared, execution_options=STREAMED):
        if is_missing:
            yield f"run_metric_values: {_named(run, metric, scope)} has a history, and no row in run_metric_latest"
            continue
        for name, found, kept in zip(("count", "min_value", "max_value"), values[::2], values[1::2], strict=True):
            if found != kept:
                yield f"run_metric_latest: {_named(run, metric, scope)} has {name} {kept}, its history {found}"


# Params

_p, _f = t.run_params.c, t.run_configs.c
RUNS_AT_ONCE = 100


def _params(conn: Connection) -> Findings:
    unknown = select(_p.run_id, func.count()).where(~select(_f.run_id).where(_f.run_id == _p.run_id).exists())
    for run, count in conn.execute(unknown.group_by(_p.run_id), execution_options=STREAMED):
        yield f"run_params: run {run} has {count} params, and no row in run_configs"
    last = -1
    configs = select(_f.run_id, _f.params_json).order_by(_f.run_id).limit(RUNS_AT_ONCE)
    while some := conn.execute(configs.where(_f.run_id > last)).all():
        last = some[-1].run_id
        derived: dict[int, dict[str, str]] = {row.run_id: {} for row in some}
        for run, key, value in conn.execute(
            select(_p.run_id, _p.key, _p.value).where(db.among(conn, _p.run_id, list(derived)))
        ):
            derived[run][key] = value
        for run, params in some:
            for key in sorted(params.keys() | derived[run].keys()):
                if key not in params or key not in derived[run] or not _says(derived[run][key], params[key]):
                    yield f"run_params: run {run}, param {key!r} is not what run_configs says"


def _says(text: str, value: object) -> bool:
    """Whether it is the text of the value. PostgreSQL's JSON may write a number in another way than we do."""
    if text == text_of(value):
        return True
    try:
        return not isinstance(value, str) and bool(msgspec.json.decode(text) == value)
    except msgspec.DecodeError:
        return False


# Models, and the log


def _models(conn: Connection) -> Findings:
    r, v = t.registered_models.c, t.model_versions.c
    joined: FromClause = t.registered_models.join(t.model_versions, v.registered_model_id == r.registered_model_id)
    last = func.max(v.version)
    behind = select(r.registered_model_id, r.last_version, last).select_from(joined)
    behind = behind.group_by(r.registered_model_id, r.last_version).having(last > r.last_version)
    for model_id, counted, found in conn.execute(behind, execution_options=STREAMED):
        yield f"registered_models: {model_id} has last_version {counted}, and a version {found}"
    elsewhere = select(r.registered_model_id, v.version).select_from(joined).where(v.project_id != r.project_id)
    for model_id, version in conn.execute(elsewhere, execution_options=STREAMED):
        yield f"model_versions: version {version} of {model_id} is in another project than its model"


def _audit(conn: Connection) -> Findings:
    _, broken = audit.verify(conn)
    if broken:
        yield f"audit_log: entry {broken.audit_id} is broken: {broken.reason}"
