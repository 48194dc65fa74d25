"""Who asks: every kind of credential, how long it counts, and what wrong ones cost."""

from __future__ import annotations

import asyncio
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from argon2 import PasswordHasher
from sqlalchemy import Connection, Engine, select, update

from native_api.core import accounts, api_tokens, clock, orgs, passwords, projects, users
from native_api.core import tables as t
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.access_tokens import Keys
from native_api.core.errors import Forbidden, NotFound, Problem, TooManyAttempts, Unauthenticated
from native_api.core.members import OF_PROJECTS
from native_api.core.users import NewUser, User
from native_api.core.writer import Writer
from native_api.web import auth
from native_api.web.auth import Guard
from native_api.web.endpoint import Caller, Door
from native_api.web.throttle import FROM_ONE_PLACE

pytestmark = pytest.mark.anyio

KEY, OLD_KEY = "k" * 64, "o" * 64
PASSWORD = "correct horse"
Forge = Callable[[str], str]
ADMINISTRATOR = Actor("", "", {}, Scope.ADMIN, is_administrator=True)


@dataclass
class Hashing:
    """The threads that have compared a password, and a gate that holds them up while it is closed."""

    threads: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Hashing:
    """Cheap hashes, and who makes them."""
    seen = Hashing()
    seen.gate.set()
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", cheap)
    nobodys = cheap.hash("nobody's")
    monkeypatch.setattr(passwords, "_nobodys", lambda: nobodys)
    matches = passwords.matches

    def watched(password: str, password_hash: str | None) -> bool:
        seen.threads.append(threading.current_thread().name)
        seen.gate.wait(10)
        return matches(password, password_hash)

    monkeypatch.setattr(passwords, "matches", watched)
    return seen


@dataclass
class House:
    """A guard at the door of a server, and who lives there."""

    door: Door
    guard: Guard
    ada: User

    async def anywhere(self, credential: str = "", address: str = "1.1.1.1") -> Actor:
        """Who the native surface takes the bringer of this Authorization header for."""
        return await self.guard.anywhere(self.door, caller(credential, address))

    async def in_workspace(self, credential: str, workspace: str) -> Actor:
        """The same for MLflow's surface."""
        return await self.guard.in_workspace(self.door, caller(credential, workspace=workspace))

    async def login(self) -> str:
        """The header of an access token of Ada's."""
        await asyncio.sleep(0.002)  # tokens made before a moment, to the millisecond, may have to end with it
        return f"Bearer {self.guard.issue(self.ada.user_id, 5)}"

    async def token(self, scope: Scope = Scope.ADMIN, expires_at: int | None = None) -> tuple[str, str]:
        """The id and the text of an API token of Ada's."""
        ada = Actor(self.ada.user_id, "", {}, Scope.ADMIN)
        made, text = await self.door.write(
            lambda conn: api_tokens.create(conn, ada, ada.user_id, "t", scope, expires_at)
        )
        return made.token_id, text

    async def change(self, **changes: Any) -> None:
        """Change Ada's account."""
        await asyncio.sleep(0.002)
        await self.door.write(lambda conn: users.change(conn, ADMINISTRATOR, self.ada.user_id, changes))


def caller(credential: str, address: str = "1.1.1.1", workspace: str | None = None) -> Caller:
    return Caller({b"authorization": credential.encode("latin-1")} if credential else {}, address, workspace)


def basic(name: str, password: str = PASSWORD) -> str:
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


@pytest.fixture
async def house(own_engine: Engine, hashing: Hashing) -> AsyncIterator[House]:
    """Ada is admin of the projects `one` and `two`."""
    door = Door(own_engine, Writer(own_engine), 2)
    guard = Guard(Keys([KEY, OLD_KEY]), is_open=False)
    await guard.open(door)
    hashed = passwords.make_hash(PASSWORD)

    def move_in(conn: Connection) -> User:
        accounts.set_up(conn, "mlflow-artifacts:/")
        ada = users.register(conn, NewUser("ada@example.org", "Ada", hashed))
        org = orgs.create(conn, Actor(ada.user_id, "", {}), "org")
        owner = Actor(ada.user_id, "", {}, orgs={org.org_id: OrgRole.OWNER})
        for name in ("one", "two"):
            projects.create(conn, owner, org.org_id, name)
        return ada

    ada = await door.write(move_in)
    yield House(door, guard, ada)
    guard.close()
    await door.close()
    own_engine.dispose()


