"""Who asks and what they may touch, and the clause that keeps tenants apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from sqlalchemy import ColumnElement, Connection

from native_api.core import db
from native_api.core import tables as t
from native_api.core.errors import Conflict, Forbidden, NotFound


class Scope(IntEnum):
    """What an endpoint needs; each includes the ones before it. PUBLIC needs no caller at all."""

    PUBLIC = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


class OrgRole(IntEnum):
    """A role in an organisation; each includes the ones before it."""

    VIEWER = 1
    MEMBER = 2
    ADMIN = 3
    OWNER = 4


PROJECT_ROLES = {"viewer": Scope.READ, "editor": Scope.WRITE, "admin": Scope.ADMIN}


@dataclass(frozen=True)
class Actor:
    """A caller and the projects in view of this request, each with the scope held there.

    `scope` is the most that this call may do anywhere: what the credential allows. A call on the MLflow surface has
    one project in view, its workspace: there `project_id` is where new things go, and `scope` is the one held in it.
    `email` is empty for the local owner, who needs no credential; `address` is where a caller who has no name calls
    from.
    """

    user_id: str
    project_id: str
    projects: Mapping[str, Scope]
    scope: Scope = Scope.PUBLIC
    orgs: Mapping[str, OrgRole] = field(default_factory=dict)
    archived: frozenset[str] = frozenset()
    workspace: str = ""
    email: str = ""
    is_administrator: bool = False
    address: str = ""

    def may(self, scope: Scope) -> bool:
        """Whether this call may do so much at all; each thing it touches is looked at on its own."""
        return self.scope >= scope

    def require(self, project_id: str, scope: Scope, noun: str, key: object) -> None:
        """Raise NotFound for a thing of a project out of view, Forbidden for one where the scope is not held.

        Conflict for a change in an archived project, which only its own row and its members still take.
        """
        held = self.projects.get(project_id)
        if held is None:
            raise NotFound(noun, key)
        if held < scope:
            raise Forbidden(f"This needs {scope.name.lower()} access to the project")
        if scope is Scope.WRITE and project_id in self.archived:
            raise Conflict("The project is archived: nothing in it can be changed")

    def require_org(self, org_id: str, role: OrgRole) -> None:
        """Raise NotFound for an organisation that the actor is no member of, Forbidden for one with a lesser role."""
        held = self.orgs.get(org_id)
        if held is None:
            raise NotFound("organization", org_id)
        if held < role:
            raise Forbidden(f"This needs the role {role.name.lower()} in the organization")


NOBODY = Actor("", "", {})
"""The caller of an endpoint that needs none: sees nothing."""


def visible(actor: Actor) -> ColumnElement[bool]:
    """The clause that every read of a project's things carries, on a statement that names `experiments`."""
    return t.experiments.c.project_id.in_(list(actor.projects))


class Changes:
    """How often this process has changed who may do what: whatever was worked out before is out of date."""

    def __init__(self) -> None:
        self.count = 0

    def note(self) -> None:
        self.count += 1


def changed(conn: Connection) -> None:
    """To be called by whatever changes users, tokens, members, projects or organisations."""
    db.after_commit(conn, db.memory(conn, Changes).note)
