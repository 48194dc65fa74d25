"""Versions of datasets: each one content, under a label of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, select, update
from sqlalchemy.exc import IntegrityError

from native_api.core import audit, clock, db, pages
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Conflict, Exists, NotFound
from native_api.core.pages import Page

_c = t.dataset_versions.c


class Version(NamedTuple):
    """One content of a dataset. schema_json is the text as it was logged; created_at is in milliseconds, UTC."""

    dataset_version_id: str
    dataset_id: str
    version_label: str
    storage_uri: str | None
    content_hash: str
    row_count: int | None
    size_bytes: int | None
    schema_json: str | None
    created_at: int


_COLUMNS = [_c[name] for name in Version._fields]
_TAKEN = "The dataset has a version with this label or this content hash already"


# Creating, changing, deleting


def create(
    conn: Connection,
    actor: Actor,
    dataset_id: str,
    version_label: str,
    content_hash: str,
    *,
    storage_uri: str | None = None,
    row_count: int | None = None,
    size_bytes: int | None = None,
    schema_json: str | None = None,
) -> Version:
    """Raises Exists if another version of the dataset has this label or this content hash."""
    d = t.datasets.c
    held = db.hold(conn, select(d.project_id).where(d.dataset_id == dataset_id), t.datasets, shared=True)
    project_id = conn.scalars(held).one_or_none()
    if project_id is None:
        raise NotFound("dataset", dataset_id)
    actor.require(project_id, Scope.WRITE, "dataset", dataset_id)
    new = Version(
        dataset_version_id=clock.new_id(),
        dataset_id=dataset_id,
        version_label=version_label,
        storage_uri=storage_uri,
        content_hash=content_hash,
        row_count=row_count,
        size_bytes=size_bytes,
        schema_json=schema_json,
        created_at=clock.now(),
    )
    if not _add(conn, actor, project_id, new._asdict()):
        raise Exists(_TAKEN)
    return new


def _add(conn: Connection, actor: Actor, project_id: str, row: Mapping[str, Any]) -> bool:
    """Whether it was added: not, if its label or content hash is taken."""
    added = db.insert(conn, t.dataset_versions).on_conflict_do_nothing().returning(_c.dataset_version_id)
    if conn.execute(added, row).one_or_none() is None:
        return False
    audit.inserted(conn, actor, "dataset_versions", row["dataset_version_id"], row, project_id=project_id)
    return True


class Recorded(NamedTuple):
    """A version that runs may use, and where it is kept."""

    dataset_version_id: str
    source_type: str | None
    storage_uri: str | None


def record(
    conn: Connection,
    actor: Actor,
    project_id: str,
    dataset_id: str,
    digest: str,
    *,
    source_type: str | None,
    source: str | None,
    schema: str | None,
    profile: str | None,
) -> Recorded:
    """The version with this digest, held against being deleted; made, labelled with the digest, if it is new."""
    actor.require(project_id, Scope.WRITE, "dataset", dataset_id)
    which = select(*(_c[name] for name in Recorded._fields)).where(
        _c.dataset_id == dataset_id, _c.content_hash == digest
    )
    known = db.hold(conn, which, t.dataset_versions, shared=True)
    new_id = clock.new_id()
    row = {
        "dataset_version_id": new_id,
        "dataset_id": dataset_id,
        "storage_uri": source,
        "source_type": source_type,
        "content_hash": digest,
        "schema_json": schema,
        "profile_json": profile,
        "created_at": clock.now(),
    }
    for label in (digest, f"{digest}-{new_id[:8]}"):  # somebody may have given the first to another version
        found = conn.execute(known).one_or_none()
        if found is not None:
            return Recorded._make(found)
        _add(conn, actor, project_id, row | {"version_label": label})
    return Recorded._make(conn.execute(known).one())


def change(conn: Connection, actor: Actor, version_id: str, changes: Mapping[str, Any]) -> Version:
    """Set columns; the version as it is now. Raises Exists like `create`."""
    old, project_id = _hold(conn, actor, version_id)
    if not changes:
        return old
    try:
        with conn.begin_nested():
            conn.execute(update(t.dataset_versions).where(_c.dataset_version_id == version_id).values(**changes))
    except IntegrityError:
        raise Exists(_TAKEN) from None
    audit.updated(conn, actor, "dataset_versions", version_id, old._asdict(), changes, project_id=project_id)
    touch_runs(conn, _c.dataset_version_id == version_id)
    return old._replace(**changes)


def touch_runs(conn: Connection, which: ColumnElement[bool]) -> None:
    """Raise the revision of the runs that used these versions: their documents show them."""
    r, i = t.runs.c, t.run_inputs.c
    used = select(i.run_id).join(t.dataset_versions, _c.dataset_version_id == i.dataset_version_id).where(which)
    conn.execute(update(t.runs).where(r.id.in_(used)).values(revision=r.revision + 1))


def delete(conn: Connection, actor: Actor, version_id: str) -> None:
    """Raises Conflict if a run uses it, be it a deleted one."""
    _, project_id = _hold(conn, actor, version_id)
    gone = t.dataset_versions.delete().where(_c.dataset_version_id == version_id).returning(t.dataset_versions)
    try:
        with conn.begin_nested():
            row = conn.execute(gone).one()
    except IntegrityError:
        raise Conflict("The version is used by runs: it cannot be deleted") from None
    audit.deleted(conn, actor, "dataset_versions", version_id, row._asdict(), project_id=project_id)


def _hold(conn: Connection, actor: Actor, version_id: str) -> tuple[Version, str]:
    """A version that the actor may change, held until the transaction ends, and its project."""
    d = t.datasets.c
    statement = select(*_COLUMNS, d.project_id).join(t.datasets, d.dataset_id == _c.dataset_id)
    held = db.hold(conn, statement.where(_c.dataset_version_id == version_id), t.dataset_versions)
    row = conn.execute(held).one_or_none()
    if row is None:
        raise NotFound("dataset version", version_id)
    actor.require(row.project_id, Scope.WRITE, "dataset version", version_id)
    return Version._make(row[: len(_COLUMNS)]), row.project_id


# Reading


def get(conn: Connection, actor: Actor, version_id: str) -> Version:
    """A version in view."""
    row = conn.execute(select(*_COLUMNS).where(_c.dataset_version_id == version_id, _visible(actor))).one_or_none()
    if row is None:
        raise NotFound("dataset version", version_id)
    return Version._make(row)


def page(
    conn: Connection,
    actor: Actor,
    limit: int,
    token: str | None,
    *,
    dataset_id: str | None = None,
    content_hash: str | None = None,
    version_label: str | None = None,
) -> Page[Version]:
    """The versions in view, newest first."""
    wanted = {"dataset_id": dataset_id, "content_hash": content_hash, "version_label": version_label}
    clauses = [_c[name] == value for name, value in wanted.items() if value is not None]
    statement = select(*_COLUMNS).where(_visible(actor), *clauses)
    order = [pages.Column(_c.created_at, int, descending=True), pages.Column(_c.dataset_version_id, str)]
    query = pages.fingerprint("dataset versions", actor.user_id, wanted)
    found = pages.read(conn, [pages.Part(statement, order)], query, limit, token)
    return Page([Version._make(row[: len(_COLUMNS)]) for row in found.items], found.next_token)


def _visible(actor: Actor) -> ColumnElement[bool]:
    d = t.datasets.c
    return _c.dataset_id.in_(select(d.dataset_id).where(d.project_id.in_(list(actor.projects))))
