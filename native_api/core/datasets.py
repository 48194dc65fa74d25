"""Datasets, and what runs used of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, select, update
from sqlalchemy.exc import IntegrityError

from native_api.core import audit, clock, dataset_versions, db, pages
from native_api.core import tables as t
from native_api.core.access import Actor, Scope, visible
from native_api.core.errors import Conflict, Exists, NotFound
from native_api.core.pages import Page

_c = t.datasets.c


class Dataset(NamedTuple):
    """A dataset of a project, unique in it by name. created_at is in milliseconds, UTC."""

    dataset_id: str
    project_id: str
    name: str
    task_type: str
    description: str | None
    created_at: int


_COLUMNS = [_c[name] for name in Dataset._fields]


# Creating, changing, deleting


def create(
    conn: Connection, actor: Actor, project_id: str, name: str, task_type: str = "other", description: str | None = None
) -> Dataset:
    """Raises Exists if the project has a dataset of this name."""
    actor.require(project_id, Scope.WRITE, "project", project_id)
    new = Dataset(clock.new_id(), project_id, name, task_type, description, clock.now())
    if not _add(conn, actor, new):
        raise Exists(f"The project has a dataset {name!r} already")
    return new


def _add(conn: Connection, actor: Actor, new: Dataset) -> bool:
    """Whether it was added: not, if its name is taken."""
    added = db.insert(conn, t.datasets).on_conflict_do_nothing().returning(_c.dataset_id)
    if conn.execute(added, new._asdict()).one_or_none() is None:
        return False
    audit.inserted(conn, actor, "datasets", new.dataset_id, new._asdict(), project_id=new.project_id)
    return True


def change(conn: Connection, actor: Actor, dataset_id: str, changes: Mapping[str, Any]) -> Dataset:
    """Set columns; the dataset as it is now. Raises Exists like `create`."""
    old = _hold(conn, actor, dataset_id)
    if not changes:
        return old
    try:
        with conn.begin_nested():
            conn.execute(update(t.datasets).where(_c.dataset_id == dataset_id).values(**changes))
    except IntegrityError:
        raise Exists(f"The project has a dataset {changes['name']!r} already") from None
    audit.updated(conn, actor, "datasets", dataset_id, old._asdict(), changes, project_id=old.project_id)
    if "name" in changes:
        dataset_versions.touch_runs(conn, t.dataset_versions.c.dataset_id == dataset_id)
    return old._replace(**changes)


def delete(conn: Connection, actor: Actor, dataset_id: str) -> None:
    """Raises Conflict if it has versions."""
    old = _hold(conn, actor, dataset_id)
    try:
        with conn.begin_nested():
            conn.execute(t.datasets.delete().where(_c.dataset_id == dataset_id))
    except IntegrityError:
        raise Conflict("The dataset has versions: delete these first") from None
    audit.deleted(conn, actor, "datasets", dataset_id, old._asdict(), project_id=old.project_id)


def _hold(conn: Connection, actor: Actor, dataset_id: str) -> Dataset:
    """A dataset that the actor may change, held until the transaction ends."""
    row = conn.execute(db.hold(conn, select(*_COLUMNS).where(_c.dataset_id == dataset_id), t.datasets)).one_or_none()
    if row is None:
        raise NotFound("dataset", dataset_id)
    actor.require(row.project_id, Scope.WRITE, "dataset", dataset_id)
    return Dataset._make(row)


# Reading


def get(conn: Connection, actor: Actor, dataset_id: str) -> Dataset:
    """A dataset in view."""
    row = conn.execute(select(*_COLUMNS).where(_c.dataset_id == dataset_id, _in_view(actor))).one_or_none()
    if row is None:
        raise NotFound("dataset", dataset_id)
    return Dataset._make(row)


def page(
    conn: Connection,
    actor: Actor,
    limit: int,
    token: str | None,
    *,
    project_id: str | None = None,
    name: str | None = None,
    task_type: str | None = None,
) -> Page[Dataset]:
    """The datasets in view, newest first."""
    wanted = {"project_id": project_id, "name": name, "task_type": task_type}
    clauses = [_c[column] == value for column, value in wanted.items() if value is not None]
    statement = select(*_COLUMNS).where(_in_view(actor), *clauses)
    order = [pages.Column(_c.created_at, int, descending=True), pages.Column(_c.dataset_id, str)]
    query = pages.fingerprint("datasets", actor.user_id, wanted)
    found = pages.read(conn, [pages.Part(statement, order)], query, limit, token)
    return Page([Dataset._make(row[: len(_COLUMNS)]) for row in found.items], found.next_token)


def _in_view(actor: Actor) -> ColumnElement[bool]:
    return _c.project_id.in_(list(actor.projects))


# What runs used

TRAINING = "training"
"""The context of the input that is a run's own dataset version."""


