"""The command line, and the server as a process that starts, refuses to, and stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from native_api.core import db, schema
from native_api.core import tables as t
from native_api.settings import PREFIX
from shim.cli import main
from tests.conftest import fresh_postgres

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'below' / 'test.db'}"
    return fresh_postgres(request.getfixturevalue("postgres_url"), "cli")


# The schema


def test_the_schema_goes_up_and_down(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str) -> str:
        assert main(["db", *arguments, "--database-url", url]) == 0
        return capsys.readouterr().out.strip()

    assert said("current") == "empty"
    assert said("upgrade") == schema.HEAD
    assert said("upgrade") == schema.HEAD
    assert said("current") == schema.HEAD
    assert said("downgrade", "base") == "empty"
    assert said("upgrade", schema.REVISIONS[0]) == schema.REVISIONS[0]


# What is refused

REFUSED: list[tuple[list[str], str]] = [
    (["serve", "--host", "0.0.0.0"], "make an administrator with `mlflow-shim users create --administrator EMAIL`"),
    (["serve", "--access", "required"], "make an administrator with `mlflow-shim users create --administrator EMAIL`"),
    (["serve", "--host", "0.0.0.0", "--access", "open"], "Open access is only for this machine"),
    (["serve", "--workers", "2"], "use PostgreSQL for more than one worker"),
    (["serve", "--database-url", "mysql://localhost/x"], "The database must be"),
    (["serve", "--database-url", "postgresql://127.0.0.1:1/x"], "The database cannot be used: connection failed"),
    (["serve", "--port", "0", "--artifacts-destination", "file"], "File exists: 'file'"),
    (["serve", "--database-url", "sqlite:///file"], "The database cannot be used: file is not a database"),
    (["db", "current", "--database-url", "sqlite:///file"], "The database cannot be used: file is not a database"),
    (["db", "current", "--database-url", "sqlite:////"], "The database cannot be used: unable to open database file"),
    (["db", "current", "--database-url", "sqlite:///file/x.db"], "File exists: 'file'"),
    (
        ["db", "upgrade", "--database-url", "postgresql://127.0.0.1:1/x"],
        "The database cannot be used: connection failed",
    ),
    (["db", "upgrade", "nonsense"], "nonsense"),
    (["db", "downgrade", "nonsense"], "nonsense"),
    (["db", "upgrade", "--database-url", "nonsense"], "database URL"),
]


@pytest.mark.parametrize(
    ("arguments", "words"), REFUSED, ids=lambda value: " ".join(value) if list is type(value) else ""
)
def test_what_cannot_be_is_told_in_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("neither a folder nor a database\n")
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("mlflow-shim: ")
    assert words in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "command"),
        (["nonsense"], "nonsense"),
        (["serve", "--nonsense"], "--nonsense"),
        (["serve", "--port", "x"], "--port"),
        (["serve", "--workers", "many"], "--workers"),
        (["db"], "action"),
        (["db", "nonsense"], "nonsense"),
        (["db", "downgrade"], "revision"),
        (["db", "current", "--port", "1"], "--port"),
    ],
)
def test_what_is_not_understood_is_told_with_the_usage(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    *usage, line = capsys.readouterr().err.splitlines()
    assert usage[0].startswith("usage: mlflow-shim")
    assert words in line


def test_a_bad_value_in_the_environment_is_told_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PREFIX + "PORT", "x")
    assert main(["serve"]) == 2
    assert "not a number" in capsys.readouterr().err


def test_a_postgresql_without_tables_is_told_how_to_get_them(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    url = fresh_postgres(postgres_url, "cli")
    assert main(["serve", "--port", "0", "--database-url", url]) == 2
    assert capsys.readouterr().err == (
        "mlflow-shim: The database has no tables yet: `mlflow-shim db upgrade` creates them\n"
    )


def test_a_port_in_use_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    assert capsys.readouterr().err == f"mlflow-shim: Cannot listen on 127.0.0.1:{port}: Address already in use\n"


# The server as a process


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port, and its address, which it prints."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    process = subprocess.Popen(
        [sys.executable, "-m", "shim", "serve", "--port", "0", *options],
        cwd=folder,
        env=env | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        while "MLFLOW_TRACKING_URI=" not in said:
            said = process.stdout.readline()
            assert said, process.wait()
        yield process, said.strip().partition("=")[2]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_on_a_free_port_and_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as (process, address):
        assert httpx.get(f"{address}/health").text == "OK"
        found = httpx.get(f"{address}/api/2.0/mlflow/experiments/get", params={"experiment_id": 0}).json()
        assert found["experiment"]["name"] == "Default"
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
    assert (tmp_path / "data" / "mlflow-shim.db").is_file()


def test_it_listens_on_ipv6_too(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "::1") as (_, address):
        assert address.startswith("http://[::1]:")
        assert httpx.get(f"{address}/health").text == "OK"


@pytest.mark.anyio
async def test_a_stop_in_the_middle_of_a_load_finishes_what_was_accepted(tmp_path: Path) -> None:
    """Each point that was acknowledged is stored, and none else."""
    with serving(tmp_path) as (process, address):
        async with httpx.AsyncClient(base_url=f"{address}/api/2.0/mlflow/", timeout=30) as client:
            run = (await client.post("runs/create", json={})).json()["run"]["info"]["run_id"]
            acknowledged: list[int] = []

            async def log(number: int) -> None:
                point = {"run_id": run, "key": "m", "value": 1, "timestamp": 1, "step": number}
                while True:
                    try:
                        answer = await client.post("runs/log-metric", json=point)
                    except httpx.TransportError:  # it listens no more
                        return
                    assert answer.status_code == 200
                    acknowledged.append(point["step"])
                    point["step"] += 1000
                    if len(acknowledged) == 300:
                        process.terminate()

            await asyncio.gather(*map(log, range(50)))
        assert process.wait(20) == 0
    engine = db.create_reader(db.parse_url(f"sqlite:///{tmp_path}/data/mlflow-shim.db"), 1)
    with engine.connect() as conn:
        stored = list(conn.scalars(select(t.run_metric_values.c.step)))
        assert conn.scalar(select(func.count()).select_from(t.runs)) == 1
    engine.dispose()
    assert len(acknowledged) >= 300
    assert sorted(stored) == sorted(acknowledged)
