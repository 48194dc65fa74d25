"""Workspaces: MLflow's calls translated to projects. A workspace's name is its project's slug."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from native_api.core import projects
from native_api.core.access import Actor, OrgRole
from native_api.core.errors import Conflict, Forbidden, Invalid, Unsupported
from native_api.core.projects import DEFAULT, Project
from shim import messages as m

MAX_LISTED = 10_000
"""MLflow's list has no pages."""

Answer = dict[str, Any]


def search(conn: Connection, actor: Actor, msg: m.Nothing) -> Answer:
    """Every project in view, by name."""
    found = projects.page(conn, actor, MAX_LISTED, None).items
    return {"workspaces": [_document(project) for project in found]} if found else {}


def get(conn: Connection, actor: Actor, msg: m.OneWorkspace) -> Answer:
    return {"workspace": _document(projects.get_by_slug(conn, actor, msg.workspace_name))}


def create(conn: Connection, actor: Actor, msg: m.CreateWorkspace) -> Answer:
    """A new project of the organisation that the caller is an admin of."""
    if msg.name == DEFAULT:
        raise Invalid(f"The '{DEFAULT}' workspace is reserved and cannot be created")
    _refuse_places(msg)
    project = projects.create(conn, actor, _org(conn, actor), msg.name, slug=msg.name, description=msg.description)
    return {"workspace": _document(project)}


def _org(conn: Connection, actor: Actor) -> str:
    """MLflow knows no organisations: the one of the default workspace, or else the only one, that they may add to."""
    administered = [org_id for org_id, role in actor.orgs.items() if role >= OrgRole.ADMIN]
    if len(administered) > 1:
        for project in projects.page(conn, actor, 1, None, slug=DEFAULT).items:
            if project.org_id in administered:
                return project.org_id
        raise Invalid("You are an admin of several organizations: create the project through /api/projects")
    if not administered:
        raise Forbidden("A new workspace needs the role admin in an organization")
    return administered[0]


def update(conn: Connection, actor: Actor, msg: m.UpdateWorkspace) -> Answer:
    _refuse_places(msg)
    if msg.description is None:
        raise Invalid("Workspace update must have at least one key")
    project = projects.get_by_slug(conn, actor, msg.workspace_name)
    changed = projects.change(conn, actor, project.project_id, {"description": msg.description})
    return {"workspace": _document(changed)}


def delete(conn: Connection, actor: Actor, msg: m.DeleteWorkspace) -> Answer:
    """RESTRICT, the default, refuses one with anything in it; CASCADE deletes it softly with all that is in it.

    MLflow refuses with INVALID_STATE and status 500, at which its clients try again for minutes.
    """
    if msg.workspace_name == DEFAULT:
        raise Invalid(f"The '{DEFAULT}' workspace is reserved and cannot be deleted")
    project = projects.get_by_slug(conn, actor, msg.workspace_name)
    if msg.mode != "CASCADE" and not projects.is_empty(conn, project.project_id):
        if msg.mode == "SET_DEFAULT":
            raise Unsupported("Things are not moved to another project: delete the workspace with CASCADE, or keep it")
        raise Conflict(
            f"Cannot delete workspace '{msg.workspace_name}': there are experiments, datasets or models in it"
        )
    projects.delete(conn, actor, project.project_id)
    return {}


def _refuse_places(msg: m.CreateWorkspace | m.UpdateWorkspace) -> None:
    config = msg.trace_archival_config or m.TraceArchivalConfig()
    if msg.default_artifact_root or config.location or config.retention:
        raise Invalid("Workspaces have no artifact root or trace archive of their own here: leave them out")


def _document(project: Project) -> Answer:
    described = {} if project.description is None else {"description": project.description}
    return {"name": project.slug} | described
