"""A file of a gigabyte goes up and comes down, and the server holds no more of it than a few blocks."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from compat_tests import processes

MEGABYTE = 1024 * 1024
SIZE = 1024 * MEGABYTE
MAX_GROWTH = 32 * MEGABYTE
BLOCK = os.urandom(MEGABYTE)
JSON = {"Content-Type": "application/json"}


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells so much of a process")
def test_a_gigabyte_passes_through_a_few_megabytes() -> None:
    with (
        tempfile.TemporaryDirectory() as place,  # pytest would keep the file for its next three sessions
        processes.running("sqlite", Path(place)) as server,
        closing(HTTPConnection(urlsplit(server.uri).netloc)) as connection,
    ):
        connection.request("POST", "/api/2.0/mlflow/runs/create", json.dumps({"experiment_id": "0"}), JSON)
        run = json.load(connection.getresponse())["run"]["info"]
        path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run['run_id']}/artifacts/large.bin"
        before, seen = server.memory(), [0]

        def body() -> Iterator[bytes]:
            for number in range(SIZE // MEGABYTE):
                yield BLOCK
                if number % 16 == 0:
                    seen.append(server.memory())

        connection.request("PUT", path, body(), {"Content-Length": str(SIZE)})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"{}")

        connection.request("GET", path)
        answer = connection.getresponse()
        came = hashlib.sha256()
        for number in range(SIZE // MEGABYTE):
            came.update(answer.read(MEGABYTE))
            if number % 16 == 0:
                seen.append(server.memory())
        assert answer.read() == b""
        sent = hashlib.sha256()
        for _ in range(SIZE // MEGABYTE):
            sent.update(BLOCK)
        assert came.digest() == sent.digest()
        assert max(seen) - before < MAX_GROWTH
