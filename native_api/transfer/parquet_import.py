"""Bringing an export in again: the folder that `parquet_export` wrote, into an empty server or one in use.

Each batch of rows is a transaction of its own, files in an order in which what is referred to comes first. What is
there already stays as it is, so that it can be begun again wherever it ended, and a second time changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Engine, select, update

from native_api.core import audit, db, held_runs, metrics, params, places, schema
from native_api.core import tables as t
from native_api.core.access import NOBODY, Actor, Scope
from native_api.core.blobs import BLOCK, Store, safe_key
from native_api.core.errors import Invalid, NotFound, Problem
from native_api.core.metrics import Name
from native_api.transfer import authors, columns, fresh
from native_api.transfer import kept as k
from native_api.transfer.kept import Kept, Reference
from native_api.transfer.parquet_export import Manifest
from native_api.transfer.records import Imported

ROWS = 2_000
"""How many rows are brought in by one transaction."""
POINTS = 20_000
"""How many points are."""

Tell = Callable[[str], None]
"""Hears, in a line each, what could not be brought in and why."""

Row = dict[str, Any]


def bring_in(
    engine: Engine, folder: Path, store: Store | None, tell: Tell, *, artifact_root: str = "mlflow-artifacts:/"
) -> Brought:
    """Bring in what the folder has; with a store also the artifacts in it.

    `engine` is a writer's. Raises Invalid, with nothing written, for what is no complete export of a version that this
    release reads, or holds values that no export has.
    """
    manifest = read_manifest(folder)
    for name in manifest.files:
        _check_file(folder, name, manifest)
    bringing = _Bringing(engine, tell)
    with audit.transaction(engine) as conn:
        fresh.make_room(conn, artifact_root, *(_read(folder, table) for table in (t.organizations, t.ml_projects)))
    for kept in k.KEPT:
        bringing.bring_table(folder, kept)
    if store is not None and k.FILES in manifest.files:
        bringing.bring_files(folder, store)
    return bringing.brought


@dataclass
class Brought:
    """What an import did: of each file its rows that were new and those that were there, and how many it refused."""

    counts: dict[str, Imported] = field(default_factory=dict)
    refused: int = 0


# Checking, before anything is written


def read_manifest(folder: Path) -> Manifest:
    """What the export says of itself. Invalid for what is no export, or one that this release does not read."""
    try:
        manifest = msgspec.json.decode((folder / k.MANIFEST).read_bytes(), type=Manifest)
    except OSError:
        raise Invalid(f"{folder} is no export: there is no {k.MANIFEST} in it to read") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"{folder} is no export: {k.MANIFEST}: {error}") from None
    if manifest.format != k.FORMAT:
        raise Invalid(f"{folder} is no export: its format is {manifest.format!r}")
    if manifest.version != k.VERSION or manifest.schema not in schema.REVISIONS:
        raise Invalid(
            f"{folder} has version {manifest.version} of the format, schema {manifest.schema}:"
            f" this release reads version {k.VERSION}, schemas {' '.join(schema.REVISIONS)}"
        )
    wanted = {kept.file for kept in k.KEPT}
    if strange := wanted ^ (manifest.files.keys() - {k.FILES}):
        raise Invalid(f"{folder}: {k.MANIFEST} misses a file, or names one too many: {', '.join(sorted(strange))}")
    return manifest


def _check_file(folder: Path, name: str, manifest: Manifest) -> None:
    path, written = folder / name, manifest.files[name]
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != written.sha256:
                raise Invalid(f"{name} is not the file that was exported: its SHA-256 is another")
    except OSError as error:
        raise Invalid(f"{name} cannot be read: {error.strerror}") from None
    kept = next((kept for kept in k.KEPT if kept.file == name), None)
    wanted = columns.FILES_SCHEMA if kept is None else columns.schema_of(kept)
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(wanted) or file.metadata.num_rows != written.rows:
                raise Invalid(f"{name} has other columns, or another number of rows, than an export has")
    except pa.ArrowException:
        raise Invalid(f"{name} is no Parquet file") from None
    if kept is not None:
        columns.check(path, kept)
    else:
        _check_paths(path)


def _check_paths(path: Path) -> None:
    for row in _rows(path):
        if safe_key(row["path"]) != row["path"]:
            raise Invalid(f"{path.name}: the path {row['path']!r} is not one that a store has")


def _rows(path: Path) -> Iterable[Row]:
    for batch in columns.batches(path):
        yield from batch.to_pylist()


def _read(folder: Path, table: Any) -> list[Row]:
    return list(_rows(folder / f"{table.name}.parquet"))


# Bringing in


class _Found(NamedTuple):
    """What a public key means here: the key in the tables, and the project that it is of, if it is of one."""

    key: Any
    project_id: str | None


class _Bringing:
    """An import on its way."""

    def __init__(self, engine: Engine, tell: Tell) -> None:
        self.brought = Brought()
        self._engine, self._tell = engine, tell
        self._refused: dict[str, set[tuple[Any, ...]]] = {}
        self._same: dict[str, dict[str, str]] = {t.organizations.name: {}, t.ml_projects.name: {}}
        self._projects: dict[str, Scope] = {}

    # Tables

    def bring_table(self, folder: Path, kept: Kept) -> None:
        """All rows of a file."""
        is_points = kept.table is t.run_metric_values
        size = POINTS if is_points else ROWS
        count = self.brought.counts[kept.table.name] = Imported()
        for batch in columns.batches(folder / kept.file):
            for start in range(0, batch.num_rows, size):
                rows = batch.slice(start, size).to_pylist()
                with audit.transaction(self._engine) as conn:
                    new = self._bring_points(conn, kept, rows) if is_points else self._bring(conn, kept, rows)
                count.created += new.created
                count.unchanged += new.unchanged

    def _bring(self, conn: Connection, kept: Kept, rows: Sequence[Row]) -> Imported:
        placed = self._place(conn, kept, rows)
        if kept.is_points:
            added = _insert(conn, kept, placed)
            return Imported(created=added, unchanged=len(placed) - added)
        there = self._there(conn, kept, placed)
        new: list[_Placed] = []
        unchanged = 0
        for item in placed:
            key = item.key(kept)
            if key not in there:
                there[key] = None  # not twice from one file either
                new.append(item)
            elif there[key] in (None, item.stored[kept.home]):
                unchanged += 1
            else:
                self._refuse(kept, item.row, "it is here already, elsewhere")
        if kept.table is t.experiments:
            new = [item for item in new if self._may_be_placed(conn, kept, item)]
        added = _insert(conn, kept, new)
        if added < len(new):
            there = self._there(conn, kept, new)
            for item in [item for item in new if item.key(kept) not in there]:
                self._refuse(kept, item.row, "a name of it is taken here")
            new = [item for item in new if item.key(kept) in there]
        _follow(conn, kept, new)
        return Imported(created=len(new), unchanged=unchanged)

    def _place(self, conn: Connection, kept: Kept, rows: Sequence[Row]) -> list[_Placed]:
        """The rows as they are to be stored; without those whose references lead nowhere."""
        if kept.table in (t.organizations, t.ml_projects):
            self._match(conn, kept, rows)
        meant: dict[str, dict[tuple[Any, ...], _Found]] = {}
        for part in kept.parts:
            if part.to is not None:
                wanted = {tuple(row[name] for name in part.names) for row in rows} - {(None,)}
                meant[part.column.name] = self._resolve(conn, part.to, wanted)
        if kept.needs is not None:
            keys = {tuple(row[name] for name in kept.needs.public) for row in rows}
            needed = self._resolve(conn, kept.needs, keys)
        placed = []
        for row in rows:
            item = self._placed(kept, row, meant)
            if item is None:
                continue
            if kept.needs is not None and (key := tuple(row[name] for name in kept.needs.public)) not in needed:
                self._refuse_for(kept, row, kept.needs, key)
                continue
            placed.append(item)
        return placed

    def _placed(self, kept: Kept, row: Row, meant: Mapping[str, Mapping[tuple[Any, ...], _Found]]) -> _Placed | None:
        stored: Row = {}
        home = None
        for part in kept.parts:
            given = tuple(row[name] for name in part.names)
            if part.column.name not in meant or given == (None,):
                stored[part.column.name] = given[0]
                continue
            found = meant[part.column.name].get(given)
            if found is None:
                self._refuse_for(kept, row, part.to, given)
                return None
            stored[part.column.name] = found.key
            if part.column.name == kept.home:
                home = found.project_id
        if kept.table in (t.organizations, t.ml_projects):
            key = next(iter(kept.key))
            stored[key] = self._same[kept.table.name].get(stored[key], stored[key])
            home = stored[key]
        foreign = {
            name
            for name, found in ((name, meant[name].get((stored_name,))) for name, stored_name in _others(kept, row))
            if found is not None and found.project_id not in (None, home)
        }
        if foreign:
            self._refuse(kept, row, f"its {min(foreign).removesuffix('_id')} is of another project")
            return None
        if kept.is_points:
            stored["is_nan"] = int(row["value"] != row["value"])
            stored["value"] = 0.0 if stored["is_nan"] else row["value"]
            stored["scope"] = k.SCOPES.index(row["scope"])
        return _Placed(row, stored, home)

    def _resolve(self, conn: Connection, to: Reference, wanted: set[tuple[Any, ...]]) -> dict[tuple[Any, ...], _Found]:
        """What these public keys mean here; an account that is not here is made, and a metric's key."""
        if to is k.ACCOUNT:
            ids = authors.ids_of(conn, [email for (email,) in wanted])
            return {(email,): _Found(ids[email], None) for (email,) in wanted}
        if to is k.METRIC:
            numbers = metrics.intern(conn, {key for (key,) in wanted})
            return {key: _Found(numbers[key[0]], None) for key in wanted}
        same = self._same.get(to.table.name, {})
        refused = self._refused.get(to.table.name, set())
        asked = {(same.get(key[0], key[0]), *key[1:]): key for key in wanted if key not in refused}
        owner = k.project_of(to)
        source, project = (to.table, None) if owner is None else owner
        public = [to.table.c[name] for name in to.public]
        statement = select(to.table.c[to.key], *public, *([] if project is None else [project]))
        statement = statement.select_from(source).where(db.among(conn, public[0], sorted({key[0] for key in asked})))
        found = {}
        for row in conn.execute(statement):
            key = tuple(row[1 : 1 + len(public)])
            if key in asked:
                found[asked[key]] = _Found(row[0], None if project is None else row[-1])
        return found

    def _match(self, conn: Connection, kept: Kept, rows: Sequence[Row]) -> None:
        """An organisation of the same name is the same, and a project of the same slug, unless its id is here too."""
        key, name = ("org_id", "name") if kept.table is t.organizations else ("project_id", "slug")
        c = kept.table.c
        here = set(conn.scalars(select(c[key]).where(db.among(conn, c[key], [row[key] for row in rows]))))
        named = select(c[name], c[key]).where(db.among(conn, c[name], [row[name] for row in rows]))
        ids: dict[str, str] = dict(tuple(row) for row in conn.execute(named))
        for row in rows:
            if row[key] not in here and row[name] in ids:
                self._same[kept.table.name][row[key]] = ids[row[name]]
        if kept.table is t.ml_projects:
            same = self._same[kept.table.name]
            self._projects |= {same.get(row[key], row[key]): Scope.ADMIN for row in rows}

    def _there(self, conn: Connection, kept: Kept, items: Sequence[_Placed]) -> dict[tuple[Any, ...], Any]:
        """The keys of rows that are here, of these and maybe of others, each with whose it is."""
        c = kept.table.c
        home = None if kept.table in (t.organizations, t.ml_projects) else c[kept.home]
        columns_ = [c[name] for name in kept.key] + ([] if home is None else [home])
        first = c[kept.key[0]]
        statement = select(*columns_).where(db.among(conn, first, sorted({item.key(kept)[0] for item in items})))
        width = len(kept.key)
        return {tuple(row[:width]): None if home is None else row[width] for row in conn.execute(statement)}

    def _may_be_placed(self, conn: Connection, kept: Kept, item: _Placed) -> bool:
        project_id = item.stored["project_id"]
        own = Actor("", project_id, {project_id: Scope.ADMIN}, Scope.ADMIN)
        try:
            places.refuse_foreign_location(conn, own, item.stored["artifact_location"])
        except Invalid:
            self._refuse(kept, item.row, "its artifacts are where another project has its own")
            return False
        return True

    def _refuse_for(self, kept: Kept, row: Row, to: Reference | None, key: tuple[Any, ...]) -> None:
        """Leave a row out as what it refers to is not here; without a word where that was refused itself."""
        assert to is not None, "only references can lead nowhere"
        if key in self._refused.get(to.table.name, ()):
            self._leave_out(kept, row)
        else:
            self._refuse(kept, row, f"what it refers to is not here: {to.table.name} {' '.join(map(str, key))}")

    def _refuse(self, kept: Kept, row: Row, why: str) -> None:
        key = self._leave_out(kept, row)
        self._tell(f"{kept.table.name} {' '.join(map(str, key[:3]))}: {why}")

    def _leave_out(self, kept: Kept, row: Row) -> tuple[Any, ...]:
        self.brought.refused += 1
        key = tuple(row[name] for column in kept.key if column != "is_nan" for name in kept.part(column).names)
        if kept.table in _REFERRED:
            self._refused.setdefault(kept.table.name, set()).add(key)
        return key

    # Points

    def _bring_points(self, conn: Connection, kept: Kept, rows: Sequence[Row]) -> Imported:
        held = held_runs.many(conn, sorted({row["run_id"] for row in rows}))
        refused = self._refused.setdefault(t.runs.name, set())
        logged: dict[str, dict[Name, list[metrics.AnyPoint]]] = {}
        count = 0
        for row in rows:
            run_id = row["run_id"]
            if run_id not in held or (run_id,) in refused:
                self._refuse_for(kept, row, k.RUN, (run_id,))
                refused.add((run_id,))  # told once
                continue
            value = row["value"]
            is_nan = value != value
            point = (row["step"], row["recorded_at"], 0.0 if is_nan else value, int(is_nan), int(row["is_final"]))
            name = Name(_SCOPE[row["scope"]], row["key"])
            logged.setdefault(run_id, {}).setdefault(name, []).append(point)
            count += 1
        entries = [(held[run].id, held[run].experiment_id, points) for run, points in sorted(logged.items())]
        added = metrics.append(conn, entries)
        if added:
            held_runs.touch(conn, [run for run, _, _ in entries])
        return Imported(created=added, unchanged=count - added)

    # Artifacts

    def bring_files(self, folder: Path, store: Store) -> None:
        """The files that are listed, into places of what was brought in. One that is here stays as it is."""
        count = self.brought.counts[k.FILES.removesuffix(".parquet")] = Imported()
        owner = Actor("", "", self._projects, Scope.ADMIN)
        for row in _rows(folder / k.FILES):
            key = row["path"]
            try:
                if self._is_stored(store, row):
                    count.unchanged += 1
                    continue
                with self._engine.connect() as conn:
                    if places.find_place(conn, owner, key) is None:
                        raise Invalid("it is in no place of what was brought in")
                _put(store, folder / k.ARTIFACTS, row)
                count.created += 1
            except Problem as problem:
                self.brought.refused += 1
                self._tell(f"{k.ARTIFACTS}/{key}: {problem}")

    def _is_stored(self, store: Store, row: Row) -> bool:
        try:
            found = store.read(row["path"], 0)
        except NotFound:
            return False
        if found.size != row["size_bytes"]:
            raise Invalid("another file is in its place")
        return True