@dataclass(frozen=True)
class NewInput:
    """A run's use of a dataset: which one, by name and digest, where it was taken from, and in which context."""

    name: str
    digest: str
    source_type: str | None = None
    source: str | None = None
    schema: str | None = None
    profile: str | None = None
    context: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


class RunInput(NamedTuple):
    """A dataset version that the run with this internal id used."""

    run: int
    name: str
    digest: str
    source_type: str | None
    source: str | None
    schema: str | None
    profile: str | None
    context: str | None
    tags: Mapping[str, str]


class Summary(NamedTuple):
    """A dataset that some run of an experiment used."""

    experiment_id: int
    name: str
    digest: str
    context: str | None


def add_inputs(conn: Connection, actor: Actor, project_id: str, run: int, inputs: Sequence[NewInput]) -> None:
    """Record what a run used, creating datasets and versions of the project as needed.

    A version is one (name, digest); the first to log it says what its schema and profile are. A run that used a
    version before keeps its first record of it. The first training input becomes the run's own dataset version.
    """
    actor.require(project_id, Scope.WRITE, "project", project_id)
    for used in inputs:
        version = _version(conn, actor, project_id, used)
        own = (version.source_type, version.storage_uri) != (used.source_type, used.source)
        link = {
            "run_id": run,
            "dataset_version_id": version.dataset_version_id,
            "context": used.context,
            "tags_json": dict(used.tags),
            "source_type": used.source_type if own else None,
            "storage_uri": used.source if own else None,
            "created_at": clock.now(),
        }
        conn.execute(db.insert(conn, t.run_inputs).on_conflict_do_nothing(), link)
        if used.context == TRAINING:
            _set_own_version(conn, actor, project_id, run, version.dataset_version_id)


def _version(conn: Connection, actor: Actor, project_id: str, used: NewInput) -> dataset_versions.Recorded:
    which = select(_c.dataset_id).where(_c.project_id == project_id, _c.name == used.name)
    known = db.hold(conn, which, t.datasets, shared=True)
    while (dataset_id := conn.scalars(known).one_or_none()) is None:
        _add(conn, actor, Dataset(clock.new_id(), project_id, used.name, "other", None, clock.now()))
    return dataset_versions.record(
        conn,
        actor,
        project_id,
        dataset_id,
        used.digest,
        source_type=used.source_type,
        source=used.source,
        schema=used.schema,
        profile=used.profile,
    )


def _set_own_version(conn: Connection, actor: Actor, project_id: str, run: int, version_id: str) -> None:
    c = t.runs.c
    unset = update(t.runs).where(c.id == run, c.dataset_version_id.is_(None))
    run_id = conn.scalars(unset.values(dataset_version_id=version_id).returning(c.run_id)).one_or_none()
    if run_id is not None:
        new = {"dataset_version_id": version_id}
        audit.updated(conn, actor, "runs", run_id, {"dataset_version_id": None}, new, project_id=project_id)


def inputs(conn: Connection, runs: Sequence[int]) -> list[RunInput]:
    """What these runs used, by internal id."""
    i, v, d = t.run_inputs.c, t.dataset_versions.c, t.datasets.c
    rows = conn.execute(
        select(
            *(i.run_id, d.name, v.content_hash, v.source_type, v.storage_uri, v.schema_json, v.profile_json),
            *(i.context, i.tags_json, i.source_type, i.storage_uri),
        )
        .join(t.dataset_versions, v.dataset_version_id == i.dataset_version_id)
        .join(t.datasets, d.dataset_id == v.dataset_id)
        .where(db.among(conn, i.run_id, runs))
        .order_by(i.run_id, i.created_at, v.dataset_version_id)
    )
    return [
        RunInput(
            run, name, digest, own_type or kind, source if own_type is None else own, schema, profile, context, tags
        )
        for run, name, digest, kind, source, schema, profile, context, tags, own_type, own in rows
    ]


def used_in(conn: Connection, actor: Actor, experiment_ids: Sequence[int], limit: int) -> list[Summary]:
    """The distinct datasets that active runs of these experiments used, at most `limit`."""
    r, i, v, d = t.runs.c, t.run_inputs.c, t.dataset_versions.c, t.datasets.c
    rows = conn.execute(
        select(r.experiment_id, d.name, v.content_hash, i.context)
        .join(t.experiments, t.experiments.c.id == r.experiment_id)
        .join(t.run_inputs, i.run_id == r.id)
        .join(t.dataset_versions, v.dataset_version_id == i.dataset_version_id)
        .join(t.datasets, d.dataset_id == v.dataset_id)
        .where(visible(actor), db.among(conn, r.experiment_id, experiment_ids), r.deleted_at.is_(None))
        .distinct()
        .order_by(r.experiment_id, d.name, v.content_hash, i.context)
        .limit(limit)
    )
    return [Summary(*row) for row in rows]