async def refused(house: House, credential: str, kind: type[Problem] = Unauthenticated) -> str:
    with pytest.raises(kind) as raised:
        await house.anywhere(credential)
    return raised.value.message


# Without a credential


async def test_who_brings_nothing_is_told_at_once_what_is_needed(house: House, hashing: Hashing) -> None:
    assert "MLFLOW_TRACKING_USERNAME" in await refused(house, "")
    assert hashing.threads == []


async def test_who_brings_nothing_where_it_is_open_is_the_local_owner(house: House) -> None:
    house.guard = Guard(Keys([KEY]), is_open=True)
    owner = await house.anywhere()
    assert (owner.email, owner.scope, list(owner.projects.values())) == ("", Scope.ADMIN, [Scope.ADMIN])
    assert owner.is_administrator
    assert (await house.in_workspace("", "default")).project_id in owner.projects
    with pytest.raises(NotFound):
        await house.in_workspace("", "one")


async def test_a_credential_counts_where_it_is_open_too(house: House) -> None:
    house.guard = Guard(Keys([KEY]), is_open=True)
    assert (await house.anywhere(basic("ada@example.org"))).user_id == house.ada.user_id
    for wrong in (basic("ada@example.org", "wrong"), "Bearer mls_unknown", "Bearer unknown", "Digest x", "nonsense"):
        await refused(house, wrong)


async def test_without_an_owner_nobody_is_let_in_for_nothing(house: House) -> None:
    house.guard = Guard(Keys([KEY]), is_open=True)
    away = update(t.users).where(t.users.c.email == accounts.OWNER_EMAIL).values(is_active=False)
    await house.door.write(lambda conn: conn.execute(away))
    assert "no owner" in await refused(house, "")


# Basic


@pytest.mark.parametrize("name", ["ada@example.org", "ADA@Example.org", "Ada"])
async def test_a_password_goes_with_the_email_or_the_full_name(house: House, name: str) -> None:
    actor = await house.anywhere(basic(name))
    assert (actor.user_id, actor.email, actor.scope) == (house.ada.user_id, "ada@example.org", Scope.ADMIN)
    assert len(actor.projects) == 2


async def test_a_name_that_two_have_is_nobodys(house: House) -> None:
    other = NewUser("other@example.org", "Ada", passwords.make_hash("another one"))
    theirs = await house.door.write(lambda conn: users.register(conn, other))
    for password in (PASSWORD, "another one"):
        await refused(house, basic("Ada", password))
    assert await house.anywhere(basic("ada@example.org"))
    await house.door.write(lambda conn: users.deactivate(conn, ADMINISTRATOR, theirs.user_id))
    assert (await house.anywhere(basic("Ada"))).user_id == house.ada.user_id


async def test_a_name_is_no_way_to_the_email_of_somebody_else(house: House) -> None:
    thief = NewUser("thief@example.org", "ada@example.org", passwords.make_hash("the thief's"))
    await house.door.write(lambda conn: users.register(conn, thief))
    await refused(house, basic("ada@example.org", "the thief's"))


@pytest.mark.parametrize("given", ["", "é", "%%%", "YWRh", b64encode(b"\xff\xfe:x").decode(), "YWRh:YWRh", "a" * 9000])
async def test_what_cannot_be_read_lets_nobody_in(house: House, given: str) -> None:
    assert "cannot be read" in await refused(house, f"Basic {given}")


@pytest.mark.parametrize("name", ["ada@example.org\0", "\0", ""])
async def test_no_text_is_too_odd_for_a_name(house: House, name: str) -> None:
    await refused(house, basic(name))


async def test_unknown_names_and_wrong_passwords_get_the_same_words_for_the_same_work(
    house: House, hashing: Hashing
) -> None:
    assert await refused(house, basic("ada@example.org", "wrong")) == await refused(house, basic("nobody@example.org"))
    assert len(hashing.threads) == 2


def test_comparing_with_nobodys_hash_is_the_same_work() -> None:
    assert passwords._nobodys().split("$")[1:4] == passwords.make_hash(PASSWORD).split("$")[1:4]
    assert not passwords.matches(PASSWORD, None)


async def test_passwords_are_not_hashed_on_the_event_loop(house: House, hashing: Hashing) -> None:
    await house.anywhere(basic("ada@example.org"))
    await refused(house, basic("nobody"))
    assert all(name.startswith("hashing") for name in hashing.threads)
    hashed = await house.guard.hash_password(PASSWORD)
    assert passwords.matches(PASSWORD, hashed)


