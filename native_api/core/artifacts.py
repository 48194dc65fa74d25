"""Artifacts: what projects keep, and a row for each file that came in below a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Connection, func, select, update
from sqlalchemy.exc import IntegrityError

from native_api.core import audit, clock, db, pages, places
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.artifact_types import kind_of
from native_api.core.errors import Conflict, NotFound
from native_api.core.pages import Page
from native_api.core.places import InRun, Place

_c = t.artifacts.c


class Artifact(NamedTuple):
    """Something that a project keeps. Its URI is text for the record: the server never opens it.

    The checksum of a file that came in below a run is its sha256, 64 hex digits. created_at is in milliseconds, UTC.
    """

    artifact_id: str
    project_id: str
    artifact_type: str
    uri: str
    checksum: str | None
    size_bytes: int | None
    created_at: int


_COLUMNS = [_c[name] for name in Artifact._fields]


# Creating, changing, deleting


def create(
    conn: Connection,
    actor: Actor,
    project_id: str,
    uri: str,
    *,
    artifact_type: str | None = None,
    checksum: str | None = None,
    size_bytes: int | None = None,
) -> Artifact:
    """A new artifact of a project; without a type it is the kind of file that the URI names."""
    actor.require(project_id, Scope.WRITE, "project", project_id)
    kind = artifact_type or kind_of(uri)
    new = Artifact(clock.new_id(), project_id, kind, uri, checksum, size_bytes, clock.now())
    _add(conn, actor, new)
    return new


def _add(conn: Connection, actor: Actor, new: Artifact) -> bool:
    """Whether it was added: not, if there is one with this id."""
    added = db.insert(conn, t.artifacts).on_conflict_do_nothing().returning(_c.artifact_id)
    if conn.execute(added, new._asdict()).one_or_none() is None:
        return False
    _tell_of(conn, actor, new)
    return True


def _tell_of(conn: Connection, actor: Actor, new: Artifact) -> None:
    audit.inserted(conn, actor, "artifacts", new.artifact_id, new._asdict(), project_id=new.project_id)


def change(conn: Connection, actor: Actor, artifact_id: str, changes: Mapping[str, Any]) -> Artifact:
    """Set columns; the artifact as it is now. Raises Conflict for those that tell of a file which the server keeps."""
    old = hold(conn, actor, artifact_id)
    c = t.run_artifacts.c
    if (
        OF_FILE & changes.keys()
        and conn.execute(select(c.path).where(c.artifact_id == artifact_id, c.path.is_not(None))).first()
    ):
        raise Conflict("The file of this artifact came in through the artifacts API, which says what it is")
    return _set(conn, actor, old, changes)


OF_FILE = {"uri", "checksum", "size_bytes"}


def _set(conn: Connection, actor: Actor, old: Artifact, changes: Mapping[str, Any]) -> Artifact:
    if changes:
        conn.execute(update(t.artifacts).where(_c.artifact_id == old.artifact_id).values(**changes))
        audit.updated(conn, actor, "artifacts", old.artifact_id, old._asdict(), changes, project_id=old.project_id)
    return old._replace(**changes)


def delete(conn: Connection, actor: Actor, artifact_id: str) -> None:
    """Remove the row, and nothing at its URI. Raises Conflict while a run is linked to it."""
    old = hold(conn, actor, artifact_id)
    try:
        with conn.begin_nested():
            conn.execute(t.artifacts.delete().where(_c.artifact_id == artifact_id))
    except IntegrityError:
        raise Conflict("The artifact is linked to a run: unlink it first") from None
    audit.deleted(conn, actor, "artifacts", artifact_id, old._asdict(), project_id=old.project_id)


def hold(conn: Connection, actor: Actor, artifact_id: str, *, shared: bool = False) -> Artifact:
    """An artifact that the actor may change, held until the transaction ends."""
    which = select(*_COLUMNS).where(_c.artifact_id == artifact_id)
    row = conn.execute(db.hold(conn, which, t.artifacts, shared=shared)).one_or_none()
    if row is None:
        raise NotFound("artifact", artifact_id)
    actor.require(row.project_id, Scope.WRITE, "artifact", artifact_id)
    return Artifact._make(row)


# Reading


def get(conn: Connection, actor: Actor, artifact_id: str) -> Artifact:
    """An artifact in view."""
    row = conn.execute(select(*_COLUMNS).where(_c.artifact_id == artifact_id, _in_view(actor))).one_or_none()
    if row is None:
        raise NotFound("artifact", artifact_id)
    return Artifact._make(row)


def page(
    conn: Connection,
    actor: Actor,
    limit: int,
    token: str | None,
    *,
    project_id: str | None = None,
    artifact_type: str | None = None,
) -> Page[Artifact]:
    """The artifacts in view, project by project, newest first."""
    wanted = {"project_id": project_id, "artifact_type": artifact_type}
    clauses = [_c[name] == value for name, value in wanted.items() if value is not None]
    statement = select(*_COLUMNS).where(_in_view(actor), *clauses)
    order = [  # that of an index
        pages.Column(_c.project_id, str, descending=True),
        pages.Column(_c.created_at, int, descending=True),
        pages.Column(_c.artifact_id, str, descending=True),
    ]
    query = pages.fingerprint("artifacts", actor.user_id, wanted)
    found = pages.read(conn, [pages.Part(statement, order)], query, limit, token)
    return Page([Artifact._make(row[: len(_COLUMNS)]) for row in found.items], found.next_token)


def _in_view(actor: Actor) -> ColumnElement[bool]:
    return _c.project_id.in_(list(actor.projects))


# Files below runs

_put_run_artifacts = db.BulkInsert(
    t.run_artifacts, ["run_artifact_id", "run_id", "artifact_id", "path", "created_at"], "ON CONFLICT DO NOTHING"
)
_put_artifacts = db.BulkInsert(t.artifacts, Artifact._fields, "ON CONFLICT DO NOTHING")


class Arrival(NamedTuple):
    """A file that has arrived at a place: who sent it, its size in bytes, and its SHA-256 in hex digits if known."""

    actor: Actor
    place: Place
    size: int
    sha256: str | None


def record_all(conn: Connection, arrivals: Sequence[Arrival]) -> None:
    """Note files that have arrived, as `record` does: all of them, in a fixed number of statements if all are new."""
    try:
        with db.savepoint(conn):
            _record_new(conn, arrivals)
    except (_SomeKnownError, IntegrityError):
        for arrival in arrivals:
            record(conn, *arrival)


class _SomeKnownError(Exception):
    """Among what should be new is something that is there already, or twice."""


def _record_new(conn: Connection, arrivals: Sequence[Arrival]) -> None:
    new: list[tuple[Actor, InRun, Artifact]] = []
    for actor, place, size, sha256 in arrivals:
        actor.require(place.project_id, Scope.WRITE, "artifact", place.key)
        if place.run and place.run.path:
            new.append((actor, place.run, _of_file(place.project_id, place.run, size, sha256)))
    new.sort(key=lambda item: item[2].artifact_id)  # two writers hold rows in one order
    if _put_artifacts(conn, [artifact for _, _, artifact in new]) < len(new):
        raise _SomeKnownError
    for actor, _, artifact in new:
        _tell_of(conn, actor, artifact)
    _put_run_artifacts(conn, [_link(run, artifact) for _, run, artifact in new])


def _of_file(project_id: str, run: InRun, size: int, sha256: str | None) -> Artifact:
    """The id comes from the place: two who upload the same file at once meet in one row."""
    artifact_id = uuid5(UUID(run.run_id), run.path).hex
    uri = f"{run.uri}/{run.path}"
    return Artifact(artifact_id, project_id, kind_of(run.path), uri, sha256, size, clock.now())


def _link(run: InRun, artifact: Artifact) -> tuple[str, int, str, str, int]:
    return clock.new_id(), run.id, artifact.artifact_id, run.path, artifact.created_at


def record(conn: Connection, actor: Actor, place: Place, size: int, sha256: str | None) -> None:
    """Note a file that has arrived at a place below a run, or has been replaced; nothing for places elsewhere.

    Raises NotFound for a run that has been purged since its place was found.
    """
    actor.require(place.project_id, Scope.WRITE, "artifact", place.key)
    run = place.run
    if run is None or not run.path:
        return
    new = _of_file(place.project_id, run, size, sha256)
    known = db.hold(conn, select(*_COLUMNS).where(_c.artifact_id == new.artifact_id), t.artifacts)
    while not _add(conn, actor, new):
        old = conn.execute(known).one_or_none()
        if old is not None:
            _set(conn, actor, Artifact._make(old), {"checksum": sha256, "size_bytes": size})
            break
    try:
        _put_run_artifacts(conn, [_link(run, new)])
    except IntegrityError:  # another process has purged it
        raise NotFound("run", run.run_id) from None


def forget(conn: Connection, actor: Actor, place: Place) -> None:
    """Remove the rows of the file at a place, or of all files below it; not of what another run was linked to as well.

    To be called before the files go: it raises Conflict where experiments out of view keep files there too.
    """
    actor.require(place.project_id, Scope.WRITE, "artifact", place.key)
    c = t.run_artifacts.c
    which: ColumnElement[bool]
    if place.run is None:
        below = places.experiments_below(conn, actor, place.key)
        which = c.run_id.in_(select(t.runs.c.id).where(db.among(conn, t.runs.c.experiment_id, below)))
    else:
        which = c.run_id == place.run.id
        if path := place.run.path:
            which &= (c.path == path) | (func.substr(c.path, 1, len(path) + 1) == f"{path}/")
    ids = conn.scalars(t.run_artifacts.delete().where(which, c.path.is_not(None)).returning(c.artifact_id)).all()
    linked = select(c.run_artifact_id).where(c.artifact_id == _c.artifact_id).exists()
    gone = t.artifacts.delete().where(db.among(conn, _c.artifact_id, ids), ~linked)
    for row in conn.execute(gone.returning(*_COLUMNS)):
        audit.deleted(conn, actor, "artifacts", row.artifact_id, row._asdict(), project_id=row.project_id)
