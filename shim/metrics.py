"""Metric histories: MLflow's calls translated to the core."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from native_api.core import histories, runs
from native_api.core.access import Actor
from native_api.core.errors import Invalid
from native_api.core.histories import NAN, Moment
from shim import messages as m
from shim.metric_names import split
from shim.wire import LARGEST, Point, number

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
        return _answer(_points(msg.metric_key, histories.whole(conn, run, name)))
    page = histories.page(conn, run, name, msg.max_results or ALL, msg.page_token or None)
    answer = _answer(_points(msg.metric_key, page.items))
    return answer | ({"next_page_token": page.next_token} if page.next_token else {})


def history_bulk(conn: Connection, actor: Actor, msg: m.GetHistoryBulk) -> Answer:
    """The points of one metric in several runs, by run and time; `max_results` bounds them all together."""
    limit = msg.max_results or BULK_LIMIT
    name = split(msg.metric_key)
    points: list[Point] = []
    for run_id, run in sorted(runs.find_many(conn, actor, msg.run_id).items()):
        points += _run_points(msg.metric_key, run_id, histories.page(conn, run, name, limit - len(points)).items)
        if len(points) >= limit:
            break
    return {"metrics": points}


def history_interval(conn: Connection, actor: Actor, msg: m.GetHistoryInterval) -> Answer:
    """A sample of one metric's points in each of several runs, by run and step, for charts."""
    steps = _steps(msg.start_step, msg.end_step)
    known = runs.find_many(conn, actor, msg.run_ids)
    name, limit = split(msg.metric_key), msg.max_results or SAMPLE_LIMIT
    points: list[Point] = []
    for run_id in sorted(known):
        points += _run_points(msg.metric_key, run_id, histories.sample(conn, known[run_id], name, steps, limit))
    return _answer(points)


def _steps(start: int | None, end: int | None) -> tuple[int, int] | None:
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise Invalid("If either start step or end step are specified, both must be specified.")
    if start > end:
        raise Invalid(f"end_step must be greater than start_step. Found start_step={start} and end_step={end}.")
    return start, end


class _RunPoint(Point, gc=False):
    run_id: str


def _points(key: str, moments: Iterable[Moment]) -> list[Point]:
    return [
        Point(key, number(value, mark & NAN) if mark or abs(value) > LARGEST else value, time, step)
        for time, step, value, mark in moments
    ]


def _run_points(key: str, run_id: str, moments: Iterable[Moment]) -> list[_RunPoint]:
    return [
        _RunPoint(key, number(value, mark & NAN) if mark or abs(value) > LARGEST else value, time, step, run_id)
        for time, step, value, mark in moments
    ]


def _answer(points: Sequence[Point]) -> Answer:
    return {"metrics": points} if points else {}
