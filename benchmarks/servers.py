"""The servers measured, each as a process that starts on a given database and ends with its block."""

import json
import os
import shlex
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import STDOUT, Popen, TimeoutExpired
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks import wire

ROOT = Path(__file__).parents[1]
START_SECONDS = 300
STOP_SECONDS = 15


class Product(NamedTuple):
    """A server to measure; products of one `store` can open each other's databases."""

    name: str
    store: str
    command: Callable[[str, Path, int], list[str]]


class Server(NamedTuple):
    """A running one. `started` is the time from its command to its first answer, in seconds."""

    port: int
    pid: int
    started: float


def ours() -> Product:
    """This server: MLFLOW_SHIM_COMMAND, else the one installed in .venv."""
    program = _program("MLFLOW_SHIM_COMMAND", ".venv/bin/mlflow-shim")

    def command(url: str, files: Path, port: int) -> list[str]:
        place = ["--port", str(port), "--database-url", url, "--artifacts-destination", str(files)]
        return [*program, "serve", "--host", "127.0.0.1", *place, "--migrate"]

    return Product("ours", "ours", command)


def mlflow(name: str, *options: str) -> Product:
    """MLflow's own server: MLFLOW_COMMAND, else the one installed in .venv-compat."""
    program = _program("MLFLOW_COMMAND", ".venv-compat/bin/mlflow")

    def command(url: str, files: Path, port: int) -> list[str]:
        store = url.replace("postgresql:", "postgresql+psycopg:", 1)
        place = ["--port", str(port), "--backend-store-uri", store, "--artifacts-destination", str(files)]
        return [*program, "server", "--host", "127.0.0.1", *place, *options]

    return Product(name, "mlflow", command)


def fasttrackml() -> Product:
    """G-Research's FastTrackML: FASTTRACKML_COMMAND, else the one installed in .venv-fasttrackml."""
    program = _program("FASTTRACKML_COMMAND", ".venv-fasttrackml/bin/fml")

    def command(url: str, files: Path, port: int) -> list[str]:
        database = url.replace("sqlite:////", "sqlite:///", 1)
        place = ["--listen-address", f"127.0.0.1:{port}", "--database-uri", database]
        return [*program, "server", *place, "--default-artifact-root", str(files)]

    return Product("FastTrackML", "fasttrackml", command)


PEERS = {
    "mlflow": lambda: mlflow("mlflow"),
    "mlflow-1": lambda: mlflow("mlflow, 1 worker", "--workers", "1"),
    "fasttrackml": fasttrackml,
}


def mlflow_python() -> str:
    """The Python that has the real client: the one beside MLflow's command."""
    return str(Path(_program("MLFLOW_COMMAND", ".venv-compat/bin/mlflow")[0]).with_name("python"))


def _program(variable: str, place: str) -> list[str]:
    return shlex.split(os.environ.get(variable, "")) or [str(ROOT / place)]


@contextmanager
def running(product: Product, url: str, folder: Path) -> Iterator[Server]:
    """A server that answers; its files and its log are kept in this folder."""
    port = _free_port()
    command = product.command(url, folder / "artifacts", port)
    environment = os.environ | {"DO_NOT_TRACK": "true"}
    begun = time.perf_counter()
    # A group of its own: MLflow's server leaves its workers behind when only the parent is told to stop.
    with (
        (folder / "server.log").open("ab") as log,
        Popen(command, cwd=folder, env=environment, stdout=log, stderr=STDOUT, process_group=0) as process,
    ):
        try:
            _wait(process, port, folder / "server.log")
            yield Server(port, process.pid, time.perf_counter() - begun)
        finally:
            _stop(process)


def version(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/version") as answer:
        return str(answer.read().decode())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: "Popen[bytes]", port: int, log: Path) -> None:
    """Until it shows its default experiment."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}{wire.API}experiments/get?experiment_id=0", timeout=5) as answer:
                json.load(answer)
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.01)
    raise RuntimeError(f"{process.args!r} does not answer:\n{log.read_text(errors='replace')[-4000:]}")


def _stop(process: "Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(TimeoutExpired):
            process.wait(STOP_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
