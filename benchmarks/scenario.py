"""What a scenario is: a load on a running server, and the figure that comes of it."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Literal, NamedTuple

from benchmarks import processes, wire
from benchmarks.processes import Spent
from benchmarks.sample import Sample, Size
from benchmarks.servers import Server


class Data(Enum):
    """What the database holds when the server starts."""

    NOTHING = "nothing"
    SAMPLE = "the sample"


class Target(NamedTuple):
    """A server under load, and what its database was filled with."""

    server: Server
    memory: processes.Peak
    sample: Sample
    size: Size

    @property
    def port(self) -> int:
        return self.server.port

    def exchange(
        self, lanes: Sequence[wire.Lane], seconds: float = float("inf"), pace: float = 0
    ) -> tuple[wire.Exchange, Spent]:
        return processes.watch(self.server.pid, partial(wire.exchange, self.port, lanes, seconds, pace))


class NotServed(Exception):
    """The server does not do such a thing at all."""


@dataclass(frozen=True)
class Times:
    """How long single operations took, in milliseconds."""

    p50: float
    p95: float
    p99: float
    most: float

    @classmethod
    def of(cls, answers: Sequence[wire.Answer]) -> "Times":
        times = [answer.seconds * 1000 for answer in answers]
        return cls(*(percentile(times, percent) for percent in (50, 95, 99, 100)))


@dataclass(frozen=True)
class Outcome:
    """What one go came to: `value` in the scenario's unit, over `count` operations.

    `scaled`: it was cut short, and the value is that of the whole in proportion.
    """

    value: float
    count: int
    spent: Spent
    times: Times | None = None
    failed: int = 0
    scaled: bool = False


Unit = Literal["ms", "s", "MiB", "req/s", "metrics/s", "runs/s", "MB/s", "files/s"]
LESS_IS_BETTER: tuple[Unit, ...] = ("ms", "s", "MiB")


class Scenario(NamedTuple):
    """`run` checks the answers' contents as well, and raises AssertionError where they are wrong."""

    name: str
    unit: Unit
    needs: Data
    run: Callable[[Target], Outcome]


def latency(done: wire.Exchange, spent: Spent) -> Outcome:
    """The median time of an answer, in milliseconds."""
    times = Times.of(done.answers)
    return Outcome(times.p50, len(done.answers), spent, times, done.failed)


def rate(done: wire.Exchange, spent: Spent, each: float = 1) -> Outcome:
    """How often per second, where an answer counts for `each`."""
    return Outcome(done.rate * each, len(done.answers), spent, Times.of(done.answers), done.failed)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that this many per cent do not exceed, between two neighbours in proportion."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def walks(
    target: Target, pages: Callable[[], wire.Lane], whole: int, most: int = 10
) -> tuple[Outcome, list[wire.Answer]]:
    """Seconds for all `whole` pages, the median of several walks after a first one, and the answers of the last.

    A server whose first walk outlasts our patience walks no more, and its figure is scaled up.
    """
    patience = target.size.patience
    done, spent = target.exchange([pages()], patience)
    if len(done.answers) < whole:
        share = len(done.answers) / whole
        return Outcome(spent.seconds / share, 1, spent, scaled=True), done.answers
    taken: list[Spent] = []
    while not taken or (len(taken) < most and sum(spent.seconds for spent in taken) < patience):
        done, spent = target.exchange([pages()])
        taken.append(spent)
    return Outcome(statistics.median(spent.seconds for spent in taken), len(taken), Spent.sum(taken)), done.answers
