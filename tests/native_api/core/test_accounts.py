"""A fresh server has somebody and somewhere to begin with, however often and by how many it is set up."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest
from sqlalchemy import Connection, Engine, func, select

from native_api.core import accounts, actors, audit, db, experiments, passwords, users
from native_api.core import tables as t
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.errors import Forbidden, NotFound, Unauthenticated
from native_api.core.users import Identity, NewUser
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


def local_owner(conn: Connection) -> Actor:
    """Whoever calls without credentials, in the default workspace."""
    return actors.in_workspace(conn, accounts.local_owner(conn), "default")


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
    identity = accounts.local_owner(conn)
    assert identity == Identity(conn.scalars(select(t.users.c.user_id)).one(), "", Scope.ADMIN, True)
    owner = local_owner(conn)
    assert (owner.user_id, owner.workspace, owner.scope) == (identity.user_id, "default", Scope.ADMIN)
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
    owner = local_owner(conn)
    assert experiments.get(conn, owner, 0).artifact_location == location
    made = experiments.create(conn, owner, owner.project_id, "next", artifact_root=root)
    assert experiments.get(conn, owner, made).artifact_location == f"{location[:-1]}{made}"


def test_the_next_experiment_is_not_0_again(conn: Connection) -> None:
    accounts.set_up(conn, ROOT)
    owner = local_owner(conn)
    assert experiments.create(conn, owner, owner.project_id, "next", artifact_root=ROOT) > 0


def test_setting_up_again_changes_nothing(conn: Connection) -> None:
    accounts.set_up(conn, ROOT)
    owner = local_owner(conn)
    experiments.change(conn, owner, 0, {"name": "mine"})
    accounts.set_up(conn, "s3://elsewhere")
    assert counts(conn) == [1] * len(MADE)
    assert local_owner(conn) == owner
    assert (experiments.get(conn, owner, 0).name, experiments.get(conn, owner, 0).artifact_location) == (
        "mine",
        "mlflow-artifacts:/0",
    )


def test_two_that_set_up_at_once_make_one(fresh: Engine) -> None:
    def start() -> None:
        with audit.transaction(fresh) as conn:
            accounts.set_up(conn, ROOT)

    with ThreadPoolExecutor() as pool:
        with audit.transaction(fresh) as conn:
            accounts.set_up(conn, ROOT)
            second = pool.submit(start)
            sleep(0.3)  # it has seen an empty database, or waits for this one
        second.result()
    with fresh.connect() as conn:
        assert counts(conn) == [1] * len(MADE)
        assert local_owner(conn).projects
        audit_ids = list(conn.scalars(select(t.audit_log.c.audit_id).order_by(t.audit_log.c.audit_id)))
        assert audit_ids == list(range(1, 7))


def test_without_a_project_nobody_is_the_owner(conn: Connection) -> None:
    with pytest.raises(Unauthenticated, match="no owner"):
        accounts.local_owner(conn)


# Administrators


def test_an_administrator_owns_the_default_organisation(conn: Connection) -> None:
    accounts.set_up(conn, ROOT)
    made = accounts.make_administrator(conn, "Admin@Example.org", "Admin", "correct horse")
    assert made is not None
    assert (made.email, made.is_administrator, made.is_active) == ("admin@example.org", True, True)
    login = users.find_login(conn, "admin@example.org")
    assert login is not None
    assert passwords.matches("correct horse", login.password_hash)
    admin = actors.anywhere(conn, Identity(made.user_id, made.email, Scope.ADMIN, True))
    assert list(admin.orgs.values()) == [OrgRole.OWNER]
    assert list(admin.projects.values()) == [Scope.ADMIN]
    assert accounts.local_owner(conn).user_id != made.user_id


def test_an_administrator_is_made_once(conn: Connection) -> None:
    accounts.set_up(conn, ROOT)
    assert not users.has_administrator(conn)  # the local owner can only come in without credentials
    assert accounts.make_administrator(conn, "admin@example.org", "Admin", "correct horse")
    assert users.has_administrator(conn)
    assert accounts.make_administrator(conn, "ADMIN@example.org", "Other", "battery staple") is None
    login = users.find_login(conn, "admin@example.org")
    assert login is not None
    assert passwords.matches("correct horse", login.password_hash)


def test_somebody_new_has_no_role_anywhere(conn: Connection) -> None:
    accounts.set_up(conn, ROOT)
    user = users.register(conn, NewUser("new@example.org", "New"))
    identity = Identity(user.user_id, user.email, Scope.ADMIN, False)
    assert (actors.anywhere(conn, identity).projects, actors.anywhere(conn, identity).orgs) == ({}, {})
    with pytest.raises(Forbidden, match="no role in the workspace 'default'"):
        actors.in_workspace(conn, identity, "default")
    with pytest.raises(NotFound):
        actors.in_workspace(conn, identity, "other")
