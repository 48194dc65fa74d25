"""Who asks: credentials -> Actor.

A credential is HTTP Basic (email or name, and password), or a bearer token: an access token of a login, or a personal
API token, which may also stand in for the password. A browser's session is an access token in a cookie. What was found
out is kept for a few seconds; a change made by this process counts at once.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple, TypeVar

from native_api.core import access, accounts, actors, api_tokens, clock, db, logins, passwords, users
from native_api.core.access import Actor, Scope
from native_api.core.access_tokens import Keys
from native_api.core.errors import Busy, Unauthenticated
from native_api.core.projects import DEFAULT
from native_api.core.users import Identity, Login
from native_api.web import sessions
from native_api.web.endpoint import Caller, Door
from native_api.web.throttle import Throttle

ACTOR_SECONDS = 5
"""For how long a revocation made by another process may go unnoticed."""
PASSWORD_SECONDS = 600
"""For how long a password that was right need not be hashed again, as long as the user's hash stays the same."""
MAX_KEPT = 10_000
MAX_HEADER = 8192
MAX_HASHES_WAITING = 64

WORKSPACE = b"x-mlflow-workspace"

T = TypeVar("T")


class _Known(NamedTuple):
    actor: Actor
    until: float
    changes: int


class Guard:
    """Knows callers. `is_open`: whoever brings no credential acts as the local owner, which only loopback allows."""

    def __init__(self, keys: Keys, *, is_open: bool) -> None:
        self._keys = keys
        self.is_open = is_open
        self._pepper = secrets.token_bytes(32)  # so that no credential can be read from this process's memory
        self._known: dict[tuple[bytes, str | None], _Known] = {}
        self._loading: dict[tuple[bytes, str | None, int], asyncio.Task[Actor]] = {}
        self._passwords: dict[bytes, tuple[str, float]] = {}
        self._hashing = ThreadPoolExecutor(2, thread_name_prefix="hashing")
        self._hashes_waiting = 0
        self._noting: set[asyncio.Task[None]] = set()
        self._throttle = Throttle()
        self._attempts: weakref.WeakValueDictionary[tuple[str, str], asyncio.Lock] = weakref.WeakValueDictionary()
        self._changes = access.Changes()

    async def open(self, door: Door) -> None:
        """Begin to listen for changes of who may do what."""
        self._changes = await door.read(lambda conn: db.memory(conn, access.Changes))

    def close(self) -> None:
        self._hashing.shutdown()

    # Who asks

    async def in_workspace(self, door: Door, caller: Caller) -> Actor:
        """The actor of a call to the MLflow surface: one project in view."""
        named = caller.workspace or caller.headers.get(WORKSPACE, b"").decode("latin-1").strip()
        return await self._actor(door, caller, named or DEFAULT)

    async def anywhere(self, door: Door, caller: Caller) -> Actor:
        """The actor of a call to the native surface: all their projects in view."""
        return await self._actor(door, caller, None)

    async def in_ui(self, door: Door, caller: Caller) -> Actor:
        """The actor of what the UI asks before it has chosen a workspace: all their projects in view.

        `workspace` is the one that the path names, if it names one.
        """
        return replace(await self.anywhere(door, caller), workspace=caller.workspace or "")

    async def knows(self, door: Door, caller: Caller) -> bool:
        """Whether somebody calls who may, wherever."""
        try:
            await self.anywhere(door, caller)
        except Unauthenticated:
            return False
        return True

    def _session(self, caller: Caller) -> bytes:
        """The credential in a session's cookie. Where none is needed, what a browser sends unasked is not looked at."""
        token = "" if self.is_open else sessions.token_in(caller.headers)
        return f"Bearer {token}".encode() if token else b""

    async def _actor(self, door: Door, caller: Caller, workspace: str | None) -> Actor:
        credential = caller.headers.get(b"authorization", b"") or self._session(caller)
        key = hashlib.blake2b(credential, key=self._pepper, digest_size=16).digest(), workspace
        known = self._known.get(key)
        if known and known.until > time.monotonic() and known.changes == self._changes.count:
            return known.actor
        # Many may begin at once with one credential: they wait for one answer, but for none from before a change.
        begun = *key, self._changes.count
        loading = self._loading.get(begun)
        if loading is None:
            loading = self._loading[begun] = asyncio.create_task(self._load(door, credential, caller.address, key))
            loading.add_done_callback(lambda _: self._loading.pop(begun, None))
        return await asyncio.shield(loading)

    async def _load(self, door: Door, credential: bytes, address: str, key: tuple[bytes, str | None]) -> Actor:
        changes, workspace = self._changes.count, key[1]
        identity, expires_at = await self._identity(door, credential, address, key[0])
        if workspace is None:
            actor = await door.read(lambda conn: actors.anywhere(conn, identity))
        else:
            actor = await door.read(lambda conn: actors.in_workspace(conn, identity, workspace))
        if len(self._known) >= MAX_KEPT:
            self._known.clear()
        seconds = min(ACTOR_SECONDS, (expires_at - clock.now()) / 1000) if expires_at else ACTOR_SECONDS
        self._known[key] = _Known(actor, time.monotonic() + seconds, changes)
        return actor

    # Credentials

    async def _identity(self, door: Door, credential: bytes, address: str, key: bytes) -> tuple[Identity, int | None]:
        """Whose credential it is, and until when it counts (milliseconds, UTC)."""
        if not credential and self.is_open:
            return await door.read(accounts.local_owner), None
        scheme, _, rest = credential[:MAX_HEADER].decode("latin-1").strip().partition(" ")
        match scheme.lower():
            case "bearer":
                return await self._by_token(door, rest.strip())
            case "basic":
                name, password = _basic(rest)
                if password.startswith(api_tokens.PREFIX):
                    return await self._by_token(door, password)
                return _identity_of(await self.login(door, name, password, address, key)), None
        raise Unauthenticated(
            "Credentials are needed: a user name and password (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD) "
            "or a token (MLFLOW_TRACKING_TOKEN)"
        )

    async def _by_token(self, door: Door, token: str) -> tuple[Identity, int | None]:
        if token.startswith(api_tokens.PREFIX):
            used = await door.read(lambda conn: api_tokens.find(conn, token))
            if used.is_to_be_noted:
                task = asyncio.create_task(_note_use(door, used.token_id))
                self._noting.add(task)
                task.add_done_callback(self._noting.discard)
            return used.identity, used.expires_at
        claim = self._keys.read(token)
        user, ended = await door.read(
            lambda conn: (users.find_active(conn, claim.user_id), logins.has_ended(conn, claim.login_id))
        )
        if user is None or ended or claim.issued_at < user.signed_out_at:
            raise Unauthenticated("The access token does not count any more: log in again")
        return _identity_of(user), claim.expires_at

    async def login(self, door: Door, name: str, password: str, address: str, key: bytes | None = None) -> Login:
        """The user with this name and password. With a `key`, a password that was right before is known by it.

        Raises Unauthenticated, in the same words and after the same time whether it is the name or the password that is
        wrong; TooManyAttempts after too many of either.
        """
        if "\0" in name or "\0" in password:
            raise Unauthenticated(_WRONG)
        # One attempt after the other, or many would be under way before the first failure counts.
        attempt = self._attempts.setdefault((name.lower(), address), asyncio.Lock())
        async with attempt:
            return await self._attempt(door, name, password, address, key)

    async def _attempt(self, door: Door, name: str, password: str, address: str, key: bytes | None) -> Login:
        found = await door.read(lambda conn: users.find_login(conn, name))
        password_hash = found.password_hash if found else None
        kept = self._passwords.get(key) if key else None
        if found and kept and kept[0] == password_hash and kept[1] > time.monotonic():
            return found
        self._throttle.check(name, address)
        if not await self._in_hashing(lambda: passwords.matches(password, password_hash)) or found is None:
            self._throttle.failed(name, address)
            raise Unauthenticated(_WRONG)
        self._throttle.succeeded(name, address)
        if key and password_hash:
            if len(self._passwords) >= MAX_KEPT:
                self._passwords.clear()
            self._passwords[key] = password_hash, time.monotonic() + PASSWORD_SECONDS
        return found

    async def hash_password(self, password: str) -> str:
        """Its hash, made where it keeps nothing else waiting."""
        return await self._in_hashing(lambda: passwords.make_hash(password))

    async def _in_hashing(self, call: Callable[[], T]) -> T:
        if self._hashes_waiting >= MAX_HASHES_WAITING:
            raise Busy
        self._hashes_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hashing, call)
        finally:
            self._hashes_waiting -= 1

    def issue(self, user_id: str, minutes: int) -> str:
        """An access token for a user who has logged in."""
        return self._keys.issue(user_id, minutes)

    async def log_out(self, door: Door, token: str) -> None:
        """End the login that gave this access token; one that does not count anyway is no error."""
        try:
            claim = self._keys.read(token)
        except Unauthenticated:
            return
        await door.write(lambda conn: logins.end(conn, claim.login_id, claim.expires_at))


_WRONG = "The user name or the password is wrong"


def _identity_of(user: Login) -> Identity:
    return Identity(user.user_id, user.email, Scope.ADMIN, user.is_administrator)


def _basic(encoded: str) -> tuple[str, str]:
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        name = colon = password = ""
    if not colon:
        raise Unauthenticated("The credentials cannot be read: Basic needs base64 of name:password")
    return name, password


async def _note_use(door: Door, token_id: str) -> None:
    try:
        await door.write(lambda conn: api_tokens.note_use(conn, token_id))
    except Exception:  # it is only a note: the next use makes it
        return
