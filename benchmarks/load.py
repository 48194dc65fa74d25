"""A mixed load at an even pace: clients that log batches and, every fifth time, look at what is there."""

from collections.abc import Generator
from enum import Enum
from typing import NamedTuple

from benchmarks import wire
from benchmarks.processes import Spent
from benchmarks.scenario import Target
from benchmarks.scenarios import logging, searches

CLIENTS = 16
PACE_SECONDS = 0.2
STEPS = 10
LOOK_EVERY = 5


class Kind(Enum):
    LOG_BATCH = f"log-batch of {STEPS * logging.KEYS}"
    FIRST = "first 100 by a metric"
    FILTER = "filter by a metric and a param"
    GET = "runs/get"


LOOKS = {
    Kind.FIRST: searches.first_by("accuracy", 100),
    Kind.FILTER: searches.filtered_by(100),
}


class Call(NamedTuple):
    kind: Kind
    answer: wire.Answer


class Load:
    """Each client logs to its own run, begins a request every PACE_SECONDS, and goes on where it was interrupted."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._run_ids = logging.new_runs(target.port, CLIENTS)
        self._acknowledged: list[list[bool]] = [[] for _ in range(CLIENTS)]
        self._asked: list[list[Kind]] = [[] for _ in range(CLIENTS)]
        self._lanes = [self._requests(client) for client in range(CLIENTS)]

    def go_on(self, seconds: float) -> tuple[list[Call], Spent]:
        done, spent = self._target.exchange(self._lanes, seconds, PACE_SECONDS)
        calls = []
        for asked, acknowledged, answers in zip(self._asked, self._acknowledged, done.lanes, strict=True):
            lane = [Call(*pair) for pair in zip(asked, answers, strict=True)]
            acknowledged += [call.answer.ok for call in lane if call.kind is Kind.LOG_BATCH]
            asked.clear()
            calls += lane
        return calls, spent

    def check(self) -> None:
        """That every batch acknowledged so far is there."""
        logging.check_logged(self._target.port, self._run_ids, "loss-0", self._acknowledged, STEPS)

    def _requests(self, client: int) -> Generator[bytes, object, None]:
        run_id, batches, looks = self._run_ids[client], 0, client
        while True:
            for turn in range(LOOK_EVERY):
                if turn != client % LOOK_EVERY:
                    self._asked[client].append(Kind.LOG_BATCH)
                    yield from logging.addressed([logging.batch(batches, STEPS)], run_id)
                    batches += 1
                else:
                    kind = (Kind.FIRST, Kind.FILTER, Kind.GET)[looks % 3]
                    self._asked[client].append(kind)
                    yield LOOKS.get(kind) or searches.run_of(run_id)
                    looks += 1
