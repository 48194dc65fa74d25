"""A large file goes up and comes down, and the server holds a few blocks of it."""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from compat_tests import processes

MEGABYTE = 1024 * 1024
SIZE = 1024 * MEGABYTE
MAX_GROWTH = 32 * MEGABYTE
BLOCK = os.urandom(MEGABYTE)
JSON = {"Content-Type": "application/json"}


class Passed(NamedTuple):
    """How fast a file went up and came down, in megabytes a second, and the most memory that the server held."""

    up: float
    down: float
    memory: int

    def __str__(self) -> str:
        return f"up {self.up:.0f} MB/s, down {self.down:.0f} MB/s"


def passing(uri: str, size: int, memory: Callable[[], int]) -> Passed:
    """Send a file to a run and fetch it again: it must be the same."""
    with closing(HTTPConnection(urlsplit(uri).netloc)) as connection:
        connection.request("POST", "/api/2.0/mlflow/runs/create", json.dumps({"experiment_id": "0"}), JSON)
        run = json.load(connection.getresponse())["run"]["info"]
        path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run['run_id']}/artifacts/large.bin"
        seen, blocks = [0], size // MEGABYTE

        def body() -> Iterator[bytes]:
            for number in range(blocks):
                yield BLOCK
                if number % 16 == 0:
                    seen.append(memory())

        began = time.perf_counter()
        connection.request("PUT", path, body(), {"Content-Length": str(size)})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        uploaded = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        came, sent = hashlib.sha256(), hashlib.sha256()
        for number in range(blocks):
            came.update(answer.read(MEGABYTE))
            if number % 16 == 0:
                seen.append(memory())
        assert answer.read() == b""
        downloaded = time.perf_counter()
    for _ in range(blocks):
        sent.update(BLOCK)
    assert came.digest() == sent.digest()
    megabytes = size / 1e6
    return Passed(megabytes / (uploaded - began), megabytes / (downloaded - uploaded), max(seen))


only_linux = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells so much of a process"
)


@only_linux
@pytest.mark.parametrize(
    ("database", "size"),
    [
        ("sqlite", SIZE),
        pytest.param(
            "sqlite-s3", SIZE // 4, marks=pytest.mark.skipif(not find_spec("moto"), reason="there is no S3 server here")
        ),
    ],
)
def test_a_large_file_passes_through_a_few_megabytes(database: str, size: int) -> None:
    # Not below pytest's own folder: it would keep the file for its next three sessions.
    with tempfile.TemporaryDirectory() as place, processes.running(database, Path(place)) as server:
        passing(server.uri, MEGABYTE, server.memory)  # what a first file makes stays
        before = server.memory()
        passed = passing(server.uri, size, server.memory)
        print(f"{size // MEGABYTE} MiB, {database}: {passed}, {(passed.memory - before) / MEGABYTE:.1f} MiB more")
        assert passed.memory - before < MAX_GROWTH
