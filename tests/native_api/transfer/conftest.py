"""A database of a test's own, of each kind, as a fresh server leaves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from native_api.core import accounts, audit, db
from native_api.core import tables as t
from tests.conftest import fresh_postgres


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
        accounts.set_up(conn, "mlflow-artifacts:/")
    yield engine
    engine.dispose()


@pytest.fixture
def project_id(target: Engine) -> str:
    with target.connect() as conn:
        return conn.scalars(select(t.ml_projects.c.project_id)).one()