# Once is enough


async def test_many_first_calls_at_once_hash_once(house: House, hashing: Hashing) -> None:
    found = await asyncio.gather(*(house.anywhere(basic("ada@example.org")) for _ in range(50)))
    assert {actor.user_id for actor in found} == {house.ada.user_id}
    assert len(hashing.threads) == 1


async def test_calls_to_many_workspaces_hash_once(house: House, hashing: Hashing) -> None:
    asked = [house.in_workspace(basic("ada@example.org"), name) for name in ("one", "two")] * 1
    found = await asyncio.gather(*asked, house.anywhere(basic("ada@example.org")))
    assert len({actor.project_id for actor in found}) == 3
    assert len(hashing.threads) == 1


async def test_a_password_that_was_right_is_not_hashed_again(
    house: House, hashing: Hashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "ACTOR_SECONDS", 0)
    for _ in range(3):
        await house.anywhere(basic("ada@example.org"))
    assert len(hashing.threads) == 1


async def test_nothing_secret_is_kept(house: House) -> None:
    _, text = await house.token()
    access_token = house.guard.issue(house.ada.user_id, 5)
    for credential in (basic("ada@example.org"), f"Bearer {text}", f"Bearer {access_token}"):
        await house.anywhere(credential)
    await refused(house, basic("nobody", "their secret"))
    kept = repr([vars(house.guard), vars(house.guard._throttle)])
    assert "ada@example.org" in kept
    for secret in (PASSWORD, "their secret", basic("ada@example.org").split()[1], text, access_token):
        assert secret not in kept


# Access tokens


async def test_a_login_counts_until_its_time_is_over(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    credential = await house.login()
    assert (await house.anywhere(credential)).user_id == house.ada.user_id
    later = clock.now() + 6 * 60_000
    claims = jwt.decode(credential.split()[1], KEY, ["HS256"])
    assert claims["exp"] * 1000 < later
    short = f"Bearer {Keys([KEY]).issue(house.ada.user_id, 0)}"
    await refused(house, short)


async def test_a_token_that_runs_out_while_its_caller_is_known_runs_out(house: House) -> None:
    _, text = await house.token(expires_at=clock.now() + 400)
    assert await house.anywhere(f"Bearer {text}")
    await asyncio.sleep(0.5)
    await refused(house, f"Bearer {text}")


async def test_a_key_can_be_rotated_out(house: House) -> None:
    assert await house.anywhere(f"Bearer {Keys([OLD_KEY]).issue(house.ada.user_id, 5)}")
    await refused(house, f"Bearer {Keys(['another key' * 4]).issue(house.ada.user_id, 5)}")


def _forged(key: str | None = KEY, algorithm: str = "HS256", kid: str | None = None, **changed: Any) -> Forge:
    """Makes a token for a user, right but for what is changed: a claim that is None is left out."""

    def make(user_id: str) -> str:
        right = jwt.get_unverified_header(Keys([KEY]).issue(user_id, 5))["kid"]
        now = clock.now() // 1000
        claims = {"sub": user_id, "iat": now, "exp": now + 300, "jti": "login", **changed}
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, key or "", algorithm, {"kid": right if kid is None else kid})

    return make


async def test_what_is_forged_below_would_count_if_nothing_were_wrong_with_it(house: House) -> None:
    assert await house.anywhere(f"Bearer {_forged()(house.ada.user_id)}")


@pytest.mark.parametrize(
    "forge",
    [
        _forged(key="x" * 40),
        _forged(key=None, algorithm="none"),
        _forged(algorithm="HS384"),
        _forged(algorithm="HS512"),
        _forged(kid="unknown"),
        _forged(kid=""),
        _forged(exp=1),
        _forged(exp=None),
        _forged(iat=None),
        _forged(iat="x"),
        _forged(exp="x"),
        _forged(sub=None),
        _forged(sub="0" * 32),
        _forged(nbf=2**40),
        lambda user_id: _forged()(user_id)[:-2],
        lambda user_id: _forged()(user_id).rpartition(".")[0] + ".",
        lambda user_id: "",
        lambda user_id: "..",
        lambda user_id: "é" * 100,
    ],
)
async def test_a_forged_token_lets_nobody_in(house: House, forge: Forge) -> None:
    await refused(house, f"Bearer {forge(house.ada.user_id)}")


