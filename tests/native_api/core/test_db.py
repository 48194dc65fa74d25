"""What a transaction gathers for its end, and what of it a savepoint takes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError

from native_api.core import db
from native_api.core import tables as t


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
