"""Members of organisations and projects on the native surface: messages and handlers."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection

from native_api.core.access import Actor
from native_api.core.members import OF_ORGS, OF_PROJECTS, Member
from native_api.routes.messages import Answer, Changes, Id, Listing, Message, Page, ShownTime, Yes, page_of

OrgRole = Literal["owner", "admin", "member", "viewer"]
ProjectRole = Literal["admin", "editor", "viewer"]

# Of organisations


class OrgMember(Answer):
    """A user's role in an organisation."""

    org_member_id: Id
    org_id: Id
    user_id: Id
    role: OrgRole
    joined_at: ShownTime
    is_active: bool


class OneOrgMember(Message):
    """Names a member of an organisation."""

    org_member_id: Id


class ListOrgMembers(Listing):
    """A page of the members of one's organisations."""

    org_id: Id | None = None
    user_id: Id | None = None


class AddOrgMember(Message):
    """A new member of an organisation."""

    org_id: Id
    user_id: Id
    role: OrgRole
    is_active: Yes = True


class ChangeOrgMember(Changes):
    """Changes of a member."""

    org_member_id: Id
    role: OrgRole = "viewer"
    is_active: Yes = True


def _of_org(member: Member) -> OrgMember:
    return OrgMember(
        org_member_id=member.member_id,
        org_id=member.of,
        user_id=member.user_id,
        role=member.role,  # type: ignore[arg-type]
        joined_at=member.since,
        is_active=member.is_active,
    )


def page_of_orgs(conn: Connection, actor: Actor, msg: ListOrgMembers) -> Page[OrgMember]:
    """List the members of one's organisations."""
    return page_of(OF_ORGS.page(conn, actor, msg.limit, msg.cursor, of=msg.org_id, user_id=msg.user_id), _of_org)


def add_to_org(conn: Connection, actor: Actor, msg: AddOrgMember) -> OrgMember:
    """Take a user into an organisation. Needs its role admin; only owners make owners."""
    return _of_org(OF_ORGS.add(conn, actor, msg.org_id, msg.user_id, msg.role, msg.is_active))


def get_of_org(conn: Connection, actor: Actor, msg: OneOrgMember) -> OrgMember:
    """Show a member of one of one's organisations."""
    return _of_org(OF_ORGS.get(conn, actor, msg.org_member_id))


def change_in_org(conn: Connection, actor: Actor, msg: ChangeOrgMember) -> OrgMember:
    """Change a member's role, or whether it counts. The last active owner stays one."""
    return _of_org(OF_ORGS.change(conn, actor, msg.org_member_id, msg.sent("org_member_id")))


def remove_from_org(conn: Connection, actor: Actor, msg: OneOrgMember) -> None:
    """Remove a member, or leave. The last active owner stays."""
    OF_ORGS.remove(conn, actor, msg.org_member_id)


# Of projects


class ProjectMember(Answer):
    """A user's role in a project."""

    project_member_id: Id
    project_id: Id
    user_id: Id
    role: ProjectRole
    added_at: ShownTime
    is_active: bool


class OneProjectMember(Message):
    """Names a member of a project."""

    project_member_id: Id


class ListProjectMembers(Listing):
    """A page of the members of the projects in view."""

    project_id: Id | None = None
    user_id: Id | None = None


class AddProjectMember(Message):
    """A new member of a project."""

    project_id: Id
    user_id: Id
    role: ProjectRole
    is_active: Yes = True


class ChangeProjectMember(Changes):
    """Changes of a member."""

    project_member_id: Id
    role: ProjectRole = "viewer"
    is_active: Yes = True


def _of_project(member: Member) -> ProjectMember:
    return ProjectMember(
        project_member_id=member.member_id,
        project_id=member.of,
        user_id=member.user_id,
        role=member.role,  # type: ignore[arg-type]
        added_at=member.since,
        is_active=member.is_active,
    )


def page_of_projects(conn: Connection, actor: Actor, msg: ListProjectMembers) -> Page[ProjectMember]:
    """List the members of the projects in view."""
    found = OF_PROJECTS.page(conn, actor, msg.limit, msg.cursor, of=msg.project_id, user_id=msg.user_id)
    return page_of(found, _of_project)


def add_to_project(conn: Connection, actor: Actor, msg: AddProjectMember) -> ProjectMember:
    """Take a user into a project. Needs its role admin."""
    return _of_project(OF_PROJECTS.add(conn, actor, msg.project_id, msg.user_id, msg.role, msg.is_active))


def get_of_project(conn: Connection, actor: Actor, msg: OneProjectMember) -> ProjectMember:
    """Show a member of a project in view."""
    return _of_project(OF_PROJECTS.get(conn, actor, msg.project_member_id))


def change_in_project(conn: Connection, actor: Actor, msg: ChangeProjectMember) -> ProjectMember:
    """Change a member's role, or whether it counts."""
    return _of_project(OF_PROJECTS.change(conn, actor, msg.project_member_id, msg.sent("project_member_id")))


def remove_from_project(conn: Connection, actor: Actor, msg: OneProjectMember) -> None:
    """Remove a member, or leave."""
    OF_PROJECTS.remove(conn, actor, msg.project_member_id)