_REFERRED = {kept.table for kept in k.KEPT} & {to.table for kept in k.KEPT for to in kept.references}
_SCOPE = {word: number for number, word in enumerate(k.SCOPES)}


class _Placed(NamedTuple):
    """A row of a file, what is to be stored of it, and its project."""

    row: Row
    stored: Row
    project_id: str | None

    def key(self, kept: Kept) -> tuple[Any, ...]:
        return tuple(self.stored[name] for name in kept.key)


def _others(kept: Kept, row: Row) -> Iterable[tuple[str, Any]]:
    """The references of a row that must be of its own project. A run may tell of another project's model."""
    for part in kept.parts:
        if part.to in (k.DATASET_VERSION, k.ARTIFACT, k.PROJECT) and part.column.name != kept.home:
            yield part.column.name, row[part.names[0]]


def _insert(conn: Connection, kept: Kept, items: Sequence[_Placed]) -> int:
    """Store the rows unless something of theirs is taken; how many were."""
    if kept.table is t.experiments:
        return _insert_experiments(conn, kept, items)
    names = [part.column.name for part in kept.parts] + [
        name for name in ("revision", "is_nan") if name in kept.table.c
    ]
    given = [{"revision": 1} | item.stored for item in items]
    return _adding(kept, names)(conn, [tuple(row[name] for name in names) for row in given])


