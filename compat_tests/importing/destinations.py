"""Where an import goes: a database of ours with its artifacts, and the server over both."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from compat_tests import processes, servers
from compat_tests.importing import reading
from compat_tests.importing.reading import Seen
from compat_tests.importing.sources import PATIENCE, Source, with_driver


@dataclass(frozen=True)
class Destination:
    """A database of ours, its reports and logs in a folder, and where its files are."""

    folder: Path
    url: str
    artifacts: Path

    @property
    def options(self) -> list[str]:
        return ["--database-url", self.url, "--artifacts-destination", str(self.artifacts)]

    def command(self, source: Source, options: Sequence[str]) -> list[str]:
        return [*servers.program(), "import", source.imported, *self.options, *options]

    def bring_in(self, source: Source, *options: str) -> dict[str, Any]:
        """The report of an import, which is complete and verified."""
        report = self.folder / "report.json"
        command = self.command(source, ["--report", str(report), *options])
        done = subprocess.run(command, cwd=source.folder, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        told: dict[str, Any] = json.loads(report.read_text())
        return told

    def read(self) -> Seen:
        """What a client sees of it."""
        server = processes.Server(self.folder, self.options)
        server.start()
        try:
            return reading.read(server.uri)
        finally:
            server.stop()

    def count(self, table: str) -> int:
        """How many rows a table has; none where there is no table yet."""
        place = with_driver(self.url)
        if place.startswith("sqlite:"):  # only to read, or SQLite makes the file that is not there yet
            place = place.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
        engine = create_engine(place, poolclass=NullPool)
        with suppress(DBAPIError), engine.connect() as connection:
            return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)
        return 0


@contextmanager
def fresh(kind: str, folder: Path) -> Iterator[Destination]:
    """An empty one, on `sqlite` or `postgresql`, which ends with the block."""
    if kind == "sqlite":
        yield Destination(folder, f"sqlite:///{folder}/tracking.db", folder / "artifacts")
        return
    with processes.postgresql(folder) as url:
        made = Destination(folder, url, folder / "artifacts")
        subprocess.run([*servers.program(), "db", "upgrade", "--database-url", url], check=True, capture_output=True)
        yield made