async def test_a_token_of_a_machine_whose_clock_is_ahead_counts(house: House) -> None:
    ahead = clock.now() // 1000 + 5
    assert await house.anywhere(f"Bearer {_forged(iat=ahead)(house.ada.user_id)}")


# API tokens


async def test_an_api_token_is_a_bearer_token_or_stands_in_for_the_password(house: House) -> None:
    _, text = await house.token()
    for credential in (f"Bearer {text}", f"bearer  {text} ", basic("ada@example.org", text), basic("anything", text)):
        assert (await house.anywhere(credential)).user_id == house.ada.user_id


@pytest.mark.parametrize("scope", [Scope.READ, Scope.WRITE, Scope.ADMIN])
async def test_an_api_token_allows_no_more_than_its_scope(house: House, scope: Scope) -> None:
    _, text = await house.token(scope)
    actor = await house.anywhere(f"Bearer {text}")
    assert (actor.scope, set(actor.projects.values())) == (scope, {scope})
    assert (await house.in_workspace(f"Bearer {text}", "one")).scope == scope


async def test_only_a_token_of_all_scopes_makes_an_administrator(house: House) -> None:
    await house.change(is_administrator=True)
    for scope in (Scope.READ, Scope.WRITE, Scope.ADMIN):
        _, text = await house.token(scope)
        assert (await house.anywhere(f"Bearer {text}")).is_administrator is (scope is Scope.ADMIN)


async def last_used(house: House) -> int | None:
    return await house.door.read(lambda conn: conn.scalars(select(t.api_tokens.c.last_used_at)).one())


async def test_the_use_of_a_token_is_noted_to_the_minute(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "ACTOR_SECONDS", 0)
    _, text = await house.token()

    async def use() -> int | None:
        await house.anywhere(f"Bearer {text}")
        await asyncio.gather(*house.guard._noting)
        return await last_used(house)

    assert await last_used(house) is None
    first = await use()
    assert first is not None
    assert abs(clock.now() - first) < 5000
    assert await use() == first
    long_ago = update(t.api_tokens).values(last_used_at=first - 60_000)
    await house.door.write(lambda conn: conn.execute(long_ago))
    assert (await use() or 0) >= first


# What ends a credential counts at once


async def test_a_revoked_token_does_not_count_any_more(house: House) -> None:
    token_id, text = await house.token()
    assert await house.anywhere(f"Bearer {text}")
    ada = Actor(house.ada.user_id, "", {}, Scope.ADMIN)
    await house.door.write(lambda conn: api_tokens.revoke(conn, ada, token_id))
    await refused(house, f"Bearer {text}")


async def test_nothing_of_a_deactivated_user_counts_any_more(house: House) -> None:
    _, text = await house.token()
    credentials = [basic("ada@example.org"), basic("Ada"), f"Bearer {text}", await house.login()]
    for credential in credentials:
        await house.anywhere(credential)
    await asyncio.sleep(0.002)
    await house.door.write(lambda conn: users.deactivate(conn, ADMINISTRATOR, house.ada.user_id))
    for credential in credentials:
        await refused(house, credential)
    await house.change(is_active=True)
    assert await house.anywhere(credentials[0])
    assert "log in again" in await refused(house, credentials[3])


async def test_another_password_ends_the_old_one_and_every_login_made_with_it(house: House) -> None:
    credentials = [basic("ada@example.org"), await house.login()]
    for credential in credentials:
        await house.anywhere(credential)
    await house.change(password_hash=passwords.make_hash("another one"))
    for credential in credentials:
        await refused(house, credential)
    assert await house.anywhere(basic("ada@example.org", "another one"))
    assert await house.anywhere(await house.login())


async def test_a_role_that_is_taken_away_does_not_count_any_more(house: House) -> None:
    bob = await house.door.write(lambda conn: users.register(conn, NewUser("bob@example.org", "Bob")))
    credential = f"Bearer {house.guard.issue(bob.user_id, 5)}"
    ada = await house.anywhere(basic("ada@example.org"))
    project_id = (await house.in_workspace(basic("ada@example.org"), "one")).project_id
    assert (await house.anywhere(credential)).projects == {}
    with pytest.raises(NotFound):
        await house.in_workspace(credential, "one")
    member = await house.door.write(lambda conn: OF_PROJECTS.add(conn, ada, project_id, bob.user_id, "editor"))
    assert (await house.in_workspace(credential, "one")).scope is Scope.WRITE
    await house.door.write(lambda conn: OF_PROJECTS.change(conn, ada, member.member_id, {"role": "viewer"}))
    assert (await house.in_workspace(credential, "one")).scope is Scope.READ
    await house.door.write(lambda conn: OF_PROJECTS.remove(conn, ada, member.member_id))
    with pytest.raises(NotFound):
        await house.in_workspace(credential, "one")


