"""Personal API tokens: whose they are, what they allow, and that nobody can read them back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, select

from native_api.core import api_tokens, clock, db, users
from native_api.core import tables as t
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.api_tokens import PREFIX, ApiToken
from native_api.core.errors import Forbidden, NotFound, Unauthenticated
from native_api.core.users import NewUser

HOUR_MS = 3_600_000


@pytest.fixture
def ada(conn: Connection) -> Actor:
    return _actor(conn, "ada")


@pytest.fixture
def root(conn: Connection) -> Actor:
    return replace(_actor(conn, "root"), is_administrator=True)


def _actor(conn: Connection, name: str) -> Actor:
    user = users.register(conn, NewUser(f"{name}@example.org", name))
    return Actor(user.user_id, "", {}, Scope.ADMIN, orgs={"o": OrgRole.OWNER})


def make(
    conn: Connection, actor: Actor, scope: Scope = Scope.WRITE, expires_at: int | None = None
) -> tuple[ApiToken, str]:
    return api_tokens.create(conn, actor, actor.user_id, "mine", scope, expires_at)


def service_of(conn: Connection, actor: Actor) -> str:
    return users.create(conn, actor, NewUser(f"ci-{actor.user_id}@example.org", "CI", is_service=True)).user_id


def test_only_a_digest_of_it_is_kept(conn: Connection, ada: Actor) -> None:
    token, text = make(conn, ada)
    assert text.startswith(PREFIX)
    assert len(text) >= len(PREFIX) + 43  # 256 bits
    assert text.startswith(token.hint)
    assert len(token.hint) <= len(PREFIX) + 6
    assert text not in repr(conn.execute(select(t.api_tokens)).all())
    assert text not in repr(db.pending(conn).changes)
    digest = conn.scalars(select(t.api_tokens.c.digest)).one()
    assert digest not in repr(db.pending(conn).changes)


def test_it_is_good_until_its_time_is_over(conn: Connection, ada: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    expires_at = clock.now() + HOUR_MS
    token, text = make(conn, ada, Scope.READ, expires_at)
    used = api_tokens.find(conn, text)
    assert (used.token_id, used.identity.user_id, used.identity.scope) == (token.token_id, ada.user_id, Scope.READ)
    assert (used.expires_at, used.is_to_be_noted) == (expires_at, True)
    monkeypatch.setattr(clock, "now", lambda: expires_at)
    with pytest.raises(Unauthenticated):
        api_tokens.find(conn, text)


def test_it_ends_with_its_revocation_and_with_its_user(conn: Connection, ada: Actor, root: Actor) -> None:
    token, text = make(conn, ada)
    other, other_text = make(conn, ada)
    api_tokens.revoke(conn, ada, token.token_id)
    revoked_at = api_tokens.get(conn, ada, token.token_id).revoked_at
    api_tokens.revoke(conn, ada, token.token_id)
    assert api_tokens.get(conn, ada, token.token_id).revoked_at == revoked_at is not None
    assert api_tokens.find(conn, other_text).token_id == other.token_id
    users.deactivate(conn, root, ada.user_id)
    for gone in (text, other_text, "", PREFIX, f"{text}x", text[:-1], text.upper()):
        with pytest.raises(Unauthenticated):
            api_tokens.find(conn, gone)


def test_its_use_is_noted_once_a_minute(conn: Connection, ada: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    token, text = make(conn, ada)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    api_tokens.note_use(conn, token.token_id)
    assert api_tokens.get(conn, ada, token.token_id).last_used_at == now
    for later, due in ((59_999, False), (60_000, True)):
        monkeypatch.setattr(clock, "now", lambda later=later: now + later)
        assert api_tokens.find(conn, text).is_to_be_noted is due


@pytest.mark.parametrize("held", [Scope.READ, Scope.WRITE, Scope.ADMIN])
@pytest.mark.parametrize("asked", [Scope.READ, Scope.WRITE, Scope.ADMIN])
def test_it_allows_no_more_than_its_maker_may(conn: Connection, ada: Actor, held: Scope, asked: Scope) -> None:
    maker = replace(ada, scope=held)
    if asked <= held:
        assert make(conn, maker, asked)[0].scope == asked.name.lower()
    else:
        with pytest.raises(Forbidden):
            make(conn, maker, asked)


def test_nobody_makes_one_of_somebody_else(conn: Connection, ada: Actor, root: Actor) -> None:
    """Not even an administrator, who could then be anybody; but of service accounts, which are nobody."""
    bob = _actor(conn, "bob")
    service = service_of(conn, bob)
    for user_id in (bob.user_id, service, "0" * 32):
        with pytest.raises(NotFound):
            api_tokens.create(conn, ada, user_id, "t", Scope.READ, None)
    with pytest.raises(Forbidden):
        api_tokens.create(conn, root, bob.user_id, "t", Scope.READ, None)
    for maker in (bob, root):
        token, text = api_tokens.create(conn, maker, service, "t", Scope.READ, None)
        assert (token.user_id, token.created_by) == (service, maker.user_id)
        assert api_tokens.find(conn, text).identity.user_id == service
    users.deactivate(conn, bob, service)
    with pytest.raises(NotFound):
        api_tokens.create(conn, bob, service, "t", Scope.READ, None)


def test_one_sees_and_ends_ones_own_and_those_of_ones_service_accounts(
    conn: Connection, ada: Actor, root: Actor
) -> None:
    bob = _actor(conn, "bob")
    mine = make(conn, bob)[0]
    services = api_tokens.create(conn, bob, service_of(conn, bob), "t", Scope.READ, None)[0]
    for token in (mine, services):
        assert api_tokens.get(conn, bob, token.token_id) == api_tokens.get(conn, root, token.token_id) == token
        for attempt in (api_tokens.get, api_tokens.revoke):
            with pytest.raises(NotFound):
                attempt(conn, ada, token.token_id)
    assert api_tokens.page(conn, ada, 9, None).items == []
    assert api_tokens.page(conn, ada, 9, None, user_id=bob.user_id).items == []
    assert {token.token_id for token in api_tokens.page(conn, bob, 9, None).items} == {mine.token_id, services.token_id}
    assert api_tokens.page(conn, bob, 9, None, user_id=services.user_id).items == [services]
    api_tokens.revoke(conn, root, mine.token_id)
    api_tokens.revoke(conn, bob, services.token_id)


def test_a_list_is_newest_first(conn: Connection, ada: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for moment in (1, 3, 2):
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        made.append(make(conn, ada)[0])
    first = api_tokens.page(conn, ada, 2, None)
    rest = api_tokens.page(conn, ada, 2, first.next_token)
    assert [token.created_at for token in [*first.items, *rest.items]] == [3, 2, 1]
    assert rest.next_token is None
