"""Experiments: named groups of runs, unique by name in their project, deleted ones included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select, update
from sqlalchemy.exc import IntegrityError

from native_api.core import audit, clock, db, listings, pages, places, search, tags
from native_api.core import tables as t
from native_api.core.access import Actor, Scope, visible
from native_api.core.errors import Conflict, Exists, NotFound
from native_api.core.pages import Page


@dataclass(frozen=True)
class Experiment:
    """One experiment. `id` is the short integer that MLflow clients see; times are milliseconds, UTC."""

    id: int
    experiment_id: str
    project_id: str
    name: str
    objective: str | None
    artifact_location: str
    created_by: str | None
    created_at: int
    updated_at: int
    deleted_at: int | None
    tags: Mapping[str, str] = field(default_factory=dict)


_c = t.experiments.c
_COLUMNS = (
    *(_c.id, _c.experiment_id, _c.project_id, _c.name, _c.objective),
    *(_c.artifact_location, _c.created_by, _c.created_at, _c.updated_at, _c.deleted_at),
)


# Creating


def create(
    conn: Connection,
    actor: Actor,
    project_id: str,
    name: str,
    *,
    artifact_root: str,
    artifact_location: str | None = None,
    objective: str | None = None,
    tags_: Mapping[str, str] | None = None,
) -> int:
    """A new experiment in a project; its short id.

    Without a location of its own its artifacts go to `<artifact_root>/<id>`. Raises Exists if the name is taken.
    """
    actor.require(project_id, Scope.WRITE, "project", project_id)
    if artifact_location:
        places.refuse_foreign_location(conn, actor, artifact_location)
    now = clock.now()
    row: dict[str, Any] = {
        "experiment_id": clock.new_id(),
        "project_id": project_id,
        "name": name,
        "objective": objective,
        "artifact_location": artifact_location or "",
        "created_by": actor.user_id,
        "created_at": now,
        "updated_at": now,
    }
    insert = db.insert(conn, t.experiments).values(row).on_conflict_do_nothing(index_elements=["project_id", "name"])
    number = conn.execute(insert.returning(_c.id)).scalar_one_or_none()
    if number is None:
        raise Exists(f"Experiment '{name}' already exists.")
    if not artifact_location:
        row["artifact_location"] = f"{artifact_root.rstrip('/')}/{number}"
        located = update(t.experiments).where(_c.id == number)
        conn.execute(located.values(artifact_location=row["artifact_location"]))
    audit.inserted(conn, actor, "experiments", row["experiment_id"], row, project_id=project_id)
    if tags_:
        tags.put_on_experiment(conn, number, tags_)
    return number


# Reading


def get(conn: Connection, actor: Actor, number: int) -> Experiment:
    """The experiment with this short id, also when deleted."""
    return _one(conn, actor, _c.id == number, number)


def get_by_name(conn: Connection, actor: Actor, name: str) -> Experiment:
    """The experiment of this name in the actor's project, also when deleted."""
    return _one(conn, actor, (_c.project_id == actor.project_id) & (_c.name == name), name)


def find_number(conn: Connection, actor: Actor, experiment_id: str) -> int:
    """The short id of the visible experiment with this public id, also when deleted."""
    number = conn.scalars(select(_c.id).where(_c.experiment_id == experiment_id, visible(actor))).one_or_none()
    if number is None:
        raise NotFound("experiment", experiment_id)
    return number


def _one(conn: Connection, actor: Actor, which: ColumnElement[bool], key: object) -> Experiment:
    row = conn.execute(select(*_COLUMNS).where(which, visible(actor))).one_or_none()
    if row is None:
        raise NotFound("experiment", key)
    return replace(Experiment(*row), tags=_tags(conn, [row.id]).get(row.id, {}))


