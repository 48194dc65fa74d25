"""What a transaction gathers for its end, what of it a savepoint takes back; and connections to PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError

from native_api.core import db, held_runs, metrics
from native_api.core import tables as t
from tests.conftest import fresh_postgres


@pytest.fixture
def own(folder: Path) -> Iterator[Engine]:
    """An engine to a database of this test alone."""
    engine = db.create_writer(db.parse_url(f"sqlite:///{folder / 'own.db'}"))
    t.metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_what_is_remembered_is_true_first(own: Engine) -> None:
    seen: list[str] = []
    with own.connect() as conn:
        transaction = conn.begin()
        db.after_commit(conn, lambda: seen.append("a"))
        transaction.commit()
        assert seen == []
        db.run_after_commit(conn)
        db.run_after_commit(conn)
        assert seen == ["a"]


def test_what_was_rolled_back_is_not_remembered(own: Engine) -> None:
    seen: list[str] = []
    with own.connect() as conn:
        transaction = conn.begin()
        db.after_commit(conn, lambda: seen.append("lost"))
        transaction.rollback()
        db.run_after_commit(conn)
        transaction = conn.begin()
        db.after_commit(conn, lambda: seen.append("kept"))
        transaction.commit()
        db.run_after_commit(conn)
    assert seen == ["kept"]


def test_a_savepoint_takes_back_what_came_after_it_and_nothing_else(own: Engine) -> None:
    seen: list[str] = []

    def note(word: str) -> None:
        db.after_commit(conn, lambda: seen.append(word))

    with own.connect() as conn:
        transaction = conn.begin()
        note("before")
        outer = conn.begin_nested()
        note("lost")
        with conn.begin_nested():
            note("lost with the outer one")
        outer.rollback()
        with conn.begin_nested():
            note("kept")
            inner = conn.begin_nested()
            note("lost too")
            inner.rollback()
        note("after")
        transaction.commit()
        db.run_after_commit(conn)
    assert seen == ["before", "kept", "after"]


def test_a_statement_that_fails_in_a_savepoint_takes_back_its_part(own: Engine) -> None:
    with own.connect() as conn, conn.begin():
        db.pending(conn).changes.append("kept")
        savepoint = conn.begin_nested()
        db.pending(conn).changes.append("lost")
        with pytest.raises(IntegrityError):
            conn.execute(insert(t.metric_keys), [{"key": "m"}, {"key": "m"}])
        savepoint.rollback()
        assert db.pending(conn).changes == ["kept"]
        db.pending(conn).changes.clear()


def test_the_writers_savepoint_takes_back_rows_and_what_was_gathered(conn: Connection) -> None:
    seen: list[str] = []
    add = db.BulkInsert(t.metric_keys, ["key"])
    with db.savepoint(conn):
        add(conn, [("kept",)])
        db.pending(conn).changes.append("kept")
    wrong: list[tuple[list[tuple[str]], type[Exception]]] = [
        ([("lost",)], ValueError),
        ([("lost",), ("kept",)], IntegrityError),
    ]
    for rows, error in wrong:
        with pytest.raises(error), db.savepoint(conn):  # noqa: PT012 - what comes before the error is the point
            db.after_commit(conn, lambda: seen.append("lost"))
            db.pending(conn).changes.append("lost")
            add(conn, rows)
            raise ValueError
    key = t.metric_keys.c.key
    assert conn.scalars(select(key).where(key.in_(["kept", "lost"]))).all() == ["kept"]
    assert db.pending(conn).changes == ["kept"]
    assert db.pending(conn).remember == []
    db.pending(conn).changes.clear()


def test_what_the_driver_refuses_is_told_in_the_words_of_sqlalchemy(conn: Connection) -> None:
    add = db.BulkInsert(t.metric_keys, ["key"])
    with pytest.raises(IntegrityError) as refused:
        add(conn, [("m",), ("m",)])
    assert refused.value.params is None


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 63, 65, 191, 255, 4001])
def test_a_bulk_insert_stores_every_row_once(conn: Connection, count: int) -> None:
    add = db.BulkInsert(t.metric_keys, ["key"], "ON CONFLICT DO NOTHING")
    rows = [(f"m{number}",) for number in range(count)]
    assert add(conn, rows) == count
    assert add(conn, [*rows, ("another",)]) == 1
    stored = conn.scalars(select(t.metric_keys.c.key).where(t.metric_keys.c.key.like("m%"))).all()
    assert sorted(stored) == sorted(key for (key,) in rows)


def test_a_transaction_begins_with_nothing(own: Engine) -> None:
    with own.connect() as conn:
        transaction = conn.begin()
        db.pending(conn).changes.append("lost")
        transaction.rollback()
        with conn.begin():
            assert db.pending(conn) == db.Pending()


def test_connections_gather_apart(own: Engine, folder: Path) -> None:
    reader = db.create_reader(own.url, 1)
    with own.begin() as one, reader.connect() as other:
        db.after_commit(one, lambda: None)
        assert db.pending(other) == db.Pending()
    reader.dispose()


# Connections to PostgreSQL


def use(conn: Connection) -> None:
    """A transaction like those of log calls."""
    with conn.begin():
        conn.execute(select(t.metric_keys.c.id).where(db.among(conn, t.metric_keys.c.key, ["a", "b"]))).all()
        held_runs.many(conn, ["0" * 32])
        metrics.intern(conn, {uuid.uuid4().hex})


LEFT_IN_THE_SESSION = {
    "statements": "SELECT statement FROM pg_prepared_statements WHERE name LIKE '%%pg3%%'",
    "settings": "SELECT name FROM pg_settings WHERE source = 'session' AND name NOT LIKE 'transaction_%%'",
    "tables": "SELECT relname FROM pg_class WHERE relpersistence = 't'",
    "locks": "SELECT objid FROM pg_locks WHERE locktype = 'advisory'",
}


def left(conn: Connection) -> set[str]:
    with conn.begin():
        return {kind for kind, sql in LEFT_IN_THE_SESSION.items() if conn.exec_driver_sql(sql).all()}


@pytest.fixture
def server(postgres_url: str) -> Iterator[Engine]:
    """Two connections to a database with all tables."""
    engine = db.create_writer(db.parse_url(fresh_postgres(postgres_url, "connections")), 2)
    t.metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_what_comes_often_is_prepared(server: Engine) -> None:
    with server.connect() as conn:
        for _ in range(10):
            use(conn)
        assert left(conn) == {"statements", "settings"}


def test_a_read_is_planned_for_its_values_each_time(server: Engine) -> None:
    reader = db.create_reader(server.url, 1)
    query = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%%metric_keys%%'"
    for _ in range(20):
        with reader.begin() as conn:
            conn.execute(select(t.metric_keys.c.id).where(t.metric_keys.c.key == "a")).all()
    with reader.begin() as conn:
        (plans,) = conn.exec_driver_sql(query).all()
    reader.dispose()
    assert plans.generic_plans == 0 < plans.custom_plans


def test_through_a_pooler_nothing_is_left_in_the_session(server: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "is_pooled", lambda connection: True)
    server.dispose()  # what was connected before
    with server.connect() as conn:
        for _ in range(10):
            use(conn)
        assert left(conn) == set()


def test_a_pooler_is_known_by_the_process_it_makes_up(server: Engine) -> None:
    with server.connect() as conn:
        direct: Any = conn.connection.driver_connection
        assert not db.is_pooled(direct)
        made_up = SimpleNamespace(
            execute=direct.execute,
            rollback=direct.rollback,
            info=SimpleNamespace(backend_pid=direct.info.backend_pid + 1),
        )
        assert db.is_pooled(cast(Any, made_up))


def test_a_connection_that_broke_while_it_rested_is_replaced(server: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with server.connect() as conn, server.connect() as killer:
        broken = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        conn.rollback()
        killer.exec_driver_sql("SELECT pg_terminate_backend(%s)", (broken,))
    monkeypatch.setattr(db, "PING_AFTER_SECONDS", -1)
    with server.connect() as one, server.connect() as other:
        assert broken not in {conn.exec_driver_sql("SELECT pg_backend_pid()").scalar() for conn in (one, other)}


def test_text_is_the_same_in_a_database_of_another_encoding(postgres_url: str) -> None:
    url = db.parse_url(fresh_postgres(postgres_url, "latin", "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"))
    engine = db.create_writer(url)
    t.metadata.create_all(engine)
    with engine.begin() as conn:
        metrics.intern(conn, {"é"})
        assert conn.execute(select(t.metric_keys.c.key)).scalars().all() == ["é"]
    engine.dispose()
