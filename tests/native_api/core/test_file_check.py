"""Each file that a row names is looked for, and looked at again if it was changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text, update

from native_api.core import artifacts, blobs, file_check, file_rows, places
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.file_check import FileCheck
from native_api.core.folder import Folder
from tests.native_api.core.test_places import RUN, add_experiment

KEY = f"e/{RUN}/artifacts/a"


@pytest.fixture
def store(conn: Connection, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """With a file that a row names, and one that none does."""
    monkeypatch.setattr(file_check, "PAUSES", (0, 0))
    add_experiment(conn, actor, "mlflow-artifacts:/e", RUN)
    store = Folder(tmp_path)
    store.put("m/other", [b"other"])
    stored = store.put(KEY, [b"abc"])
    artifacts.record(conn, actor, places.get_place(conn, actor, KEY), stored.size, stored.sha256)
    return store


def look(conn: Connection, store: Folder, now: Callable[[], None] = lambda: None, *, checksums: bool = False) -> str:
    """What is found, if anything; `now` is called before the second look."""

    def rows(run_artifact_ids: list[str]) -> list[file_rows.FileRow]:
        now()
        return file_rows.now(conn, run_artifact_ids)

    check = FileCheck(store, rows, checksums=checksums)
    found = "\n".join(check.examine(conn))
    assert check.found == (0 if "is not in the store" in found else 1)
    return found


def test_a_file_that_is_as_its_row_says_is_no_finding(conn: Connection, store: Folder) -> None:
    assert look(conn, store, checksums=True) == ""
    assert [key for key, _ in blobs.walk(store)] == [KEY, "m/other"]


def test_a_missing_file_is_found(conn: Connection, store: Folder, tmp_path: Path) -> None:
    (tmp_path / KEY).unlink()
    assert f"file {KEY!r} is not in the store" in look(conn, store)
    (tmp_path / KEY).mkdir()
    assert f"file {KEY!r} is not in the store" in look(conn, store)


def test_a_file_of_another_size_is_found(conn: Connection, store: Folder, tmp_path: Path) -> None:
    (tmp_path / KEY).write_bytes(b"abcd")
    assert f"file {KEY!r} has 4 bytes, and should have 3" in look(conn, store)


def test_other_content_is_found_by_its_checksum(conn: Connection, store: Folder, tmp_path: Path) -> None:
    (tmp_path / KEY).write_bytes(b"abd")
    assert look(conn, store) == ""
    assert "has another checksum" in look(conn, store, checksums=True)
    conn.execute(update(t.artifacts).values(checksum=None))  # as of a file put in parts
    assert look(conn, store, checksums=True) == ""


def test_what_clients_keep_elsewhere_is_not_looked_for(conn: Connection, store: Folder, tmp_path: Path) -> None:
    conn.execute(text("UPDATE runs SET artifact_uri = 's3://bucket/run'"))
    assert list(file_rows.pages(conn)) == [[]]


def test_what_was_replaced_or_deleted_meanwhile_is_no_finding(conn: Connection, actor: Actor, store: Folder) -> None:
    stored = store.put(KEY, [b"longer"])
    place = places.get_place(conn, actor, KEY)
    assert look(conn, store, lambda: artifacts.record(conn, actor, place, stored.size, stored.sha256)) == ""
    store.delete(KEY)
    check = FileCheck(store, lambda _: [])  # the row is gone by then
    assert list(check.examine(conn)) == []


def test_rows_come_in_pages(conn: Connection, actor: Actor, store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_rows, "AT_ONCE", 2)
    for name in "bcde":
        key = f"e/{RUN}/artifacts/{name}"
        stored = store.put(key, [b"x"])
        artifacts.record(conn, actor, places.get_place(conn, actor, key), stored.size, stored.sha256)
    found = list(file_rows.pages(conn))
    assert [len(page) for page in found] == [2, 2, 1]
    assert {row.run_artifact_id for page in found for row in page} == set(
        conn.scalars(select(t.run_artifacts.c.run_artifact_id))
    )
