"""create_app(): the only place where the surfaces, the settings and the database meet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from native_api import routes
from native_api.core import accounts, db, schema
from native_api.core.blobs import Folder
from native_api.core.writer import Writer
from native_api.settings import Settings
from native_api.web.asgi import App, Opened
from native_api.web.auth import OpenAccess
from native_api.web.endpoint import Door, Surface
from shim import endpoints
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
        reader, writing = db.create_reader(url, READERS[kind]), db.create_writer(url, WRITERS[kind])
        try:
            schema.check(writing)
            writer = Writer(writing, WRITERS[kind])
            await writer.write(partial(accounts.set_up, artifact_root=settings.artifact_root))
            door = Door(reader, writer, READERS[kind])
            owner = await door.read(accounts.local_owner)
            try:
                yield door, surfaces(settings, OpenAccess(owner, accounts.DEFAULT))
            finally:
                await door.close()
        finally:
            reader.dispose()
            writing.dispose()

    return App(open_)


def surfaces(settings: Settings, identify: OpenAccess) -> list[Surface]:
    """Every API that this server speaks."""
    folder = Folder(settings.artifacts_destination)
    lists = [
        ("tracking", endpoints.TRACKING_PREFIXES, endpoints.tracking(settings.artifact_root, folder)),
        ("tracking 3.0", endpoints.TRACKING_3_PREFIXES, endpoints.tracking_3()),
        ("artifact proxy", endpoints.ARTIFACT_PREFIXES, endpoints.proxied_artifacts(folder)),
        ("pages", endpoints.ROOT_PREFIXES, endpoints.pages(folder)),
    ]
    mlflow = [Surface(name, prefixes, rows, read, render, refuse, {}, identify) for name, prefixes, rows in lists]
    return [*mlflow, routes.surface(identify)]
