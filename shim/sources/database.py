"""An MLflow database as a source: read straight from its tables, of whichever release wrote them, and never written."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import URL, ColumnElement, Connection, Engine, NullPool, Select, TableClause, func, null, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.expression import literal_column, tuple_

from native_api.core.datasets import NewInput
from native_api.core.errors import Invalid, Unavailable
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import AnyPoint, Name
from native_api.transfer.records import (
    Counts,
    Experiment,
    LoggedModel,
    ModelPoints,
    RegisteredModel,
    Run,
    RunModel,
    RunPoints,
    Version,
)
from shim.metric_names import split
from shim.sources import translation

BATCH = 500
"""How many runs or models are read at once."""
MODELS = 100
"""How many registered models are: each comes with all of its versions."""
KEYS = 100_000
"""How many ids of runs are kept at a time. MLflow has no index by which runs could be read in order."""
CHUNK = 50_000
"""How many points are read at once."""
DEFAULT_WORKSPACE = "default"
DELETED_VERSION = "Deleted_Internal"
"""The stage of versions that MLflow keeps only so that their numbers are not given again."""
MODEL_STATUSES = {0: "UNSPECIFIED", 1: "PENDING", 2: "READY", 3: "FAILED"}
DIRECTIONS = {"RUN_INPUT": "input", "RUN_OUTPUT": "output"}

Row = tuple[Any, ...]
Columns = ReadOnlyColumnCollection[str, Any]


class Database:
    """A `Source` over the database at this URL, as MLflow is given it: SQLite, PostgreSQL, or MySQL with a driver.

    Of a database with workspaces (MLflow 3.10 and later) one is read, `default` unless another is named.

    PostgreSQL, MySQL and SQLite with a write-ahead log are seen as they were at the first read. Other SQLite files are
    read in short steps, each as it is then: a long one would keep a running server from writing.
    """

    def __init__(self, url: str, workspace: str | None = None) -> None:
        parsed = _parse(url)
        self.location = _location(parsed)
        self._workspace = workspace
        self._engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _server(parsed)
        try:
            with _problems(self._engine):
                self._conn = self._engine.connect()
                self._tables = _read_tables(self._conn)
            self._check()
        except BaseException:
            self._engine.dispose()
            raise

    def _check(self) -> None:
        tables = self._tables
        if "ml_projects" in tables:
            raise Invalid("That is a database of this server, not one of MLflow's")
        wanted = {"experiments", "runs", "metrics", "params", "tags", "alembic_version"}
        if not wanted <= tables.keys() or "run_uuid" not in tables["runs"].c or "is_nan" not in tables["metrics"].c:
            raise Invalid("That is no database of MLflow 1.30 or later")
        if self._workspace is None:
            return
        if "workspace" not in tables["experiments"].c:
            raise Invalid("That database has no workspaces: MLflow has them from 3.10 on")
        if not self._count("experiments") and not self._count("registered_models"):
            raise Invalid(f"There is nothing in a workspace {self._workspace!r}")

    def close(self) -> None:
        """Let go of it."""
        with _problems(self._engine):
            self._conn.close()
        self._engine.dispose()

    def counts(self) -> Counts:
        """How much there is; versions without the deleted ones, which MLflow shows nobody."""
        tables, e = self._tables, self._tables["experiments"]
        experiments = select(e.c.experiment_id).where(*self._in_workspace(e))
        runs = select(tables["runs"].c.run_uuid).where(tables["runs"].c.experiment_id.in_(experiments))
        return Counts(
            experiments=self._count("experiments"),
            runs=self._count("runs", lambda c: c.experiment_id.in_(experiments)),
            points=self._count("metrics", lambda c: c.run_uuid.in_(runs)),
            logged_models=self._count("logged_models", lambda c: c.experiment_id.in_(experiments)),
            registered_models=self._count("registered_models"),
            model_versions=self._count(
                "model_versions", lambda c: func.coalesce(c.current_stage, "") != DELETED_VERSION
            ),
        )

    def _count(self, name: str, *clauses: Callable[[Columns], ColumnElement[bool]]) -> int:
        """The rows of a table that is maybe there, each in the workspace if the table says so."""
        table = self._tables.get(name)
        if table is None:
            return 0
        statement = select(func.count()).select_from(table).where(*self._in_workspace(table))
        return int(self._rows(statement.where(*(clause(table.c) for clause in clauses)))[0][0])

    def _in_workspace(self, table: TableClause) -> list[ColumnElement[bool]]:
        if "workspace" not in table.c:
            return []
        return [table.c.workspace == (self._workspace or DEFAULT_WORKSPACE)]

    # Experiments and runs

    def experiments(self) -> Sequence[Experiment]:
        """All of them, deleted ones included, by number."""
        table = self._tables["experiments"]
        c = table.c
        rows = self._rows(
            select(c.experiment_id, c.name, c.artifact_location, c.lifecycle_stage)
            .add_columns(_of(table, "creation_time"), _of(table, "last_update_time"))
            .where(*self._in_workspace(table))
            .order_by(c.experiment_id)
        )
        tags = self._texts("experiment_tags", "experiment_id", [row[0] for row in rows])
        return [
            translation.experiment(
                str(number),
                name,
                location or "",
                lifecycle=lifecycle,
                created_at=created_at,
                updated_at=updated_at,
                tags=tags[number],
            )
            for number, name, location, lifecycle, created_at, updated_at in rows
        ]

    def runs(self) -> Iterator[Sequence[Run]]:
        """All runs, deleted ones included, by experiment and run id."""
        for keys in self._pages("runs", "run_uuid"):
            for batch in _batches(keys, BATCH):
                yield self._read_runs(batch)

    def _pages(self, name: str, key: str) -> Iterator[list[str]]:
        """The ids of a table's rows in the order of their experiments, so many at a time as may be kept."""
        t, e = self._tables[name], self._tables["experiments"]
        order = (t.c.experiment_id, t.c[key])
        statement = select(*order).where(*self._in_workspace(e)).order_by(*order).limit(KEYS)
        statement = statement.join(e, e.c.experiment_id == t.c.experiment_id)
        rows = self._rows(statement)
        while rows:
            yield [row[1] for row in rows]
            rows = self._rows(statement.where(tuple_(*order) > tuple_(*rows[-1])))

    def _read_runs(self, run_ids: Sequence[str]) -> list[Run]:
        table = self._tables["runs"]
        c = table.c
        rows = self._rows(
            select(c.run_uuid, c.experiment_id, _of(table, "name"), c.status, c.start_time, c.end_time)
            .add_columns(c.lifecycle_stage, _of(table, "deleted_time"), c.user_id, c.artifact_uri)
            .where(c.run_uuid.in_(run_ids))
            .order_by(c.experiment_id, c.run_uuid)
        )
        params = self._texts("params", "run_uuid", run_ids)
        tags = self._texts("tags", "run_uuid", run_ids)
        inputs = self._inputs(run_ids)
        models = self._models(run_ids)
        points = self._sizes("metrics", "run_uuid", run_ids)
        found = []
        for run_id, experiment, name, status, start_time, end_time, lifecycle, deleted_at, user, artifact_uri in rows:
            run = translation.run(
                run_id,
                str(experiment),
                name=name,
                status=status or "",
                start_time=start_time,
                end_time=end_time,
                lifecycle=lifecycle,
                deleted_at=deleted_at,
                user=user,
                artifact_uri=artifact_uri or "",
                params=params[run_id],
                tags=tags[run_id],
                inputs=inputs[run_id],
                models=models[run_id],
                points=str(points[run_id]),
            )
            found.append(run)
        return found

    def _inputs(self, run_ids: Sequence[str]) -> Mapping[str, list[NewInput]]:
        """The datasets that these runs used."""
        found: dict[str, list[NewInput]] = defaultdict(list)
        if "inputs" not in self._tables:
            return found
        i, d = self._tables["inputs"].c, self._tables["datasets"].c
        rows = self._rows(
            select(i.input_uuid, i.destination_id, d.name, d.digest, d.dataset_source_type, d.dataset_source)
            .add_columns(d.dataset_schema, d.dataset_profile)
            .join(self._tables["datasets"], d.dataset_uuid == i.source_id)
            .where(i.source_type == "DATASET", i.destination_type == "RUN", i.destination_id.in_(run_ids))
        )
        tags = self._texts("input_tags", "input_uuid", [row[0] for row in rows], key="name")
        for used, run_id, name, digest, kind, source, schema, profile in rows:
            dataset = translation.dataset_input(name, digest, kind, source, schema, profile, tags[used])
            found[run_id].append(dataset)
        return found

    def _models(self, run_ids: Sequence[str]) -> Mapping[str, list[RunModel]]:
        """The logged models that these runs used and made."""
        found: dict[str, list[RunModel]] = defaultdict(list)
        if "logged_models" not in self._tables:
            return found
        table = self._tables["inputs"]
        c = table.c
        rows = self._rows(
            select(c.source_type, c.source_id, c.destination_id, _of(table, "step")).where(
                c.source_type.in_([*DIRECTIONS]), c.source_id.in_(run_ids)
            )
        )
        for kind, run_id, model_id, step in rows:
            found[run_id].append(RunModel(DIRECTIONS[kind], model_id, step or 0))
        return found

    # Points

    def points(self, runs: Sequence[Run]) -> Iterator[Sequence[RunPoints]]:
        """The points of these runs. A run's history comes as it was written, a long one in several parts."""
        c = self._tables["metrics"].c
        statement = select(c.run_uuid, c.key, c.step, c.timestamp, c.value, c.is_nan)
        largest = translation.LARGEST
        for rows in self._histories(statement, c.run_uuid, {run.run_id: int(run.points) for run in runs}):
            found: dict[str, dict[str, list[AnyPoint]]] = {}
            for run_id, key, step, timestamp, value, is_nan in rows:
                if is_nan or not -largest < value < largest:
                    point = translation.point(step, timestamp, value, is_nan=is_nan)
                else:  # what nearly all are, without the call
                    point = (step, timestamp, value + 0.0, 0, 0)
                try:
                    found[run_id][key].append(point)
                except KeyError:
                    found.setdefault(run_id, {}).setdefault(key, []).append(point)
            yield [(run_id, _named(metrics)) for run_id, metrics in found.items()]

    def model_points(self, models: Sequence[LoggedModel]) -> Iterator[Sequence[ModelPoints]]:
        """The points that tell of these models, by the run that logged them. MLflow keeps a NaN of them as 0."""
        if not models:
            return
        c = self._tables["logged_model_metrics"].c
        statement = select(c.model_id, c.run_id, c.metric_name, c.metric_step, c.metric_timestamp_ms)
        statement = statement.add_columns(c.metric_value, c.dataset_name, c.dataset_digest)
        sizes = {model.model_id: int(model.points) for model in models}
        for rows in self._histories(statement, c.model_id, sizes):
            found: dict[str, list[ModelPoint]] = defaultdict(list)
            for model_id, run_id, key, step, timestamp, value, dataset, digest in rows:
                point = translation.point(step, timestamp, math.nan if value is None else value)
                found[run_id].append(ModelPoint(model_id, split(key), *point[:4], dataset or "", digest or ""))
            yield [*found.items()]

    def _histories(
        self, statement: Select[Any], owner: ColumnElement[str], sizes: Mapping[str, int]
    ) -> Iterator[list[Row]]:
        """The rows of these owners, of whom each has about so many: of some together, of one with many in chunks."""
        few: list[str] = []
        left = CHUNK
        for value, size in sizes.items():
            if size > CHUNK:
                yield from self._chunks(statement.where(owner == value))
            elif size:
                if size > left:
                    yield self._rows(statement.where(owner.in_(few)))
                    few, left = [], CHUNK
                few.append(value)
                left -= size
        if few:
            yield self._rows(statement.where(owner.in_(few)))

    def _chunks(self, statement: Select[Any]) -> Iterator[list[Row]]:
        """The rows of a large result, some at a time."""
        if self._engine.dialect.name == "sqlite":
            # No cursor stays open, as it would keep a server from writing. The index by owner has rowids in order.
            rowid: ColumnElement[int] = literal_column("rowid")
            statement = statement.add_columns(rowid).order_by(rowid).limit(CHUNK)
            rows = self._rows(statement)
            while rows:
                yield [row[:-1] for row in rows]
                rows = self._rows(statement.where(rowid > rows[-1][-1]))
            return
        with _problems(self._engine), ExitStack() as stack:
            # MySQL's connection can do nothing else as long as rows are left.
            is_mysql = self._engine.dialect.name == "mysql"
            conn = stack.enter_context(self._engine.connect()) if is_mysql else self._conn
            result = stack.enter_context(conn.execute(statement, execution_options={"yield_per": CHUNK}))
            parts: Iterator[Sequence[Any]] = result.partitions()
            for part in parts:
                yield [*part]

    # Logged models

    def logged_models(self) -> Iterator[Sequence[LoggedModel]]:
        """All logged models, deleted ones included, by experiment and model id."""
        if "logged_models" not in self._tables:
            return
        for keys in self._pages("logged_models", "model_id"):
            for batch in _batches(keys, BATCH):
                yield self._read_logged_models(batch)

    def _read_logged_models(self, model_ids: Sequence[str]) -> list[LoggedModel]:
        c = self._tables["logged_models"].c
        rows = self._rows(
            select(c.model_id, c.experiment_id, c.name, c.artifact_location, c.status, c.status_message, c.model_type)
            .add_columns(c.source_run_id, c.creation_timestamp_ms, c.last_updated_timestamp_ms, c.lifecycle_stage)
            .where(c.model_id.in_(model_ids))
            .order_by(c.experiment_id, c.model_id)
        )
        params = self._texts("logged_model_params", "model_id", model_ids, key="param_key", value="param_value")
        tags = self._texts("logged_model_tags", "model_id", model_ids, key="tag_key", value="tag_value")
        points = self._sizes("logged_model_metrics", "model_id", model_ids)
        found = []
        for model_id, experiment, name, location, status, message, model_type, run_id, *times, lifecycle in rows:
            model = translation.logged_model(
                model_id,
                str(experiment),
                name=name,
                artifact_uri=location,
                status=MODEL_STATUSES.get(status, "UNSPECIFIED"),
                status_message=message,
                model_type=model_type,
                source_run_id=run_id,
                created_at=times[0],
                updated_at=times[1],
                is_deleted=lifecycle == translation.DELETED,
                params=params[model_id],
                tags=tags[model_id],
                points=str(points[model_id]),
            )
            found.append(model)
        return found

    # The registry

    def registered_models(self) -> Iterator[RegisteredModel]:
        """All registered models, prompts among them, by name. Versions that were deleted are none."""
        table = self._tables.get("registered_models")
        if table is None:
            return
        c = table.c
        statement = select(c.name, c.description, c.creation_time, c.last_updated_time)
        statement = statement.where(*self._in_workspace(table)).order_by(c.name).limit(MODELS)
        rows = self._rows(statement)
        while rows:
            names = [row[0] for row in rows]
            tags = self._by_name("registered_model_tags", names, "key", "value")
            aliases = self._by_name("registered_model_aliases", names, "alias", "version")
            versions, last = self._versions(names), self._last_versions(names)
            for name, description, created_at, updated_at in rows:
                numbers = {version.version for version in versions[name]}
                yield RegisteredModel(
                    name=name,
                    description=description or None,
                    created_at=created_at or 0,
                    updated_at=updated_at or created_at or 0,
                    tags={key: value or "" for key, value in tags[name]},
                    aliases={alias: number for alias, number in aliases[name] if number in numbers},
                    versions=versions[name],
                    last_version=last[name],
                )
            rows = self._rows(statement.where(c.name > names[-1]))

    def _last_versions(self, names: Sequence[str]) -> Mapping[str, int]:
        """The number given last to a version of each of these models, deleted ones included; 0 where there is none."""
        table = self._tables["model_versions"]
        c = table.c
        last = select(c.name, func.max(c.version)).where(c.name.in_(names), *self._in_workspace(table)).group_by(c.name)
        return defaultdict(int, ((name, number) for name, number in self._rows(last)))

    def _versions(self, names: Sequence[str]) -> Mapping[str, list[Version]]:
        table = self._tables["model_versions"]
        c = table.c
        rows = self._rows(
            select(c.name, c.version, c.description, c.source, _of(table, "storage_location"), c.run_id)
            .add_columns(_of(table, "run_link"), c.current_stage, c.status, c.status_message)
            .add_columns(c.creation_time, c.last_updated_time)
            .where(c.name.in_(names), *self._in_workspace(table))
            .order_by(c.name, c.version)
        )
        tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
        for name, (number, key, value) in self._named_rows("model_version_tags", names, "version", "key", "value"):
            tags[name, number][key] = value or ""
        found: dict[str, list[Version]] = defaultdict(list)
        for name, number, description, source, storage, run_id, run_link, stage, status, message, *times in rows:
            if stage != DELETED_VERSION:
                version = translation.version(
                    number,
                    description=description,
                    source=source,
                    storage_location=storage,
                    run_id=run_id,
                    run_link=run_link,
                    model_id=None,
                    stage=stage,
                    status=status,
                    status_message=message,
                    created_at=times[0] or 0,
                    updated_at=times[1],
                    tags=tags[name, number],
                )
                found[name].append(version)
        return found

    def _by_name(self, table: str, names: Sequence[str], *columns: str) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for name, row in self._named_rows(table, names, *columns):
            found[name].append(row)
        return found

    def _named_rows(self, name: str, names: Sequence[str], *columns: str) -> Iterator[tuple[str, Row]]:
        """These columns of what belongs to registered models of these names, in order."""
        table = self._tables.get(name)
        if table is None:
            return
        wanted = [table.c[column] for column in columns]
        statement = select(table.c.name, *wanted).where(table.c.name.in_(names), *self._in_workspace(table))
        for owner, *row in self._rows(statement.order_by(table.c.name, *wanted[:2])):
            yield owner, tuple(row)

    # Reading

    def _texts(
        self, name: str, owner: str, owners: Sequence[object], *, key: str = "key", value: str = "value"
    ) -> Mapping[Any, dict[str, str]]:
        """Keys and values of these owners: tags or params."""
        found: dict[Any, dict[str, str]] = defaultdict(dict)
        table = self._tables.get(name)
        if table is not None:
            for batch in _batches(owners, BATCH):
                statement = select(table.c[owner], table.c[key], table.c[value]).where(table.c[owner].in_(batch))
                for owned_by, text, words in self._rows(statement):
                    found[owned_by][text] = words or ""
        return found

    def _sizes(self, name: str, owner: str, owners: Sequence[str]) -> Mapping[str, int]:
        """How many rows each of these owners has."""
        column = self._tables[name].c[owner]
        rows = self._rows(select(column, func.count()).where(column.in_(owners)).group_by(column))
        return defaultdict(int, ((owned_by, number) for owned_by, number in rows))

    def _rows(self, statement: Select[Any]) -> list[Row]:
        """All rows, as the driver's own tuples: making SQLAlchemy's rows takes as long as reading them."""
        with _problems(self._engine), self._conn.execute(statement) as result:
            cursor: Any = result.cursor
            return [*cursor.fetchall()]


