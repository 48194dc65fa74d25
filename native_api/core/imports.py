"""Imports: each batch of rows brought in is a job, which tells how far it is and what it refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, case, insert, select, true, update

from native_api.core import clock, db, pages
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import NotFound, Problem
from native_api.core.pages import Page

R = TypeVar("R")
V = TypeVar("V")

SILENT_MS = 10 * 60 * 1000
"""A running job that has not moved for so long counts as failed: whoever ran it is gone."""

MAX_RAW = 1000
"""How many characters of a refused row are kept."""


class Job(NamedTuple):
    """One import. `stats_json` holds its rows so far, how many of them were new (`inserted`) and its `errors`."""

    job_id: str
    job_type: str
    status: str
    source_format: str
    source_uri: str | None
    started_at: int | None
    finished_at: int | None
    created_by: str | None
    stats_json: Mapping[str, int]


class RowError(NamedTuple):
    """A row that was refused: its number, from 1, the row or its beginning as text, and the reason."""

    error_id: int
    job_id: str
    row_number: int
    raw_row: str
    error_message: str
    created_at: int


@dataclass(frozen=True)
class Chunk(Generic[R]):
    """Some rows of a job by their numbers: those that could be read, and the reasons for those that could not."""

    rows: Mapping[int, R]
    refused: Mapping[int, str]
    sources: Mapping[int, str]
    """The text of each row, as it stands in the file."""


class Outcome(NamedTuple):
    """What became of some rows: how many were new, and why which were refused. The others were there before."""

    inserted: int
    refused: Mapping[int, str]


def checked(rows: Mapping[int, R], check: Callable[[R], V]) -> tuple[dict[int, V], dict[int, str]]:
    """What `check` makes of the rows, and why it refuses which."""
    found: dict[int, V] = {}
    refused: dict[int, str] = {}
    for number, row in rows.items():
        try:
            found[number] = check(row)
        except Problem as problem:
            refused[number] = problem.message
    return found, refused


# Running a job

_c = t.batch_import_jobs.c
_add_errors = db.BulkInsert(t.batch_import_errors, ["job_id", "row_number", "raw_row", "error_message", "created_at"])


def begin(conn: Connection, actor: Actor, job_type: str, source_format: str, source_uri: str | None) -> str:
    """A new running job; its id."""
    job_id, now = clock.new_id(), clock.now()
    row = {
        "job_id": job_id,
        "job_type": job_type,
        "status": "running",
        "source_format": source_format,
        "source_uri": source_uri,
        "started_at": now,
        "moved_at": now,
        "created_by": actor.user_id,
        "stats_json": {"rows": 0, "inserted": 0, "errors": 0},
    }
    conn.execute(insert(t.batch_import_jobs), row)
    return job_id


def add(
    conn: Connection,
    actor: Actor,
    job_id: str,
    chunk: Chunk[R],
    put: Callable[[Connection, Actor, Mapping[int, R]], Outcome],
) -> None:
    """Bring in the rows of a chunk with `put`, note those that are refused, and say in the job how far it is."""
    now = clock.now()
    inserted, refused = put(conn, actor, chunk.rows)
    reasons = {**chunk.refused, **refused}
    _add_errors(
        conn, [(job_id, number, _kept(chunk.sources[number]), reasons[number], now) for number in sorted(reasons)]
    )
    done = conn.scalars(db.hold(conn, select(_c.stats_json).where(_c.job_id == job_id), t.batch_import_jobs)).one()
    stats = {
        "rows": done["rows"] + len(chunk.sources),
        "inserted": done["inserted"] + inserted,
        "errors": done["errors"] + len(reasons),
    }
    conn.execute(update(t.batch_import_jobs).where(_c.job_id == job_id).values(stats_json=stats, moved_at=now))


def _kept(raw: str) -> str:
    """What is kept of a row's text: no NUL, and nothing that is not Unicode."""
    return raw.rstrip("\r\n")[:MAX_RAW].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def end(conn: Connection, job_id: str, status: str) -> None:
    """The job is `finished` or `failed`; what it has done is kept."""
    now = clock.now()
    ended = update(t.batch_import_jobs).where(_c.job_id == job_id)
    conn.execute(ended.values(status=status, finished_at=now, moved_at=now))


# Reading


def get(conn: Connection, actor: Actor, job_id: str) -> Job:
    """A job that the actor may see: an own one, or any for an administrator of the server."""
    columns = _shown(clock.now())
    row = conn.execute(select(*columns.values()).where(_c.job_id == job_id, _visible(actor))).one_or_none()
    if row is None:
        raise NotFound("import job", job_id)
    return Job._make(row)


def page(
    conn: Connection,
    actor: Actor,
    limit: int,
    token: str | None,
    *,
    job_type: str | None = None,
    status: str | None = None,
) -> Page[Job]:
    """One page of the jobs that the actor may see, newest first."""
    columns = _shown(clock.now())
    wanted = {"job_type": job_type, "status": status}
    clauses = [columns[name] == value for name, value in wanted.items() if value is not None]
    statement = select(*columns.values()).where(_visible(actor), *clauses)
    order = [pages.Column(_c.started_at, int, descending=True, nullable=True), pages.Column(_c.job_id, str)]
    query = pages.fingerprint("imports", actor.user_id, wanted)
    found = pages.read(conn, [pages.Part(statement, order)], query, limit, token)
    return Page([Job._make(row[: len(Job._fields)]) for row in found.items], found.next_token)


def _shown(now: int) -> dict[str, ColumnElement[Any]]:
    """The columns of a Job. One whose process is gone shows as failed since its last sign of life."""
    is_silent = and_(_c.status == "running", _c.moved_at < now - SILENT_MS)
    columns: dict[str, ColumnElement[Any]] = {name: _c[name] for name in Job._fields}
    columns["status"] = case((is_silent, "failed"), else_=_c.status).label("status")
    columns["finished_at"] = case((is_silent, _c.moved_at), else_=_c.finished_at).label("finished_at")
    return columns


def _visible(actor: Actor) -> ColumnElement[bool]:
    return true() if actor.is_administrator else _c.created_by == actor.user_id


def errors_page(conn: Connection, actor: Actor, job_id: str, limit: int, token: str | None) -> Page[RowError]:
    """One page of the rows that a job refused, in their order."""
    get(conn, actor, job_id)
    e = t.batch_import_errors.c
    statement = select(*(e[name] for name in RowError._fields)).where(e.job_id == job_id)
    query = pages.fingerprint("import errors", job_id)
    found = pages.read(conn, [pages.Part(statement, [pages.Column(e.error_id, int)])], query, limit, token)
    return Page([RowError._make(row[: len(RowError._fields)]) for row in found.items], found.next_token)
