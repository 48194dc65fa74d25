"""SQLite's write-ahead log, kept short beside the writer.

A commit appends to the log; now and then what is in it must go into the database file, with two more trips to the disk.
Left to the connection that commits, that stops all writes for a tenth of a second. Done beside it, little is left for
the writer to copy when the log reaches its limit (`wal_autocheckpoint`) and begins anew.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from native_api.core import db

INTERVAL_SECONDS = 0.25
"""Between two passes while there are commits: pages that change all the time would be copied at each."""

logger = logging.getLogger(__name__)


@contextmanager
def kept_short(url: URL) -> Iterator[Callable[[], None]]:
    """Have a thread copy the log meanwhile; gives what the writer calls after each commit.

    The thread takes what it can get without waiting for readers, and no writer waits for it. PostgreSQL has its own.
    """
    if not db.is_sqlite(url):
        yield lambda: None
        return
    committed, stopping = threading.Event(), threading.Event()
    engine = db.create_reader(url, 1)
    thread = threading.Thread(target=_copy, args=(engine, committed, stopping), name="checkpointer", daemon=True)
    thread.start()
    try:
        yield committed.set
    finally:
        stopping.set()
        committed.set()
        thread.join()
        engine.dispose()


def _copy(engine: Engine, committed: threading.Event, stopping: threading.Event) -> None:
    with closing(engine.raw_connection()) as connection:
        while committed.wait():
            committed.clear()  # before a look at `stopping`, which is set first: so neither is missed
            if stopping.wait(INTERVAL_SECONDS):
                return
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
            except sqlite3.Error as error:  # a full disk, say: the writer meets it too, and tells its callers
                logger.warning("The write-ahead log could not be copied: %s", error)