def _adding(kept: Kept, names: Sequence[str]) -> db.BulkInsert:
    return db.BulkInsert(kept.table, names, "ON CONFLICT DO NOTHING")


MAX_NUMBER = 2**62
"""The next short id is above all that were given, and must be one that the tables can hold."""


def _insert_experiments(conn: Connection, kept: Kept, items: Sequence[_Placed]) -> int:
    """With the short id that each has in the file, if that is free here."""
    c = t.experiments.c
    names = [part.column.name for part in kept.parts]
    added = 0
    for item in items:
        number = item.stored["id"]
        is_taken = number > MAX_NUMBER or conn.execute(select(c.id).where(c.id == number)).first() is not None
        chosen = names[1:] if is_taken else names
        if not is_taken:
            db.reserve(conn, c.id, number)
        added += _adding(kept, chosen)(conn, [tuple(item.stored[name] for name in chosen)])
    return added


def _follow(conn: Connection, kept: Kept, new: Sequence[_Placed]) -> None:
    """Let follow what stands on new rows: what is derived from them, and the audit log."""
    if not new:
        return
    if kept.table is t.run_configs:
        params.put(conn, [(item.stored["run_id"], msgspec.json.decode(item.row["params_json"])) for item in new])
    if kept.of_run:
        held_runs.touch(conn, sorted({item.stored["run_id"] for item in new}))
    if kept.table is t.model_versions:
        _count_versions(conn, new)
    if kept.table in AUDITED:
        for item in new:
            _tell_of(conn, kept, item)


