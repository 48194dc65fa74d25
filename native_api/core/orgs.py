"""Organisations: tenants, with their members and projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from native_api.core import access, audit, clock, db, pages
from native_api.core import tables as t
from native_api.core.access import Actor, OrgRole
from native_api.core.errors import Conflict, Exists, NotFound
from native_api.core.members import OF_ORGS
from native_api.core.pages import Page

_c = t.organizations.c


class Org(NamedTuple):
    """An organisation. created_at is in milliseconds, UTC."""

    org_id: str
    name: str
    description: str | None
    created_at: int
    created_by: str | None


_COLUMNS = [_c[name] for name in Org._fields]
_TAKEN = "An organization with this name exists already"


def create(conn: Connection, actor: Actor, name: str, description: str | None = None) -> Org:
    """A new organisation, whose owner the actor becomes. Raises Exists if the name is taken."""
    row = {
        "org_id": clock.new_id(),
        "name": name,
        "description": description,
        "created_at": clock.now(),
        "created_by": actor.user_id,
    }
    insert = db.insert(conn, t.organizations).values(row).on_conflict_do_nothing(index_elements=["name"])
    made = conn.execute(insert.returning(*_COLUMNS)).one_or_none()
    if made is None:
        raise Exists(_TAKEN)
    org = Org._make(made)
    audit.inserted(conn, actor, "organizations", org.org_id, row, org_id=org.org_id)
    founder = Actor(actor.user_id, "", {}, orgs={org.org_id: OrgRole.OWNER})
    OF_ORGS.add(conn, founder, org.org_id, actor.user_id, "owner")
    return org


def change(conn: Connection, actor: Actor, org_id: str, changes: Mapping[str, Any]) -> Org:
    """Set name or description. Needs the role admin."""
    old = _hold(conn, actor, org_id, OrgRole.ADMIN)
    if changes:
        try:
            with conn.begin_nested():
                conn.execute(update(t.organizations).where(_c.org_id == org_id).values(dict(changes)))
        except IntegrityError:
            raise Exists(_TAKEN) from None
        audit.updated(conn, actor, "organizations", org_id, old._asdict(), changes, org_id=org_id)
    return old._replace(**changes)


def delete(conn: Connection, actor: Actor, org_id: str) -> None:
    """Delete it softly; its name stays taken. Needs the role owner, and that no project is left in it."""
    _hold(conn, actor, org_id, OrgRole.OWNER)
    p = t.ml_projects.c
    if conn.execute(select(p.project_id).where(p.org_id == org_id, p.deleted_at.is_(None)).limit(1)).first():
        raise Conflict("The organization still has projects")
    gone = {"deleted_at": clock.now()}
    conn.execute(update(t.organizations).where(_c.org_id == org_id).values(gone))
    audit.updated(conn, actor, "organizations", org_id, {}, gone, org_id=org_id)
    access.changed(conn)


def _hold(conn: Connection, actor: Actor, org_id: str, role: OrgRole) -> Org:
    actor.require_org(org_id, role)
    live = select(*_COLUMNS).where(_c.org_id == org_id, _c.deleted_at.is_(None))
    row = conn.execute(db.hold(conn, live, t.organizations)).one_or_none()
    if row is None:
        raise NotFound("organization", org_id)
    return Org._make(row)


def get(conn: Connection, actor: Actor, org_id: str) -> Org:
    """An organisation that the actor is a member of."""
    actor.require_org(org_id, OrgRole.VIEWER)
    row = conn.execute(select(*_COLUMNS).where(_c.org_id == org_id, _c.deleted_at.is_(None))).one_or_none()
    if row is None:
        raise NotFound("organization", org_id)
    return Org._make(row)


def page(conn: Connection, actor: Actor, limit: int, token: str | None, *, name: str | None = None) -> Page[Org]:
    """The organisations that the actor is a member of, by name."""
    clauses = [] if name is None else [_c.name == name]
    statement = select(*_COLUMNS).where(_c.org_id.in_(list(actor.orgs)), _c.deleted_at.is_(None), *clauses)
    order = [pages.Column(db.bytewise(conn, _c.name), str)]
    query = pages.fingerprint("orgs", actor.user_id, name)
    found = pages.read(conn, [pages.Part(statement, order)], query, limit, token)
    return Page([Org._make(row[: len(_COLUMNS)]) for row in found.items], found.next_token)
