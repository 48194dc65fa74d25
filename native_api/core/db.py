"""Engines and connections, and every difference between SQLite and PostgreSQL."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

import msgspec
import sqlalchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Engine,
    SmallInteger,
    String,
    Table,
    event,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeEngine

from native_api.core import arrays
from native_api.core.errors import Invalid

if TYPE_CHECKING:
    import psycopg

M = TypeVar("M")
Ts = TypeVarTuple("Ts")

BUSY_TIMEOUT_MS = 120_000
"""How long SQLite waits for another process's write: commands of ours keep theirs far shorter."""


# Engines


def parse_url(text: str) -> URL:
    """`sqlite:///path` or `postgresql://...`; Invalid for anything else."""
    try:
        url = make_url(text)
    except sqlalchemy.exc.ArgumentError:
        raise Invalid("The database URL is not one: use sqlite:///path or postgresql://user@host/name") from None
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername in ("sqlite", "sqlite+pysqlite") and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite+pysqlite")
    raise Invalid("The database must be sqlite:///path or postgresql://user@host/name")


def is_sqlite(url: URL) -> bool:
    """Whether the database is an embedded file, which one server process writes."""
    return url.get_backend_name() == "sqlite"


def create_reader(url: URL, size: int) -> Engine:
    """An engine for reads: `size` pooled connections, each transaction one consistent snapshot."""
    return _create(url, size, begin="BEGIN", isolation="REPEATABLE READ", plans="force_custom_plan")


def create_writer(url: URL, size: int = 1) -> Engine:
    """An engine for writes: a transaction takes SQLite's write lock at once, so that it cannot fail half way."""
    return _create(url, size, begin="BEGIN IMMEDIATE", isolation="READ COMMITTED", plans="auto")


def _create(url: URL, size: int, *, begin: str, isolation: str, plans: str) -> Engine:
    settings: dict[str, Any] = {
        "pool_size": size,
        "max_overflow": 0,
        "pool_timeout": 60,
        "hide_parameters": True,  # an error is logged, and what it was about may be a secret
        "json_serializer": lambda value: msgspec.json.encode(value).decode(),
        "json_deserializer": msgspec.json.decode,
    }
    if not is_sqlite(url):
        return _keep_pending(_create_postgresql(url, isolation, plans, settings))
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(
        url,
        poolclass=sqlalchemy.QueuePool,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000, "cached_statements": 512},
        **settings,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows only ASCII
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # what was acknowledged survives a power cut
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "foreign_keys = ON",
            "temp_store = MEMORY",
            "cache_size = -16000",
            "mmap_size = 268435456",
            "wal_autocheckpoint = 4000",
            "journal_size_limit = 67108864",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.connection.cursor().execute(begin)

    return _keep_pending(engine)


PING_AFTER_SECONDS = 5
"""How long a connection to PostgreSQL may have rested before it is tried out first, which is a trip of its own."""


