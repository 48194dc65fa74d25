"""The command line: `mlflow-shim serve`, `mlflow-shim db`, and the commands of accounts_cli.py and upkeep_cli.py."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence

import uvicorn
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from native_api.core import access_tokens, accounts, audit, db, schema, stores, users
from native_api.core.errors import Invalid, Problem
from native_api.settings import PREFIX, Settings
from shim import accounts_cli, export_cli, gc_cli, transfer_cli, upkeep_cli

BACKLOG = 2048


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    given = vars(_parser().parse_args(arguments))
    command = given.pop("command")
    try:
        if command == "serve":
            return serve(Settings.from_env(given))
        action = given.pop("action", None)
        if run := given.pop("run", None):
            return int(run(Settings.from_env(given), given))
        revision = given.pop("revision", None)
        return move_schema(Settings.from_env(given), action, revision)
    except (Problem, schema.SchemaError, OSError) as error:
        print(f"mlflow-shim: {error}", file=sys.stderr)
        return 2
    except DBAPIError as error:
        print(f"mlflow-shim: The database cannot be used: {' '.join(str(error.orig).split())}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("mlflow-shim", description="An MLflow tracking server on a native system.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve_ = commands.add_parser(
        "serve", help="run the server", description=f"Every option is also an environment variable, {PREFIX}<NAME>."
    )
    serve_.add_argument("--host", help="the address to listen on (127.0.0.1)")
    serve_.add_argument("--port", type=int, help="the port to listen on (5000)")
    serve_.add_argument("--workers", type=int, help="server processes; more than one needs PostgreSQL (1)")
    _add_database(serve_)
    serve_.add_argument(
        "--artifact-root", help="what new experiments get (mlflow-artifacts:/, this server's own proxy)"
    )
    serve_.add_argument(
        "--artifacts-destination",
        help="where the proxy keeps files: a folder, or s3://bucket/prefix, gs://..., az://... (data/artifacts)",
    )
    serve_.add_argument(
        "--proxy-only",
        action="store_true",
        default=None,
        help="give clients no signed addresses in the bucket: files pass through this server only",
    )
    serve_.add_argument(
        "--migrate",
        action="store_true",
        default=None,
        help="bring a PostgreSQL schema up to date first (SQLite's always is)",
    )
    serve_.add_argument(
        "--access", choices=["open", "required"], help="whether credentials are needed (only beyond this machine)"
    )
    serve_.add_argument(
        "--allowed-hosts",
        help="the names, separated by commas, that the server answers to where access is required (any)",
    )
    serve_.add_argument(
        "--static-prefix", help="a path below which everything is served too, for a proxy that hands it on (/mlflow)"
    )
    serve_.add_argument("--registration", choices=["open", "closed"], help="whether anybody may make an account (open)")
    serve_.add_argument("--secret-key-file", help="the file of the keys that sign access tokens (beside the database)")
    serve_.add_argument("--token-minutes", type=int, help="how long an access token counts (720)")
    serve_.add_argument("--admin-email", help="an administrator to make at the start, with MLFLOW_SHIM_ADMIN_PASSWORD")
    database = commands.add_parser("db", help="look after the database's schema")
    actions = database.add_subparsers(dest="action", required=True)
    for action, words in (
        ("upgrade", "bring the schema up to date, or to a revision"),
        ("downgrade", "take the schema back to a revision, or to `base`: nothing at all"),
        ("current", "print the schema's revision"),
    ):
        sub = actions.add_parser(action, help=words)
        _add_database(sub)
        if action != "current":
            sub.add_argument(
                "revision", nargs="?" if action == "upgrade" else None, default="head" if action == "upgrade" else None
            )
    accounts_cli.add_commands(commands, _add_database)
    transfer_cli.add_commands(commands, _add_database)
    gc_cli.add_commands(commands, _add_database)
    upkeep_cli.add_commands(commands, _add_database)
    export_cli.add_commands(commands, _add_database)
    return parser


def _add_database(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database-url", help="sqlite:///path or postgresql://user@host/name (sqlite:///data/mlflow-shim.db)"
    )


def move_schema(settings: Settings, action: str, revision: str | None) -> int:
    """`mlflow-shim db upgrade|downgrade|current`."""
    url = db.parse_url(settings.database_url)
    if action == "upgrade":
        schema.upgrade(url, revision or "head")
    elif action == "downgrade":
        schema.downgrade(url, revision or "base")
    engine = db.create_writer(url)
    with engine.connect() as conn:
        print(schema.current(conn) or "empty")
    engine.dispose()
    return 0


# Serving


def serve(settings: Settings) -> int:
    """Run the server until it is told to stop; what it accepted is finished first."""
    gc.disable()  # what a start makes stays: `app` lets it begin
    url = db.parse_url(settings.database_url)
    if db.is_sqlite(url) or settings.migrate:
        schema.upgrade(url)
    engine = db.create_writer(url)
    try:
        schema.check(engine)
        prepare_accounts(engine, settings)
    finally:
        engine.dispose()
    access_tokens.load_keys(settings.secret_key, settings.key_file)  # made before workers ask for it
    stores.open_store(settings.artifacts_destination)  # a folder is made, or found not to be one, before workers start
    listening = listen(settings.host, settings.port)
    port = listening.getsockname()[1]
    # The worker processes that uvicorn spawns read their settings from here.
    os.environ.update({PREFIX + name.upper(): str(value) for name, value in vars(settings).items()})
    config = uvicorn.Config(
        "shim.cli:app",
        factory=True,
        workers=settings.workers,
        access_log=False,
        log_level="warning",
        lifespan="on",
        ws="none",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=30,
        timeout_worker_healthcheck=60,  # a busy machine is no reason to kill a worker
    )
    _announce(settings, port)
    # uvicorn finishes what it accepted, then raises the signal that stopped it once more: that is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    server = uvicorn.Server(config)
    if settings.workers > 1:
        from uvicorn.supervisors import Multiprocess

        Multiprocess(config, sockets=[listening]).run()
        return 0
    server.run(sockets=[listening])
    return 0 if server.started else 3


def prepare_accounts(engine: Engine, settings: Settings) -> None:
    """Make the administrator that the settings name, if there is no such user yet.

    Invalid where credentials are needed and nobody could look after them: there is no default password.
    """
    with audit.transaction(engine) as conn:
        accounts.set_up(conn, settings.artifact_root)
        if settings.admin_email:
            accounts.make_administrator(conn, settings.admin_email, settings.admin_email, settings.admin_password)
        if not settings.is_open and not users.has_administrator(conn):
            raise Invalid(
                "Callers need credentials here, and nobody has any: make an administrator with "
                "`mlflow-shim users create --administrator EMAIL`, "
                "or set MLFLOW_SHIM_ADMIN_EMAIL and MLFLOW_SHIM_ADMIN_PASSWORD"
            )


def app() -> object:
    """The application in one server process, with the settings of the environment."""
    from shim.app import create_app

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    sys.setswitchinterval(0.001)  # the writer's thread is waited for: let it have its turn
    gc.freeze()  # what is there now stays, and need not be looked at again and again
    gc.set_threshold(50_000, 20, 100)  # a batch makes thousands of tuples, none of them in a cycle
    gc.enable()
    return create_app(Settings.from_env())


def listen(host: str, port: int) -> socket.socket:
    """A listening socket without Nagle's delay, as are the connections it accepts: small answers do not wait 40 ms."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise OSError(f"Cannot listen on {host}:{port}: {error.strerror}") from None
    listening.listen(BACKLOG)
    listening.set_inheritable(True)
    return listening


def _announce(settings: Settings, port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = f"http://{host}:{port}{settings.static_prefix}"
    print(
        f"MLflow API   {base}/api/2.0/mlflow",
        f"MLflow UI    {base}/",
        f"Native API   {base}/api/docs",
        sep="\n",
    )
    print(f"\nexport MLFLOW_TRACKING_URI={base}", flush=True)
