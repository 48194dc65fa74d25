"""Metric definitions: what people declare about the metrics with a key, on the whole server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from native_api.core import audit, clock, db, pages
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Exists, Forbidden, NotFound
from native_api.core.pages import Page

_c = t.metric_definitions.c


class Definition(NamedTuple):
    """What is declared about a metric: its name for people, its unit, and which value is the best (min, max, last).

    It belongs to no project: every caller may read it. created_at is in milliseconds, UTC.
    """

    metric_id: str
    key: str
    display_name: str | None
    unit: str | None
    goal: str
    created_at: int
    created_by: str | None


_COLUMNS = [_c[name] for name in Definition._fields]


# Creating, changing, deleting


def create(
    conn: Connection,
    actor: Actor,
    key: str,
    *,
    display_name: str | None = None,
    unit: str | None = None,
    goal: str = "last",
) -> Definition:
    """Forbidden unless the actor may write in some project. Raises Exists if the key is declared already."""
    if not actor.is_administrator and max(actor.projects.values(), default=Scope.PUBLIC) < Scope.WRITE:
        raise Forbidden("This needs write access to at least one project")
    new = Definition(clock.new_id(), key, display_name, unit, goal, clock.now(), actor.user_id)
    added = db.insert(conn, t.metric_definitions).on_conflict_do_nothing().returning(_c.metric_id)
    if conn.execute(added, new._asdict()).one_or_none() is None:
        raise Exists(f"The metric {key!r} is declared already")
    audit.inserted(conn, actor, "metric_definitions", new.metric_id, new._asdict())
    return new


def change(conn: Connection, actor: Actor, metric_id: str, changes: Mapping[str, Any]) -> Definition:
    """Set columns; the definition as it is now. Raises Exists like `create`."""
    old = _hold(conn, actor, metric_id)
    if not changes:
        return old
    try:
        with conn.begin_nested():
            conn.execute(update(t.metric_definitions).where(_c.metric_id == metric_id).values(**changes))
    except IntegrityError:
        raise Exists(f"The metric {changes['key']!r} is declared already") from None
    audit.updated(conn, actor, "metric_definitions", metric_id, old._asdict(), changes)
    return old._replace(**changes)


def delete(conn: Connection, actor: Actor, metric_id: str) -> None:
    """Remove what is declared. The points of the metric stay."""
    old = _hold(conn, actor, metric_id)
    conn.execute(t.metric_definitions.delete().where(_c.metric_id == metric_id))
    audit.deleted(conn, actor, "metric_definitions", metric_id, old._asdict())


def _hold(conn: Connection, actor: Actor, metric_id: str) -> Definition:
    """A definition of the actor's own, or any for an administrator, held until the transaction ends."""
    which = select(*_COLUMNS).where(_c.metric_id == metric_id)
    row = conn.execute(db.hold(conn, which, t.metric_definitions)).one_or_none()
    if row is None:
        raise NotFound("metric definition", metric_id)
    if not actor.is_administrator and row.created_by != actor.user_id:
        raise Forbidden("Only who declared the metric, or an administrator of this server, may do this")
    return Definition._make(row)


# Reading


def get(conn: Connection, metric_id: str) -> Definition:
    """What was declared under this id."""
    row = conn.execute(select(*_COLUMNS).where(_c.metric_id == metric_id)).one_or_none()
    if row is None:
        raise NotFound("metric definition", metric_id)
    return Definition._make(row)


def page(conn: Connection, limit: int, token: str | None, *, key: str | None = None) -> Page[Definition]:
    """The definitions, by key."""
    statement = select(*_COLUMNS).where(*([] if key is None else [_c.key == key]))
    order = [pages.Column(db.bytewise(conn, _c.key), str)]
    found = pages.read(conn, [pages.Part(statement, order)], pages.fingerprint("definitions", key), limit, token)
    return Page([Definition._make(row[: len(_COLUMNS)]) for row in found.items], found.next_token)