def _create_postgresql(url: URL, isolation: str, plans: str, settings: dict[str, Any]) -> Engine:
    """`plans` is PostgreSQL's `plan_cache_mode`: a search planned once for all values was up to six times slower."""
    engine = sqlalchemy.create_engine(
        url,
        isolation_level=isolation,  # part of each BEGIN
        connect_args={"client_encoding": "utf8"},  # in which `arrays` encodes
        **settings,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: psycopg.Connection, _: object) -> None:
        connection.adapters.register_dumper(arrays.Array, arrays.dumper())
        if is_pooled(connection):
            connection.prepare_threshold = None
        else:
            connection.execute(f"SET plan_cache_mode = {plans}".encode())
            connection.commit()

    @event.listens_for(engine, "checkin")
    def rest(_: object, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def wake(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        if time.monotonic() - record.info.get("rests_since", math.inf) > PING_AFTER_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise sqlalchemy.exc.InvalidatePoolError from error  # the pool connects anew

    return engine


def is_pooled(connection: psycopg.Connection) -> bool:
    """Whether something like PgBouncer stands between us and the server, and may give each transaction another session.

    It makes up the process that it announces. What is prepared or set in one session is unknown in the next, so through
    a pooler nothing is. Nor may anything else of ours rely on a session: no temporary table, no lock beyond a
    transaction.
    """
    found = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    return found != (connection.info.backend_pid,)


# What a process remembers of a database


def memory(conn: Connection, kind: type[M]) -> M:
    """This process's one `kind()` for the database of this connection, made on first use.

    Only what can never change once committed, or is checked against the database at each use, may be kept in it.
    """
    kept: dict[type, Any] = conn.info.get("memory") or _share_memory(conn)
    found: M = kept.get(kind) or kept.setdefault(kind, kind())
    return found


_memories: dict[str, dict[type, Any]] = {}


def _share_memory(conn: Connection) -> dict[type, Any]:
    url = conn.engine.url.render_as_string(hide_password=False)
    kept: dict[type, Any] = conn.info.setdefault("memory", _memories.setdefault(url, {}))
    return kept


def _lower(value: str | float | bytes | None) -> str | float | bytes | None:
    return value.lower() if isinstance(value, str) else value


# What a transaction gathers


@dataclass
class Pending:
    """What waits for the end of a transaction. What a savepoint added goes with it when it is rolled back."""

    remember: list[Callable[[], None]] = field(default_factory=list)
    """What the process may remember only once it is true."""
    changes: list[Any] = field(default_factory=list)
    """Entries for the audit log, to be written just before the commit."""
    marks: list[tuple[int, int]] = field(default_factory=list)


def pending(conn: Connection) -> Pending:
    """What this transaction has gathered so far."""
    found: Pending = conn.info.get("pending") or conn.info.setdefault("pending", Pending())
    return found


def after_commit(conn: Connection, remember: Callable[[], None]) -> None:
    """Call `remember` when the transaction has committed; never, if it or a savepoint in it is rolled back."""
    pending(conn).remember.append(remember)


def run_after_commit(conn: Connection) -> None:
    """What the owner of the transaction calls once its commit has returned."""
    for remember in conn.info.pop("committed", []):
        remember()


@contextmanager
def savepoint(conn: Connection) -> Iterator[None]:
    """What is done meanwhile is taken back if it raises, together with what it gathered.

    A fifth of the time that SQLAlchemy's own savepoint takes, of which it knows nothing: for the writer, which has one
    for each call.
    """
    gathered = pending(conn)
    remembered, changed = len(gathered.remember), len(gathered.changes)
    driver_execute(conn, "SAVEPOINT call", ())
    try:
        yield
    except Exception:
        driver_execute(conn, "ROLLBACK TO SAVEPOINT call", ())
        driver_execute(conn, "RELEASE SAVEPOINT call", ())
        del gathered.remember[remembered:], gathered.changes[changed:]
        raise
    driver_execute(conn, "RELEASE SAVEPOINT call", ())


def _keep_pending(engine: Engine) -> Engine:
    @event.listens_for(engine, "savepoint")
    def mark(conn: Connection, _: str | None) -> None:
        gathered = pending(conn)
        gathered.marks.append((len(gathered.remember), len(gathered.changes)))

    @event.listens_for(engine, "release_savepoint")
    def release(conn: Connection, *_: object) -> None:
        pending(conn).marks.pop()

    @event.listens_for(engine, "rollback_savepoint")
    def undo(conn: Connection, *_: object) -> None:
        gathered = pending(conn)
        remembered, changed = gathered.marks.pop()
        del gathered.remember[remembered:], gathered.changes[changed:]

    @event.listens_for(engine, "rollback")
    def drop(conn: Connection) -> None:
        conn.info.pop("pending", None)

    @event.listens_for(engine, "commit")
    def committed(conn: Connection) -> None:
        gathered = pending(conn)
        if gathered.changes:
            raise RuntimeError("a transaction may not commit before its audit entries are written")
        conn.info["committed"] = conn.info.pop("pending").remember

    return engine


# Statements


SQLITE_VARIABLES = 32_000
"""How many values one statement of SQLite may bind (32,766 as it is usually built)."""

SQLITE_BLOCKS = (256, 128, 64, 32)
"""How many rows go into one statement of SQLite when there are not enough to bind that many values; fewer go at once.

An executemany gives the interpreter's lock away at every row and has to wait for it again: in blocks of 256 SQLite
takes 1.8 times the rows in a second, twice as many while other threads are at work; in the largest blocks it takes 1.25
times as many as in those.
"""


def driver_execute(conn: Connection, sql: str, values: Any) -> Any:
    """Run a statement on a cursor of the driver's own, and give the cursor: for the hottest paths.

    SQLAlchemy takes 17 microseconds to run a text and wrap what comes back, the driver 2. Raises what SQLAlchemy would.
    """
    if not conn.in_transaction():
        conn.begin()
    cursor = conn.connection.cursor()
    try:
        cursor.execute(sql, values)
    except conn.dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(
            sql, None, error, conn.dialect.loaded_dbapi.Error, hide_parameters=True, dialect=conn.dialect
        ) from error
    return cursor


@dataclass
class BulkInsert:
    """`INSERT ... ON CONFLICT` of many rows, its texts made once per dialect.

    `tail` is the `ON CONFLICT` clause, whose words both databases share. SQLite gets rows in blocks, PostgreSQL all of
    them as arrays in one statement (twice as fast there as executemany).
    """

    table: Table
    columns: Sequence[str]
    tail: str = ""
    _texts: dict[int, str] = field(default_factory=dict)

    def __call__(self, conn: Connection, rows: Sequence[Sequence[Any]]) -> int:
        """Insert the rows, tuples in the order of `columns`; how many were inserted or updated."""
        if not rows:
            return 0
        if conn.dialect.name != "sqlite":
            columns = zip(*rows, strict=True)
            packed = tuple(kind.pack(column) for kind, column in zip(self._kinds, columns, strict=True))
            return int(driver_execute(conn, self._text(0), packed).rowcount)
        start = changed = 0
        blocks = (SQLITE_VARIABLES // len(self.columns), *SQLITE_BLOCKS)
        while left := len(rows) - start:
            size = next((block for block in blocks if block <= left), left)
            values = tuple(chain.from_iterable(rows[start : start + size]))
            changed += driver_execute(conn, self._text(size), values).rowcount
            start += size
        return changed

    def _text(self, size: int) -> str:
        """The statement for so many rows in SQLite; for 0 the one of PostgreSQL."""
        text = self._texts.get(size)
        return text or self._texts.setdefault(size, self._sqlite_text(size) if size else self._postgresql_text())

    def _sqlite_text(self, size: int) -> str:
        # OR FAIL: what fails need not take back its own first rows, for which SQLite would keep a copy of each page it
        # touches. Whoever catches the error rolls back further than that.
        row = f"({', '.join('?' * len(self.columns))})"
        return f"INSERT OR FAIL INTO {self.table.name} ({self._names()}) VALUES {', '.join([row] * size)} {self.tail}"

    def _postgresql_text(self) -> str:
        given = ", ".join(
            f'"{column}"::jsonb' if isinstance(self.table.c[column].type, JSON) else f'"{column}"'
            for column in self.columns
        )
        names, marks = self._names(), ", ".join(["%s"] * len(self.columns))
        source = f"SELECT {given} FROM unnest({marks}) AS given ({names})"
        return f"INSERT INTO {self.table.name} ({names}) {source} {self.tail}"

    @cached_property
    def _kinds(self) -> list[arrays.Kind]:
        return [_kind(self.table.c[column]) for column in self.columns]

    def _names(self) -> str:
        return ", ".join(f'"{column}"' for column in self.columns)


_KINDS: dict[type[TypeEngine[Any]], arrays.Kind] = {
    String: arrays.TEXT,
    JSON: arrays.TEXT,
    SmallInteger: arrays.SMALLINT,
    BigInteger: arrays.BIGINT,
    Double: arrays.DOUBLE,
}


def _kind(column: ColumnElement[Any]) -> arrays.Kind:
    """How PostgreSQL is given values of this column."""
    return next(kind for of, kind in _KINDS.items() if isinstance(column.type, of))


Among = Callable[[ColumnElement[Any]], ColumnElement[bool]]


@dataclass
class Prepared:
    """A statement over one list of values, its text made once per dialect: for the hottest paths.

    Building and hashing an expression costs SQLAlchemy several times what SQLite needs to run it. `build` gets the
    function that says `this column is among the values`; `holds` names the table whose rows the statement holds,
    `shared` says that others may hold them too. The values and what is selected must be whole numbers and texts: no
    type of a column is applied to them.
    """

    build: Callable[[Among], sqlalchemy.Select[*tuple[Any, ...]] | sqlalchemy.Update]
    holds: Table | None = None
    shared: bool = False
    _texts: dict[str, str] = field(default_factory=dict)
    _kind: arrays.Kind = field(init=False)

    def rows(self, conn: Connection, values: Sequence[int] | Sequence[str]) -> list[tuple[Any, ...]]:
        """What the statement selects.

        SQLite gives it as one JSON text: row by row, its driver would give the interpreter's lock away for each.
        """
        cursor = self._run(conn, values)
        if conn.dialect.name == "sqlite":
            return msgspec.json.decode(cursor.fetchone()[0], type=list[tuple[Any, ...]])
        return list(cursor.fetchall())

    def change(self, conn: Connection, values: Sequence[int] | Sequence[str]) -> int:
        """How many rows the statement changed."""
        return int(self._run(conn, values).rowcount)

    def _run(self, conn: Connection, values: Sequence[int] | Sequence[str]) -> Any:
        name = conn.dialect.name
        sql = self._texts.get(name) or self._texts.setdefault(name, self._render(conn))
        if name == "sqlite":
            return driver_execute(conn, sql, (msgspec.json.encode(values).decode(),))
        return driver_execute(conn, sql, {"given": self._kind.pack(values)})

    def _render(self, conn: Connection) -> str:
        given: ColumnElement[Any] = sqlalchemy.bindparam("given")

        def is_among(column: ColumnElement[Any]) -> ColumnElement[bool]:
            self._kind = _kind(column)
            return _is_among(conn, column, given)

        statement = self.build(is_among)
        if isinstance(statement, sqlalchemy.Select):
            if self.holds is not None:
                statement = hold(conn, statement, self.holds, shared=self.shared)
            if conn.dialect.name == "sqlite":
                row = sqlalchemy.func.json_array(*statement.subquery().c)
                statement = sqlalchemy.select(sqlalchemy.func.json_group_array(row))
        return str(statement.compile(dialect=conn.dialect))


def insert(conn: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT."""
    return sqlite.insert(table) if conn.dialect.name == "sqlite" else postgresql.insert(table)


def among(conn: Connection, column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`column IN (values)` with one bound parameter, so one statement, however many values there are."""
    listed = list(values)
    if conn.dialect.name == "sqlite":
        return _is_among(conn, column, sqlalchemy.literal(msgspec.json.encode(listed).decode()))
    return _is_among(conn, column, sqlalchemy.bindparam(None, listed, type_=postgresql.ARRAY(column.type)))


def _is_among(conn: Connection, column: ColumnElement[Any], given: ColumnElement[Any]) -> ColumnElement[bool]:
    if conn.dialect.name == "sqlite":
        return column.in_(sqlalchemy.select(sqlalchemy.func.json_each(given).table_valued("value").c.value))
    return column == sqlalchemy.any_(given)


def like(conn: Connection, column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """Case-sensitive LIKE over the whole value: `%` any run, `_` one character, nothing escapes them."""
    if conn.dialect.name == "sqlite":  # whose own LIKE ignores case
        glob = "".join({"%": "*", "_": "?"}.get(c, f"[{c}]" if c in "*?[" else c) for c in pattern)
        return column.op("GLOB", is_comparison=True)(glob)
    return column.like(pattern.replace("\\", "\\\\"))


def ilike(conn: Connection, column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """LIKE that ignores case, also outside ASCII."""
    if conn.dialect.name == "sqlite":
        return sqlalchemy.func.lower(column).like(pattern.lower())
    # The database's own collation: by the one that compares bytes only ASCII has cases.
    return sqlalchemy.type_coerce(column, sqlalchemy.Text).collate("default").ilike(pattern.replace("\\", "\\\\"))


def bytewise(conn: Connection, column: ColumnElement[str]) -> ColumnElement[str]:
    """Text that compares by its code points, whatever the database's locale."""
    return column if conn.dialect.name == "sqlite" else column.collate("C")


def hold(
    conn: Connection, statement: sqlalchemy.Select[*Ts], table: Table, *, shared: bool = False
) -> sqlalchemy.Select[*Ts]:
    """Hold the selected rows of the table until the transaction ends, so that nobody else changes them.

    With `shared` others may hold them too. SQLite's writer holds the whole database already.
    """
    if conn.dialect.name == "sqlite":
        return statement
    return statement.with_for_update(of=table, read=shared, key_share=not shared)


def reserve(conn: Connection, column: sqlalchemy.Column[int], number: int) -> None:
    """Let the database give no number up to this one to new rows: to be called before a row is given it outright.

    SQLite sees the number in the row itself. Where the number is so large that the day never comes, nothing is done.
    """
    if conn.dialect.name == "sqlite" or number >= NEVER_REACHED:
        return
    given = {"table": column.table.name, "column": column.name, "number": number}
    conn.execute(_RESERVE, given)


NEVER_REACHED = 2**40

_RESERVE = sqlalchemy.text(
    "SELECT setval(name, :number) FROM (SELECT pg_get_serial_sequence(:table, :column)::regclass AS name) AS sequence"
    " WHERE coalesce(pg_sequence_last_value(name), 0) < :number"
)


def is_retryable(error: BaseException) -> bool:
    """Whether PostgreSQL gave the transaction up for the sake of others (deadlock, serialisation): try it again."""
    original = getattr(error, "orig", None)
    return getattr(original, "sqlstate", None) in ("40001", "40P01")


# What SQLite can find wrong with its file, and PostgreSQL has no words for


def damages(conn: Connection) -> list[str]:
    """What is wrong with the file of an SQLite database, in a line each; no more than a hundred."""
    if conn.dialect.name != "sqlite":
        return []
    return [line for line in conn.exec_driver_sql("PRAGMA integrity_check").scalars() if line != "ok"]


def broken_foreign_keys(conn: Connection) -> list[tuple[str, str, int]]:
    """(table, referred table, how many rows) for what refers to nothing; PostgreSQL keeps that from happening."""
    if conn.dialect.name != "sqlite":
        return []
    broken = sqlalchemy.text(
        'SELECT "table", parent, count(*) FROM pragma_foreign_key_check() GROUP BY "table", parent ORDER BY 1, 2'
    )
    return [(table, parent, count) for table, parent, count in conn.execute(broken)]
