"""create_app(): the only place where the surfaces, the settings and the database meet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from native_api import routes
from native_api.core import access_tokens, accounts, db, schema, stores, wal
from native_api.core.writer import Writer
from native_api.routes.auth import Accounts
from native_api.routes.endpoints import endpoints as native
from native_api.settings import Settings
from native_api.web.asgi import App, Opened
from native_api.web.auth import Guard
from native_api.web.endpoint import Door, Surface
from shim import endpoints
from shim.artifacts import Files
from shim.errors import refuse
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
                    yield Opened(door, surfaces(settings, guard), settings.is_open)
                finally:
                    guard.close()
                    await door.close()
        finally:
            reader.dispose()
            writing.dispose()

    return App(open_)


def surfaces(settings: Settings, guard: Guard) -> list[Surface]:
    """Every API that this server speaks."""
    files = Files(stores.open_store(settings.artifacts_destination, proxy_only=settings.proxy_only))
    client, ui = endpoints.TRACKING_3_PREFIX, endpoints.TRACKING_3_UI_PREFIX
    lists = [
        (
            "tracking",
            endpoints.PREVIEW_PREFIXES,
            [*endpoints.tracking(settings.artifact_root), *endpoints.tracked_artifacts(files)],
        ),
        ("model registry", endpoints.PREVIEW_PREFIXES, endpoints.model_registry()),
        ("logged models", endpoints.TRACKING_PREFIXES, endpoints.tracking_models()),
        ("tracking 3.0", (client,), endpoints.tracking_3(files)),
        ("tracking 3.0 for the UI", (ui,), endpoints.tracking_3_ui(files)),
        ("artifact proxy", endpoints.ARTIFACT_PREFIXES, endpoints.proxied_artifacts(files)),
        ("pages", endpoints.ROOT_PREFIXES, endpoints.pages(files)),
    ]
    mlflow = [
        Surface(name, prefixes, rows, read, render, refuse, {}, guard.in_workspace) for name, prefixes, rows in lists
    ]
    workspaces = Surface("workspaces", (client, ui), endpoints.workspaces(), read, render, refuse, {}, guard.anywhere)
    own = Accounts(guard, settings.token_minutes, settings.registration == "open")
    return [*mlflow, workspaces, routes.surface(native(own, settings.artifact_root), guard.anywhere)]
