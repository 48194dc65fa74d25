"""Experiments: named groups of runs, unique by name in their project, deleted ones included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, select, update
from sqlalchemy.exc import IntegrityError

from native_api.core import clock, db, listings, search, tags
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
    created_at: int
    updated_at: int
    deleted_at: int | None
    tags: Mapping[str, str] = field(default_factory=dict)


_c = t.experiments.c
_COLUMNS = (
    *(_c.id, _c.experiment_id, _c.project_id, _c.name, _c.objective),
    *(_c.artifact_location, _c.created_at, _c.updated_at, _c.deleted_at),
)


def create(
    conn: Connection,
    actor: Actor,
    name: str,
    *,
    artifact_root: str,
    artifact_location: str | None = None,
    objective: str | None = None,
    tags_: Mapping[str, str] | None = None,
) -> int:
    """A new experiment in the actor's project; its short id.

    Without a location of its own its artifacts go to `<artifact_root>/<id>`. Raises Exists if the name is taken.
    """
    actor.require(actor.project_id, Scope.WRITE, "project", actor.project_id)
    now = clock.now()
    row = {
        "experiment_id": clock.new_id(),
        "project_id": actor.project_id,
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
        location = f"{artifact_root.rstrip('/')}/{number}"
        conn.execute(update(t.experiments).where(_c.id == number).values(artifact_location=location))
    if tags_:
        tags.put_on_experiment(conn, number, tags_)
    return number


def get(conn: Connection, actor: Actor, number: int) -> Experiment:
    """The experiment with this short id, also when deleted."""
    return _one(conn, actor, _c.id == number, number)


def get_by_name(conn: Connection, actor: Actor, name: str) -> Experiment:
    """The experiment of this name in the actor's project, also when deleted."""
    return _one(conn, actor, (_c.project_id == actor.project_id) & (_c.name == name), name)


def _one(conn: Connection, actor: Actor, which: ColumnElement[bool], key: object) -> Experiment:
    row = conn.execute(select(*_COLUMNS).where(which, visible(actor))).one_or_none()
    if row is None:
        raise NotFound("experiment", key)
    return Experiment(*row, tags=_tags(conn, [row.id]).get(row.id, {}))


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
    found = {row.id: Experiment(*row, tags=labels.get(row.id, {})) for row in rows}
    return Page([found[number] for number in page.items], page.next_token)


def rename(conn: Connection, actor: Actor, number: int, name: str) -> None:
    """Raises Exists if the name is taken, Conflict if the experiment is deleted."""
    held = active(conn, actor, number)
    try:
        with conn.begin_nested():
            conn.execute(update(t.experiments).where(_c.id == held.id).values(name=name, updated_at=clock.now()))
    except IntegrityError:
        raise Exists(f"Experiment '{name}' already exists.") from None


def delete(conn: Connection, actor: Actor, number: int) -> None:
    """Delete it softly, its runs with it. NotFound unless it is active."""
    held = _hold(conn, actor, number)
    if held.deleted_at is not None:
        raise NotFound("experiment", number)
    _set_deleted(conn, number, clock.now())


def restore(conn: Connection, actor: Actor, number: int) -> None:
    """Bring it back with all of its runs, also those deleted one by one before. NotFound unless it is deleted."""
    held = _hold(conn, actor, number)
    if held.deleted_at is None:
        raise NotFound("experiment", number)
    _set_deleted(conn, number, None)


def _set_deleted(conn: Connection, number: int, deleted_at: int | None) -> None:
    conn.execute(update(t.experiments).where(_c.id == number).values(deleted_at=deleted_at, updated_at=clock.now()))
    c = t.runs.c
    other = c.deleted_at.is_(None) if deleted_at is not None else c.deleted_at.is_not(None)
    conn.execute(
        update(t.runs).where(c.experiment_id == number, other).values(deleted_at=deleted_at, revision=c.revision + 1)
    )


def put_tags(conn: Connection, actor: Actor, number: int, changes: Mapping[str, str], plain: Mapping[str, str]) -> None:
    """Set columns of the experiment and tags. Neither counts as an update of it."""
    active(conn, actor, number)
    if changes:
        conn.execute(update(t.experiments).where(_c.id == number).values(**changes))
    if plain:
        tags.put_on_experiment(conn, number, plain)


def delete_tag(conn: Connection, actor: Actor, number: int, key: str) -> None:
    """NotFound if there is no such tag."""
    active(conn, actor, number)
    if not tags.delete_from_experiment(conn, number, key):
        raise NotFound("tag", key)


def clear(conn: Connection, actor: Actor, number: int, column: str, key: str) -> None:
    """Empty a column that is shown as the tag `key`; NotFound if it is empty."""
    if getattr(active(conn, actor, number), column) is None:
        raise NotFound("tag", key)
    conn.execute(update(t.experiments).where(_c.id == number).values({column: None}))


def active(conn: Connection, actor: Actor, number: int, *, shared: bool = False) -> Experiment:
    """An active experiment that the actor may write in, held so that it stays so until the transaction ends."""
    held = _hold(conn, actor, number, shared=shared)
    if held.deleted_at is not None:
        raise Conflict(f"The experiment {number} must be in the 'active' state. Current state is deleted.")
    return held


def _hold(conn: Connection, actor: Actor, number: int, *, shared: bool = False) -> Experiment:
    statement = db.hold(conn, select(*_COLUMNS).where(_c.id == number), t.experiments, shared=shared)
    row = conn.execute(statement).one_or_none()
    if row is None:
        raise NotFound("experiment", number)
    actor.require(row.project_id, Scope.WRITE, "experiment", number)
    return Experiment(*row)
