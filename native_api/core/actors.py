"""Who a known user is to the rest of the core: their projects and organisations, read in one go."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, false, select, union_all

from native_api.core import tables as t
from native_api.core.access import PROJECT_ROLES, Actor, OrgRole, Scope
from native_api.core.errors import Forbidden, NotFound
from native_api.core.projects import DEFAULT
from native_api.core.users import Identity


def anywhere(conn: Connection, identity: Identity) -> Actor:
    """The actor of the native surface, with every project in view that the user has a role in."""
    projects, archived, _ = _projects(conn, identity)
    return _actor(conn, identity, projects, archived, scope=identity.scope)


def in_workspace(conn: Connection, identity: Identity, workspace: str) -> Actor:
    """The actor of the MLflow surface, with one project in view.

    Raises NotFound for a workspace that is not there or not theirs; Forbidden for the default one, which everybody
    knows to be there.
    """
    named = false() if "\0" in workspace else t.ml_projects.c.slug == workspace  # no database keeps a NUL
    projects, archived, slugs = _projects(conn, identity, named)
    if not projects:
        if workspace == DEFAULT:
            raise Forbidden(
                "You have no role in the workspace 'default'. Name one of yours: set MLFLOW_WORKSPACE, "
                "or end the tracking URI with /workspaces/<name>."
            )
        raise NotFound("workspace", workspace)
    ((project_id, scope),) = projects.items()
    return _actor(conn, identity, projects, archived, scope=scope, project_id=project_id, workspace=slugs[project_id])


def _actor(
    conn: Connection,
    identity: Identity,
    projects: dict[str, Scope],
    archived: set[str],
    *,
    scope: Scope,
    project_id: str = "",
    workspace: str = "",
) -> Actor:
    return Actor(
        user_id=identity.user_id,
        project_id=project_id,
        projects=projects,
        scope=scope,
        orgs=_orgs(conn, identity.user_id),
        archived=frozenset(archived),
        workspace=workspace,
        email=identity.email,
        is_administrator=identity.is_administrator and identity.scope is Scope.ADMIN,
    )


def _projects(
    conn: Connection, identity: Identity, *which: ColumnElement[bool]
) -> tuple[dict[str, Scope], set[str], dict[str, str]]:
    """The scope held in each project, as far as the credential allows; the archived ones; their slugs.

    Owners and admins of an organisation act as admins in all its projects.
    """
    p, m, o = t.ml_projects.c, t.project_members.c, t.org_members.c
    columns = (p.project_id, p.slug, p.status)
    live = (p.deleted_at.is_(None), *which)
    as_member = (
        select(*columns, m.role)
        .join(t.project_members, m.project_id == p.project_id)
        .where(m.user_id == identity.user_id, m.is_active, *live)
    )
    as_org_admin = (
        select(*columns, o.role)
        .join(t.org_members, o.org_id == p.org_id)
        .where(o.user_id == identity.user_id, o.is_active, o.role.in_(["owner", "admin"]), *live)
    )
    projects: dict[str, Scope] = {}
    archived: set[str] = set()
    slugs: dict[str, str] = {}
    for project_id, slug, status, role in conn.execute(union_all(as_member, as_org_admin)):
        scope = min(PROJECT_ROLES.get(role, Scope.ADMIN), identity.scope)
        projects[project_id] = max(projects.get(project_id, scope), scope)
        slugs[project_id] = slug
        if status == "archived":
            archived.add(project_id)
    return projects, archived, slugs


def _orgs(conn: Connection, user_id: str) -> dict[str, OrgRole]:
    o, m = t.organizations.c, t.org_members.c
    rows = conn.execute(
        select(m.org_id, m.role)
        .join(t.organizations, o.org_id == m.org_id)
        .where(m.user_id == user_id, m.is_active, o.deleted_at.is_(None))
    )
    return {row.org_id: OrgRole[row.role.upper()] for row in rows}
