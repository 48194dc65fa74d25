"""The tail of a mixed load: what the slowest one of a hundred waits for."""

from benchmarks.load import Kind, Load
from benchmarks.scenario import Outcome, Target, Times


def log_batch_p99(target: Target) -> Outcome:
    return _p99(target, [Kind.LOG_BATCH])


def search_p99(target: Target) -> Outcome:
    return _p99(target, [Kind.FIRST, Kind.FILTER])


def _p99(target: Target, kinds: list[Kind]) -> Outcome:
    load = Load(target)
    calls, spent = load.go_on(2 * target.size.seconds)
    load.check()
    answers = [call.answer for call in calls if call.kind in kinds]
    times = Times.of(answers)
    return Outcome(times.p99, len(calls), spent, times, sum(not answer.ok for answer in answers))
