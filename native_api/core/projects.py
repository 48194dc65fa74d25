"""Projects: what access is granted on. A project's slug is the workspace name of MLflow clients."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from native_api.core import access, audit, clock, db, pages
from native_api.core import tables as t
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.errors import Conflict, Exists, NotFound
from native_api.core.members import OF_PROJECTS
from native_api.core.pages import Page

_c = t.ml_projects.c

DEFAULT = "default"
"""The workspace of an MLflow client that names none."""


class Project(NamedTuple):
    """A project. created_at is in milliseconds, UTC."""

    project_id: str
    org_id: str
    name: str
    slug: str
    description: str | None
    status: str
    created_at: int


_COLUMNS = [_c[name] for name in Project._fields]
_TAKEN = "A project with this name exists already in the organization"


def create(
    conn: Connection,
    actor: Actor,
    org_id: str,
    name: str,
    *,
    slug: str | None = None,
    description: str | None = None,
    status: str = "active",
) -> Project:
    """A new project, whose admin the actor becomes. Needs the role admin in the organisation.

    Without a slug one is made from the name. Raises Exists if the name is taken there, or the slug on this server.
    """
    actor.require_org(org_id, OrgRole.ADMIN)
    o = t.organizations.c
    held = select(o.name).where(o.org_id == org_id, o.deleted_at.is_(None))
    org_name = conn.scalars(db.hold(conn, held, t.organizations, shared=True)).one_or_none()
    if org_name is None:
        raise NotFound("organization", org_id)
    row = {
        "project_id": clock.new_id(),
        "org_id": org_id,
        "name": name,
        "description": description,
        "status": status,
        "created_at": clock.now(),
    }
    for candidate in [slug] if slug else _slugs(org_name, name):
        insert = db.insert(conn, t.ml_projects).values(row | {"slug": candidate}).on_conflict_do_nothing()
        made = conn.execute(insert.returning(*_COLUMNS)).one_or_none()
        if made is not None:
            break
        if conn.execute(select(_c.project_id).where(_c.org_id == org_id, _c.name == name)).first():
            raise Exists(_TAKEN)
    else:
        raise Exists(f"Workspace '{slug}' already exists.")
    project = Project._make(made)
    audit.inserted(
        conn, actor, "ml_projects", project.project_id, project._asdict(), org_id=org_id, project_id=project.project_id
    )
    founder = Actor(actor.user_id, "", {project.project_id: Scope.ADMIN})
    OF_PROJECTS.add(conn, founder, project.project_id, actor.user_id, "admin")
    return project


MAX_SLUG = 63
RESERVED = frozenset({"workspaces", "api", "ajax-api", "static-files"})
"""Names that no workspace may have: those of MLflow's WorkspaceNameValidator."""


def _slugs(org_name: str, name: str) -> Iterator[str]:
    """Workspace names for a project: its own name, the organisation's before it, then numbered."""
    plain = _words(name) or "project"
    if plain not in RESERVED and len(plain) >= 2:
        yield plain
    full = f"{_words(org_name) or 'org'}-{plain}"[:MAX_SLUG].strip("-")
    yield full
    for number in count(2):
        yield f"{full[: MAX_SLUG - 8]}-{number}"


def _words(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:MAX_SLUG].strip("-")


def change(conn: Connection, actor: Actor, project_id: str, changes: Mapping[str, Any]) -> Project:
    """Set name, description or status (active, archived: nothing in it changes any more). Needs its role admin."""
    old = _hold(conn, actor, project_id)
    if changes:
        try:
            with conn.begin_nested():
                conn.execute(update(t.ml_projects).where(_c.project_id == project_id).values(dict(changes)))
        except IntegrityError:
            raise Exists(_TAKEN) from None
        audit.updated(
            conn,
            actor,
            "ml_projects",
            project_id,
            old._asdict(),
            changes,
            org_id=old.org_id,
            project_id=project_id,
        )
        access.changed(conn)
    return old._replace(**changes)


def delete(conn: Connection, actor: Actor, project_id: str) -> None:
    """Delete it softly, with all that is in it: nobody has it in view any more, and others may take its names."""
    old = _hold(conn, actor, project_id)
    if old.slug == DEFAULT:
        raise Conflict("The project `default` is everybody's who names none, and stays")
    slug = f"_{project_id}"  # which nobody can have taken: no workspace name begins so
    gone = {"deleted_at": clock.now(), "name": f"{old.name} ({project_id})", "slug": slug}
    conn.execute(update(t.ml_projects).where(_c.project_id == project_id).values(gone))
    audit.updated(conn, actor, "ml_projects", project_id, old._asdict(), gone, org_id=old.org_id, project_id=project_id)
    access.changed(conn)


def _hold(conn: Connection, actor: Actor, project_id: str) -> Project:
    actor.require(project_id, Scope.ADMIN, "project", project_id)
    live = select(*_COLUMNS).where(_c.project_id == project_id, _c.deleted_at.is_(None))
    row = conn.execute(db.hold(conn, live, t.ml_projects)).one_or_none()
    if row is None:
        raise NotFound("project", project_id)
    return Project._make(row)


def get(conn: Connection, actor: Actor, project_id: str) -> Project:
    """A project in view."""
    return _one(conn, actor, "project_id", project_id)


def get_by_slug(conn: Connection, actor: Actor, slug: str) -> Project:
    """The project in view with this workspace name."""
    return _one(conn, actor, "slug", slug)


def find_id(conn: Connection, slug: str) -> str:
    """The id of the project with this slug, for a command at the machine itself. Raises NotFound if there is none."""
    found = conn.scalars(select(_c.project_id).where(_c.slug == slug, _c.deleted_at.is_(None))).one_or_none()
    if found is None:
        raise NotFound("project", slug)
    return found


def _one(conn: Connection, actor: Actor, column: str, value: str) -> Project:
    in_view = _c.project_id.in_(list(actor.projects))
    row = conn.execute(select(*_COLUMNS).where(_c[column] == value, in_view, _c.deleted_at.is_(None))).one_or_none()
    if row is None:
        raise NotFound("project" if column == "project_id" else "workspace", value)
    return Project._make(row)


def page(
    conn: Connection,
    actor: Actor,
    limit: int,
    token: str | None,
    *,
    org_id: str | None = None,
    name: str | None = None,
    status: str | None = None,
    slug: str | None = None,
) -> Page[Project]:
    """The projects in view, by slug."""
    wanted = {"org_id": org_id, "name": name, "status": status, "slug": slug}
    clauses = [_c[column] == value for column, value in wanted.items() if value is not None]
    statement = select(*_COLUMNS).where(_c.project_id.in_(list(actor.projects)), _c.deleted_at.is_(None), *clauses)
    order = [pages.Column(db.bytewise(conn, _c.slug), str)]
    query = pages.fingerprint("projects", actor.user_id, wanted)
    found = pages.read(conn, [pages.Part(statement, order)], query, limit, token)
    return Page([Project._make(row[: len(_COLUMNS)]) for row in found.items], found.next_token)


def is_empty(conn: Connection, project_id: str) -> bool:
    """Whether nothing was ever tracked in it, and no model is registered."""
    owners = (t.experiments.c.project_id, t.datasets.c.project_id, t.registered_models.c.project_id)
    things = (select(owner).where(owner == project_id) for owner in owners)
    return all(conn.execute(thing.limit(1)).first() is None for thing in things)
