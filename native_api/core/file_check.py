"""The files that rows name, looked for in the store."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection

from native_api.core import file_rows
from native_api.core.blobs import Store
from native_api.core.errors import Invalid, NotFound
from native_api.core.file_rows import FileRow

LOOKERS = 16
"""How many files are looked at at once: a bucket takes its time to answer."""

PAUSES = (0.1, 0.5)
"""Before each further look at what seemed wrong, in seconds: a file is in its place shortly before its row is."""

MISSING = "is not in the store"


class FileCheck:
    """Looks for the file of each row. `now` gives rows as they are by now, outside of the snapshot that is examined.

    With `checksums` it reads all of them.
    """

    def __init__(self, store: Store, now: Callable[[list[str]], list[FileRow]], *, checksums: bool = False) -> None:
        self._store, self._now, self._checksums = store, now, checksums
        self.found = 0
        """How many of the files are in the store."""

    def examine(self, conn: Connection) -> Iterator[str]:
        """What is missing, or is not what its row says, in a line each."""
        with ThreadPoolExecutor(LOOKERS) as pool:
            for rows in file_rows.pages(conn):
                wrong = self._wrong(pool, rows)
                for pause in PAUSES if wrong else ():
                    time.sleep(pause)
                    wrong = self._wrong(pool, self._now([row.run_artifact_id for row, _ in wrong]))
                self.found += len(rows) - sum(words == MISSING for _, words in wrong)
                for row, words in wrong:
                    yield f"run_artifacts: {row.run_artifact_id}, file {row.key!r} {words}"

    def _wrong(self, pool: ThreadPoolExecutor, rows: Sequence[FileRow]) -> list[tuple[FileRow, str]]:
        return [(row, words) for row, words in zip(rows, pool.map(self._look, rows), strict=True) if words]

    def _look(self, row: FileRow) -> str | None:
        try:
            found = self._store.read(row.key, 0)
        except (NotFound, Invalid):
            return MISSING
        if row.size not in (None, found.size):
            return f"has {found.size} bytes, and should have {row.size}"
        if self._checksums and row.checksum is not None:
            digest = hashlib.sha256()
            for block in found.blocks(0, found.size):
                digest.update(block)
            if digest.hexdigest() != row.checksum:
                return "has another checksum than it should have"
        return None
