"""The commands that keep a database of ours and its folder of artifacts in order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, CompletedProcess, Popen, run

from compat_tests import processes, servers

PATIENCE = 120


@dataclass(frozen=True)
class Place:
    """A database of ours with its artifacts, in a folder of its own: where `servers.ours` has them."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "tracking.db"

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    @contextmanager
    def served(self) -> Iterator[processes.Server]:
        server = processes.Server(self.folder, [])
        try:
            server.start()
            yield server
        finally:
            server.stop()

    def run(self, name: str, *words: str, through: Sequence[str] = ()) -> CompletedProcess[str]:
        """A command on it, to its end; `through` is a program that calls it."""
        return run([*through, *self._command(name, *words)], capture_output=True, text=True, timeout=PATIENCE)

    def begin(self, name: str, *words: str) -> Popen[str]:
        """A command on it that is only begun."""
        return Popen(self._command(name, *words), stdout=PIPE, stderr=PIPE, text=True)

    def _command(self, name: str, *words: str) -> list[str]:
        place = ["--database-url", f"sqlite:///{self.database}", "--artifacts-destination", str(self.artifacts)]
        return [*servers.program(), name, *words, *place]

    def files(self) -> dict[str, str]:
        """The digest of every file in the folder, the database's among them."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def assert_sound(self) -> None:
        """The doctor has nothing to say."""
        done = self.run("doctor", "--checksums")
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
        assert "Nothing found" in done.stderr


OBEYING = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
"""Calls a program that the modes of files bind, also if this user is one whom they do not bind."""
