"""The server that tests speak to, by name: ours on `sqlite` or `postgresql`, or MLflow's own, `stock`.

With `-s3` added, ours keeps artifacts in a bucket."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from compat_tests import processes, servers

TARGET = os.environ.get("COMPAT_TARGET", "sqlite")


@contextmanager
def running(
    name: str, folder: Path, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address of a fresh server, which ends with the block."""
    if name == "stock":
        with servers.running_stock(folder, options, environment) as uri:
            yield uri
    else:
        with processes.running(name, folder, options, environment) as server:
            yield server.uri
