"""Organisations: made by anybody, changed by their admins, deleted when they are empty."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from native_api.core import orgs, projects
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.errors import Conflict, Exists, Forbidden, NotFound
from native_api.core.members import OF_ORGS
from native_api.core.orgs import Org
from tests.conftest import make_actor


@pytest.fixture
def org(conn: Connection, actor: Actor) -> Org:
    return orgs.create(conn, actor, "New", "what for")


def with_role(actor: Actor, org: Org, role: OrgRole) -> Actor:
    return replace(actor, orgs={org.org_id: role})


def test_whoever_makes_one_owns_it(conn: Connection, actor: Actor, org: Org) -> None:
    owner = with_role(actor, org, OrgRole.OWNER)
    assert (org.name, org.description, org.created_by) == ("New", "what for", actor.user_id)
    (member,) = OF_ORGS.page(conn, owner, 9, None, of=org.org_id, user_id=None).items
    assert (member.user_id, member.role, member.is_active) == (actor.user_id, "owner", True)


def test_a_name_is_taken_on_the_whole_server(conn: Connection, actor: Actor, org: Org) -> None:
    with pytest.raises(Exists):
        orgs.create(conn, make_actor(conn, "two"), "New")
    other = orgs.create(conn, actor, "Other")
    with pytest.raises(Exists):
        orgs.change(conn, with_role(actor, other, OrgRole.OWNER), other.org_id, {"name": "New"})


@pytest.mark.parametrize("role", OrgRole)
def test_its_admins_change_it_and_its_owners_delete_it(conn: Connection, actor: Actor, org: Org, role: OrgRole) -> None:
    member = with_role(actor, org, role)
    assert orgs.get(conn, member, org.org_id) == org
    if role >= OrgRole.ADMIN:
        changed = orgs.change(conn, member, org.org_id, {"description": None})
        assert changed == orgs.get(conn, member, org.org_id) == org._replace(description=None)
    else:
        with pytest.raises(Forbidden):
            orgs.change(conn, member, org.org_id, {"description": None})
    if role >= OrgRole.OWNER:
        orgs.delete(conn, member, org.org_id)
        with pytest.raises(NotFound):
            orgs.get(conn, member, org.org_id)
        assert orgs.page(conn, member, 9, None).items == []
    else:
        with pytest.raises(Forbidden):
            orgs.delete(conn, member, org.org_id)


def test_it_is_not_there_for_others(conn: Connection, actor: Actor, org: Org) -> None:
    """Nor for an administrator of the server, who looks after accounts and not after what they do."""
    for stranger in (make_actor(conn, "two", Scope.ADMIN), Actor("root", "", {}, Scope.ADMIN, is_administrator=True)):
        for attempt in (
            lambda who: orgs.get(conn, who, org.org_id),
            lambda who: orgs.change(conn, who, org.org_id, {"name": "x"}),
            lambda who: orgs.delete(conn, who, org.org_id),
        ):
            with pytest.raises(NotFound):
                attempt(stranger)
        assert orgs.page(conn, stranger, 9, None).items == []


def test_one_with_projects_cannot_be_deleted(conn: Connection, actor: Actor, org: Org) -> None:
    owner = with_role(actor, org, OrgRole.OWNER)
    project = projects.create(conn, owner, org.org_id, "p")
    with pytest.raises(Conflict):
        orgs.delete(conn, owner, org.org_id)
    projects.delete(conn, replace(owner, projects={project.project_id: Scope.ADMIN}), project.project_id)
    orgs.delete(conn, owner, org.org_id)
    with pytest.raises(Exists):
        orgs.create(conn, actor, "New")
    with pytest.raises(NotFound):
        projects.create(conn, owner, org.org_id, "q")


def test_a_list_is_by_name_and_goes_on_where_it_ended(conn: Connection, actor: Actor) -> None:
    made = [orgs.create(conn, actor, name) for name in ("b", "C", "a", "ä")]
    member = replace(actor, orgs={org.org_id: OrgRole.VIEWER for org in made})
    first = orgs.page(conn, member, 3, None)
    second = orgs.page(conn, member, 3, first.next_token)
    assert [org.name for org in [*first.items, *second.items]] == ["C", "a", "b", "ä"]
    assert second.next_token is None
    assert [org.name for org in orgs.page(conn, member, 3, None, name="a").items] == ["a"]
