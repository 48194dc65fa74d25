"""The database as a command opens it, while a server may be running on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from native_api.core import db, schema
from native_api.settings import Settings


@contextmanager
def opened(settings: Settings, create: Callable[[URL, int], Engine] = db.create_writer) -> Iterator[Engine]:
    """The database of the settings. An SQLite file is brought up to date first; raises SchemaError for any other."""
    url = db.parse_url(settings.database_url)
    if db.is_sqlite(url):
        schema.upgrade(url)
    engine = create(url, 1)
    try:
        schema.check(engine)
        yield engine
    finally:
        engine.dispose()
