"""Reports on the native surface: messages and handlers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import Connection

from native_api.core import metrics, reports
from native_api.core.access import Actor
from native_api.core.metrics import MetricScope
from native_api.routes.messages import (
    Answer,
    Id,
    Listing,
    Message,
    Name,
    Page,
    ShownTime,
    ShownValue,
    page_of,
)

ScopeName = Literal["train", "val", "test"]
Without = Annotated[ScopeName | None, Field(description="Absent for values without a scope")]


class OfLeaderboard(Listing):
    experiment_id: Id
    metric_key: Name
    scope: Without = None


class Standing(Answer):
    """A run and its latest value of the metric."""

    run_id: Id
    run_name: str | None
    metric_value: ShownValue
    started_at: ShownTime | None
    status: Literal["queued", "running", "finished", "failed", "killed"]


def leaderboard(conn: Connection, actor: Actor, msg: OfLeaderboard) -> Page[Standing]:
    """List an experiment's runs, best first.

    What is best says the goal in the metric's definition: the greatest value for max, the least for min, the one
    recorded last for last and where there is no definition. Runs whose value is no number come last; deleted runs and
    runs without the metric are left out.
    """
    page = reports.leaderboard(
        conn, actor, msg.experiment_id, _metric(msg.metric_key, msg.scope), msg.limit, msg.cursor
    )
    return page_of(page, Standing.model_validate)


class OfBestRun(Message):
    experiment_id: Id
    metric_key: Name
    scope: Without = None


class BestRun(Answer):
    run_id: Id


def best_run(conn: Connection, actor: Actor, msg: OfBestRun) -> BestRun:
    """Name the run at the head of an experiment's leaderboard.

    There is none where no run has a number for the metric.
    """
    return BestRun(run_id=reports.best_run(conn, actor, msg.experiment_id, _metric(msg.metric_key, msg.scope)))


def _metric(key: str, scope: ScopeName | None) -> metrics.Name:
    return metrics.Name(MetricScope[scope.upper()] if scope else MetricScope.NONE, key)


class OfDashboard(Message):
    project_id: Id
    metric_key: Annotated[Name | None, Field(description="Absent for the defined metric that most runs have")] = None
    scope: ScopeName | None = None


class Dashboard(Answer):
    """A project in figures, null where there is nothing to count. Deleted experiments and runs do not count."""

    project_id: Id
    project_name: str
    experiments_count: int
    runs_count: int
    success_rate_pct: Annotated[float | None, Field(description="Of the runs that ended, how many finished")]
    median_train_seconds: Annotated[float | None, Field(description="From start to finish of the finished runs")]
    best_metric_value: ShownValue | None
    best_run_id: Id | None


def dashboard(conn: Connection, actor: Actor, msg: OfDashboard) -> Dashboard:
    """Show a project in figures, with its best run."""
    scope = MetricScope[msg.scope.upper()] if msg.scope else None
    return Dashboard.model_validate(reports.dashboard(conn, actor, msg.project_id, msg.metric_key, scope))
