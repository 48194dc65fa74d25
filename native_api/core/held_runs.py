"""Holding runs while they are written to, so that nobody else changes them meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, literal_column, select, update

from native_api.core import db
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Conflict, NotFound

_c = t.runs.c


class Held(NamedTuple):
    """A run whose row is held until the transaction ends."""

    id: int
    run_id: str
    experiment_id: int
    deleted_at: int | None
    project_id: str


def active(conn: Connection, actor: Actor, run_id: str) -> Held:
    """A run that the actor may write to and that is not deleted, held until the transaction ends."""
    return require_active(any_(conn, actor, run_id))


def any_(conn: Connection, actor: Actor, run_id: str) -> Held:
    """A run that the actor may write to, also when deleted, held until the transaction ends."""
    return permitted(many(conn, [run_id]).get(run_id), actor, run_id)


def many(conn: Connection, run_ids: Iterable[str]) -> dict[str, Held]:
    """Those of the runs that exist, by run_id, held in the order of their keys: so no two writers block each other."""
    held = map(Held._make, _held.rows(conn, list(run_ids)))
    return {run.run_id: run for run in held}


_held = db.Prepared(
    lambda among: (
        select(_c.id, _c.run_id, _c.experiment_id, _c.deleted_at, t.experiments.c.project_id)
        .join(t.experiments, t.experiments.c.id == _c.experiment_id)
        .where(among(_c.run_id))
        .order_by(_c.id)
    ),
    holds=t.runs,
)


def permitted(held: Held | None, actor: Actor, run_id: str) -> Held:
    """The run, if there is one that the actor may write to."""
    if held is None:
        raise NotFound("run", run_id)
    actor.require(held.project_id, Scope.WRITE, "run", run_id)
    return held


def require_active(held: Held) -> Held:
    """The run, unless it is deleted."""
    if held.deleted_at is not None:
        raise Conflict(f"The run {held.run_id} must be in the 'active' state. Current state is deleted.")
    return held


_raise_revision = db.Prepared(
    lambda among: update(t.runs).where(among(_c.id)).values(revision=_c.revision + literal_column("1"))
)


def touch(conn: Connection, runs: Sequence[int]) -> None:
    """Raise the revision of these runs, by internal id: something that their documents show has changed."""
    _raise_revision.change(conn, runs)
