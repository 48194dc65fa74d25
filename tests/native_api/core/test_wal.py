"""SQLite's write-ahead log is copied beside the writer, and begins anew."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from native_api.core import db, wal


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "logged.db"


def test_what_was_committed_is_copied_beside_the_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "INTERVAL_SECONDS", 0.01)
    url = db.parse_url(f"sqlite:///{path}")
    writing = db.create_writer(url)
    with writing.connect() as conn, wal.kept_short(url) as committed:
        conn.exec_driver_sql("CREATE TABLE many (text)")
        conn.exec_driver_sql("INSERT INTO many VALUES (?)", ("x" * 1_000_000,))
        conn.commit()
        db.run_after_commit(conn)
        assert path.stat().st_size < 1_000_000  # it is in the log alone
        committed()
        deadline = time.monotonic() + 30
        while path.stat().st_size < 1_000_000 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_size > 1_000_000
    writing.dispose()


def test_nobody_waits_for_it_and_it_ends_with_its_block(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "INTERVAL_SECONDS", 0.0)
    url = db.parse_url(f"sqlite:///{path}")
    writing, reading = db.create_writer(url), db.create_reader(url, 1)
    with writing.connect() as conn, reading.connect() as reader, wal.kept_short(url) as committed:
        conn.exec_driver_sql("CREATE TABLE many (number)")
        conn.commit()
        db.run_after_commit(conn)
        reader.exec_driver_sql("SELECT * FROM many").all()  # a snapshot that stays
        for number in range(200):
            conn.exec_driver_sql("INSERT INTO many VALUES (?)", (number,))
            conn.commit()
            db.run_after_commit(conn)
            committed()
        assert reader.exec_driver_sql("SELECT count(*) FROM many").scalar() == 0
        reader.rollback()
        assert reader.exec_driver_sql("SELECT count(*) FROM many").scalar() == 200
    writing.dispose()
    reading.dispose()


def test_a_stop_right_after_a_look_for_one_is_not_missed(path: Path) -> None:
    url = db.parse_url(f"sqlite:///{path}")
    db.create_writer(url).connect().close()
    committed = threading.Event()

    class Stopping(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            looked = self.is_set()
            self.set()
            committed.set()
            return looked

    committed.set()
    copying = threading.Thread(target=wal._copy, args=(db.create_reader(url, 1), committed, Stopping()), daemon=True)
    copying.start()
    copying.join(10)
    assert not copying.is_alive()
