"""Servers as processes: ours, and MLflow's own to measure it by."""

import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import STDOUT, Popen, TimeoutExpired
from urllib.request import urlopen

START_SECONDS = 90
STOP_SECONDS = 15


def program() -> list[str]:
    """How our program is called."""
    installed = Path(__file__).parents[1] / ".venv/bin/mlflow-shim"
    return shlex.split(os.environ.get("MLFLOW_SHIM_COMMAND") or str(installed))


def ours(folder: Path, port: int) -> list[str]:
    return [
        *program(),
        *("serve", "--host", "127.0.0.1", "--port", str(port)),
        *("--database-url", f"sqlite:///{folder}/tracking.db"),
        *("--artifacts-destination", f"{folder}/artifacts"),
    ]


def stock(folder: Path, port: int) -> list[str]:
    return [
        *shlex.split(os.environ.get("MLFLOW_COMMAND") or f"{sys.executable} -m mlflow"),
        *("server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/tracking.db"),
        *("--artifacts-destination", f"{folder}/artifacts"),
    ]


@contextmanager
def running_stock(
    folder: Path, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address of MLflow's own server, which keeps all it has in this folder and ends with the block.

    `options` are added to its command line, and `environment` to what this process has.
    """
    port = free_port()
    uri, log = f"http://127.0.0.1:{port}", folder / "server.log"
    command = [*stock(folder, port), *options]
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **(environment or {})}
    # A group of its own, for it leaves its workers behind when only the parent is told to stop.
    with (
        log.open("wb") as out,
        Popen(command, cwd=folder, env=env, stdout=out, stderr=STDOUT, process_group=0) as process,
    ):
        try:
            wait_until_healthy(uri, process, log)
            yield uri
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
                with suppress(TimeoutExpired):
                    process.wait(STOP_SECONDS)
                os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_healthy(uri: str, process: Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urlopen(f"{uri}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not answer:\n{log.read_text(errors='replace')[-4000:]}")
