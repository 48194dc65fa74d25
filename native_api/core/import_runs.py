"""Rows of runs and metrics in an import: how they go in, in bulk, and a second time without effect."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from native_api.core import db, held_runs, metrics, runs
from native_api.core import tables as t
from native_api.core.access import Actor, visible
from native_api.core.errors import NotFound, Problem
from native_api.core.imports import Outcome, checked
from native_api.core.metrics import AnyPoint, Name, Point
from native_api.core.run_configs import NewConfig
from native_api.core.runs import NewRun

# Runs


class RunRow(NamedTuple):
    """A run, in an experiment that is named by its public id or by its short one. Times are in milliseconds, UTC.

    Without a run_id it gets one that comes from all the rest: the same row is the same run.
    """

    experiment_id: str | int
    run_id: str | None
    run_name: str | None
    status: str
    started_at: int | None
    finished_at: int | None
    git_commit: str | None
    notes: str | None
    dataset_version_id: str | None
    params_json: Mapping[str, object]


def put_runs(conn: Connection, actor: Actor, rows: Mapping[int, RunRow]) -> Outcome:
    """Add the runs that are new; a row that differs from the run with its run_id is refused."""
    experiments = _experiments(conn, actor, {row.experiment_id for row in rows.values()})

    def check(row: RunRow) -> RunRow:
        """The row with both its ids, the run's and the short one of its experiment."""
        if row.experiment_id not in experiments:
            raise NotFound("experiment", row.experiment_id)
        number, experiment_id = experiments[row.experiment_id]
        return row._replace(experiment_id=number, run_id=row.run_id or _id_of(row, experiment_id))

    named, refused = checked(rows, check)
    there = _runs(conn, {row.run_id for row in named.values()})
    inserted = 0
    for number, row in named.items():
        if row.run_id not in there:
            try:
                with conn.begin_nested():
                    runs.create(conn, actor, _new(row))
            except Problem as problem:
                refused[number] = problem.message
                continue
            except IntegrityError:  # somebody else adds it at this moment
                refused[number] = f"There is a run {row.run_id!r} already"
                continue
            there[row.run_id] = row
            inserted += 1
        elif rows[number].run_id and row != there[row.run_id]:
            refused[number] = f"There is a run {row.run_id!r} already, which differs from this row"
    return Outcome(inserted, refused)


def _experiments(conn: Connection, actor: Actor, keys: Iterable[str | int]) -> dict[str | int, tuple[int, str]]:
    """The short and the public ids of the experiments in view that these name, by either."""
    c = t.experiments.c
    short = {key for key in keys if isinstance(key, int)}
    public = {key for key in keys if isinstance(key, str)}
    named = db.among(conn, c.id, short) | db.among(conn, c.experiment_id, public)
    rows = conn.execute(select(c.id, c.experiment_id).where(named, visible(actor))).all()
    return {key: (number, experiment_id) for number, experiment_id in rows for key in (number, experiment_id)}


def _id_of(row: RunRow, experiment_id: str) -> str:
    content = msgspec.json.encode(row._replace(experiment_id=experiment_id), order="sorted")
    return uuid5(UUID(experiment_id), content.decode()).hex


def _runs(conn: Connection, run_ids: Iterable[str | None]) -> dict[str | None, RunRow]:
    """Those of the runs that are there, as rows with the short ids of their experiments."""
    c, params = t.runs.c, t.run_configs.c.params_json
    columns = [params if name == "params_json" else c[name] for name in RunRow._fields]
    rows = conn.execute(
        select(*columns).outerjoin_from(t.runs, t.run_configs).where(db.among(conn, c.run_id, set(run_ids)))
    )
    return {row.run_id: RunRow._make(row)._replace(params_json=row.params_json or {}) for row in rows}


def _new(row: RunRow) -> NewRun:
    """A run from a row with both its ids."""
    fields = row._asdict()
    params = fields.pop("params_json")
    config = NewConfig(params_json=params) if params else None
    return NewRun(experiment=fields.pop("experiment_id"), config=config, **fields)


# Metrics


class PointRow(NamedTuple):
    """A point of a run's metric. Without a time of its own it has that of the run's start, else of its creation."""

    run_id: str
    name: Name
    point: AnyPoint
    is_timed: bool


def put_metrics(conn: Connection, actor: Actor, rows: Mapping[int, PointRow]) -> Outcome:
    """Add the points that are new, each to an active run."""
    starts = _starts(conn, {row.run_id for row in rows.values() if not row.is_timed})
    histories: dict[str, dict[Name, list[AnyPoint]]] = defaultdict(lambda: defaultdict(list))
    for run_id, name, point, is_timed in rows.values():
        histories[run_id][name].append(
            point if is_timed else Point._make(point)._replace(recorded_at=starts.get(run_id, 0))
        )
    held = held_runs.many(conn, histories)
    logged: list[tuple[int, int, metrics.Points]] = []
    problems: dict[str, str] = {}
    for run_id, points in histories.items():
        try:
            run = held_runs.require_active(held_runs.permitted(held.get(run_id), actor, run_id))
            logged.append((run.id, run.experiment_id, points))
        except Problem as problem:
            problems[run_id] = problem.message
    added = metrics.append(conn, logged)
    if added:
        held_runs.touch(conn, [run for run, _, _ in logged])
    refused = {number: problems[row.run_id] for number, row in rows.items() if row.run_id in problems}
    return Outcome(added, refused)


def _starts(conn: Connection, run_ids: set[str]) -> dict[str, int]:
    if not run_ids:
        return {}
    c = t.runs.c
    start = func.coalesce(c.started_at, c.created_at)
    rows = conn.execute(select(c.run_id, start.label("start")).where(db.among(conn, c.run_id, run_ids)))
    return {row.run_id: row.start for row in rows}
