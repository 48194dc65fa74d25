"""Who a user is to the core: roles become scopes, as far as a credential allows."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
from sqlalchemy import Connection, update

from native_api.core import actors, orgs, projects, users
from native_api.core import tables as t
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.errors import Forbidden, NotFound
from native_api.core.members import OF_ORGS, OF_PROJECTS
from native_api.core.users import Identity, NewUser


class Place(NamedTuple):
    """An organisation with a project, its owner, and somebody with no role in it."""

    org_id: str
    project_id: str
    owner: Actor
    other: Identity


@pytest.fixture
def place(conn: Connection) -> Place:
    founder = Actor(_identity(conn, "founder").user_id, "", {}, Scope.ADMIN)
    org_id = orgs.create(conn, founder, "org").org_id
    founder = replace(founder, orgs={org_id: OrgRole.OWNER})
    project_id = projects.create(conn, founder, org_id, "project").project_id
    owner = replace(founder, projects={project_id: Scope.ADMIN})
    return Place(org_id, project_id, owner, _identity(conn, "other"))


def _identity(conn: Connection, name: str) -> Identity:
    user = users.register(conn, NewUser(f"{name}@example.org", name))
    return Identity(user.user_id, user.email, Scope.ADMIN, False)


def held(conn: Connection, place: Place, most: Scope = Scope.ADMIN) -> Scope | None:
    """The scope that the other one has in the project; the same on both surfaces."""
    identity = place.other._replace(scope=most)
    scope = actors.anywhere(conn, identity).projects.get(place.project_id)
    try:
        actor = actors.in_workspace(conn, identity, "project")
    except NotFound:
        assert scope is None
    else:
        assert actor.projects == {place.project_id: scope}
        assert (actor.scope, actor.project_id, actor.workspace) == (scope, place.project_id, "project")
    return scope


def test_without_a_role_nothing_is_in_view(conn: Connection, place: Place) -> None:
    actor = actors.anywhere(conn, place.other)
    assert (actor.projects, actor.orgs, actor.project_id, actor.workspace) == ({}, {}, "", "")
    assert (actor.user_id, actor.email, actor.scope) == (place.other.user_id, "other@example.org", Scope.ADMIN)
    assert held(conn, place) is None


@pytest.mark.parametrize("most", [Scope.READ, Scope.WRITE, Scope.ADMIN])
@pytest.mark.parametrize(("role", "scope"), [("viewer", Scope.READ), ("editor", Scope.WRITE), ("admin", Scope.ADMIN)])
def test_a_role_in_a_project_is_a_scope_there(
    conn: Connection, place: Place, role: str, scope: Scope, most: Scope
) -> None:
    OF_PROJECTS.add(conn, place.owner, place.project_id, place.other.user_id, role)
    assert held(conn, place, most) == min(scope, most)
    assert actors.anywhere(conn, place.other).orgs == {}


@pytest.mark.parametrize("most", [Scope.READ, Scope.WRITE, Scope.ADMIN])
@pytest.mark.parametrize("role", OrgRole)
def test_owners_and_admins_of_an_organisation_are_admins_of_its_projects(
    conn: Connection, place: Place, role: OrgRole, most: Scope
) -> None:
    OF_ORGS.add(conn, place.owner, place.org_id, place.other.user_id, role.name.lower())
    assert held(conn, place, most) == (most if role >= OrgRole.ADMIN else None)
    assert actors.anywhere(conn, place.other).orgs == {place.org_id: role}


@pytest.mark.parametrize("org_role", OrgRole)
@pytest.mark.parametrize("project_role", ["viewer", "editor", "admin"])
def test_of_two_roles_the_greater_counts(conn: Connection, place: Place, org_role: OrgRole, project_role: str) -> None:
    OF_ORGS.add(conn, place.owner, place.org_id, place.other.user_id, org_role.name.lower())
    OF_PROJECTS.add(conn, place.owner, place.project_id, place.other.user_id, project_role)
    by_project = {"viewer": Scope.READ, "editor": Scope.WRITE, "admin": Scope.ADMIN}[project_role]
    assert held(conn, place) == (Scope.ADMIN if org_role >= OrgRole.ADMIN else by_project)


def test_an_inactive_membership_is_none(conn: Connection, place: Place) -> None:
    of_org = OF_ORGS.add(conn, place.owner, place.org_id, place.other.user_id, "admin", is_active=False)
    of_project = OF_PROJECTS.add(conn, place.owner, place.project_id, place.other.user_id, "editor", is_active=False)
    assert held(conn, place) is None
    assert actors.anywhere(conn, place.other).orgs == {}
    OF_PROJECTS.change(conn, place.owner, of_project.member_id, {"is_active": True})
    assert held(conn, place) == Scope.WRITE
    OF_ORGS.change(conn, place.owner, of_org.member_id, {"is_active": True})
    assert held(conn, place) == Scope.ADMIN


def test_what_is_deleted_is_not_in_view(conn: Connection, place: Place) -> None:
    OF_ORGS.add(conn, place.owner, place.org_id, place.other.user_id, "owner")
    OF_PROJECTS.add(conn, place.owner, place.project_id, place.other.user_id, "admin")
    projects.delete(conn, place.owner, place.project_id)
    assert held(conn, place) is None
    orgs.delete(conn, place.owner, place.org_id)
    assert actors.anywhere(conn, place.other).orgs == {}


def test_what_is_archived_is_told(conn: Connection, place: Place) -> None:
    OF_PROJECTS.add(conn, place.owner, place.project_id, place.other.user_id, "editor")
    assert actors.anywhere(conn, place.other).archived == frozenset()
    projects.change(conn, place.owner, place.project_id, {"status": "archived"})
    assert actors.anywhere(conn, place.other).archived == {place.project_id}
    assert actors.in_workspace(conn, place.other, "project").archived == {place.project_id}


def test_only_a_credential_for_everything_makes_an_administrator(conn: Connection, place: Place) -> None:
    for scope in (Scope.READ, Scope.WRITE, Scope.ADMIN):
        identity = place.other._replace(is_administrator=True, scope=scope)
        actor = actors.anywhere(conn, identity)
        assert actor.is_administrator is (scope is Scope.ADMIN)
        assert actor.projects == {}


def test_each_sees_only_their_own(conn: Connection, place: Place) -> None:
    OF_PROJECTS.add(conn, place.owner, place.project_id, place.other.user_id, "viewer")
    third = _identity(conn, "third")
    assert actors.anywhere(conn, third).projects == {}
    with pytest.raises(NotFound):
        actors.in_workspace(conn, third, "project")


@pytest.mark.parametrize("name", ["nothing", "PROJECT", "project ", "pro%", "project\0", "", "'"])
def test_a_workspace_that_is_none_is_not_there(conn: Connection, place: Place, name: str) -> None:
    OF_PROJECTS.add(conn, place.owner, place.project_id, place.other.user_id, "admin")
    with pytest.raises(NotFound):
        actors.in_workspace(conn, place.other, name)


def test_without_a_role_in_the_default_workspace_one_is_told_how_to_name_another(
    conn: Connection, place: Place
) -> None:
    conn.execute(update(t.ml_projects).values(slug="default"))
    with pytest.raises(Forbidden, match="MLFLOW_WORKSPACE"):
        actors.in_workspace(conn, place.other, "default")
