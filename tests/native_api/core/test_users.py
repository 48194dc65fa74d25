"""Users: who may make, see and change them, and who a name and a password belong to."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select

from native_api.core import api_tokens, clock, db, users
from native_api.core import tables as t
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.errors import Conflict, Exists, Forbidden, NotFound
from native_api.core.members import OF_ORGS, OF_PROJECTS
from native_api.core.users import NewUser
from tests.conftest import make_actor

NOBODY_YET = NewUser("New@Example.org", "New")


@pytest.fixture
def ada(conn: Connection) -> Actor:
    """Somebody with an organisation and a project of her own."""
    actor = make_actor(conn, "ada", Scope.ADMIN)
    return replace(actor, project_id="", orgs={"orgada".ljust(32, "0"): OrgRole.OWNER})


@pytest.fixture
def root(conn: Connection) -> Actor:
    """An administrator of the server, of no organisation."""
    user = users.register(conn, NewUser("root@example.org", "Root", "hash", is_administrator=True))
    return Actor(user.user_id, "", {}, Scope.ADMIN, is_administrator=True)


def entries(conn: Connection) -> list[tuple[str, str, dict[str, object]]]:
    """What this transaction will write to the audit log."""
    return [
        (change.table_name, change.operation, json.loads(change.new_data or "{}"))
        for change in db.pending(conn).changes
    ]


# Making


def test_who_registers_is_active_and_made_by_nobody(conn: Connection) -> None:
    made = users.register(conn, NOBODY_YET)
    assert (made.email, made.full_name, made.created_by) == ("new@example.org", "New", None)
    assert (made.is_active, made.is_administrator, made.is_service) == (True, False, False)
    assert abs(clock.now() - made.created_at) < 5000


@pytest.mark.parametrize("email", ["new@example.org", "NEW@EXAMPLE.ORG", "New@Example.org"])
def test_an_email_is_taken_in_any_case(conn: Connection, root: Actor, ada: Actor, email: str) -> None:
    users.register(conn, NOBODY_YET)
    with pytest.raises(Exists):
        users.register(conn, NewUser(email, "Other"))
    with pytest.raises(Exists):
        users.change(conn, root, ada.user_id, {"email": email})
    assert users.get(conn, ada, ada.user_id).email == "ada@example.org"


def test_only_administrators_make_accounts_for_people(conn: Connection, root: Actor, ada: Actor) -> None:
    with pytest.raises(Forbidden):
        users.create(conn, ada, NOBODY_YET)
    assert users.create(conn, root, NOBODY_YET).created_by == root.user_id


@pytest.mark.parametrize("role", OrgRole)
def test_admins_of_an_organisation_make_service_accounts(conn: Connection, ada: Actor, role: OrgRole) -> None:
    service = replace(NOBODY_YET, is_service=True)
    member = replace(ada, orgs={"o": role})
    if role < OrgRole.ADMIN:
        with pytest.raises(Forbidden):
            users.create(conn, member, service)
    else:
        assert users.create(conn, member, service).is_service
    with pytest.raises(Forbidden):
        users.create(conn, member, replace(service, email="x@y", is_administrator=True))


def test_the_log_tells_of_a_password_and_not_which(conn: Connection) -> None:
    users.register(conn, replace(NOBODY_YET, password_hash="$argon2id$secret"))
    ((table, operation, row),) = entries(conn)
    assert (table, operation, row["password_hash"], row["email"]) == ("users", "I", "(secret)", "new@example.org")
    assert "signed_out_at" not in row


# Seeing


def test_one_sees_whom_one_shares_something_with(conn: Connection, root: Actor, ada: Actor) -> None:
    in_org, in_project, stranger = (
        users.register(conn, NewUser(f"{n}@example.org", n)).user_id for n in ("o", "p", "x")
    )
    (org_id,), (project_id,) = ada.orgs, ada.projects
    OF_ORGS.add(conn, ada, org_id, in_org, "viewer")
    OF_PROJECTS.add(conn, ada, project_id, in_project, "viewer")
    service = users.create(conn, ada, NewUser("service@example.org", "s", is_service=True)).user_id
    seen = {user.user_id for user in users.page(conn, ada, 100, None).items}
    assert seen == {ada.user_id, in_org, in_project, service}
    with pytest.raises(NotFound):
        users.get(conn, ada, stranger)
    everybody = {user.user_id for user in users.page(conn, root, 100, None).items}
    assert everybody == seen | {root.user_id, stranger}
    assert [user.user_id for user in users.page(conn, ada, 9, None, email="O@example.org").items] == [in_org]
    assert users.page(conn, ada, 9, None, email="x@example.org").items == []


def test_a_list_goes_on_where_it_ended(conn: Connection, root: Actor) -> None:
    for name in ("c", "a", "B", "é"):
        users.register(conn, NewUser(f"{name}@example.org", name))
    seen, token = [], None
    while True:
        page = users.page(conn, root, 2, token)
        seen += [user.email[0] for user in page.items]
        if (token := page.next_token) is None:
            break
    assert seen == ["a", "b", "c", "r", "é"]


# Changing


def test_one_changes_ones_own_name_and_nobody_elses(conn: Connection, root: Actor, ada: Actor) -> None:
    bob = users.register(conn, NOBODY_YET).user_id
    assert (
        users.change(conn, ada, ada.user_id, {"full_name": "Countess", "email": "C@Example.org"}).email
        == "c@example.org"
    )
    with pytest.raises(NotFound):
        users.change(conn, ada, bob, {"full_name": "x"})
    OF_PROJECTS.add(conn, ada, next(iter(ada.projects)), bob, "viewer")
    with pytest.raises(Forbidden):
        users.change(conn, ada, bob, {"full_name": "x"})
    assert users.change(conn, root, bob, {"full_name": "x"}).full_name == "x"


@pytest.mark.parametrize("changes", [{"is_administrator": True}, {"is_active": False}, {"is_active": True}])
def test_only_administrators_say_who_counts(conn: Connection, ada: Actor, changes: dict[str, bool]) -> None:
    with pytest.raises(Forbidden):
        users.change(conn, ada, ada.user_id, changes)


def test_nothing_to_change_changes_nothing(conn: Connection, ada: Actor) -> None:
    before = entries(conn)
    assert users.change(conn, ada, ada.user_id, {}) == users.get(conn, ada, ada.user_id)
    assert entries(conn) == before


def test_a_service_account_is_looked_after_by_who_made_it(conn: Connection, ada: Actor) -> None:
    service = users.create(conn, ada, replace(NOBODY_YET, is_service=True)).user_id
    assert users.change(conn, ada, service, {"full_name": "CI"}).full_name == "CI"
    assert not users.deactivate(conn, ada, service).is_active


def test_one_may_leave(conn: Connection, ada: Actor) -> None:
    assert not users.deactivate(conn, ada, ada.user_id).is_active
    assert not users.deactivate(conn, ada, ada.user_id).is_active
    assert users.find_active(conn, ada.user_id) is None


@pytest.mark.parametrize("changes", [{"is_administrator": False}, {"is_active": False}])
def test_the_last_administrator_stays(conn: Connection, root: Actor, changes: dict[str, bool]) -> None:
    with pytest.raises(Conflict):
        users.change(conn, root, root.user_id, changes)
    second = users.create(conn, root, replace(NOBODY_YET, is_administrator=True)).user_id
    users.change(conn, root, root.user_id, changes)
    with pytest.raises(Conflict):
        users.deactivate(conn, replace(root, user_id=second), second)


@pytest.mark.parametrize("changes", [{"password_hash": "new"}, {"is_active": False}])
def test_logins_end_with_the_password_and_with_the_account(
    conn: Connection, root: Actor, ada: Actor, changes: dict[str, object]
) -> None:
    users.change(conn, root, ada.user_id, changes)
    signed_out_at = conn.scalars(select(t.users.c.signed_out_at).where(t.users.c.user_id == ada.user_id)).one()
    assert abs(clock.now() - signed_out_at) < 5000
    (table, operation, row) = entries(conn)[-1]
    assert (table, operation) == ("users", "U")
    assert row == ({"password_hash": "(secret)"} if "password_hash" in changes else {"is_active": False})


# Logging in


def test_a_name_finds_an_active_user_or_none(conn: Connection, root: Actor) -> None:
    one = users.register(conn, NewUser("one@example.org", "Same name", "h1"))
    assert users.find_login(conn, "ONE@example.org") == users.find_login(conn, "Same name")
    two = users.register(conn, NewUser("two@example.org", "Same name", "h2"))
    assert users.find_login(conn, "Same name") is None
    users.deactivate(conn, root, one.user_id)
    found = users.find_login(conn, "Same name")
    assert found is not None
    assert (found.user_id, found.password_hash) == (two.user_id, "h2")
    assert users.find_login(conn, "one@example.org") is None
    assert users.find_login(conn, "same name") is None


def test_an_email_comes_before_a_name(conn: Connection) -> None:
    one = users.register(conn, NewUser("one@example.org", "One"))
    users.register(conn, NewUser("two@example.org", "one@example.org"))
    found = users.find_login(conn, "one@example.org")
    assert found is not None
    assert found.user_id == one.user_id


def test_an_administrator_is_one_who_can_come_in(conn: Connection) -> None:
    assert not users.has_administrator(conn)
    helpless = users.register(conn, NewUser("a@example.org", "a", is_administrator=True)).user_id
    assert not users.has_administrator(conn)
    helped = Actor(helpless, "", {}, Scope.ADMIN)
    api_tokens.create(conn, helped, helpless, "over", Scope.ADMIN, clock.now() - 1)
    assert not users.has_administrator(conn)
    token = api_tokens.create(conn, helped, helpless, "good", Scope.ADMIN, None)[0]
    assert users.has_administrator(conn)
    api_tokens.revoke(conn, helped, token.token_id)
    assert not users.has_administrator(conn)
    users.register(conn, NewUser("b@example.org", "b", "hash", is_administrator=True))
    assert users.has_administrator(conn)