def _named(metrics: Mapping[str, list[AnyPoint]]) -> dict[Name, list[AnyPoint]]:
    return {split(key): points for key, points in metrics.items()}


def _of(table: TableClause, name: str) -> ColumnElement[Any]:
    """A column that not every release has."""
    return table.c[name] if name in table.c else null().label(name)


T = TypeVar("T")


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while batch := [*islice(left, size)]:
        yield batch


# Connecting


def _parse(text: str) -> URL:
    """The URL with the driver that is used."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise Invalid("The database URL is not one: use sqlite:///path or postgresql://user@host/name") from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database and url.database != ":memory:":
        return url
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend == "mysql":
        drivers = {"pymysql": "pymysql", "mysqldb": "MySQLdb"}
        found = next((driver for driver, module in drivers.items() if find_spec(module)), None)
        if found is None:
            raise Invalid("To read from MySQL, install one of its drivers: pymysql or mysqlclient")
        return url.set(drivername=f"mysql+{found}")
    raise Invalid("The database must be sqlite:///path, postgresql://user@host/name or mysql://user@host/name")


def _location(url: URL) -> str:
    """The URL without what logs in or says how to connect, and with the whole path of a file."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        return f"sqlite:///{Path(url.database or '').resolve()}"
    query = {key: value for key, value in url.query.items() if key in ("host", "port", "unix_socket")}
    return URL.create(backend, url.username, None, url.host, url.port, url.database, query).render_as_string()


