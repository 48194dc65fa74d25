"""Marks: what earlier imports from a source have brought in, so that the next one looks only at what has changed.

A mark is written in the last transaction that a thing needs. So an import that was killed does over what it had begun,
and what is there already is not added again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

from native_api.core import clock, db
from native_api.core import tables as t


class Mark(NamedTuple):
    """How a thing of the source was when it was brought in, and its public id here."""

    own_key: str
    fingerprint: str


def fingerprint(record: object) -> str:
    """Another one whenever anything about the record, or a list of them, is another."""
    return hashlib.sha256(msgspec.json.encode(record, order="sorted")).hexdigest()


def find_source(conn: Connection, project_id: str, location: str) -> int | None:
    """The id of a source that was imported from into this project before."""
    c = t.import_sources.c
    return conn.scalars(select(c.id).where(c.project_id == project_id, c.location == location)).one_or_none()


def add_source(conn: Connection, project_id: str, location: str) -> int:
    """The id of a source, which is remembered from now on."""
    row = {"project_id": project_id, "location": location, "created_at": clock.now()}
    conn.execute(db.insert(conn, t.import_sources).on_conflict_do_nothing(), row)
    found = find_source(conn, project_id, location)
    assert found is not None
    return found


def read(conn: Connection, source: int, kind: str, keys: Collection[str]) -> dict[str, Mark]:
    """The marks of those of these things that have one."""
    c = t.import_marks.c
    which = c.source_id == source, c.kind == kind, db.among(conn, c.key, keys)
    rows = conn.execute(select(c.key, c.own_key, c.fingerprint).where(*which))
    return {key: Mark(own_key, mark) for key, own_key, mark in rows}


def put(conn: Connection, source: int, kind: str, new: Iterable[tuple[str, Mark]]) -> None:
    """Mark these things as brought in."""
    _put(conn, sorted((source, kind, key, *mark) for key, mark in new))


_put = db.BulkInsert(
    t.import_marks,
    ["source_id", "kind", "key", "own_key", "fingerprint"],
    "ON CONFLICT (source_id, kind, key) DO UPDATE SET own_key = excluded.own_key, fingerprint = excluded.fingerprint",
)
