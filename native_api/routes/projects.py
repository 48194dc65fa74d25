"""Projects on the native surface: messages and handlers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import Connection

from native_api.core import projects
from native_api.core.access import Actor
from native_api.routes.messages import (
    Answer,
    Changes,
    Id,
    Listing,
    LongText,
    Message,
    Name,
    Page,
    ShownTime,
    page_of,
)

Status = Literal["active", "archived"]


class Project(Answer):
    """A project: what access is granted on."""

    project_id: Id
    org_id: Id
    name: str
    slug: Annotated[str, Field(description="Its name as a workspace of MLflow clients.")]
    description: str | None
    status: Status
    created_at: ShownTime


class OneProject(Message):
    """Names a project."""

    project_id: Id


class ListProjects(Listing):
    """A page of the projects in view."""

    org_id: Id | None = None
    name: Name | None = None
    status: Status | None = None


class CreateProject(Message):
    """A new project of an organisation."""

    org_id: Id
    name: Name
    description: LongText | None = None
    status: Status = "active"


class ChangeProject(Changes):
    """Changes of a project. Nothing in an archived one can be changed."""

    project_id: Id
    name: Name = ""
    description: LongText | None = None
    status: Status = "active"


def page(conn: Connection, actor: Actor, msg: ListProjects) -> Page[Project]:
    """List the projects in view, by slug."""
    found = projects.page(conn, actor, msg.limit, msg.cursor, org_id=msg.org_id, name=msg.name, status=msg.status)
    return page_of(found, Project.model_validate)


def create(conn: Connection, actor: Actor, msg: CreateProject) -> Project:
    """Make a project, and become its admin. Needs the role admin in the organisation."""
    made = projects.create(conn, actor, msg.org_id, msg.name, description=msg.description, status=msg.status)
    return Project.model_validate(made)


def get(conn: Connection, actor: Actor, msg: OneProject) -> Project:
    """Show a project."""
    return Project.model_validate(projects.get(conn, actor, msg.project_id))


def change(conn: Connection, actor: Actor, msg: ChangeProject) -> Project:
    """Change a project. Needs its role admin."""
    return Project.model_validate(projects.change(conn, actor, msg.project_id, msg.sent("project_id")))


def delete(conn: Connection, actor: Actor, msg: OneProject) -> None:
    """Delete a project softly, with all that is in it. Needs its role admin."""
    projects.delete(conn, actor, msg.project_id)
