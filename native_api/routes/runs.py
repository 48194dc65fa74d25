"""Runs on the native surface: messages and handlers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from sqlalchemy import Connection

from native_api.core import clock, experiments, run_views, runs
from native_api.core.access import Actor
from native_api.core.run_configs import NewConfig
from native_api.routes.messages import (
    Answer,
    Changes,
    Flag,
    Id,
    Listing,
    LongText,
    Message,
    Name,
    Page,
    ShownTime,
    Time,
    page_of,
)
from native_api.routes.metrics import FinalValue, finals_of
from native_api.routes.run_configs import NewRunConfig, RunConfig

Status = Literal["queued", "running", "finished", "failed", "killed"]


class Run(Answer):
    """One execution. MLflow clients know it by the same id, without hyphens."""

    run_id: Id
    experiment_id: Id
    project_id: Id
    dataset_version_id: Id | None
    run_name: str | None
    status: Status
    started_at: ShownTime | None
    finished_at: ShownTime | None
    created_by: Id | None
    created_at: ShownTime
    git_commit: str | None
    notes: str | None
    artifact_uri: str
    deleted_at: ShownTime | None
    config: RunConfig | None


class OneRun(Message):
    """Names a run."""

    run_id: Id


class ListRuns(Listing):
    """A page of the runs in view."""

    experiment_id: Id | None = None
    project_id: Id | None = None
    status: Status | None = None
    dataset_version_id: Id | None = None
    include_deleted: Flag = False


class CreateRun(Message):
    """A new run of an experiment. Without a start it starts now."""

    experiment_id: Id
    dataset_version_id: Id | None = None
    run_name: Name | None = None
    status: Status = "running"
    started_at: Time | None = None
    finished_at: Time | None = None
    git_commit: Name | None = None
    notes: LongText | None = None
    config: NewRunConfig | None = None


class ChangeRun(Changes):
    """Changes of a run."""

    run_id: Id
    dataset_version_id: Id | None = None
    run_name: Name | None = None
    status: Status = "running"
    started_at: Time | None = None
    finished_at: Time | None = None
    git_commit: Name | None = None
    notes: LongText | None = None


class CompleteRun(Message):
    """How a run ended. Without a time it ends now."""

    run_id: Id
    status: Literal["finished", "failed", "killed"] = "finished"
    finished_at: Time | None = None
    final_metrics: list[FinalValue] = Field(default_factory=list, max_length=10_000)


def page(conn: Connection, actor: Actor, msg: ListRuns) -> Page[Run]:
    """List the runs in view, the last one started first."""
    found = run_views.page(
        conn,
        actor,
        msg.limit,
        msg.cursor,
        experiment_id=msg.experiment_id,
        project_id=msg.project_id,
        status=msg.status,
        dataset_version_id=msg.dataset_version_id,
        include_deleted=msg.include_deleted,
    )
    return page_of(found, Run.model_validate)


def create(conn: Connection, actor: Actor, msg: CreateRun) -> Run:
    """Begin a run of an experiment."""
    config = msg.config
    new = runs.NewRun(
        experiment=experiments.find_number(conn, actor, msg.experiment_id),
        run_name=msg.run_name,
        status=msg.status,
        started_at=clock.now() if msg.started_at is None else msg.started_at,
        finished_at=msg.finished_at,
        dataset_version_id=msg.dataset_version_id,
        git_commit=msg.git_commit,
        notes=msg.notes,
        config=NewConfig(config.params_json, config.env_json, config.command_line, config.seed) if config else None,
    )
    return _shown(conn, actor, runs.create(conn, actor, new).info.run_id)


def get(conn: Connection, actor: Actor, msg: OneRun) -> Run:
    """Show a run, also a deleted one."""
    return _shown(conn, actor, msg.run_id)


def change(conn: Connection, actor: Actor, msg: ChangeRun) -> Run:
    """Change a run."""
    runs.revise(conn, actor, msg.run_id, msg.sent("run_id"))
    return _shown(conn, actor, msg.run_id)


def delete(conn: Connection, actor: Actor, msg: OneRun) -> None:
    """Delete a run softly: an MLflow client can restore it."""
    runs.delete(conn, actor, msg.run_id)


def complete(conn: Connection, actor: Actor, msg: CompleteRun) -> Run:
    """End a run, with its final values. The same again changes nothing: it is safe to send it again."""
    finals = finals_of(conn, msg.final_metrics)
    runs.complete(conn, actor, msg.run_id, msg.status, msg.finished_at, finals)
    return _shown(conn, actor, msg.run_id)


def _shown(conn: Connection, actor: Actor, run_id: str) -> Run:
    return Run.model_validate(run_views.get(conn, actor, run_id))