def _count_versions(conn: Connection, new: Sequence[_Placed]) -> None:
    """Numbers of versions are not given twice, also in a model that was here before."""
    c = t.registered_models.c
    last: dict[str, int] = {}
    for item in new:
        model = item.stored["registered_model_id"]
        last[model] = max(last.get(model, 0), item.stored["version"])
    for model, version in sorted(last.items()):
        behind = (c.registered_model_id == model) & (c.last_version < version)
        conn.execute(update(t.registered_models).where(behind).values(last_version=version))


AUDITED = (
    *(t.organizations, t.ml_projects, t.metric_definitions, t.datasets, t.dataset_versions, t.experiments, t.runs),
    *(t.run_configs, t.artifacts, t.logged_models, t.registered_models, t.model_versions, t.registered_model_aliases),
)


def _tell_of(conn: Connection, kept: Kept, item: _Placed) -> None:
    row = {name: value for part in kept.parts for name, value in _told(part, item)}
    pk = "/".join(str(item.row[name]) for column in kept.key for name in kept.part(column).names)
    if kept.table in (t.organizations, t.ml_projects):
        pk = item.stored[kept.key[0]]
    org_id = item.stored.get("org_id")
    project_id = None if kept.table is t.organizations else item.project_id
    audit.inserted(conn, NOBODY, kept.table.name, pk, row, org_id=org_id, project_id=project_id)


def _told(part: k.Part, item: _Placed) -> Iterable[tuple[str, Any]]:
    """A column as the audit log has it: with public ids, and JSON as what it says."""
    name = part.column.name
    if part.to is not None and part.to.key == "id":
        yield from ((public, item.row[public]) for public in part.names)
    elif name in ("params_json", "env_json") and item.row[name] is not None:
        yield name, msgspec.json.decode(item.row[name])
    else:
        yield name, item.stored[name]


# Artifacts


def _put(store: Store, folder: Path, row: Row) -> None:
    """Raises Invalid, and leaves nothing, if the file is not the one that was exported."""
    path = folder / row["path"]
    digest = hashlib.sha256()
    upload = store.open_upload(row["path"])
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Invalid("it is a link that leads out of the export")
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                upload.write([block])
        if digest.hexdigest() != row["sha256"]:
            raise Invalid("it is not the file that was exported: its SHA-256 is another")
        upload.finish()
    except OSError as error:
        raise Invalid(f"it cannot be read or stored: {error.strerror}") from None
    finally:
        upload.abort()
