"""Metric histories: MLflow's calls translated to the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from native_api.core import metrics, runs
from native_api.core.access import Actor
from native_api.core.errors import Invalid
from shim import messages as m
from shim.metric_names import split
from shim.wire import number

ALL = 2**31 - 1
BULK_LIMIT = 25_000
SAMPLE_LIMIT = 2_500

Answer = dict[str, Any]


def history(conn: Connection, actor: Actor, msg: m.GetHistory) -> Answer:
    """The points of one metric by time; without `max_results` all of them. An unknown run or key has none."""
    run = runs.find_many(conn, actor, [msg.run_id]).get(msg.run_id)
    if run is None:
        return {}
    name = split(msg.metric_key)
    if msg.max_results is None and not msg.page_token:
        return _points([_point(msg.metric_key, moment) for moment in metrics.history(conn, run, name)])
    page = metrics.history_page(conn, run, name, msg.max_results or ALL, msg.page_token or None)
    answer = _points([_point(msg.metric_key, moment) for moment in page.items])
    return answer | ({"next_page_token": page.next_token} if page.next_token else {})


def history_bulk(conn: Connection, actor: Actor, msg: m.GetHistoryBulk) -> Answer:
    """The points of one metric in several runs, by run and time; `max_results` bounds them all together."""
    limit = msg.max_results or BULK_LIMIT
    name = split(msg.metric_key)
    points: list[Answer] = []
    for run_id, run in sorted(runs.find_many(conn, actor, msg.run_id).items()):
        for moment in metrics.history(conn, run, name, limit - len(points)):
            points.append(_point(msg.metric_key, moment) | {"run_id": run_id})
        if len(points) >= limit:
            break
    return {"metrics": points}


def history_interval(conn: Connection, actor: Actor, msg: m.GetHistoryInterval) -> Answer:
    """A sample of one metric's points in each of several runs, by run and step, for charts."""
    steps = _steps(msg.start_step, msg.end_step)
    known = runs.find_many(conn, actor, msg.run_ids)
    name, limit = split(msg.metric_key), msg.max_results or SAMPLE_LIMIT
    return _points(
        [
            _point(msg.metric_key, moment) | {"run_id": run_id}
            for run_id in sorted(known)
            for moment in metrics.sample(conn, known[run_id], name, steps, limit)
        ]
    )


def _steps(start: int | None, end: int | None) -> tuple[int, int] | None:
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise Invalid("If either start step or end step are specified, both must be specified.")
    if start > end:
        raise Invalid(f"end_step must be greater than start_step. Found start_step={start} and end_step={end}.")
    return start, end


def _point(key: str, moment: metrics.Moment) -> Answer:
    value = number(moment.value, moment.is_nan)
    return {"key": key, "value": value, "timestamp": moment.recorded_at, "step": moment.step}


def _points(points: Sequence[Answer]) -> Answer:
    return {"metrics": points} if points else {}
