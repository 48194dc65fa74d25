"""create_app(): the only place where the surfaces, the settings and the database meet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import chain

from native_api import routes
from native_api.core import access_tokens, accounts, db, schema, stores, wal
from native_api.core.writer import Writer
from native_api.routes.auth import Accounts
from native_api.routes.endpoints import endpoints as native
from native_api.settings import Settings
from native_api.web.asgi import App, Opened
from native_api.web.auth import Guard
from native_api.web.endpoint import Door, Identify, Row, Surface
from native_api.web.sessions import Sessions
from shim import endpoints
from shim.artifacts import Files
from shim.errors import refuse, refuse_ui
from shim.ui import build
from shim.ui.pages import Pages
from shim.ui.people import People
from shim.wire import read, render

READERS = {"sqlite": 4, "postgresql": 8}
WRITERS = {"sqlite": 1, "postgresql": 2}


def create_app(settings: Settings) -> App:
    """The server as an ASGI application. The database must be at the schema of this release."""

    @asynccontextmanager
    async def open_() -> AsyncIterator[Opened]:
        url = db.parse_url(settings.database_url)
        kind = url.get_backend_name()
        keys = access_tokens.load_keys(settings.secret_key, settings.key_file)
        reader, writing = db.create_reader(url, READERS[kind]), db.create_writer(url, WRITERS[kind])
        try:
            schema.check(writing)
            with wal.kept_short(url) as committed:
                writer = Writer(writing, WRITERS[kind], committed)
                await writer.write(partial(accounts.set_up, artifact_root=settings.artifact_root))
                door = Door(reader, writer, READERS[kind])
                guard = Guard(keys, is_open=settings.is_open)
                await guard.open(door)
                try:
                    yield Opened(door, surfaces(settings, guard), settings.hosts)
                finally:
                    guard.close()
                    await door.close()
        finally:
            reader.dispose()
            writing.dispose()

    return App(open_, settings.static_prefix)


def surfaces(settings: Settings, guard: Guard) -> list[Surface]:
    """Every API that this server speaks."""
    files = Files(stores.open_store(settings.artifacts_destination, proxy_only=settings.proxy_only))
    sessions = Sessions(settings.token_minutes, settings.static_prefix or "/")
    in_workspace, anywhere, in_ui = guard.in_workspace, guard.anywhere, guard.in_ui
    tracking = [*endpoints.tracking(settings.artifact_root), *endpoints.tracked_artifacts(files)]
    mlflow = [
        _mlflow("tracking", endpoints.PREVIEW_PREFIXES, tracking, in_workspace),
        _mlflow("model registry", endpoints.PREVIEW_PREFIXES, endpoints.model_registry(), in_workspace),
        _mlflow("logged models", endpoints.TRACKING_PREFIXES, endpoints.tracking_models(), in_workspace),
        _mlflow("tracking 3.0", endpoints.TRACKING_3_PREFIXES, endpoints.tracking_3(files), in_workspace),
        _mlflow("workspaces", endpoints.WORKSPACE_PREFIXES, endpoints.workspaces(), anywhere),
        _mlflow("artifact proxy", endpoints.ARTIFACT_PREFIXES, endpoints.proxied_artifacts(files), in_workspace),
        _mlflow("UI 2.0", endpoints.UI_PREFIXES, endpoints.ui(People(guard, sessions)), in_ui),
        _mlflow("UI 3.0", endpoints.UI_3_PREFIXES, endpoints.ui_3(), in_ui),
        _mlflow("UI at the root", endpoints.ROOT_PREFIXES, endpoints.ui_root(files), in_workspace),
        _mlflow("pages", endpoints.ROOT_PREFIXES, endpoints.pages(Pages(build.find(), guard, sessions)), anywhere),
    ]
    own = Accounts(guard, settings.token_minutes, settings.registration == "open")
    return [*chain(*mlflow), routes.surface(native(own, settings.artifact_root), anywhere)]


def _mlflow(name: str, prefixes: Sequence[str], rows: Sequence[Row], identify: Identify) -> list[Surface]:
    """A part of MLflow's API, for clients and for the UI, which are refused in other ways."""
    for_ui = [prefix for prefix in prefixes if prefix.startswith("/ajax-api") or not prefix]
    for_clients = [prefix for prefix in prefixes if prefix not in for_ui]
    return [
        Surface(name, some, rows, read, render, refuse_, {}, identify)
        for some, refuse_ in ((for_clients, refuse), (for_ui, refuse_ui))
        if some
    ]
