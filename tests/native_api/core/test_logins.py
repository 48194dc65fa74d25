"""Logins that are ended before their time."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, func, select

from native_api.core import clock, logins
from native_api.core import tables as t


def test_a_login_that_was_ended_has_ended(conn: Connection) -> None:
    later = clock.now() + 60_000
    for _ in range(2):
        logins.end(conn, "one", later)
    assert logins.has_ended(conn, "one")
    assert not logins.has_ended(conn, "another")


def test_what_is_over_anyway_is_not_kept(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    for number in range(3):
        logins.end(conn, f"login {number}", now + 1_000)
    monkeypatch.setattr(clock, "now", lambda: now + 2_000)
    logins.end(conn, "the next", now + 5_000)
    kept = select(func.count()).select_from(t.ended_logins)
    assert conn.scalar(kept.where(t.ended_logins.c.login_id.like("login %"))) == 0
    assert logins.has_ended(conn, "the next")
