"""A fresh server has somebody and somewhere to begin with, however often and by how many it is set up."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest
from sqlalchemy import Connection, Engine, func, select

from native_api.core import accounts, db, experiments
from native_api.core import tables as t
from native_api.core.access import Scope
from tests.conftest import fresh_postgres

ROOT = "mlflow-artifacts:/"
MADE = (t.users, t.organizations, t.org_members, t.ml_projects, t.project_members, t.experiments)


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine of several connections to a database that has tables and nothing in them."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'fresh.db'}"
    else:
        url = fresh_postgres(request.getfixturevalue("postgres_url"), "fresh")
    engine = db.create_writer(db.parse_url(url), 4)
    t.metadata.create_all(engine)
    yield engine
    engine.dispose()


def counts(conn: Connection) -> list[int]:
    return [conn.execute(select(func.count()).select_from(table)).scalar_one() for table in MADE]


def test_a_fresh_server_has_an_owner_an_organisation_a_project_and_an_experiment(conn: Connection) -> None:
    accounts.set_up(conn, ROOT)
    owner = conn.execute(select(t.users)).one()
    org = conn.execute(select(t.organizations)).one()
    project = conn.execute(select(t.ml_projects)).one()
    assert (owner.email, owner.is_active, owner.password_hash) == (accounts.OWNER_EMAIL, True, None)
    assert (org.name, org.created_by) == ("default", owner.user_id)
    assert (project.name, project.slug, project.org_id, project.status) == ("default", "default", org.org_id, "active")
    member = conn.execute(select(t.org_members)).one()
    assert (member.org_id, member.user_id, member.role) == (org.org_id, owner.user_id, "owner")
    member_of_project = conn.execute(select(t.project_members)).one()
    assert (member_of_project.project_id, member_of_project.role) == (project.project_id, "admin")


def test_whoever_needs_no_credentials_acts_as_the_owner(conn: Connection) -> None:
    accounts.set_up(conn, ROOT)
    owner = accounts.local_owner(conn)
    assert owner.user_id == conn.scalars(select(t.users.c.user_id)).one()
    assert owner.projects == {owner.project_id: Scope.ADMIN}
    default = experiments.get(conn, owner, 0)
    assert (default.name, default.project_id, default.artifact_location) == (
        "Default",
        owner.project_id,
        "mlflow-artifacts:/0",
    )


@pytest.mark.parametrize(
    ("root", "location"),
    [
        ("mlflow-artifacts:/", "mlflow-artifacts:/0"),
        ("s3://bucket/path", "s3://bucket/path/0"),
        ("/mnt/a/", "/mnt/a/0"),
    ],
)
def test_the_first_experiment_is_placed_as_new_ones_are(conn: Connection, root: str, location: str) -> None:
    accounts.set_up(conn, root)
    owner = accounts.local_owner(conn)
    assert experiments.get(conn, owner, 0).artifact_location == location
    made = experiments.create(conn, owner, "next", artifact_root=root)
    assert experiments.get(conn, owner, made).artifact_location == f"{location[:-1]}{made}"


def test_the_next_experiment_is_not_0_again(conn: Connection) -> None:
    accounts.set_up(conn, ROOT)
    owner = accounts.local_owner(conn)
    assert experiments.create(conn, owner, "next", artifact_root=ROOT) > 0


def test_setting_up_again_changes_nothing(conn: Connection) -> None:
    accounts.set_up(conn, ROOT)
    owner = accounts.local_owner(conn)
    experiments.rename(conn, owner, 0, "mine")
    accounts.set_up(conn, "s3://elsewhere")
    assert counts(conn) == [1] * len(MADE)
    assert accounts.local_owner(conn) == owner
    assert (experiments.get(conn, owner, 0).name, experiments.get(conn, owner, 0).artifact_location) == (
        "mine",
        "mlflow-artifacts:/0",
    )


def test_two_that_set_up_at_once_make_one(fresh: Engine) -> None:
    def start() -> None:
        with fresh.begin() as conn:
            accounts.set_up(conn, ROOT)

    with ThreadPoolExecutor() as pool:
        with fresh.begin() as conn:
            accounts.set_up(conn, ROOT)
            second = pool.submit(start)
            sleep(0.3)  # it has seen an empty database, or waits for this one
        second.result()
    with fresh.connect() as conn:
        assert counts(conn) == [1] * len(MADE)
        assert accounts.local_owner(conn).projects


def test_without_a_project_nobody_is_the_owner(conn: Connection) -> None:
    with pytest.raises(LookupError, match="no owner"):
        accounts.local_owner(conn)
