"""Taking everything away: a folder of Parquet files, as docs/export.md describes it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct
from sqlalchemy import Connection, Engine, func, select

from native_api.core import blobs, clock, db, projects, rows, schema
from native_api.core import tables as t
from native_api.core.blobs import BLOCK, Store
from native_api.core.errors import Exists, NotFound
from native_api.core.places import proxied_key
from native_api.transfer import kept as k
from native_api.transfer.columns import FILES_SCHEMA, schema_of
from native_api.transfer.kept import Kept

GROUP = 131_072
"""How many rows there are in a row group of a file, in all but its last."""
RUNS = 500
"""How many runs are read at a time."""
POINTS = 100_000
"""How many points are read at a time; a run that has more is read metric by metric."""


class Written(Struct, frozen=True):
    """A file of an export: its rows, and its SHA-256 in hex digits."""

    rows: int
    sha256: str


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What an export says of itself. Two are equal if their `files` are."""

    format: str
    version: int
    schema: str
    project: str | None
    created_at: int
    files: dict[str, Written]


def take_out(engine: Engine, folder: Path, store: Store | None = None, *, project: str | None = None) -> Manifest:
    """Write everything that is tracked, or one project by its slug, to a new folder, as it is at one moment.

    `engine` is a reader's. With a store the artifacts that it has of this are copied. The folder is there only once it
    is complete. Raises Exists if there is something of its name, NotFound for no such project.
    """
    if folder.exists() or folder.is_symlink():
        raise Exists(f"{folder} exists already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    growing = folder.parent / f".{folder.name}.{clock.new_id()[:8]}"
    growing.mkdir()
    try:
        with engine.connect() as conn:
            manifest = _write(conn, growing, store, project)
        text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        (growing / k.MANIFEST).write_bytes(text + b"\n")
        for path in sorted(growing.rglob("*"), reverse=True):
            _sync(path)
        _sync(growing)
        try:
            os.rename(growing, folder)
        except OSError:
            raise Exists(f"{folder} exists already") from None
        _sync(folder.parent)
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(growing)
    return manifest


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(conn: Connection, folder: Path, store: Store | None, project: str | None) -> Manifest:
    project_id = None if project is None else projects.find_id(conn, project)
    files = {kept.file: _write_table(conn, folder / kept.file, kept, project_id) for kept in k.KEPT}
    if store is not None:
        files[k.FILES] = _copy_files(conn, folder, store, project_id)
    return Manifest(k.FORMAT, k.VERSION, schema.HEAD, project, clock.now(), files)


# Tables


class _Writer:
    """A Parquet file that grows. What is in it decides its bytes, not in which pieces that came."""

    def __init__(self, path: Path, columns: pa.Schema) -> None:
        self._path, self._schema = path, columns
        self._file = pq.ParquetWriter(path, columns, compression="zstd", version="2.6", store_schema=False)
        self._waiting: list[pa.Table] = []
        self._rows = self._written = 0

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._rows += table.num_rows
        while self._rows - self._written >= GROUP:
            self._flush(GROUP)

    def _flush(self, count: int) -> None:
        waiting = pa.concat_tables(self._waiting)
        self._file.write_table(waiting.slice(0, count).combine_chunks(), row_group_size=GROUP)
        self._waiting = [waiting.slice(count)]
        self._written += count

    def close(self) -> Written:
        if left := self._rows - self._written:
            self._flush(left)
        self._file.close()
        with self._path.open("rb") as file:
            return Written(self._rows, hashlib.file_digest(file, "sha256").hexdigest())


def _write_table(conn: Connection, path: Path, kept: Kept, project_id: str | None) -> Written:
    columns = schema_of(kept)
    writer = _Writer(path, columns)
    for some in _rows(conn, kept, project_id):
        values = list(zip(*some, strict=True))
        writer.add(pa.table([_array(list(v), f) for v, f in zip(values, columns, strict=True)], schema=columns))
    return writer.close()


_SCOPES = pa.array(k.SCOPES)


def _array(values: Sequence[Any], column: pa.Field) -> pa.Array:
    if column.name == "scope":
        return pc.take(_SCOPES, pa.array(values, pa.int8()))
    if column.name == "value" and pa.types.is_floating(column.type):
        return pc.fill_null(pa.array(values, column.type), float("nan"))
    if pa.types.is_boolean(column.type):
        return pa.array(values, pa.int8()).cast(pa.bool_())
    if column.name.endswith("_json") and any(isinstance(value, dict) for value in values):
        return pa.array([None if value is None else _json(value) for value in values], column.type)
    return pa.array(values, column.type)


def _json(value: object) -> str:
    """As text that is the same from both databases: PostgreSQL keeps no order of keys."""
    return msgspec.json.encode(value, order="sorted").decode()


def _rows(conn: Connection, kept: Kept, project_id: str | None) -> Iterator[Sequence[Sequence[Any]]]:
    """The rows of a file in its order, some at a time; those of runs in bounded memory, however many there are."""
    if kept.table is t.run_metric_values:
        yield from _points(conn, project_id)
        return
    statement = k.rows(conn, kept, None if kept.of_run else project_id)
    if kept.of_run:
        column = kept.table.c[kept.home]
        for runs in _runs(conn, project_id):
            if found := conn.execute(statement.where(db.among(conn, column, [run.id for run in runs]))).all():
                yield found
        return
    with conn.execute(statement.execution_options(yield_per=10_000)) as result:
        yield from result.partitions()


class _Run(NamedTuple):
    id: int
    run_id: str


def _runs(conn: Connection, project_id: str | None) -> Iterator[list[_Run]]:
    """All runs by run_id, some at a time."""
    c = t.runs.c
    statement = select(c.id, c.run_id).order_by(c.run_id).limit(RUNS)
    if project_id is not None:
        (of_runs,) = (kept for kept in k.KEPT if kept.table is t.runs)
        statement = statement.where(k.of_project(of_runs, project_id))
    last = ""
    while some := [_Run(*row) for row in conn.execute(statement.where(c.run_id > last))]:
        yield some
        last = some[-1].run_id


def _points(conn: Connection, project_id: str | None) -> Iterator[Sequence[Sequence[Any]]]:
    """The points of all runs: run by run, in each by the key of the metric."""
    for runs in _runs(conn, project_id):
        for some in _portions(conn, runs):
            if len(some) == 1:
                yield from _points_of_run(conn, some[0])
            else:
                yield from _points_of_runs(conn, some)


def _portions(conn: Connection, runs: Sequence[_Run]) -> Iterator[list[_Run]]:
    """The runs in portions of some hundred thousand points; one with more is alone."""
    c = t.run_metric_latest.c
    counted = select(c.run_id, func.sum(c.count)).where(db.among(conn, c.run_id, [run.id for run in runs]))
    counts = {run: int(count) for run, count in conn.execute(counted.group_by(c.run_id))}
    portion: list[_Run] = []
    size = 0
    for run in runs:
        count = counts.get(run.id, 0)
        if portion and size + count > POINTS:
            yield portion
            portion, size = [], 0
        portion.append(run)
        size += count
    if portion:
        yield portion


_v = t.run_metric_values.c
_POINT = [_v[name] for name in ("run_id", "metric_id", "scope", "is_final", "step", "recorded_at", "value", "is_nan")]


def _points_of_runs(conn: Connection, runs: Sequence[_Run]) -> Iterator[Sequence[Sequence[Any]]]:
    which = db.among(conn, _v.run_id, [run.id for run in runs])
    found = rows.plain(conn.execute(select(*_POINT).where(which).order_by(*t.run_metric_values.primary_key)))
    names = {run.id: run.run_id for run in runs}
    keys = _keys(conn, {row[1] for row in found})
    of_metrics = [(names[run], keys[metric], list(some)) for (run, metric), some in groupby(found, lambda r: r[:2])]
    of_metrics.sort(key=lambda metric: metric[:2])
    points = [point for run_id, key, some in of_metrics for point in _shown(run_id, key, some)]
    if points:
        yield points


def _points_of_run(conn: Connection, run: _Run) -> Iterator[Sequence[Sequence[Any]]]:
    metrics = conn.scalars(select(_v.metric_id).where(_v.run_id == run.id).distinct()).all()
    keys = _keys(conn, set(metrics))
    for metric in sorted(metrics, key=lambda metric: keys[metric]):
        of_metric = select(*_POINT).where(_v.run_id == run.id, _v.metric_id == metric)
        ordered = of_metric.order_by(*t.run_metric_values.primary_key).execution_options(yield_per=10_000)
        with conn.execute(ordered) as result:
            for some in result.partitions():
                yield list(_shown(run.run_id, keys[metric], some))


def _keys(conn: Connection, metrics: set[int]) -> dict[int, str]:
    c = t.metric_keys.c
    return {row.id: row.key for row in conn.execute(select(c.id, c.key).where(db.among(conn, c.id, metrics)))}


def _shown(run_id: str, key: str, points: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    for _, _, scope, is_final, step, recorded_at, value, is_nan in points:
        yield run_id, key, scope, is_final, step, recorded_at, None if is_nan else value


# Artifacts


def _copy_files(conn: Connection, folder: Path, store: Store, project_id: str | None) -> Written:
    """Copy what the store has below the places of what is exported; the list of it. What lies elsewhere is left."""
    writer = _Writer(folder / k.FILES, FILES_SCHEMA)
    (folder / k.ARTIFACTS).mkdir()
    for root in _roots(conn, project_id):
        for path, _ in sorted(blobs.walk(store, root)):
            with suppress(NotFound):  # gone since it was listed
                size, sha256 = _copy(store, path, folder / k.ARTIFACTS / path)
                writer.add(pa.table([[path], [size], [sha256]], schema=FILES_SCHEMA))
    return writer.close()


def _roots(conn: Connection, project_id: str | None) -> list[str]:
    """The keys at which experiments, runs, logged models and versions have their files, without those below others."""
    found: set[str] = set()
    for table, column in (
        (t.experiments, t.experiments.c.artifact_location),
        (t.runs, t.runs.c.artifact_uri),
        (t.logged_models, t.logged_models.c.artifact_uri),
        (t.model_versions, t.model_versions.c.storage_uri),
    ):
        statement = select(column).execution_options(yield_per=10_000)
        if project_id is not None:
            (of_table,) = (kept for kept in k.KEPT if kept.table is table)
            statement = statement.where(k.of_project(of_table, project_id))
        for uri in conn.scalars(statement):
            key = proxied_key(uri)
            if key and not any(above in found for above in _above(key)):
                found.add(key)
    return sorted(key for key in found if not any(above in found for above in _above(key)))


def _above(key: str) -> Iterator[str]:
    while "/" in key:
        key = key.rpartition("/")[0]
        yield key


def _copy(store: Store, key: str, target: Path) -> tuple[int, str]:
    """The size of the copy and its SHA-256."""
    found = store.read(key, BLOCK)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        for block in found.blocks(0, found.size) if found.content is None else [found.content]:
            file.write(block)
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()
