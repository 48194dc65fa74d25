"""`mlflow-shim users`, `tokens` and `audit`, and what `serve` asks of accounts before it starts."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, Row, select, text

from native_api.core import access_tokens, accounts, actors, api_tokens, audit, db, passwords, schema, users
from native_api.core import tables as t
from native_api.core.access import OrgRole, Scope
from native_api.core.errors import Unauthenticated
from native_api.core.users import Identity
from native_api.settings import PREFIX, Settings
from shim.cli import main, prepare_accounts
from tests.conftest import fresh_postgres

T = TypeVar("T")

PASSWORD = "correct horse"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of each kind without anything in it, and a folder of the command's own."""
    monkeypatch.chdir(tmp_path)
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'accounts.db'}"
    url = fresh_postgres(request.getfixturevalue("postgres_url"), "accounts")
    schema.upgrade(db.parse_url(url))
    return url


class Commands:
    """Runs commands: `run("users", "create", ...)` gives the lines that it said."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._url, self._capsys, self._monkeypatch = url, capsys, monkeypatch

    def __call__(self, *arguments: str, stdin: str = "", status: int = 0) -> list[str]:
        """The lines of its output, or of its complaint if it is to fail."""
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        assert main([*arguments, "--database-url", self._url]) == status
        said = self._capsys.readouterr()
        assert not (said.out if status else said.err)
        return (said.err if status else said.out).splitlines()

    def refused(self, *arguments: str, stdin: str = "") -> str:
        (line,) = self(*arguments, stdin=stdin, status=2)
        return line

    def sql(self, statement: str) -> Sequence[Row[*tuple[object, ...]]]:
        engine = db.create_writer(db.parse_url(self._url))
        with engine.begin() as conn:
            result = conn.execute(text(statement))
            rows = result.all() if result.returns_rows else []
        engine.dispose()
        return rows

    def read(self, call: Callable[[Connection], T]) -> T:
        engine = db.create_reader(db.parse_url(self._url), 1)
        try:
            with engine.connect() as conn:
                return call(conn)
        finally:
            engine.dispose()


@pytest.fixture
def run(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    return Commands(url, capsys, monkeypatch)


def create(run: Commands, email: str = "ada@example.org", *options: str) -> str:
    """The id of a new user, who has a password unless it is a service account."""
    (user_id,) = run("users", "create", email, *options, stdin=f"{PASSWORD}\n")
    return user_id


def knows(run: Commands, email: str, password: str) -> bool:
    login = run.read(lambda conn: users.find_login(conn, email))
    return login is not None and passwords.matches(password, login.password_hash)


# Users


def test_a_user_is_made_with_a_password_from_stdin(run: Commands) -> None:
    user_id = create(run, "Ada@Example.org", "--full-name", "Ada Lovelace")
    assert knows(run, "ada@example.org", PASSWORD)
    assert knows(run, "Ada Lovelace", PASSWORD)
    listed = [line.split("\t") for line in run("users", "list")]
    assert listed == [
        [user_id, "ada@example.org", "Ada Lovelace"],
        [listed[1][0], accounts.OWNER_EMAIL, "Local owner", "administrator"],
    ]


def test_an_administrator_looks_after_the_server_and_owns_its_organisation(run: Commands) -> None:
    user_id = create(run, "ada@example.org", "--administrator")
    assert run.read(users.has_administrator)
    actor = run.read(lambda conn: actors.anywhere(conn, Identity(user_id, "ada@example.org", Scope.ADMIN, True)))
    assert actor.is_administrator
    assert list(actor.orgs.values()) == [OrgRole.OWNER]
    assert "administrator" in next(line for line in run("users", "list") if user_id in line).split("\t")
    assert "a user ADA@example.org already" in run.refused(
        "users", "create", "ADA@example.org", "--administrator", stdin=PASSWORD
    )


def test_a_service_account_has_no_password(run: Commands) -> None:
    (user_id,) = run("users", "create", "robot@example.org", "--service")
    assert run.sql(f"SELECT password_hash FROM users WHERE user_id = '{user_id}'") == [(None,)]
    assert "service" in next(line for line in run("users", "list") if user_id in line).split("\t")


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (["create", "ada@example.org"], PASSWORD, "A user with this email exists already"),
        (["create", "ada"], PASSWORD, "'ada' is no email"),
        (["create", "eve@example.org"], "short\n", "at least 8 characters"),
        (["create", "eve@example.org"], "", "at least 8 characters"),
        (["password", "ada@example.org"], "short\n", "at least 8 characters"),
        (["password", "eve@example.org"], PASSWORD, "No user with id 'eve@example.org' was found"),
        (["deactivate", "eve@example.org"], "", "No user with id 'eve@example.org' was found"),
        (["activate", "eve@example.org"], "", "No user with id 'eve@example.org' was found"),
    ],
)
def test_what_cannot_be_is_told_in_one_line_and_does_nothing(
    run: Commands, arguments: list[str], stdin: str, words: str
) -> None:
    create(run)
    before = run.sql("SELECT * FROM users ORDER BY user_id"), run.sql("SELECT * FROM audit_log ORDER BY audit_id")
    assert words in run.refused("users", *arguments, stdin=stdin)
    assert before == (
        run.sql("SELECT * FROM users ORDER BY user_id"),
        run.sql("SELECT * FROM audit_log ORDER BY audit_id"),
    )


def test_another_password_ends_the_old_one(run: Commands) -> None:
    create(run)
    assert run("users", "password", "Ada@example.org", stdin="battery staple\n") == []
    assert knows(run, "ada@example.org", "battery staple")
    assert not knows(run, "ada@example.org", PASSWORD)


def test_who_is_deactivated_stays_out_until_let_in_again(run: Commands) -> None:
    create(run)
    (token,) = run("tokens", "create", "ada@example.org")
    assert run("users", "deactivate", "ada@example.org") == []
    assert not knows(run, "ada@example.org", PASSWORD)
    with pytest.raises(Unauthenticated):
        run.read(lambda conn: api_tokens.find(conn, token))
    assert run("users", "activate", "ada@example.org") == []
    assert knows(run, "ada@example.org", PASSWORD)


# Tokens


def test_a_token_is_shown_once_and_allows_what_was_said(run: Commands) -> None:
    user_id = create(run)
    (token,) = run("tokens", "create", "ada@example.org", "--name", "laptop", "--scope", "read", "--days", "1")
    used = run.read(lambda conn: api_tokens.find(conn, token))
    assert (used.identity.user_id, used.identity.scope) == (user_id, Scope.READ)
    assert used.expires_at is not None
    (line,) = run("tokens", "list")
    assert line.split("\t") == [used.token_id, user_id, f"{token[:10]}...", "read", "laptop", ""]
    assert token not in line


def test_a_token_allows_to_write_for_ever_unless_said_otherwise(run: Commands) -> None:
    create(run)
    (token,) = run("tokens", "create", "ada@example.org")
    used = run.read(lambda conn: api_tokens.find(conn, token))
    assert (used.identity.scope, used.expires_at) == (Scope.WRITE, None)


def test_a_service_account_gets_tokens_too(run: Commands) -> None:
    create(run, "robot@example.org", "--service")
    (token,) = run("tokens", "create", "robot@example.org", "--scope", "admin")
    assert run.read(lambda conn: api_tokens.find(conn, token)).identity.email == "robot@example.org"


def test_a_revoked_token_ends(run: Commands) -> None:
    create(run)
    (token,) = run("tokens", "create", "ada@example.org")
    token_id = run("tokens", "list")[0].split("\t")[0]
    assert run("tokens", "revoke", token_id) == []
    with pytest.raises(Unauthenticated):
        run.read(lambda conn: api_tokens.find(conn, token))
    assert run("tokens", "list")[0].split("\t")[-1] == "revoked"
    assert "No token" in run.refused("tokens", "revoke", "f" * 32)
    assert "No user" in run.refused("tokens", "create", "eve@example.org")


def test_the_key_of_access_tokens_is_rotated(run: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "own.key"
    before = access_tokens.load_keys("", file).issue("somebody", 5)
    assert run("tokens", "rotate-key", "--secret-key-file", str(file)) == []
    assert len(file.read_text().split()) == 2
    assert access_tokens.load_keys("", file).read(before).user_id == "somebody"
    monkeypatch.setenv(f"{PREFIX}SECRET_KEY", "k" * 32)
    assert "come from the setting secret_key" in run.refused("tokens", "rotate-key")


# The audit log


def test_a_log_that_nobody_touched_is_verified(run: Commands) -> None:
    assert run("audit", "verify") == ["0 entries, all as they were written"]
    create(run)
    assert run("audit", "verify") == ["7 entries, all as they were written"]


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE audit_log SET new_data = replace(new_data, 'ada@', 'eve@') WHERE audit_id = 7", 7),
        ("DELETE FROM audit_log WHERE audit_id = 3", 3),
        ("DELETE FROM audit_log WHERE audit_id = 7", 7),
    ],
)
def test_what_was_changed_by_hand_is_named(run: Commands, statement: str, row: int) -> None:
    create(run)
    run.sql(statement)
    (line,) = run("audit", "verify", status=1)
    assert line.startswith(f"Entry {row} is broken: ")


def test_what_an_operator_does_is_in_the_log_without_a_secret(run: Commands) -> None:
    create(run)
    run("users", "password", "ada@example.org", stdin="battery staple\n")
    (token,) = run("tokens", "create", "ada@example.org")
    run("users", "deactivate", "ada@example.org")
    told = run.read(lambda conn: conn.execute(select(t.audit_log).order_by(t.audit_log.c.audit_id)).all())
    assert [(entry.table_name, entry.operation) for entry in told[6:]] == [
        *(("users", "I"), ("users", "U"), ("api_tokens", "I"), ("users", "U"))
    ]
    for secret in ("argon2", PASSWORD, "battery staple", token):
        assert secret not in repr(told)


# What serve asks first


def prepared(run: Commands, url: str, **settings: str) -> None:
    run("audit", "verify")  # so that there is a schema
    engine = db.create_writer(db.parse_url(url))
    try:
        prepare_accounts(engine, Settings(database_url=url, **settings))  # type: ignore[arg-type]
    finally:
        engine.dispose()


def test_a_server_that_needs_credentials_does_not_start_without_an_administrator(run: Commands) -> None:
    for options in (["--access", "required"], ["--host", "0.0.0.0"]):
        words = run.refused("serve", "--port", "0", *options)
        assert "mlflow-shim users create --administrator" in words
        assert "MLFLOW_SHIM_ADMIN_EMAIL and MLFLOW_SHIM_ADMIN_PASSWORD" in words


def test_a_user_who_is_no_administrator_is_not_enough(run: Commands) -> None:
    create(run)
    assert "make an administrator" in run.refused("serve", "--port", "0", "--access", "required")


def test_an_administrator_made_before_is_enough(run: Commands, url: str) -> None:
    create(run, "ada@example.org", "--administrator")
    prepared(run, url, access="required")


def test_one_who_was_deactivated_is_not_enough(run: Commands) -> None:
    create(run, "ada@example.org", "--administrator")
    run("users", "deactivate", "ada@example.org")
    assert "make an administrator" in run.refused("serve", "--port", "0", "--access", "required")


def test_the_settings_make_an_administrator_once(run: Commands, url: str) -> None:
    for password in (PASSWORD, "battery staple"):
        prepared(run, url, access="required", admin_email="Root@example.org", admin_password=password)
    assert knows(run, "root@example.org", PASSWORD)
    assert not knows(run, "root@example.org", "battery staple")
    assert run("audit", "verify") == ["8 entries, all as they were written"]
    assert run.read(audit.verify) == (8, None)


def test_the_environment_names_the_administrator(run: Commands, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}ADMIN_EMAIL", "root@example.org")
    monkeypatch.setenv(f"{PREFIX}ADMIN_PASSWORD", PASSWORD)
    settings = Settings.from_env({"access": "required"})
    prepared(run, url, access="required", admin_email=settings.admin_email, admin_password=settings.admin_password)
    assert knows(run, "root@example.org", PASSWORD)


def test_where_access_is_open_no_administrator_is_needed(run: Commands, url: str) -> None:
    prepared(run, url)
    assert not run.read(users.has_administrator)
