"""The audit log: an entry for every change of an audited table, in a chain of hashes that shows any later change.

An entry is written in the transaction of the change that it tells of. Each one's hash covers the entry and the hash
before it; `audit_head` says how far the chain goes, and whoever adds to it holds that row until the commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, and_, or_, select

from native_api.core import clock, db, pages
from native_api.core import tables as t
from native_api.core.access import Actor, OrgRole
from native_api.core.pages import Page

SECRET = frozenset({"password_hash", "digest"})
INTERNAL = frozenset({"id", "revision", "signed_out_at"})
START = "0" * 64

# Recording


class Change(NamedTuple):
    """One change, as it is written: old and new hold the columns that differ, as JSON text."""

    table_name: str
    operation: str
    row_pk: str
    changed_by: str | None
    changed_at: int
    old_data: str | None
    new_data: str | None
    org_id: str | None
    project_id: str | None


def inserted(
    conn: Connection,
    actor: Actor,
    table: str,
    pk: str,
    row: Mapping[str, Any],
    *,
    org_id: str | None = None,
    project_id: str | None = None,
) -> None:
    """Tell of a new row of an organisation or a project; of neither, it is the server's own."""
    _gather(conn, Change(str(table), "I", pk, actor.user_id or None, clock.now(), None, _text(row), org_id, project_id))


def updated(
    conn: Connection,
    actor: Actor,
    table: str,
    pk: str,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    org_id: str | None = None,
    project_id: str | None = None,
) -> None:
    """Tell of a change: of the columns in `new`, those that differ from `old`. Nothing, if none does."""
    changed = [name for name, value in new.items() if name not in INTERNAL and old.get(name) != value]
    if changed:
        before, after = ({name: row.get(name) for name in changed} for row in (old, new))
        change = Change(
            str(table), "U", pk, actor.user_id or None, clock.now(), _text(before), _text(after), org_id, project_id
        )
        _gather(conn, change)


def deleted(
    conn: Connection,
    actor: Actor,
    table: str,
    pk: str,
    row: Mapping[str, Any],
    *,
    org_id: str | None = None,
    project_id: str | None = None,
) -> None:
    """Tell of a row that is gone."""
    _gather(conn, Change(str(table), "D", pk, actor.user_id or None, clock.now(), _text(row), None, org_id, project_id))


def _text(row: Mapping[str, Any]) -> str:
    """The row without what nobody is to see; of a secret only that there is one."""
    shown = {
        str(name): "(secret)" if name in SECRET and value is not None else value
        for name, value in row.items()
        if name not in INTERNAL
    }
    return msgspec.json.encode(shown).decode()


def _gather(conn: Connection, change: Change) -> None:
    db.pending(conn).changes.append(change)


# Writing

_add = db.BulkInsert(t.audit_log, ["audit_id", *Change._fields, "row_hash"])


def write(conn: Connection) -> None:
    """Write what was gathered in this transaction; to be called just before its commit, which fails without."""
    changes: list[Change] = db.pending(conn).changes
    if not changes:
        return
    last_id, last_hash = _hold_head(conn)
    rows = []
    for change in changes:
        last_id, last_hash = last_id + 1, _hash(last_hash, change)
        rows.append((last_id, *change, last_hash))
    _add(conn, rows)
    _move_head(conn, [(HEAD, last_id, last_hash)])
    changes.clear()


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction of a command's own, with its entries."""
    with engine.begin() as conn:
        yield conn
        write(conn)


HEAD = 1
"""The id of the one row of `audit_head`."""

_head = db.Prepared(
    lambda among: select(t.audit_head.c.last_id, t.audit_head.c.last_hash).where(among(t.audit_head.c.id)),
    holds=t.audit_head,
)
_begin_head = db.BulkInsert(t.audit_head, ["id", "last_id", "last_hash"], "ON CONFLICT DO NOTHING")
_move_head = db.BulkInsert(
    t.audit_head,
    ["id", "last_id", "last_hash"],
    "ON CONFLICT (id) DO UPDATE SET last_id = excluded.last_id, last_hash = excluded.last_hash",
)


