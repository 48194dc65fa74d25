"""Who made what, where accounts themselves do not travel: by email."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select

from native_api.core import audit, clock, db
from native_api.core import tables as t
from native_api.core.access import NOBODY


def ids_of(conn: Connection, emails: Iterable[str]) -> dict[str, str]:
    """The accounts of these emails.

    One that is not here is made, and may do nothing: it is not active, has no password and is nobody's member. An
    administrator may change that.
    """
    wanted = sorted(set(emails))
    c = t.users.c
    which = select(c.email, c.user_id).where(db.among(conn, c.email, wanted))
    found: dict[str, str] = {row.email: row.user_id for row in conn.execute(which)}
    for email in wanted:
        if email not in found:
            found[email] = _make(conn, email)
    return found


def _make(conn: Connection, email: str) -> str:
    user_id = clock.new_id()
    row: dict[str, Any] = {
        "user_id": user_id,
        "email": email,
        "full_name": email,
        "password_hash": None,
        "is_active": False,
        "is_administrator": False,
        "is_service": False,
        "created_at": clock.now(),
        "created_by": None,
        "signed_out_at": 0,
    }
    conn.execute(t.users.insert(), row)
    audit.inserted(conn, NOBODY, t.users.name, user_id, row)
    return user_id
