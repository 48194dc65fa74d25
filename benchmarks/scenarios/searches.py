"""Searches through many runs, and one run with much in it."""

import math
import re
from collections.abc import Generator, Sequence

from benchmarks import sample, wire
from benchmarks.checks import require
from benchmarks.sample import Run
from benchmarks.scenario import Outcome, Target, latency, walks

PAGE = 1_000
TOKEN = re.compile(rb'"next_page_token": ?"([^"]+)"')
FILTER = "metrics.accuracy > 0.8 AND params.batch_size = '4'"


def first_100_cold(target: Target) -> Outcome:
    return _first(target, 100, "accuracy", repeats=1)


def first_100_warm(target: Target) -> Outcome:
    return _first(target, 100, "accuracy", repeats=50)


def first_1000_cold(target: Target) -> Outcome:
    return _first(target, 1_000, "loss", repeats=1)


def first_1000_warm(target: Target) -> Outcome:
    return _first(target, 1_000, "loss", repeats=50)


def _first(target: Target, size: int, metric: str, repeats: int) -> Outcome:
    """The two metrics put different runs first, so that the page of the one leaves that of the other cold."""
    done, spent = target.exchange([[first_by(metric, size)] * repeats], target.size.seconds)
    best = sorted(target.sample.runs, key=lambda run: run.metrics[metric], reverse=True)[:size]
    require(_runs(done.answers[-1]) == best, f"the {size} runs with the greatest {metric}, in order and whole")
    return latency(done, spent)


def first_by(metric: str, size: int) -> bytes:
    order = [f"metrics.{metric} DESC"]
    return wire.post("runs/search", {"experiment_ids": ["0"], "max_results": size, "order_by": order})


def filtered(target: Target) -> Outcome:
    """Some hundred hits, in the order in which MLflow shows runs: the last started first."""
    done, spent = target.exchange([[filtered_by(PAGE)] * 50], target.size.seconds)
    hits = [run for run in target.sample.runs if run.metrics["accuracy"] > 0.8 and run.params["batch_size"] == "4"]
    require(_runs(done.answers[-1]) == hits[::-1], "the runs that the filter describes, the last first")
    return latency(done, spent)


def filtered_by(size: int) -> bytes:
    return wire.post("runs/search", {"experiment_ids": ["0"], "max_results": size, "filter": FILTER})


def page_through(target: Target) -> Outcome:
    runs = target.sample.runs
    outcome, answers = walks(target, lambda: pages(PAGE), math.ceil(len(runs) / PAGE))
    shown = [run for answer in answers for run in _runs(answer)]
    require(shown == list(runs)[: -len(shown) - 1 : -1], "all runs, each once, the last first")
    return outcome


def pages(size: int) -> Generator[bytes, wire.Answer | None, None]:
    """All runs of the default experiment, page by page."""
    message = {"experiment_ids": ["0"], "max_results": size}
    answer = yield wire.post("runs/search", message)
    while token := next_page(answer):
        answer = yield wire.post("runs/search", message | {"page_token": token})


def next_page(answer: wire.Answer | None) -> str | None:
    """The token in this answer, without reading the rest of it: that would take longer than the server did."""
    body = answer.content() if answer else b""
    found = TOKEN.match(body, max(body.rfind(b'"next_page_token"'), 0))
    return found[1].decode() if found else None


def wide_run(target: Target) -> Outcome:
    done, spent = target.exchange([[run_of(target.sample.wide_id)] * 500], target.size.seconds)
    shown = sample.seen(done.answers[-1].message()["run"])
    require(shown == target.sample.wide, "the run with all its metrics and params")
    return latency(done, spent)


def run_of(run_id: str) -> bytes:
    return wire.get("runs/get", run_id=run_id)


def _runs(answer: wire.Answer) -> Sequence[Run]:
    return [sample.seen(run) for run in answer.message().get("runs", [])]
