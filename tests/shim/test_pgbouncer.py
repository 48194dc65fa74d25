"""Behind PgBouncer in transaction mode, which gives each transaction another session of the database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy.engine import URL

from native_api.core import db, schema
from native_api.settings import Settings
from shim.app import create_app
from tests.conftest import fresh_postgres
from tests.shim.conftest import MLflow

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(PROGRAM is None, reason="there is no pgbouncer on the path")]

CONFIG = """\
[databases]
{name} = {server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
server_round_robin = 1
"""


@pytest.fixture(scope="module")
def pooled_url(postgres_url: str) -> Iterator[str]:
    """A database of its own through three sessions, which take turns."""
    url = db.parse_url(fresh_postgres(postgres_url, "pooled"))
    schema.upgrade(url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # It refuses to run as root, and whom it runs as instead cannot read what pytest hides.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        config = Path(folder) / "pgbouncer.ini"
        config.write_text(CONFIG.format(name=url.database, server=_keywords(url), port=port))
        user = ["--user", _owner(url)] if os.geteuid() == 0 else []
        with (
            (Path(folder) / "log").open("w") as log,
            subprocess.Popen([str(PROGRAM), *user, str(config)], stdout=log, stderr=log) as process,
        ):
            try:
                _wait(port)
                yield f"postgresql://anybody@127.0.0.1:{port}/{url.database}"
            finally:
                process.terminate()


def _owner(url: URL) -> str:
    """Who may open the server's socket."""
    place = Path(_host(url))
    return place.owner() if place.is_dir() else "nobody"


def _host(url: URL) -> str:
    return url.host or str(url.query.get("host", "127.0.0.1"))


def _keywords(url: URL) -> str:
    """The server as PgBouncer's configuration names it."""
    known = {
        "host": _host(url),
        "port": url.port,
        "dbname": url.database,
        "user": url.username,
        "password": url.password,
    }
    return " ".join(f"{name}={value}" for name, value in known.items() if value)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise TimeoutError("PgBouncer does not listen")


@pytest.fixture
async def pooled(pooled_url: str, folder: Path) -> AsyncIterator[MLflow]:
    """The server through PgBouncer."""
    app = create_app(
        Settings(database_url=pooled_url, artifacts_destination=str(folder), secret_key_file=str(folder / "secret.key"))
    )
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:5000") as client,
    ):
        yield MLflow(client)


async def test_everything_works_however_often(pooled: MLflow) -> None:
    experiment = await pooled.experiment()
    runs = [await pooled.run(experiment) for _ in range(4)]
    for step in range(20):  # more than psycopg waits for before it prepares a statement
        calls = [pooled("runs/log-metric", run_id=run, key="m", value=step, timestamp=step, step=step) for run in runs]
        await asyncio.gather(*calls)
        await pooled("runs/log-parameter", run_id=runs[0], key=f"p{step}", value="v")
        await pooled("runs/set-tag", run_id=runs[0], key="t", value=str(step))
        await pooled.get("runs/get", expect=404, run_id="0" * 32)
        found = await pooled("runs/search", experiment_ids=[experiment], filter=f"metrics.m = {step}")
        assert len(found["runs"]) == len(runs)
    data = (await pooled.get("runs/get", run_id=runs[0]))["run"]["data"]
    assert len(data["params"]) == 20
    assert ("t", "19") in {(tag["key"], tag["value"]) for tag in data["tags"]}
    for run in runs:
        history = await pooled.get("metrics/get-history", run_id=run, metric_key="m")
        assert [point["step"] for point in history["metrics"]] == list(range(20))


async def test_the_transactions_of_one_connection_meet_several_sessions(pooled_url: str) -> None:
    engine = db.create_writer(db.parse_url(pooled_url))
    with engine.connect() as conn:
        sessions = set()
        for _ in range(6):
            with conn.begin():
                sessions.add(conn.exec_driver_sql("SELECT pg_backend_pid()").scalar())
    engine.dispose()
    assert len(sessions) > 1
