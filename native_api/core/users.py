"""Users: people, and service accounts, which have tokens and no password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from native_api.core import access, audit, clock, db, pages
from native_api.core import tables as t
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.errors import Conflict, Exists, Forbidden, NotFound
from native_api.core.pages import Page

_c = t.users.c


class User(NamedTuple):
    """A user as others may see them. created_at is in milliseconds, UTC."""

    user_id: str
    email: str
    full_name: str
    is_active: bool
    is_administrator: bool
    is_service: bool
    created_at: int
    created_by: str | None


_COLUMNS = [_c[name] for name in User._fields]


class Identity(NamedTuple):
    """Somebody whose credential is good, and what it allows at most."""

    user_id: str
    email: str
    scope: Scope
    is_administrator: bool


class Login(NamedTuple):
    """What a credential is checked against."""

    user_id: str
    email: str
    full_name: str
    password_hash: str | None
    is_administrator: bool
    signed_out_at: int


# Creating and changing


@dataclass(frozen=True)
class NewUser:
    """What a new user starts with. Without a password hash nobody can log in as them."""

    email: str
    full_name: str
    password_hash: str | None = None
    is_service: bool = False
    is_administrator: bool = False


def register(conn: Connection, new: NewUser) -> User:
    """A new user who made themselves. Raises Exists if the email is taken."""
    return _insert(conn, None, new)


def create(conn: Connection, actor: Actor, new: NewUser) -> User:
    """A new user: people by administrators only, service accounts also by admins of an organisation."""
    may = actor.is_administrator or (new.is_service and max(actor.orgs.values(), default=0) >= OrgRole.ADMIN)
    if not may or (new.is_administrator and not actor.is_administrator):
        raise Forbidden("Only an administrator of this server may do this")
    return _insert(conn, actor, new)


def _insert(conn: Connection, actor: Actor | None, new: NewUser) -> User:
    now, user_id = clock.now(), clock.new_id()
    row = {
        "user_id": user_id,
        "email": new.email.lower(),
        "full_name": new.full_name,
        "password_hash": new.password_hash,
        "is_active": True,
        "is_administrator": new.is_administrator,
        "is_service": new.is_service,
        "created_at": now,
        "created_by": (actor.user_id or None) if actor else None,
        "signed_out_at": 0,
    }
    insert = db.insert(conn, t.users).values(row).on_conflict_do_nothing(index_elements=["email"])
    made = conn.execute(insert.returning(*_COLUMNS)).one_or_none()
    if made is None:
        raise Exists("A user with this email exists already")
    audit.inserted(conn, actor or Actor(user_id, "", {}), "users", user_id, row)
    return User._make(made)


def change(conn: Connection, actor: Actor, user_id: str, changes: Mapping[str, Any]) -> User:
    """Set columns: one's own, by whoever made a service account, or by an administrator.

    A new password ends every login made with the old one. Only administrators say who is active or an administrator.
    """
    old = _hold(conn, actor, user_id)
    if {"is_active", "is_administrator"} & changes.keys() and not actor.is_administrator:
        raise Forbidden("Only an administrator of this server may do this")
    return _change(conn, actor, old, changes)


def deactivate(conn: Connection, actor: Actor, user_id: str) -> User:
    """No credential of theirs counts any more. Doing it again changes nothing."""
    return _change(conn, actor, _hold(conn, actor, user_id), {"is_active": False})


def _change(conn: Connection, actor: Actor, old: Mapping[str, Any], changes: Mapping[str, Any]) -> User:
    user_id = old["user_id"]
    new = dict(changes)
    if "email" in new:
        new["email"] = new["email"].lower()
    if new.get("password_hash") or new.get("is_active") is False:
        new["signed_out_at"] = clock.now()
    becomes = {**old, **new}
    if old["is_administrator"] and old["is_active"] and not (becomes["is_administrator"] and becomes["is_active"]):
        _refuse_last_administrator(conn, user_id)
    if new:
        try:
            with conn.begin_nested():
                conn.execute(update(t.users).where(_c.user_id == user_id).values(new))
        except IntegrityError:
            raise Exists("A user with this email exists already") from None
        audit.updated(conn, actor, "users", user_id, old, new)
        access.changed(conn)
    return User._make(conn.execute(select(*_COLUMNS).where(_c.user_id == user_id)).one())


def _refuse_last_administrator(conn: Connection, user_id: str) -> None:
    others = select(_c.user_id).where(_c.is_administrator, _c.is_active, _c.user_id != user_id)
    if conn.execute(db.hold(conn, others, t.users)).first() is None:
        raise Conflict("The server would be left without an administrator")


def _hold(conn: Connection, actor: Actor, user_id: str) -> dict[str, Any]:
    """A user that the actor may change: themselves, a service account of theirs, anybody for an administrator."""
    row = conn.execute(db.hold(conn, select(t.users).where(_c.user_id == user_id, _visible(actor)), t.users)).first()
    if row is None:
        raise NotFound("user", user_id)
    mine = row.user_id == actor.user_id or (row.is_service and row.created_by == actor.user_id)
    if not mine and not actor.is_administrator:
        raise Forbidden("Only the user or an administrator of this server may do this")
    return dict(row._mapping)


# Reading


def get(conn: Connection, actor: Actor, user_id: str) -> User:
    """A user in view."""
    row = conn.execute(select(*_COLUMNS).where(_c.user_id == user_id, _visible(actor))).one_or_none()
    if row is None:
        raise NotFound("user", user_id)
    return User._make(row)


def page(conn: Connection, actor: Actor, limit: int, token: str | None, *, email: str | None = None) -> Page[User]:
    """The users in view, by email."""
    clauses = [] if email is None else [_c.email == email.lower()]
    statement = select(*_COLUMNS).where(_visible(actor), *clauses)
    order = [pages.Column(db.bytewise(conn, _c.email), str)]
    query = pages.fingerprint("users", actor.user_id, email)
    found = pages.read(conn, [pages.Part(statement, order)], query, limit, token)
    return Page([User._make(row[: len(_COLUMNS)]) for row in found.items], found.next_token)


def _visible(actor: Actor) -> ColumnElement[bool]:
    """Oneself, one's service accounts, and those one shares an organisation or a project with."""
    if actor.is_administrator:
        return true()
    o, p = t.org_members.c, t.project_members.c
    return or_(
        _c.user_id == actor.user_id,
        _c.created_by == actor.user_id,
        _c.user_id.in_(select(o.user_id).where(o.org_id.in_(list(actor.orgs)))),
        _c.user_id.in_(select(p.user_id).where(p.project_id.in_(list(actor.projects)))),
    )


