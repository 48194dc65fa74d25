"""What is imported: stores of MLflow's releases, each with its artifacts in a folder of its own, and a running server.

Releases other than this client's are in environments that `make imports` makes.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import NullPool, create_engine, make_url

from compat_tests import processes, servers
from compat_tests.importing import reading
from compat_tests.importing.reading import Seen

ROOT = Path(__file__).parents[2]
MAKE_DATA = Path(__file__).with_name("make_data.py")
NEWEST = "3.17"
PATIENCE = 300

ALLOWED_FOLDERS = {"MLFLOW_ALLOW_FILE_STORE": "true"}
"""Newer releases of MLflow want to be asked twice for a folder of files."""


@dataclass(frozen=True)
class Source:
    """What a release logs to, `store`, and what is imported of it: the same, or what stands behind it.

    `kept` is where its server, if it has one, keeps the files that it calls `mlflow-artifacts:`.
    """

    release: str
    folder: Path
    store: str
    imported: str
    kept: Path | None = None

    @property
    def copying(self) -> list[str]:
        """The options of an import that copies its files."""
        told = ["--artifacts-from", str(self.kept)] if self.kept and not is_address(self.imported) else []
        return ["--copy-artifacts", *told]

    def make(self, *options: str) -> None:
        """Let the release log to it."""
        command = [python_of(self.release), str(MAKE_DATA), self.store, *options]
        environment = {**os.environ, **ALLOWED_FOLDERS}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr[-2000:]

    def read(self, folder: Path) -> Seen:
        """What a client sees of it, through its own server or MLflow's newest over a copy."""
        if is_address(self.store):
            return reading.read(self.store)
        folder.mkdir()
        with serving_copy(self.store, folder) as uri, chdir(self.folder):  # MLflow 1.30 names places like ./mlruns/0
            return reading.read(uri)


def is_address(uri: str) -> bool:
    return uri.startswith("http://")


def python_of(release: str) -> str:
    return sys.executable if release == NEWEST else str(ROOT / f".venv-store-{release}" / "bin" / "python")


@contextmanager
def running(release: str, kind: str, folder: Path) -> Iterator[Source]:
    """An empty source of this kind, which ends with the block."""
    match kind:
        case "folder":
            yield Source(release, folder, str(folder / "mlruns"), str(folder / "mlruns"))
        case "sqlite":
            uri = f"sqlite:///{folder}/mlflow.db"
            yield Source(release, folder, uri, uri)
        case "postgresql":
            with processes.postgresql(folder) as url:
                yield Source(release, folder, with_driver(url), url)
        case "server":
            with servers.running_stock(folder) as uri:
                yield Source(release, folder, uri, uri, kept=folder / "artifacts")
        case "behind-server":
            with servers.running_stock(folder) as uri:
                yield Source(release, folder, uri, f"sqlite:///{folder}/tracking.db", kept=folder / "artifacts")
        case _:
            raise ValueError(kind)


def with_driver(url: str) -> str:
    """A PostgreSQL URL as MLflow is given it, which would take another driver by itself."""
    return url.replace("postgresql:", "postgresql+psycopg:", 1)


@contextmanager
def serving_copy(store: str, folder: Path) -> Iterator[str]:
    """The address of MLflow's newest server over a copy of a store, which is as old as its release."""
    if store.startswith("sqlite:"):
        copy = folder / "copy.db"
        shutil.copy(store.removeprefix("sqlite:///"), copy)
        place = f"sqlite:///{copy}"
        mlflow = shlex.split(os.environ.get("MLFLOW_COMMAND") or f"{sys.executable} -m mlflow")
        subprocess.run([*mlflow, "db", "upgrade", place], check=True, capture_output=True, timeout=PATIENCE)
    elif store.startswith("postgresql"):
        place = copied_database(store)
    else:
        place = str(shutil.copytree(store, folder / "copy"))
    with servers.running_stock(folder, ["--backend-store-uri", place], ALLOWED_FOLDERS) as uri:
        yield uri


def copied_database(url: str) -> str:
    """The URL of a copy of a PostgreSQL database that nobody is using, in the place of the last copy."""
    original = make_url(url)
    server = create_engine(original.set(database="template1"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS copy WITH (FORCE)")
        connection.exec_driver_sql(f"CREATE DATABASE copy TEMPLATE {original.database}")
    return original.set(database="copy").render_as_string(hide_password=False)
