"""What a server takes of the machine: the processor time and the memory of its whole tree of processes."""

import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import psutil

SAMPLE_SECONDS = 0.5
T = TypeVar("T")


@dataclass(frozen=True)
class Spent:
    """What a piece of work took: seconds by the clock, and processor seconds of the server and of this client."""

    seconds: float
    server: float
    client: float

    @classmethod
    def sum(cls, parts: "Sequence[Spent]") -> "Spent":
        return cls(
            sum(part.seconds for part in parts),
            sum(part.server for part in parts),
            sum(part.client for part in parts),
        )

    def scaled(self, factor: float) -> "Spent":
        return Spent(self.seconds * factor, self.server * factor, self.client * factor)


def watch(pid: int, work: Callable[[], T]) -> tuple[T, Spent]:
    """Do this work while the server `pid` serves it."""
    server, client, clock = cpu_seconds(pid), _own_seconds(), time.perf_counter()
    result = work()
    seconds = time.perf_counter() - clock
    return result, Spent(seconds, cpu_seconds(pid) - server, _own_seconds() - client)


def _own_seconds() -> float:
    """With the children that ended: the real client is one."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def cpu_seconds(pid: int) -> float:
    """The processor time of the process, of those below it and of those that ended below it."""
    total = 0.0
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def memory(pid: int) -> int:
    """Bytes that the process and those below it hold; what they share is counted once (not at all on macOS)."""
    total = 0
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            held = process.memory_full_info()
            total += held.pss if sys.platform == "linux" else held.uss
    return total


def _tree(pid: int) -> "list[psutil.Process]":
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


class Peak:
    """The most memory that was seen, in bytes: since the beginning, and since the last look."""

    def __init__(self, pid: int) -> None:
        self._pid, self._recent, self.most = pid, 0, 0

    def sample(self) -> None:
        self._recent = max(self._recent, memory(self._pid))
        self.most = max(self.most, self._recent)

    def look(self) -> int:
        self.sample()
        recent, self._recent = self._recent, 0
        return recent


@contextmanager
def peak(pid: int) -> Iterator[Peak]:
    """Look at the memory of a server twice a second, for as long as the block lasts."""
    seen, over = Peak(pid), threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            with suppress(psutil.NoSuchProcess):
                seen.sample()

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
