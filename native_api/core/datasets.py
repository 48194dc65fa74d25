"""Datasets, their versions, and what runs used of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from native_api.core import clock, db
from native_api.core import tables as t
from native_api.core.access import Actor, visible

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


def add_inputs(conn: Connection, project_id: str, run: int, inputs: Sequence[NewInput]) -> None:
    """Record what a run used, creating datasets and versions of the project as needed.

    A version is one (name, digest); the first to log it says what its schema and profile are. A run that used a
    version before keeps its first record of it. The first training input becomes the run's own dataset version.
    """
    for used in inputs:
        version_id, place = _version(conn, project_id, used)
        own = place != (used.source_type, used.source)
        link = {
            "run_id": run,
            "dataset_version_id": version_id,
            "context": used.context,
            "tags_json": dict(used.tags),
            "source_type": used.source_type if own else None,
            "storage_uri": used.source if own else None,
            "created_at": clock.now(),
        }
        conn.execute(db.insert(conn, t.run_inputs).on_conflict_do_nothing(), link)
        if used.context == TRAINING:
            c = t.runs.c
            first = update(t.runs).where(c.id == run, c.dataset_version_id.is_(None))
            conn.execute(first.values(dataset_version_id=version_id))


def _version(conn: Connection, project_id: str, used: NewInput) -> tuple[str, tuple[str | None, str | None]]:
    """The id of the version, made if it is new, and where it is kept (source type, source)."""
    c, v, now = t.datasets.c, t.dataset_versions.c, clock.now()
    dataset = {"dataset_id": clock.new_id(), "project_id": project_id, "name": used.name, "created_at": now}
    conn.execute(db.insert(conn, t.datasets).on_conflict_do_nothing(), dataset | {"task_type": "other"})
    dataset_id = conn.scalars(select(c.dataset_id).where(c.project_id == project_id, c.name == used.name)).one()
    known = select(v.dataset_version_id, v.source_type, v.storage_uri).where(
        v.dataset_id == dataset_id, v.content_hash == used.digest
    )
    found = conn.execute(known).one_or_none()
    if found is None:
        version = {
            "dataset_id": dataset_id,
            "storage_uri": used.source,
            "source_type": used.source_type,
            "content_hash": used.digest,
            "schema_json": used.schema,
            "profile_json": used.profile,
            "created_at": now,
        }
        new_id = clock.new_id()
        for label in (
            used.digest,
            f"{used.digest}-{new_id[:8]}",
        ):  # somebody may have given this label to another version
            row = version | {"dataset_version_id": new_id, "version_label": label}
            conn.execute(db.insert(conn, t.dataset_versions).on_conflict_do_nothing(), row)
            found = conn.execute(known).one_or_none()
            if found is not None:
                break
    assert found is not None
    return found.dataset_version_id, (found.source_type, found.storage_uri)


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
