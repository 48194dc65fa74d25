"""Members: who may take in whom, with which role, and that an organisation keeps an owner."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from native_api.core import db, orgs, projects, users
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.errors import Conflict, Exists, Forbidden, NotFound, Problem
from native_api.core.members import OF_ORGS, OF_PROJECTS, Member, Members
from native_api.core.users import NewUser


@pytest.fixture
def owner(conn: Connection) -> Actor:
    """The owner of an organisation, and the admin of a project in it."""
    return _owner(conn, "one")


def _owner(conn: Connection, name: str) -> Actor:
    founder = Actor(_user(conn, name), "", {}, Scope.ADMIN)
    org = orgs.create(conn, founder, name)
    founder = replace(founder, orgs={org.org_id: OrgRole.OWNER})
    project = projects.create(conn, founder, org.org_id, name)
    return replace(founder, projects={project.project_id: Scope.ADMIN})


def _user(conn: Connection, name: str) -> str:
    return users.register(conn, NewUser(f"{name}@example.org", name)).user_id


def org_of(actor: Actor) -> str:
    return next(iter(actor.orgs))


def project_of(actor: Actor) -> str:
    return next(iter(actor.projects))


def own_membership(conn: Connection, owner: Actor) -> Member:
    (member,) = OF_ORGS.page(conn, owner, 9, None, of=org_of(owner), user_id=owner.user_id).items
    return member


def as_org(owner: Actor, role: OrgRole, user_id: str = "somebody") -> Actor:
    return Actor(user_id, "", {}, Scope.ADMIN, orgs={org_of(owner): role})


def refused(kind: type[Problem], call: Callable[[], object]) -> None:
    with pytest.raises(kind):
        call()


# Of organisations


@pytest.mark.parametrize("holder", OrgRole)
@pytest.mark.parametrize("given", ["owner", "admin", "member", "viewer"])
def test_admins_take_in_members_and_owners_take_in_owners(
    conn: Connection, owner: Actor, holder: OrgRole, given: str
) -> None:
    actor, user_id = as_org(owner, holder), _user(conn, "new")
    may = holder is OrgRole.OWNER or (holder is OrgRole.ADMIN and given != "owner")
    if not may:
        refused(Forbidden, lambda: OF_ORGS.add(conn, actor, org_of(owner), user_id, given))
        return
    member = OF_ORGS.add(conn, actor, org_of(owner), user_id, given)
    assert OF_ORGS.get(conn, actor, member.member_id) == member
    assert (member.user_id, member.role, member.is_active) == (user_id, given, True)


def test_an_admin_neither_makes_nor_unmakes_owners(conn: Connection, owner: Actor) -> None:
    admin = as_org(owner, OrgRole.ADMIN)
    second = OF_ORGS.add(conn, owner, org_of(owner), _user(conn, "second"), "owner")
    member = OF_ORGS.add(conn, owner, org_of(owner), _user(conn, "third"), "member")
    refused(Forbidden, lambda: OF_ORGS.change(conn, admin, member.member_id, {"role": "owner"}))
    refused(Forbidden, lambda: OF_ORGS.change(conn, admin, second.member_id, {"role": "admin"}))
    refused(Forbidden, lambda: OF_ORGS.change(conn, admin, second.member_id, {"is_active": False}))
    refused(Forbidden, lambda: OF_ORGS.remove(conn, admin, second.member_id))
    assert OF_ORGS.change(conn, admin, member.member_id, {"role": "admin"}).role == "admin"
    OF_ORGS.remove(conn, admin, member.member_id)


def test_nobody_makes_themselves_more_than_they_are(conn: Connection, owner: Actor) -> None:
    for role in ("viewer", "member", "admin"):
        member = OF_ORGS.add(conn, owner, org_of(owner), _user(conn, role), role)
        myself = as_org(owner, OrgRole[role.upper()], member.user_id)
        with pytest.raises(Forbidden):
            OF_ORGS.change(conn, myself, member.member_id, {"role": "owner"})
        with pytest.raises(Exists if role == "admin" else Forbidden):
            OF_ORGS.add(conn, myself, org_of(owner), myself.user_id, "admin")


@pytest.mark.parametrize("changes", [{"role": "admin"}, {"is_active": False}, {"role": "viewer", "is_active": True}])
def test_the_last_active_owner_stays_one(conn: Connection, owner: Actor, changes: dict[str, object]) -> None:
    mine = own_membership(conn, owner)
    inactive = OF_ORGS.add(conn, owner, org_of(owner), _user(conn, "second"), "owner", is_active=False)
    refused(Conflict, lambda: OF_ORGS.change(conn, owner, mine.member_id, changes))
    refused(Conflict, lambda: OF_ORGS.remove(conn, owner, mine.member_id))
    OF_ORGS.change(conn, owner, inactive.member_id, {"is_active": True})
    OF_ORGS.change(conn, owner, mine.member_id, changes)
    refused(Conflict, lambda: OF_ORGS.remove(conn, owner, inactive.member_id))


def test_whoever_is_a_member_may_leave(conn: Connection, owner: Actor) -> None:
    member = OF_ORGS.add(conn, owner, org_of(owner), _user(conn, "new"), "viewer")
    OF_ORGS.remove(conn, as_org(owner, OrgRole.VIEWER, member.user_id), member.member_id)
    refused(NotFound, lambda: OF_ORGS.get(conn, owner, member.member_id))


# Of projects


@pytest.mark.parametrize("scope", [Scope.READ, Scope.WRITE, Scope.ADMIN])
def test_its_admins_look_after_its_members(conn: Connection, owner: Actor, scope: Scope) -> None:
    project_id = project_of(owner)
    member = OF_PROJECTS.add(conn, owner, project_id, _user(conn, "new"), "viewer")
    actor = Actor("somebody", "", {project_id: scope}, Scope.ADMIN)
    attempts = (
        lambda: OF_PROJECTS.add(conn, actor, project_id, _user(conn, "newer"), "editor"),
        lambda: OF_PROJECTS.change(conn, actor, member.member_id, {"role": "admin"}),
        lambda: OF_PROJECTS.remove(conn, actor, member.member_id),
    )
    for attempt in attempts:
        if scope is Scope.ADMIN:
            attempt()
        else:
            refused(Forbidden, attempt)


def test_its_last_admin_may_go_for_the_organisation_has_owners(conn: Connection, owner: Actor) -> None:
    (member,) = OF_PROJECTS.page(conn, owner, 9, None, of=project_of(owner), user_id=None).items
    OF_PROJECTS.remove(conn, owner, member.member_id)
    assert OF_PROJECTS.add(conn, owner, project_of(owner), owner.user_id, "viewer").role == "viewer"


# Of both


@pytest.mark.parametrize("members", [OF_ORGS, OF_PROJECTS], ids=["org", "project"])
def test_what_others_have_is_not_there(conn: Connection, owner: Actor, members: Members) -> None:
    of = org_of(owner) if members is OF_ORGS else project_of(owner)
    member = members.add(conn, owner, of, _user(conn, "new"), "viewer")
    stranger = _owner(conn, "two")
    refused(NotFound, lambda: members.add(conn, stranger, of, stranger.user_id, "admin"))
    refused(NotFound, lambda: members.get(conn, stranger, member.member_id))
    refused(NotFound, lambda: members.change(conn, stranger, member.member_id, {"role": "admin"}))
    refused(NotFound, lambda: members.remove(conn, stranger, member.member_id))
    assert members.page(conn, stranger, 9, None, of=of, user_id=None).items == []
    assert members.get(conn, owner, member.member_id) == member


@pytest.mark.parametrize("members", [OF_ORGS, OF_PROJECTS], ids=["org", "project"])
def test_one_user_is_one_member(conn: Connection, owner: Actor, members: Members) -> None:
    of = org_of(owner) if members is OF_ORGS else project_of(owner)
    member = members.add(conn, owner, of, _user(conn, "new"), "viewer", is_active=False)
    refused(Exists, lambda: members.add(conn, owner, of, member.user_id, "admin"))
    refused(NotFound, lambda: members.add(conn, owner, of, "0" * 32, "viewer"))
    assert members.get(conn, owner, member.member_id) == member


@pytest.mark.parametrize("members", [OF_ORGS, OF_PROJECTS], ids=["org", "project"])
def test_the_log_tells_of_every_change(conn: Connection, owner: Actor, members: Members) -> None:
    of = org_of(owner) if members is OF_ORGS else project_of(owner)
    db.pending(conn).changes.clear()
    member = members.add(conn, owner, of, _user(conn, "new"), "viewer")
    members.change(conn, owner, member.member_id, {"role": "admin", "is_active": True})
    members.change(conn, owner, member.member_id, {})
    members.remove(conn, owner, member.member_id)
    told = [change for change in db.pending(conn).changes if change.table_name == members.table.name]
    assert [change.operation for change in told] == ["I", "U", "D"]
    assert (json.loads(told[1].old_data or ""), json.loads(told[1].new_data or "")) == (
        {"role": "viewer"},
        {"role": "admin"},
    )
    assert {change.row_pk for change in told} == {member.member_id}
    assert {change.org_id or change.project_id for change in told} == {of}


def test_a_list_is_in_the_order_they_came(conn: Connection, owner: Actor) -> None:
    came = [OF_PROJECTS.add(conn, owner, project_of(owner), _user(conn, f"u{n}"), "viewer") for n in range(4)]
    seen: list[object] = []
    token: str | None = None
    while True:
        page = OF_PROJECTS.page(conn, owner, 2, token, of=project_of(owner), user_id=None)
        seen += page.items
        if (token := page.next_token) is None:
            break
    assert seen[1:] == sorted(came, key=lambda member: (member.since, member.member_id))
    (one,) = OF_PROJECTS.page(conn, owner, 2, None, of=None, user_id=came[2].user_id).items
    assert one == came[2]
