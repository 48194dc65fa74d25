"""`mlflow-shim backup`, `restore` and `doctor`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from native_api.core import audit, db, schema
from shim.cli import main
from tests import world
from tests.conftest import fresh_postgres

Run = Callable[..., str]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'upkeep.db'}"
    return fresh_postgres(request.getfixturevalue("postgres_url"), "upkeep")


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'upkeep.db'}"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on a database and the artifacts of the same name; all that it said."""

    def run(command: str, url: str, *arguments: str, status: int = 0, destination: str = "") -> str:
        place = destination or str(tmp_path / "artifacts")
        given = [command, *arguments, "--database-url", url, "--artifacts-destination", place]
        assert main(given) == status
        said = capsys.readouterr()
        return said.out + said.err

    return run


def fill(url: str, files: Path) -> None:
    schema.upgrade(db.parse_url(url))
    engine = db.create_writer(db.parse_url(url))
    with audit.transaction(engine) as conn:
        world.build(conn, files)
        conn.execute(text("UPDATE artifacts SET size_bytes = 6, checksum = NULL WHERE size_bytes IS NOT NULL"))
    engine.dispose()


def test_the_doctor_finds_nothing_or_says_what(url: str, tmp_path: Path, run: Run) -> None:
    fill(url, tmp_path / "artifacts")
    (name,) = (path for path in (tmp_path / "artifacts").rglob("mark*.txt") if "/m-" not in str(path))
    name.write_text("123456")
    assert run("doctor", url) == "1 files of runs, 1 other files in the store\nNothing found\n"
    name.unlink()
    engine = db.create_writer(db.parse_url(url))
    with engine.begin() as conn:
        conn.execute(text("UPDATE run_metric_latest SET count = 2"))
    engine.dispose()
    first, second, *rest = run("doctor", url, "--checksums", status=1).splitlines()
    assert "has count 2, its history 1" in first
    assert f"{name.relative_to(tmp_path / 'artifacts')}' is not in the store" in second
    assert rest == ["0 files of runs, 1 other files in the store", "2 findings"]


def test_the_doctor_wants_a_database_of_this_release(url: str, tmp_path: Path, run: Run) -> None:
    said = run("doctor", url, status=2)
    assert "There is no such database" in said or "has no tables yet" in said
    assert not (tmp_path / "upkeep.db").exists()


def test_a_backup_is_made_and_restored(file_url: str, tmp_path: Path, run: Run) -> None:
    fill(file_url, tmp_path / "artifacts")
    file = tmp_path / "b.tar"
    said = run("backup", file_url, str(file))
    assert said.startswith("The database and 2 artifacts, ")
    assert "Not in it: the keys that sign access tokens" in said
    assert "already" in run("backup", file_url, str(file), status=2)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    place = str(tmp_path / "other")
    assert "2 artifacts" in run("restore", other, str(file), destination=place)
    assert run("doctor", other, destination=place).endswith("Nothing found\n")
    assert "a database already" in run("restore", other, str(file), destination=place, status=2)


def test_what_cannot_be_is_told_in_one_line(file_url: str, tmp_path: Path, run: Run) -> None:
    file = tmp_path / "b.tar"
    postgresql = "postgresql://host/name"
    assert "pg_dump" in run("backup", postgresql, str(file), status=2)
    assert "pg_restore" in run("restore", postgresql, str(file), status=2)
    assert "There is no such database" in run("backup", file_url, str(file), status=2)
    assert "No such file" in run("restore", file_url, str(file), status=2)
    file.write_text("x")
    for arguments in (("restore", file_url, str(file)), ("backup", f"sqlite:///{file}", str(tmp_path / "c.tar"))):
        assert run(*arguments, status=2).count("\n") == 1
    assert not (tmp_path / "c.tar").exists()


def test_artifacts_in_a_bucket_are_not_in_it_and_it_says_so(file_url: str, tmp_path: Path, run: Run) -> None:
    fill(file_url, tmp_path / "artifacts")
    file = tmp_path / "b.tar"
    assert "Not in it: the artifacts" in run("backup", file_url, str(file), destination="s3://bucket/prefix")
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert "Not in the backup: the artifacts" in run("restore", other, str(file), destination="s3://bucket/prefix")
    file.unlink()
    run("backup", file_url, str(file))
    another = f"sqlite:///{tmp_path / 'another.db'}"
    assert "into a folder" in run("restore", another, str(file), destination="s3://bucket/prefix", status=2)
