"""A real S3 server to test with: moto's, in a process of its own."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

_numbers = count()

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1"}


@dataclass(frozen=True)
class S3:
    """The server's address. It asks nobody for credentials, so that tests can look at what is there."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What who uses it has in the environment."""
        return ENVIRONMENT | {"AWS_ENDPOINT_URL": self.url}

    def new_bucket(self) -> str:
        """The name of an empty bucket."""
        name = f"bucket-{next(_numbers)}"
        region = b"<LocationConstraint>eu-west-1</LocationConstraint>"
        self.ask("PUT", f"/{name}", b"<CreateBucketConfiguration>%b</CreateBucketConfiguration>" % region)
        return name

    def keys(self, bucket: str) -> list[str]:
        """What is in a bucket."""
        return re.findall("<Key>(.*?)</Key>", self.ask("GET", f"/{bucket}?list-type=2").decode())

    def uploads(self, bucket: str) -> list[str]:
        """The keys of files that are put in parts and not complete."""
        return re.findall("<Key>(.*?)</Key>", self.ask("GET", f"/{bucket}?uploads").decode())

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """A file past the store that is tested."""
        self.ask("PUT", f"/{bucket}/{quote(key)}", content)

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        with urlopen(Request(self.url + path, body, method=method), timeout=30) as answer:
            content: bytes = answer.read()
        return content


@contextmanager
def running() -> Iterator[S3]:
    """The server, on a free port, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    quiet = subprocess.DEVNULL
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=quiet, stderr=quiet) as process:
        try:
            server = S3(f"http://127.0.0.1:{port}")
            _wait(server)
            yield server
        finally:
            process.terminate()


def _wait(server: S3) -> None:
    for _ in range(600):
        try:
            server.ask("GET", "/moto-api/")
            return
        except URLError:
            time.sleep(0.1)
    raise RuntimeError("The S3 server does not answer")
