"""Who asks and what they may touch, and the clause that keeps tenants apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from sqlalchemy import ColumnElement

from native_api.core import tables as t
from native_api.core.errors import Forbidden, NotFound


class Scope(IntEnum):
    """What an endpoint needs; each includes the ones before it. PUBLIC needs no caller at all."""

    PUBLIC = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True)
class Actor:
    """A caller and the projects in view of this request, each with the scope held there.

    A call on the MLflow surface has one project in view, its workspace; `project_id` is where new things go.
    """

    user_id: str
    project_id: str
    projects: Mapping[str, Scope]

    def may(self, scope: Scope) -> bool:
        """Whether the actor holds the scope in the project of this call."""
        return self.projects.get(self.project_id, Scope.PUBLIC) >= scope

    def require(self, project_id: str, scope: Scope, noun: str, key: object) -> None:
        """Raise NotFound for a thing of a project out of view, Forbidden for one where the scope is not held."""
        held = self.projects.get(project_id)
        if held is None:
            raise NotFound(noun, key)
        if held < scope:
            raise Forbidden(f"This needs {scope.name.lower()} access to the project")


NOBODY = Actor("", "", {})
"""The caller of an endpoint that needs none: sees nothing."""


def visible(actor: Actor) -> ColumnElement[bool]:
    """The clause that every read of a project's things carries, on a statement that names `experiments`."""
    return t.experiments.c.project_id.in_(list(actor.projects))