# Logging in

_LOGIN = [_c[name] for name in Login._fields]


def find_login(conn: Connection, name: str) -> Login | None:
    """The active user with this email; or with this full name, if only one has it."""
    by_email = conn.execute(select(*_LOGIN).where(_c.email == name.lower(), _c.is_active)).one_or_none()
    if by_email is not None:
        return Login._make(by_email)
    named = conn.execute(select(*_LOGIN).where(_c.full_name == name, _c.is_active).limit(2)).all()
    return Login._make(named[0]) if len(named) == 1 else None


def find_active(conn: Connection, user_id: str) -> Login | None:
    """The user, if active."""
    row = conn.execute(select(*_LOGIN).where(_c.user_id == user_id, _c.is_active)).one_or_none()
    return None if row is None else Login._make(row)


def has_administrator(conn: Connection) -> bool:
    """Whether anybody can look after this server: an active administrator with a password or a token that works."""
    a = t.api_tokens.c
    live = or_(a.expires_at.is_(None), a.expires_at > clock.now())
    has_token = select(a.token_id).where(a.user_id == _c.user_id, a.revoked_at.is_(None), live).exists()
    able = select(func.count()).where(_c.is_administrator, _c.is_active, or_(_c.password_hash.is_not(None), has_token))
    return conn.scalars(able).one() > 0
