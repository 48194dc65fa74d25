"""Reports: an experiment's leaderboard and best run, a project's dashboard."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import Connection, Double, cast, func, select

from native_api.core import metrics, pages
from native_api.core import tables as t
from native_api.core.access import Actor, Scope, visible
from native_api.core.errors import NotFound
from native_api.core.metrics import Name
from native_api.core.pages import Page

_experiments, _latest, _runs = t.experiments.c, t.run_metric_latest.c, t.runs.c

# Leaderboards


class Standing(NamedTuple):
    """A run and its latest value of the metric that was asked for. Times are milliseconds, UTC."""

    run_id: str
    run_name: str | None
    metric_value: float
    started_at: int | None
    status: str


def leaderboard(
    conn: Connection, actor: Actor, experiment_id: str, metric: Name, limit: int, token: str | None
) -> Page[Standing]:
    """One page of the experiment's active runs that have the metric, best first, ties by run_id.

    Which is best says the metric's goal: `max` the greatest latest value, `min` the least, `last`, also for a metric
    that nobody declared, the one recorded last. Runs whose latest value is a NaN come after all others.
    """
    experiment = _experiment(conn, actor, experiment_id)
    number = metrics.find_id(conn, metric.key)
    if number is None:
        return Page([], None)
    goal = _goal(conn, metric.key)
    query = pages.fingerprint("leaderboard", experiment, metric, goal)
    statement = _standings(number, metric.scope).where(_latest.experiment_id == experiment)
    run_id = pages.Column(_runs.run_id, str)
    numbers = pages.Part(statement.where(_latest.is_nan == 0), [_best_first(goal), run_id])
    nans = pages.Part(statement.where(_latest.is_nan == 1), [run_id])
    page = None
    if goal == "last" and token is None:
        page = _first_of_the_last(conn, numbers, (experiment, number, metric.scope), query, limit)
    page = page or pages.read(conn, [numbers, nans], query, limit, token)
    return Page([_standing(row) for row in page.items], page.next_token)


def _first_of_the_last(
    conn: Connection, numbers: pages.Part, metric: tuple[int, int, int], query: str, limit: int
) -> Page[pages.Found] | None:
    """The first page by time, if it is full without the runs that were recorded long ago; else None.

    No index has the order, but one has the times: finding out by it alone which runs are the last ones, before whole
    rows are read and sorted, takes a fifth of the time. Twice the page, as some may be deleted.
    """
    experiment, number, scope = metric
    times = select(_latest.recorded_at).where(
        *(_latest.experiment_id == experiment, _latest.metric_id == number, _latest.scope == scope, _latest.is_nan == 0)
    )
    since = conn.scalar(times.order_by(_latest.recorded_at.desc()).offset(2 * limit).limit(1))
    if since is None:
        return None
    recent = replace(numbers, statement=numbers.statement.where(_latest.recorded_at >= since))
    page = pages.read(conn, [recent], query, limit, None)
    return page if page.next_token else None


def best_run(conn: Connection, actor: Actor, experiment_id: str, metric: Name) -> str:
    """The run_id at the head of the leaderboard; NotFound if no run has a number for the metric."""
    first = leaderboard(conn, actor, experiment_id, metric, 1, None).items
    if not first or math.isnan(first[0].metric_value):
        raise NotFound("run with the metric", metric.key)
    return first[0].run_id


def _experiment(conn: Connection, actor: Actor, experiment_id: str) -> int:
    statement = select(_experiments.id).where(_experiments.experiment_id == experiment_id, visible(actor))
    number = conn.scalar(statement)
    if number is None:
        raise NotFound("experiment", experiment_id)
    return number


def _goal(conn: Connection, key: str) -> str:
    declared = t.metric_definitions.c
    return conn.scalar(select(declared.goal).where(declared.key == key)) or "last"


def _standings(metric: int, scope: int) -> pages.Statement:
    """The active runs that have the metric, of every experiment, as a `Standing` and `is_nan`."""
    return (
        select(_runs.run_id, _runs.run_name, _latest.value, _runs.started_at, _runs.status, _latest.is_nan)
        .join_from(t.run_metric_latest, t.runs, _runs.id == _latest.run_id)
        .where(_latest.metric_id == metric, _latest.scope == scope, _runs.deleted_at.is_(None))
    )


def _best_first(goal: str) -> pages.Column:
    if goal == "last":
        return pages.Column(_latest.recorded_at, int, descending=True)
    return pages.Column(_latest.value, float, descending=goal == "max")


def _standing(row: pages.Found) -> Standing:
    run_id, run_name, value, started_at, status, is_nan = row[:6]
    return Standing(run_id, run_name, math.nan if is_nan else value, started_at, status)


# The dashboard


class Dashboard(NamedTuple):
    """A project in figures; None where there is nothing to count. Deleted experiments and runs do not count."""

    project_id: str
    project_name: str
    experiments_count: int
    runs_count: int
    success_rate_pct: float | None
    median_train_seconds: float | None
    best_metric_value: float | None
    best_run_id: str | None


def dashboard(conn: Connection, actor: Actor, project_id: str, key: str | None, scope: int | None) -> Dashboard:
    """The project's figures, its best run by the metric with this key and scope.

    Without a key it is the declared metric that most runs have, in the scope if one is given; ties by key, then scope.
    """
    actor.require(project_id, Scope.READ, "project", project_id)
    projects = t.ml_projects.c
    name = conn.scalars(select(projects.name).where(projects.project_id == project_id)).one()
    active = select(func.count()).where(_experiments.project_id == project_id, _experiments.deleted_at.is_(None))
    experiments_count = conn.scalars(active).one()
    runs_count, ended, finished, timed = conn.execute(
        select(
            func.count(),
            func.count().filter(_runs.status.in_(["finished", "failed", "killed"])),
            func.count().filter(_runs.status == "finished"),
            func.count(_TRAIN_MS).filter(_runs.status == "finished"),
        )
        .select_from(_OF_PROJECT)
        .where(_experiments.project_id == project_id, _runs.deleted_at.is_(None))
    ).one()
    metric = _most_common(conn, project_id, scope) if key is None else Name(scope or 0, key)
    best = _best_of_project(conn, project_id, metric) if metric else None
    return Dashboard(
        project_id,
        name,
        experiments_count,
        runs_count,
        100 * finished / ended if ended else None,
        _median_train_seconds(conn, project_id, timed),
        best.metric_value if best else None,
        best.run_id if best else None,
    )


_OF_PROJECT = t.runs.join(t.experiments, _experiments.id == _runs.experiment_id)
_TRAIN_MS = cast(_runs.finished_at, Double) - cast(_runs.started_at, Double)  # MLflow takes any 64 bits for a time


def _median_train_seconds(conn: Connection, project_id: str, count: int) -> float | None:
    """The median over the project's active, finished runs with both times, of which there are `count`."""
    if not count:
        return None
    times = (
        select(_TRAIN_MS)
        .select_from(_OF_PROJECT)
        .where(_experiments.project_id == project_id, _runs.deleted_at.is_(None), _runs.status == "finished")
        .where(_TRAIN_MS.is_not(None))
    )
    middle = conn.scalars(times.order_by(_TRAIN_MS).offset((count - 1) // 2).limit(2 - count % 2)).all()
    return float(sum(middle)) / len(middle) / 1000


def _most_common(conn: Connection, project_id: str, scope: int | None) -> Name | None:
    """The declared metric that most of the project's active runs have a number for."""
    # Not from the view project_metric_summary, which ranks all runs by every metric: ten times the work.
    declared, keys = t.metric_definitions.c, t.metric_keys.c
    known = select(keys.id).join_from(t.metric_keys, t.metric_definitions, declared.key == keys.key)
    within = select(_experiments.id).where(_experiments.project_id == project_id)
    deleted = select(_runs.id).where(_runs.experiment_id.in_(within), _runs.deleted_at.is_not(None))
    # Counted by experiment first, in the order of the index: half of the time of counting by metric at once.
    counted = (
        select(_latest.metric_id, _latest.scope, func.count().label("runs"))
        .where(_latest.experiment_id.in_(within), _latest.metric_id.in_(known), _latest.is_nan == 0)
        .where(_latest.run_id.not_in(deleted), *((_latest.scope == scope,) if scope is not None else ()))
        .group_by(_latest.experiment_id, _latest.metric_id, _latest.scope)
        .subquery()
    )
    statement = (
        select(counted.c.scope, keys.key)
        .join_from(counted, t.metric_keys, keys.id == counted.c.metric_id)
        .group_by(counted.c.scope, keys.key)
        .order_by(func.sum(counted.c.runs).desc(), keys.key, counted.c.scope)
    )
    row = conn.execute(statement.limit(1)).one_or_none()
    return Name(row.scope, row.key) if row else None


def _best_of_project(conn: Connection, project_id: str, metric: Name) -> Standing | None:
    number = metrics.find_id(conn, metric.key)
    if number is None:
        return None
    statement = (
        _standings(number, metric.scope)
        .join(t.experiments, _experiments.id == _latest.experiment_id)
        .where(_experiments.project_id == project_id, _latest.is_nan == 0)
        .order_by(_best_first(_goal(conn, metric.key)).order(), _runs.run_id)
    )
    row = conn.execute(statement.limit(1)).one_or_none()
    return _standing(row) if row else None
