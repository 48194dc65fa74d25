"""Files, through the server to its folder and back."""

import hashlib
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import processes, wire
from benchmarks.checks import require
from benchmarks.processes import Spent
from benchmarks.scenario import NotServed, Outcome, Target, rate
from benchmarks.scenarios.logging import new_runs

CLIENTS = 8
SMALL = bytes(range(256)) * 40
REPEATS = 3
PROXIED = "mlflow-artifacts:/"


def put_large(target: Target) -> Outcome:
    return _put(target, target.size.megabytes, REPEATS)


def get_large(target: Target) -> Outcome:
    return _get(target, target.size.megabytes, REPEATS)


def put_huge(target: Target) -> Outcome:
    return _put(target, target.size.more_megabytes, 1)


def get_huge(target: Target) -> Outcome:
    return _get(target, target.size.more_megabytes, 1)


def _put(target: Target, megabytes: int, repeats: int) -> Outcome:
    with _file(megabytes) as (file, digest):
        path = f"{_folder(target.port)}/large"
        outcome = _throughput(target, megabytes, repeats, partial(wire.upload, target.port, path, file))
        _check(target.port, path, digest)
    return outcome


def _get(target: Target, megabytes: int, repeats: int) -> Outcome:
    """What comes is thrown away while it is timed, then read once more and compared."""
    with _file(megabytes) as (file, digest):
        path = f"{_folder(target.port)}/large"
        wire.upload(target.port, path, file)
        fetch = partial(wire.download, target.port, path, lambda block: None)
        outcome = _throughput(target, megabytes, repeats, fetch)
        _check(target.port, path, digest)
    return outcome


@contextmanager
def _file(megabytes: int) -> Iterator[tuple[Path, str]]:
    """A file and its hash."""
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(megabytes):
            block = os.urandom(1_000_000)
            digest.update(block)
            file.write(block)
        file.flush()
        yield Path(file.name), digest.hexdigest()


def _folder(port: int) -> str:
    """Where a run's artifacts are found over HTTP; raises NotServed when clients are to write past the server."""
    (run_id,) = new_runs(port, 1)
    (answer,) = wire.ask(port, wire.get("runs/get", run_id=run_id))
    uri: str = answer["run"]["info"]["artifact_uri"]
    if not uri.startswith(PROXIED):
        raise NotServed
    return wire.ARTIFACTS + uri.removeprefix(PROXIED)


def _throughput(target: Target, megabytes: int, repeats: int, move: Callable[[], None]) -> Outcome:
    taken = [processes.watch(target.server.pid, move)[1] for _ in range(repeats)]
    seconds = statistics.median(spent.seconds for spent in taken)
    return Outcome(megabytes / seconds, repeats, Spent.sum(taken))


def _check(port: int, path: str, digest: str) -> None:
    seen = hashlib.sha256()
    wire.download(port, path, seen.update)
    require(seen.hexdigest() == digest, "the same bytes back")


def put_small(target: Target) -> Outcome:
    return rate(*_put_small(target, _folder(target.port)))


def get_small(target: Target) -> Outcome:
    folder = _folder(target.port)
    _put_small(target, folder)
    lanes = [[wire.request("GET", path) for path in lane] for lane in _paths(target, folder)]
    done, spent = target.exchange(lanes)
    require(all(answer.body == SMALL for answer in done.answers), "the same bytes back")
    return rate(done, spent)


def _put_small(target: Target, folder: str) -> tuple[wire.Exchange, Spent]:
    lanes = [[wire.request("PUT", path, SMALL) for path in lane] for lane in _paths(target, folder)]
    done, spent = target.exchange(lanes)
    for answer in done.answers:
        answer.content()
    return done, spent


def _paths(target: Target, folder: str) -> list[list[str]]:
    """For each client, its share."""
    paths = [f"{folder}/small/{number}.bin" for number in range(target.size.files)]
    return [paths[n::CLIENTS] for n in range(CLIENTS)]
