"""Rows of datasets and artifacts in an import: how they go in, in bulk, and a second time without effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import msgspec
from sqlalchemy import Connection, Table, select

from native_api.core import audit, clock, db, held_runs
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Exists, Invalid
from native_api.core.imports import Outcome, checked

# Datasets


class DatasetRow(NamedTuple):
    """A dataset of a project: the same one if it has the same name."""

    project_id: str
    name: str
    task_type: str
    description: str | None


def put_datasets(conn: Connection, actor: Actor, rows: Mapping[int, DatasetRow]) -> Outcome:
    """Add the datasets that are new; a row that differs from the dataset that is there is refused."""

    def check(row: DatasetRow) -> DatasetRow:
        actor.require(row.project_id, Scope.WRITE, "project", row.project_id)
        return row

    good, refused = checked(rows, check)
    now = clock.now()
    wanted: dict[tuple[str, str], dict[str, Any]] = {}
    for row in good.values():
        new = {"dataset_id": clock.new_id(), **row._asdict(), "created_at": now}
        wanted.setdefault((row.project_id, row.name), new)
    added = _insert(conn, t.datasets, "dataset_id", wanted)
    for new in wanted.values():
        if new["dataset_id"] in added:
            audit.inserted(conn, actor, "datasets", new["dataset_id"], new, project_id=new["project_id"])
    there = _datasets(conn, good.values())
    for number, row in good.items():
        if there[row.project_id, row.name] != row:
            refused[number] = f"The project has a dataset {row.name!r} already, which differs from this row"
    return Outcome(len(added), refused)


def _datasets(conn: Connection, rows: Iterable[DatasetRow]) -> dict[tuple[str, str], DatasetRow]:
    """The datasets that have the names of these, by project and name."""
    c = t.datasets.c
    names, projects = {row.name for row in rows}, {row.project_id for row in rows}
    found = select(*(c[name] for name in DatasetRow._fields)).where(
        db.among(conn, c.project_id, projects), db.among(conn, c.name, names)
    )
    return {(row.project_id, row.name): DatasetRow._make(row) for row in conn.execute(found)}


def _insert(conn: Connection, table: Table, key: str, rows: Mapping[Any, Mapping[str, Any]]) -> set[str]:
    """Insert, in the order of their keys, those rows that do not conflict with what is there; which were new."""
    if not rows:
        return set()
    added = db.insert(conn, table).on_conflict_do_nothing().returning(table.c[key])
    return set(conn.scalars(added, [rows[name] for name in sorted(rows)]))


# Artifacts


class ArtifactRow(NamedTuple):
    """An artifact of a project: the same one if its URI and checksum are the same. With a run_id it is linked to it."""

    project_id: str
    artifact_type: str
    uri: str
    checksum: str | None
    size_bytes: int | None
    run_id: str | None
    alias: str | None


def put_artifacts(conn: Connection, actor: Actor, rows: Mapping[int, ArtifactRow]) -> Outcome:
    """Add the artifacts and the links to runs that are new; a row that differs from what is there is refused."""
    held = held_runs.many(conn, {row.run_id for row in rows.values() if row.run_id})
    links = _Links(conn, [run.id for run in held.values()])
    ids = {number: _id_of_artifact(row) for number, row in rows.items()}
    there = _artifacts(conn, set(ids.values()))
    first: dict[str, int] = {}

    def check(number: int) -> bool:
        """Whether it brings a new link."""
        row, artifact_id = rows[number], ids[number]
        actor.require(row.project_id, Scope.WRITE, "project", row.project_id)
        run = (
            held_runs.require_active(held_runs.permitted(held.get(row.run_id), actor, row.run_id))
            if row.run_id
            else None
        )
        if run and run.project_id != row.project_id:
            raise Invalid("The run and the artifact are of different projects")
        shape = row.artifact_type, row.size_bytes
        if there.get(artifact_id, shape) != shape:
            raise Exists("The project has this artifact already, which differs from this row")
        linked = run is not None and links.add(run.id, artifact_id, row.alias)
        there[artifact_id] = shape
        first.setdefault(artifact_id, number)
        return linked

    linked, refused = checked({number: number for number in rows}, check)
    now = clock.now()
    wanted = {
        artifact_id: {
            "artifact_id": artifact_id,
            **{name: getattr(rows[number], name) for name in _OF_ARTIFACT},
            "created_at": now,
        }
        for artifact_id, number in first.items()
    }
    added = _insert(conn, t.artifacts, "artifact_id", wanted)
    for artifact_id in sorted(added):
        new = wanted[artifact_id]
        audit.inserted(conn, actor, "artifacts", artifact_id, new, project_id=new["project_id"])
    links.write()
    return Outcome(
        len({first[artifact_id] for artifact_id in added} | {n for n, new in linked.items() if new}), refused
    )


_OF_ARTIFACT = ("project_id", "artifact_type", "uri", "checksum", "size_bytes")


def _id_of_artifact(row: ArtifactRow) -> str:
    return uuid5(NAMESPACE_URL, msgspec.json.encode((row.project_id, row.uri, row.checksum)).decode()).hex


def _artifacts(conn: Connection, artifact_ids: set[str]) -> dict[str, tuple[str, int | None]]:
    """The type and the size of those of the artifacts that are there."""
    c = t.artifacts.c
    statement = select(c.artifact_id, c.artifact_type, c.size_bytes).where(db.among(conn, c.artifact_id, artifact_ids))
    return {row.artifact_id: (row.artifact_type, row.size_bytes) for row in conn.execute(statement)}


class _Links:
    """The links to artifacts of some runs, whose rows are held, and those that are to be added."""

    def __init__(self, conn: Connection, runs: Sequence[int]) -> None:
        self._conn = conn
        self._new: list[tuple[str, int, str, str | None, int]] = []
        self._aliases: dict[tuple[int, str], str | None] = {}
        self._named: dict[tuple[int, str], str] = {}
        c = t.run_artifacts.c
        for run, artifact_id, alias in conn.execute(
            select(c.run_id, c.artifact_id, c.alias).where(db.among(conn, c.run_id, runs))
        ):
            self._remember(run, artifact_id, alias)

    def _remember(self, run: int, artifact_id: str, alias: str | None) -> None:
        self._aliases[run, artifact_id] = alias
        if alias is not None:
            self._named[run, alias] = artifact_id

    def add(self, run: int, artifact_id: str, alias: str | None) -> bool:
        """Whether this link is new. Raises Exists if it is there under another alias, or the alias is taken."""
        if (run, artifact_id) in self._aliases:
            if alias not in (None, self._aliases[run, artifact_id]):
                raise Exists("The run is linked to this artifact already, under another alias or none")
            return False
        if alias is not None and (run, alias) in self._named:
            raise Exists("The run is linked to another artifact under this alias already")
        self._remember(run, artifact_id, alias)
        self._new.append((clock.new_id(), run, artifact_id, alias, clock.now()))
        return True

    def write(self) -> None:
        """Store the new ones."""
        _add_links(self._conn, self._new)


_add_links = db.BulkInsert(
    t.run_artifacts, ["run_artifact_id", "run_id", "artifact_id", "alias", "created_at"], "ON CONFLICT DO NOTHING"
)
