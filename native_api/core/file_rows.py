"""The rows that speak of files in the store: what came in below runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, Row, select

from native_api.core import db, places
from native_api.core import tables as t


class FileRow(NamedTuple):
    """A file as its rows say: its key in the store, its size in bytes and its SHA-256 in hex digits, if known."""

    run_artifact_id: str
    artifact_id: str
    key: str
    size: int | None
    checksum: str | None


AT_ONCE = 1000

_l, _a, _r = t.run_artifacts.c, t.artifacts.c, t.runs.c
_FILES = (
    select(_l.run_artifact_id, _l.artifact_id, _r.artifact_uri, _l.path, _a.size_bytes, _a.checksum)
    .join(t.artifacts, _a.artifact_id == _l.artifact_id)
    .join(t.runs, _r.id == _l.run_id)
    .where(_l.path.is_not(None))
    .order_by(_l.run_artifact_id)
)


def pages(conn: Connection) -> Iterator[list[FileRow]]:
    """All of them, AT_ONCE at a time; rows that are changed or deleted meanwhile are not met twice."""
    last = ""
    while found := conn.execute(_FILES.where(_l.run_artifact_id > last).limit(AT_ONCE)).all():
        yield [row for each in found if (row := _row(each))]
        last = found[-1][0]


def now(conn: Connection, run_artifact_ids: list[str]) -> list[FileRow]:
    """Those of these rows that are there."""
    found = conn.execute(_FILES.where(db.among(conn, _l.run_artifact_id, run_artifact_ids)))
    return [row for each in found if (row := _row(each))]


def _row(found: Row[str, str, str, str | None, int | None, str | None]) -> FileRow | None:
    """None for a file that clients keep elsewhere themselves."""
    run_artifact_id, artifact_id, uri, path, size, checksum = found
    root = places.proxied_key(uri)
    if root is None or path is None:
        return None
    return FileRow(run_artifact_id, artifact_id, f"{root}/{path}" if root else path, size, checksum)