def _hold_head(conn: Connection) -> tuple[int, str]:
    """Where the chain ends, held until the transaction does; the first to ask begins it."""
    found = _head.rows(conn, [HEAD])
    if not found:
        _begin_head(conn, [(HEAD, 0, START)])
        found = _head.rows(conn, [HEAD])
    last_id, last_hash = found[0]
    return last_id, last_hash


def _hash(before: str, change: Change) -> str:
    return hashlib.sha256(before.encode() + msgspec.json.encode(change)).hexdigest()


# Reading

_c = t.audit_log.c


class Entry(NamedTuple):
    """One entry of the log; old_data and new_data are JSON text. changed_at is in milliseconds, UTC."""

    audit_id: int
    table_name: str
    operation: str
    row_pk: str
    changed_by: str | None
    changed_at: int
    old_data: str | None
    new_data: str | None


def page(
    conn: Connection,
    actor: Actor,
    limit: int,
    token: str | None,
    *,
    table_name: str | None = None,
    row_pk: str | None = None,
    changed_by: str | None = None,
    since: int | None = None,
) -> Page[Entry]:
    """The entries that the actor may see, newest first; `since` is in milliseconds, UTC, and included."""
    wanted = {"table_name": table_name, "row_pk": row_pk, "changed_by": changed_by}
    clauses = [_c[name] == value for name, value in wanted.items() if value is not None]
    if since is not None:
        clauses.append(_c.changed_at >= since)
    # The column that the order needs stands last as well, as the page's own.
    statement = select(*(_c[name] for name in Entry._fields)).where(_visible(actor), *clauses)
    order = [pages.Column(_c.audit_id, int, descending=True)]
    found = pages.read(
        conn, [pages.Part(statement, order)], pages.fingerprint("audit", actor.user_id, wanted, since), limit, token
    )
    return Page([Entry._make(row[: len(Entry._fields)]) for row in found.items], found.next_token)


def _visible(actor: Actor) -> ColumnElement[bool]:
    """What happened in projects in view, in own organisations, by or to oneself; for administrators the server's own.

    Admins of an organisation also see what became of its projects that are gone.
    """
    administered = [org_id for org_id, role in actor.orgs.items() if role >= OrgRole.ADMIN]
    of_server = and_(_c.project_id.is_(None), _c.org_id.is_(None))
    return or_(
        _c.project_id.in_(list(actor.projects)),
        and_(_c.org_id.in_(list(actor.orgs)), _c.project_id.is_(None)),
        _c.org_id.in_(administered),
        _c.changed_by == actor.user_id,
        of_server if actor.is_administrator else and_(of_server, _c.row_pk == actor.user_id),
    )


# Checking


class Broken(NamedTuple):
    """The first place where the chain does not hold, and why."""

    audit_id: int
    reason: str


def verify(conn: Connection) -> tuple[int, Broken | None]:
    """How many entries hold, from the first on, and the first that does not.

    Needs one snapshot of the log and its head: a reader's connection, where others write meanwhile.
    """
    last_id, last_hash = 0, START
    columns = [_c[name] for name in ("audit_id", *Change._fields, "row_hash")]
    statement = select(*columns).order_by(_c.audit_id).execution_options(yield_per=10_000)
    with conn.execute(statement) as rows:
        for audit_id, *fields, row_hash in rows:
            if audit_id != last_id + 1:
                return last_id, Broken(last_id + 1, "the entry is missing")
            if row_hash != _hash(last_hash, Change._make(fields)):
                return last_id, Broken(audit_id, "the entry, or the hash before it, is not what was written")
            last_id, last_hash = audit_id, row_hash
    h = t.audit_head.c
    head = conn.execute(select(h.last_id, h.last_hash)).one_or_none() or (0, START)
    if tuple(head) != (last_id, last_hash):
        return last_id, Broken(last_id + 1, f"the log ends after entry {last_id}, and should after entry {head[0]}")
    return last_id, None