async def test_a_call_after_a_change_waits_for_no_answer_from_before(house: House, hashing: Hashing) -> None:
    hashing.gate.clear()
    before = asyncio.create_task(house.anywhere(basic("ada@example.org")))
    while not hashing.threads:
        await asyncio.sleep(0.001)
    await house.door.write(lambda conn: users.deactivate(conn, ADMINISTRATOR, house.ada.user_id))
    after = asyncio.create_task(house.anywhere(basic("ada@example.org")))
    await asyncio.sleep(0.01)
    hashing.gate.set()
    await asyncio.gather(before, after, return_exceptions=True)
    assert isinstance(after.exception(), Unauthenticated)
    await refused(house, basic("ada@example.org"))


async def test_what_another_process_changed_counts_after_a_while(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    credential = basic("ada@example.org")
    await house.anywhere(credential)
    unseen = update(t.users).where(t.users.c.user_id == house.ada.user_id).values(is_active=False)
    await house.door.write(lambda conn: conn.execute(unseen))
    assert await house.anywhere(credential)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + auth.ACTOR_SECONDS + 1)
    await refused(house, credential)


# Workspaces


async def test_a_workspace_is_named_by_the_path_else_by_the_header(house: House) -> None:
    credential = {b"authorization": basic("Ada").encode()}
    named = credential | {b"x-mlflow-workspace": b" two "}
    by_path = await house.guard.in_workspace(house.door, Caller(named, "", "one"))
    by_header = await house.guard.in_workspace(house.door, Caller(named, "", None))
    assert (by_path.workspace, by_header.workspace) == ("one", "two")
    with pytest.raises(Forbidden, match="MLFLOW_WORKSPACE"):
        await house.guard.in_workspace(house.door, Caller(credential, "", None))


@pytest.mark.parametrize("name", ["three", "One", "one\0", "\0", "../one", "é", "x" * 5000, "default\0"])
async def test_a_workspace_that_is_not_theirs_is_not_there(house: House, name: str) -> None:
    with pytest.raises(NotFound):
        await house.in_workspace(basic("Ada"), name)


# Guessing


async def test_who_guesses_too_often_has_to_wait(house: House, hashing: Hashing) -> None:
    for number in range(FROM_ONE_PLACE):
        await refused(house, basic("ada@example.org", f"wrong {number}"))
    for password in ("wrong", PASSWORD):
        assert "seconds" in await refused(house, basic("ADA@example.org", password), TooManyAttempts)
    assert len(hashing.threads) == FROM_ONE_PLACE
    assert await house.anywhere(basic("ada@example.org"), "2.2.2.2")


async def test_guesses_at_names_that_nobody_has_count_as_well(house: House) -> None:
    for number in range(FROM_ONE_PLACE):
        await refused(house, basic("nobody", f"wrong {number}"))
    await refused(house, basic("nobody"), TooManyAttempts)


async def test_guessing_at_once_is_no_faster(house: House, hashing: Hashing) -> None:
    guesses = (house.anywhere(basic("ada@example.org", f"wrong {number}")) for number in range(50))
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(outcome, TooManyAttempts) for outcome in outcomes) == 50 - FROM_ONE_PLACE
    assert len(hashing.threads) == FROM_ONE_PLACE


async def test_the_right_password_makes_the_failures_before_it_forgotten(house: House) -> None:
    for _ in range(3):
        for number in range(FROM_ONE_PLACE - 1):
            await refused(house, basic("ada@example.org", f"wrong {number}"))
        await house.guard.login(house.door, "ada@example.org", PASSWORD, "1.1.1.1")


async def test_who_is_known_is_not_shut_out_by_the_guesses_of_others(house: House) -> None:
    assert await house.anywhere(basic("ada@example.org"))
    for number in range(FROM_ONE_PLACE):
        await refused(house, basic("ada@example.org", f"wrong {number}"))
    await house.change(full_name="Countess")  # so that she is looked up again
    assert await house.anywhere(basic("ada@example.org"))
