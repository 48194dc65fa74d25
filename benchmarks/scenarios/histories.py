"""Long histories: whole, page by page as the client asks for them, and thinned out for a chart."""

import math
from collections.abc import Generator
from typing import Any

from benchmarks import sample, wire
from benchmarks.checks import require
from benchmarks.scenario import Outcome, Target, latency, walks
from benchmarks.scenarios.searches import next_page

PAGE = 25_000  # of MLflow's client
MOST_POINTS = 2_500


def page_through(target: Target) -> Outcome:
    points = target.size.history
    outcome, answers = walks(target, lambda: _pages(target.sample.history_id), math.ceil(points / PAGE))
    shown = [point for answer in answers for point in answer.message()["metrics"]]
    require([point["step"] for point in shown] == list(range(len(shown))), "every point once, in order of their steps")
    _check_values(shown)
    require(outcome.scaled or len(shown) == points, "the history to its end")
    return outcome


def _pages(run_id: str) -> Generator[bytes, wire.Answer | None, None]:
    query = {"run_id": run_id, "metric_key": sample.SERIES, "max_results": str(PAGE)}
    answer = yield wire.get("metrics/get-history", **query)
    while token := next_page(answer):
        answer = yield wire.get("metrics/get-history", **query, page_token=token)


def bulk_interval(target: Target) -> Outcome:
    """What MLflow's UI asks for to draw one metric of several runs."""
    run_ids = list(target.sample.series_ids)
    query = {"run_ids": run_ids, "metric_key": sample.SERIES, "max_results": str(MOST_POINTS)}
    request = wire.get("metrics/get-history-bulk-interval", wire.AJAX_API, **query)
    done, spent = target.exchange([[request] * 20], target.size.seconds)
    shown = done.answers[-1].message()["metrics"]
    steps = {run_id: [point["step"] for point in shown if point["run_id"] == run_id] for run_id in run_ids}
    last = target.size.points - 1
    require(all(told[0] == 0 and told[-1] == last for told in steps.values()), "each run from its first to its last")
    require(all(told == sorted(set(told)) for told in steps.values()), "no step twice")
    _check_values(shown)
    return latency(done, spent)


def _check_values(points: list[dict[str, Any]]) -> None:
    require(all(point["value"] == sample.value_at(point["step"]) for point in points), "the values as logged")
