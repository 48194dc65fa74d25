"""Experiments on the native surface: messages and handlers."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import Connection

from native_api.core import experiments
from native_api.core.access import Actor
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
    page_of,
    text,
)


class Experiment(Answer):
    """A named group of runs. `mlflow_experiment_id` is what MLflow clients know it by."""

    experiment_id: Id
    project_id: Id
    name: str
    objective: str | None
    created_by: Id | None
    created_at: ShownTime
    mlflow_experiment_id: str
    deleted_at: ShownTime | None


class OneExperiment(Message):
    """Names an experiment."""

    experiment_id: Id


class ListExperiments(Listing):
    """A page of the experiments in view."""

    project_id: Id | None = None
    name: Annotated[str, text(500, at_least=1)] | None = None  # MLflow's names may be so long
    include_deleted: Flag = False


class CreateExperiment(Message):
    """A new experiment of a project."""

    project_id: Id
    name: Name
    objective: LongText | None = None


class ChangeExperiment(Changes):
    """Changes of an experiment."""

    experiment_id: Id
    name: Name = ""
    objective: LongText | None = None


def page(conn: Connection, actor: Actor, msg: ListExperiments) -> Page[Experiment]:
    """List the experiments in view, newest first."""
    found = experiments.page(
        conn,
        actor,
        msg.limit,
        msg.cursor,
        project_id=msg.project_id,
        name=msg.name,
        include_deleted=msg.include_deleted,
    )
    return page_of(found, _shown)


def create(conn: Connection, actor: Actor, msg: CreateExperiment, *, artifact_root: str) -> Experiment:
    """Make an experiment of a project."""
    number = experiments.create(
        conn, actor, msg.project_id, msg.name, artifact_root=artifact_root, objective=msg.objective
    )
    return _shown(experiments.get(conn, actor, number))


def get(conn: Connection, actor: Actor, msg: OneExperiment) -> Experiment:
    """Show an experiment, also a deleted one."""
    return _shown(experiments.get(conn, actor, experiments.find_number(conn, actor, msg.experiment_id)))


def change(conn: Connection, actor: Actor, msg: ChangeExperiment) -> Experiment:
    """Change an experiment."""
    number = experiments.find_number(conn, actor, msg.experiment_id)
    experiments.change(conn, actor, number, msg.sent("experiment_id"))
    return _shown(experiments.get(conn, actor, number))


def delete(conn: Connection, actor: Actor, msg: OneExperiment) -> None:
    """Delete an experiment and its runs softly: an MLflow client can restore them."""
    experiments.delete(conn, actor, experiments.find_number(conn, actor, msg.experiment_id))


def _shown(experiment: experiments.Experiment) -> Experiment:
    return Experiment(
        experiment_id=experiment.experiment_id,
        project_id=experiment.project_id,
        name=experiment.name,
        objective=experiment.objective,
        created_by=experiment.created_by,
        created_at=experiment.created_at,
        mlflow_experiment_id=str(experiment.id),
        deleted_at=experiment.deleted_at,
    )
