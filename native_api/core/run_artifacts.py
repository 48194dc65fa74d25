"""Links from runs to artifacts, each under an alias if it has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, select, update
from sqlalchemy.exc import IntegrityError

from native_api.core import artifacts, clock, db, held_runs, pages
from native_api.core import tables as t
from native_api.core.access import Actor, Scope, visible
from native_api.core.errors import Conflict, Exists, Invalid, NotFound
from native_api.core.pages import Page

_c = t.run_artifacts.c


class Link(NamedTuple):
    """A run's link to an artifact. An alias is unique in the run. created_at is in milliseconds, UTC."""

    run_artifact_id: str
    run_id: str
    artifact_id: str
    alias: str | None
    created_at: int


_COLUMNS: list[ColumnElement[Any]] = [_c.run_artifact_id, t.runs.c.run_id, _c.artifact_id, _c.alias, _c.created_at]
_LINKS = t.run_artifacts.join(t.runs, t.runs.c.id == _c.run_id).join(
    t.experiments, t.experiments.c.id == t.runs.c.experiment_id
)


# Linking, changing, unlinking


def create(conn: Connection, actor: Actor, run_id: str, artifact_id: str, alias: str | None = None) -> Link:
    """Link an active run to an artifact of its project.

    Raises Exists if it is linked to it already, or to another under this alias; Invalid if they share no project.
    """
    run = held_runs.active(conn, actor, run_id)
    artifact = artifacts.hold(conn, actor, artifact_id, shared=True)
    if artifact.project_id != run.project_id:
        raise Invalid("The run and the artifact are of different projects")
    new = Link(clock.new_id(), run_id, artifact_id, alias, clock.now())
    added = db.insert(conn, t.run_artifacts).on_conflict_do_nothing().returning(_c.run_artifact_id)
    if conn.execute(added, new._asdict() | {"run_id": run.id}).one_or_none() is None:
        raise Exists("The run is linked to this artifact, or to one under this alias, already")
    return new


def change(conn: Connection, actor: Actor, run_artifact_id: str, changes: Mapping[str, Any]) -> Link:
    """Set the alias; the link as it is now. Raises Exists if the run has another under this alias."""
    old, _ = _hold(conn, actor, run_artifact_id)
    if not changes:
        return old
    try:
        with conn.begin_nested():
            conn.execute(update(t.run_artifacts).where(_c.run_artifact_id == run_artifact_id).values(**changes))
    except IntegrityError:
        raise Exists("The run is linked to another artifact under this alias already") from None
    return old._replace(**changes)


def delete(conn: Connection, actor: Actor, run_artifact_id: str) -> None:
    """Unlink. Raises Conflict for a file that came in below the run."""
    _, path = _hold(conn, actor, run_artifact_id)
    if path is not None:
        raise Conflict("This is a file of the run: delete it through the artifacts API")
    conn.execute(t.run_artifacts.delete().where(_c.run_artifact_id == run_artifact_id))


def _hold(conn: Connection, actor: Actor, run_artifact_id: str) -> tuple[Link, str | None]:
    """A link that the actor may change, held until the transaction ends, and the path of its file below the run."""
    project_id = t.experiments.c.project_id
    which = select(*_COLUMNS, _c.path, project_id).select_from(_LINKS).where(_c.run_artifact_id == run_artifact_id)
    row = conn.execute(db.hold(conn, which, t.run_artifacts)).one_or_none()
    if row is None:
        raise NotFound("run artifact", run_artifact_id)
    actor.require(row.project_id, Scope.WRITE, "run artifact", run_artifact_id)
    return Link._make(row[: len(_COLUMNS)]), row.path


# Reading


def get(conn: Connection, actor: Actor, run_artifact_id: str) -> Link:
    """A link of a run in view."""
    which = select(*_COLUMNS).select_from(_LINKS).where(_c.run_artifact_id == run_artifact_id, visible(actor))
    row = conn.execute(which).one_or_none()
    if row is None:
        raise NotFound("run artifact", run_artifact_id)
    return Link._make(row)


def page(
    conn: Connection,
    actor: Actor,
    limit: int,
    token: str | None,
    *,
    run_id: str | None = None,
    artifact_id: str | None = None,
    alias: str | None = None,
) -> Page[Link]:
    """The links of runs in view, newest first."""
    columns: list[ColumnElement[Any]] = [t.runs.c.run_id, _c.artifact_id, _c.alias]
    wanted = zip(columns, (run_id, artifact_id, alias), strict=True)
    clauses = [column == value for column, value in wanted if value is not None]
    statement = select(*_COLUMNS).select_from(_LINKS).where(visible(actor), *clauses)
    order = [pages.Column(_c.created_at, int, descending=True), pages.Column(_c.run_artifact_id, str)]
    query = pages.fingerprint("run artifacts", actor.user_id, run_id, artifact_id, alias)
    found = pages.read(conn, [pages.Part(statement, order)], query, limit, token)
    return Page([Link._make(row[: len(_COLUMNS)]) for row in found.items], found.next_token)
