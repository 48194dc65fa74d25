"""`mlflow-shim users`, `mlflow-shim tokens` and `mlflow-shim audit`: what an operator does at the machine itself."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection

from native_api.core import access_tokens, accounts, api_tokens, audit, clock, db, passwords, users
from native_api.core.access import Actor, Scope
from native_api.core.errors import Exists, Invalid, NotFound
from native_api.core.users import NewUser, User
from native_api.settings import Settings
from shim.opening import opened

T = TypeVar("T")

MIN_PASSWORD = 8
DAY_MS = 86_400_000

OPERATOR = Actor("", "", {}, scope=Scope.ADMIN, is_administrator=True)
"""Whoever can open the database needs no account."""

Given = Mapping[str, Any]


def add_commands(commands: Any, add_database: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the three commands to the parser."""

    def action(of: Any, name: str, run: Callable[[Settings, Given], int], words: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = of.add_parser(name, help=words, description=words)
        add_database(parser)
        parser.set_defaults(run=run)
        return parser

    of_users = commands.add_parser("users", help="look after accounts").add_subparsers(dest="action", required=True)
    create = action(of_users, "create", create_user, "make an account; its password is asked for, or read from stdin")
    create.add_argument("email")
    create.add_argument("--full-name", help="how others see it (the email)")
    kind = create.add_mutually_exclusive_group()
    kind.add_argument("--administrator", action="store_true", help="may look after this server's accounts")
    kind.add_argument("--service", action="store_true", help="a service account: tokens, no password")
    for name, run, words in (
        ("password", set_password, "give an account a new password, asked for, or read from stdin"),
        ("deactivate", deactivate_user, "end every credential of an account"),
        ("activate", activate_user, "let an account in again"),
    ):
        action(of_users, name, run, words).add_argument("email")
    action(of_users, "list", list_users, "print every account")

    of_tokens = commands.add_parser("tokens", help="look after API tokens").add_subparsers(dest="action", required=True)
    create = action(of_tokens, "create", create_token, "make an API token for an account, and print it")
    create.add_argument("email")
    create.add_argument("--name", default="command line", help="what it is for")
    create.add_argument("--scope", choices=["read", "write", "admin"], default="write", help="what it allows (write)")
    create.add_argument("--days", type=int, help="how long it counts (for ever)")
    action(of_tokens, "list", list_tokens, "print every API token, without its secret")
    action(of_tokens, "revoke", revoke_token, "end an API token").add_argument("token_id")
    rotate = action(of_tokens, "rotate-key", rotate_key, "sign new access tokens with a fresh key; restart to use it")
    rotate.add_argument("--secret-key-file", help="the file of the keys (beside the database)")

    of_audit = commands.add_parser("audit", help="check the audit log").add_subparsers(dest="action", required=True)
    action(
        of_audit, "verify", verify_audit, "check the chain of the audit log, and name the first entry that is broken"
    )


def _run(settings: Settings, work: Callable[[Connection], T]) -> T:
    with opened(settings) as engine, audit.transaction(engine) as conn:
        return work(conn)


# Users


def create_user(settings: Settings, given: Given) -> int:
    """`mlflow-shim users create`."""
    email, name = given["email"], given["full_name"] or given["email"]
    if "@" not in email:
        raise Invalid(f"{email!r} is no email")

    password = "" if given["service"] else _read_password()

    def work(conn: Connection) -> User:
        accounts.set_up(conn, settings.artifact_root)
        if given["administrator"]:
            made = accounts.make_administrator(conn, email, name, password)
            if made is None:
                raise Exists(f"There is a user {email} already")
            return made
        hashed = passwords.make_hash(password) if password else None
        return users.create(conn, OPERATOR, NewUser(email, name, hashed, is_service=given["service"]))

    print(_run(settings, work).user_id)
    return 0


def _read_password() -> str:
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise Invalid("The two are not the same")
    else:
        password = sys.stdin.readline().rstrip("\n")
    if len(password) < MIN_PASSWORD:
        raise Invalid(f"A password has at least {MIN_PASSWORD} characters")
    return password


def _user(conn: Connection, email: str) -> User:
    found = users.page(conn, OPERATOR, 1, None, email=email).items
    if not found:
        raise NotFound("user", email)
    return found[0]


def set_password(settings: Settings, given: Given) -> int:
    """`mlflow-shim users password`."""
    changes = {"password_hash": passwords.make_hash(_read_password())}
    _run(settings, lambda conn: users.change(conn, OPERATOR, _user(conn, given["email"]).user_id, changes))
    return 0


def deactivate_user(settings: Settings, given: Given) -> int:
    """`mlflow-shim users deactivate`."""
    _run(settings, lambda conn: users.deactivate(conn, OPERATOR, _user(conn, given["email"]).user_id))
    return 0


def activate_user(settings: Settings, given: Given) -> int:
    """`mlflow-shim users activate`."""
    changes = {"is_active": True}
    _run(settings, lambda conn: users.change(conn, OPERATOR, _user(conn, given["email"]).user_id, changes))
    return 0


def list_users(settings: Settings, given: Given) -> int:
    """`mlflow-shim users list`."""

    def work(conn: Connection) -> None:
        token: str | None = None
        while True:
            page = users.page(conn, OPERATOR, 1000, token)
            for user in page.items:
                marks = ["" if user.is_active else "inactive", "administrator" if user.is_administrator else ""]
                marks.append("service" if user.is_service else "")
                print(user.user_id, user.email, user.full_name, *filter(None, marks), sep="\t")
            if (token := page.next_token) is None:
                return

    _run(settings, work)
    return 0


# Tokens


def create_token(settings: Settings, given: Given) -> int:
    """`mlflow-shim tokens create`: for any account, since whoever is here could make themselves any."""
    expires_at = None if given["days"] is None else clock.now() + given["days"] * DAY_MS

    def work(conn: Connection) -> str:
        user = _user(conn, given["email"])
        owner = Actor(user.user_id, "", {}, scope=Scope.ADMIN)
        scope = Scope[given["scope"].upper()]
        return api_tokens.create(conn, owner, user.user_id, given["name"], scope, expires_at)[1]

    print(_run(settings, work))
    return 0


def list_tokens(settings: Settings, given: Given) -> int:
    """`mlflow-shim tokens list`."""

    def work(conn: Connection) -> None:
        token: str | None = None
        while True:
            page = api_tokens.page(conn, OPERATOR, 1000, token)
            for found in page.items:
                state = "revoked" if found.revoked_at is not None else ""
                print(found.token_id, found.user_id, f"{found.hint}...", found.scope, found.name, state, sep="\t")
            if (token := page.next_token) is None:
                return

    _run(settings, work)
    return 0


def revoke_token(settings: Settings, given: Given) -> int:
    """`mlflow-shim tokens revoke`."""
    _run(settings, lambda conn: api_tokens.revoke(conn, OPERATOR, given["token_id"].replace("-", "").lower()))
    return 0


def rotate_key(settings: Settings, given: Given) -> int:
    """`mlflow-shim tokens rotate-key`."""
    if settings.secret_key:
        raise Invalid("The keys come from the setting secret_key: put the new one before those there, after a comma")
    access_tokens.add_key(settings.key_file)
    return 0


# The audit log


def verify_audit(settings: Settings, given: Given) -> int:
    """`mlflow-shim audit verify`: 0 if the whole chain holds, 1 if not."""
    with opened(settings, db.create_reader) as engine, engine.connect() as conn:  # the server goes on writing
        held, broken = audit.verify(conn)
    if broken is None:
        print(f"{held} entries, all as they were written")
        return 0
    print(f"Entry {broken.audit_id} is broken: {broken.reason}", file=sys.stderr)
    return 1
