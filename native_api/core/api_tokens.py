"""Personal API tokens: long random texts with a fixed prefix, of which only a digest is kept."""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, or_, select, true, update

from native_api.core import access, audit, clock, db, pages
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Forbidden, NotFound, Unauthenticated
from native_api.core.pages import Page
from native_api.core.users import Identity

PREFIX = "mls_"
HINT_LENGTH = 10
USE_NOTED_EVERY_MS = 60_000

_c = t.api_tokens.c


class ApiToken(NamedTuple):
    """A token without its secret. Times are milliseconds, UTC."""

    token_id: str
    user_id: str
    name: str
    hint: str
    scope: str
    created_at: int
    created_by: str
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None


_COLUMNS = [_c[name] for name in ApiToken._fields]


def create(
    conn: Connection, actor: Actor, user_id: str, name: str, scope: Scope, expires_at: int | None
) -> tuple[ApiToken, str]:
    """A new token of one's own or of a service account of one's own, and its text, which is never shown again.

    It allows no more than the actor may do. Administrators make them for every service account.
    """
    u = t.users.c
    owner = conn.execute(select(u.is_service, u.created_by).where(u.user_id == user_id, u.is_active)).one_or_none()
    mine = user_id == actor.user_id or (owner and owner.is_service and owner.created_by == actor.user_id)
    if owner is None or not (mine or actor.is_administrator):
        raise NotFound("user", user_id)
    if not mine and not owner.is_service:
        raise Forbidden("A person's tokens are made by that person alone")
    if scope > actor.scope:
        raise Forbidden(f"A token made with {actor.scope.name.lower()} access allows no more than that")
    text = PREFIX + secrets.token_urlsafe(32)
    row = {
        "token_id": clock.new_id(),
        "user_id": user_id,
        "name": name,
        "digest": _digest(text),
        "hint": text[:HINT_LENGTH],
        "scope": scope.name.lower(),
        "created_at": clock.now(),
        "created_by": actor.user_id,
        "expires_at": expires_at,
    }
    made = conn.execute(t.api_tokens.insert().values(row).returning(*_COLUMNS)).one()
    audit.inserted(conn, actor, "api_tokens", made.token_id, row)
    return ApiToken._make(made), text


def revoke(conn: Connection, actor: Actor, token_id: str) -> None:
    """It does not count any more. Doing it again changes nothing."""
    mine = select(_c.revoked_at).where(_c.token_id == token_id, _mine(actor))
    held = conn.execute(db.hold(conn, mine, t.api_tokens)).one_or_none()
    if held is None:
        raise NotFound("token", token_id)
    if held.revoked_at is not None:
        return
    new = {"revoked_at": clock.now()}
    conn.execute(update(t.api_tokens).where(_c.token_id == token_id).values(new))
    audit.updated(conn, actor, "api_tokens", token_id, {}, new)
    access.changed(conn)


def get(conn: Connection, actor: Actor, token_id: str) -> ApiToken:
    """A token that the actor may see: one's own, of a service account of one's own, all for an administrator."""
    row = conn.execute(select(*_COLUMNS).where(_c.token_id == token_id, _mine(actor))).one_or_none()
    if row is None:
        raise NotFound("token", token_id)
    return ApiToken._make(row)


def page(
    conn: Connection, actor: Actor, limit: int, token: str | None, *, user_id: str | None = None
) -> Page[ApiToken]:
    """The tokens that the actor may see, newest first, revoked ones included."""
    clauses = [] if user_id is None else [_c.user_id == user_id]
    statement = select(*_COLUMNS).where(_mine(actor), *clauses)
    order = [pages.Column(_c.created_at, int, descending=True), pages.Column(_c.token_id, str)]
    query = pages.fingerprint("tokens", actor.user_id, user_id)
    found = pages.read(conn, [pages.Part(statement, order)], query, limit, token)
    return Page([ApiToken._make(row[: len(_COLUMNS)]) for row in found.items], found.next_token)


def _mine(actor: Actor) -> ColumnElement[bool]:
    if actor.is_administrator:
        return true()
    u = t.users.c
    services = select(u.user_id).where(u.is_service, u.created_by == actor.user_id)
    return or_(_c.user_id == actor.user_id, _c.user_id.in_(services))


# Using


class Used(NamedTuple):
    """A token that counts: whose it is, until when, and whether its use is to be noted."""

    token_id: str
    identity: Identity
    expires_at: int | None
    is_to_be_noted: bool


def find(conn: Connection, text: str) -> Used:
    """The token with this text; Unauthenticated if there is none, it was revoked, its time is over or its user gone."""
    u, now = t.users.c, clock.now()
    row = conn.execute(
        select(_c.token_id, _c.scope, _c.expires_at, _c.last_used_at, u.user_id, u.email, u.is_administrator)
        .join(t.users, u.user_id == _c.user_id)
        .where(_c.digest == _digest(text), _c.revoked_at.is_(None), u.is_active)
    ).one_or_none()
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        raise Unauthenticated("The API token is not known, was revoked, or its time is over")
    identity = Identity(row.user_id, row.email, Scope[row.scope.upper()], row.is_administrator)
    return Used(row.token_id, identity, row.expires_at, now - (row.last_used_at or 0) >= USE_NOTED_EVERY_MS)


def note_use(conn: Connection, token_id: str) -> None:
    """Write down that it was used, to the minute."""
    conn.execute(update(t.api_tokens).where(_c.token_id == token_id).values(last_used_at=clock.now()))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