def _tags(conn: Connection, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
    c = t.experiment_tags.c
    found: dict[int, dict[str, str]] = {}
    for number, key, value in conn.execute(
        select(c.experiment_id, c.key, c.value).where(db.among(conn, c.experiment_id, numbers)).order_by(c.key)
    ):
        found.setdefault(number, {})[key] = value
    return found


def find_page(
    conn: Connection,
    actor: Actor,
    view: search.View,
    condition: search.Condition | None,
    sort_keys: Sequence[search.SortKey],
    limit: int,
    token: str | None,
) -> Page[Experiment]:
    """One page of the experiments that satisfy the condition."""
    page = listings.page_of_experiments(conn, actor, view, condition, sort_keys, limit, token)
    rows = conn.execute(select(*_COLUMNS).where(db.among(conn, _c.id, page.items)))
    labels = _tags(conn, page.items)
    found = {row.id: replace(Experiment(*row), tags=labels.get(row.id, {})) for row in rows}
    return Page([found[number] for number in page.items], page.next_token)


def page(
    conn: Connection,
    actor: Actor,
    limit: int,
    token: str | None,
    *,
    project_id: str | None = None,
    name: str | None = None,
    include_deleted: bool = False,
) -> Page[Experiment]:
    """The visible experiments that are not deleted, or all of them, newest first; without their tags."""
    wanted = {_c.project_id: project_id, _c.name: name}
    clauses = [column == value for column, value in wanted.items() if value is not None]
    if not include_deleted:
        clauses.append(_c.deleted_at.is_(None))
    statement = select(*_COLUMNS).where(visible(actor), *clauses)
    query = pages.fingerprint("experiments", actor.user_id, project_id, name, include_deleted)
    order = [pages.Column(_c.id, int, descending=True)]
    found = pages.read(conn, [pages.Part(statement, order)], query, limit, token)
    return Page([Experiment(*row[: len(_COLUMNS)]) for row in found.items], found.next_token)


# Changing


def change(conn: Connection, actor: Actor, number: int, changes: Mapping[str, Any]) -> None:
    """Set its name and objective. Raises Exists if the name is taken, Conflict if the experiment is deleted."""
    held = active(conn, actor, number)
    try:
        with conn.begin_nested():
            _set(conn, actor, held, changes, updated_at=clock.now())
    except IntegrityError:
        raise Exists(f"Experiment '{changes['name']}' already exists.") from None


def delete(conn: Connection, actor: Actor, number: int) -> None:
    """Delete it softly, its runs with it. NotFound unless it is active."""
    held = _hold(conn, actor, number)
    if held.deleted_at is not None:
        raise NotFound("experiment", number)
    _set_deleted(conn, actor, held, clock.now())


def restore(conn: Connection, actor: Actor, number: int) -> None:
    """Bring it back with all of its runs, also those deleted one by one before. NotFound unless it is deleted."""
    held = _hold(conn, actor, number)
    if held.deleted_at is None:
        raise NotFound("experiment", number)
    _set_deleted(conn, actor, held, None)


def _set_deleted(conn: Connection, actor: Actor, held: Experiment, deleted_at: int | None) -> None:
    _set(conn, actor, held, {"deleted_at": deleted_at}, updated_at=clock.now())
    c = t.runs.c
    other = c.deleted_at.is_(None) if deleted_at is not None else c.deleted_at.is_not(None)
    which = select(c.id, c.run_id, c.deleted_at).where(c.experiment_id == held.id, other).order_by(c.id)
    affected = conn.execute(db.hold(conn, which, t.runs)).all()
    for run in affected:
        old, new = {"deleted_at": run.deleted_at}, {"deleted_at": deleted_at}
        audit.updated(conn, actor, "runs", run.run_id, old, new, project_id=held.project_id)
    numbers = db.among(conn, c.id, [run.id for run in affected])
    conn.execute(update(t.runs).where(numbers).values(deleted_at=deleted_at, revision=c.revision + 1))


def put_tags(conn: Connection, actor: Actor, number: int, changes: Mapping[str, str], plain: Mapping[str, str]) -> None:
    """Set columns of the experiment and tags. Neither counts as an update of it."""
    held = active(conn, actor, number)
    if changes:
        _set(conn, actor, held, changes)
    if plain:
        tags.put_on_experiment(conn, number, plain)


def delete_tag(conn: Connection, actor: Actor, number: int, key: str) -> None:
    """NotFound if there is no such tag."""
    active(conn, actor, number)
    if not tags.delete_from_experiment(conn, number, key):
        raise NotFound("tag", key)


def clear(conn: Connection, actor: Actor, number: int, column: str, key: str) -> None:
    """Empty a column that is shown as the tag `key`; NotFound if it is empty."""
    held = active(conn, actor, number)
    if getattr(held, column) is None:
        raise NotFound("tag", key)
    _set(conn, actor, held, {column: None})


def _set(conn: Connection, actor: Actor, held: Experiment, changes: Mapping[str, object], **unaudited: object) -> None:
    conn.execute(update(t.experiments).where(_c.id == held.id).values(**changes, **unaudited))
    audit.updated(conn, actor, "experiments", held.experiment_id, vars(held), changes, project_id=held.project_id)


def active(conn: Connection, actor: Actor, number: int, *, shared: bool = False) -> Experiment:
    """An active experiment that the actor may write in, held so that it stays so until the transaction ends."""
    held = _hold(conn, actor, number, shared=shared)
    if held.deleted_at is not None:
        raise Conflict(f"The experiment {number} must be in the 'active' state. Current state is deleted.")
    return held


def _hold(conn: Connection, actor: Actor, number: int, *, shared: bool = False) -> Experiment:
    rows = (_held_shared if shared else _held).rows(conn, [number])
    if not rows:
        raise NotFound("experiment", number)
    held = Experiment(*rows[0])
    actor.require(held.project_id, Scope.WRITE, "experiment", number)
    return held


def _by_number(among: db.Among) -> Select[*tuple[Any, ...]]:
    return select(*_COLUMNS).where(among(_c.id))


_held = db.Prepared(_by_number, holds=t.experiments)
_held_shared = db.Prepared(_by_number, holds=t.experiments, shared=True)