def _sqlite(url: URL) -> Engine:
    path = Path(url.database or "").resolve()

    def connect() -> sqlite3.Connection:
        if not path.is_file():
            raise Invalid(f"There is no database file {path}")
        has_log = _has_write_ahead_log(path)
        # Opened for reading, a file with a write-ahead log would get one, and keep it. Where none is, nobody writes.
        is_idle = has_log and not Path(f"{path}-wal").exists()
        uri = f"file:{quote(str(path))}?mode=ro{'&immutable=1' if is_idle else ''}"
        conn = sqlite3.connect(uri, uri=True, timeout=120, isolation_level=None, check_same_thread=False)
        conn.execute("PRAGMA cache_size = -64000").close()  # the points of a run are all over the file
        if has_log:
            conn.execute("BEGIN").close()
        return conn

    return sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)


def _has_write_ahead_log(path: Path) -> bool:
    """What the header of an SQLite file says of its journal."""
    with path.open("rb") as file:
        return file.read(20)[18:20] == b"\x02\x02"


def _server(url: URL) -> Engine:
    settings: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "poolclass": NullPool, "hide_parameters": True}
    if url.get_backend_name() == "postgresql":
        engine = sqlalchemy.create_engine(url, **settings)
        return engine.execution_options(postgresql_readonly=True)
    return sqlalchemy.create_engine(url, connect_args={"init_command": "SET SESSION TRANSACTION READ ONLY"}, **settings)


def _read_tables(conn: Connection) -> dict[str, TableClause]:
    """The tables there are, with their columns."""
    found = sqlalchemy.inspect(conn)
    return {
        name: sqlalchemy.table(name, *(sqlalchemy.column(column["name"]) for column in columns))
        for (_, name), columns in found.get_multi_columns().items()
    }


@contextmanager
def _problems(engine: Engine) -> Iterator[None]:
    """What goes wrong with the database, in our words. The driver's own errors come from its cursors."""
    driver = engine.dialect.loaded_dbapi
    try:
        yield
    except (OperationalError, driver.OperationalError, OSError):
        raise Unavailable("The database to read from is") from None
    except (DBAPIError, driver.Error):
        raise Invalid("That cannot be read as a database of MLflow's") from None
