"""Logins that were ended before the time of their access tokens was over."""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, select

from native_api.core import access, clock, db
from native_api.core import tables as t

_c = t.ended_logins.c


def end(conn: Connection, login_id: str, expires_at: int) -> None:
    """Its access token, whose time is over then (milliseconds, UTC), does not count any more. Safe to do again."""
    conn.execute(delete(t.ended_logins).where(_c.expires_at < clock.now()))
    row = {"login_id": login_id, "expires_at": expires_at}
    conn.execute(db.insert(conn, t.ended_logins).on_conflict_do_nothing(), row)
    access.changed(conn)


def has_ended(conn: Connection, login_id: str) -> bool:
    """Whether somebody has ended it."""
    return bool(conn.scalar(select(exists().where(_c.login_id == login_id))))
