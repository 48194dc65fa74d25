"""What is measured of a running server, with every answer's status and a sample of their contents checked."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks import sample, wire

LOG_SECONDS, SEARCH_SECONDS = 4.0, 1.5
METRIC_CLIENTS, METRIC_REQUESTS = 32, 1500
BATCH_CLIENTS, BATCH_REQUESTS = 16, 50
BATCH_KEYS, BATCH_STEPS = 20, 50
SEARCHES = {100: "accuracy", 1000: "loss"}
SEARCH_REPEATS = 20


class Figure(NamedTuple):
    """What came out, in the scenario's unit; `client` is the share of one processor that asking took."""

    scenario: str
    unit: str
    value: float
    failed: int
    client: float


def searches(port: int, runs: Sequence[sample.Run]) -> list[Figure]:
    """Cold: asked for the first time since the server started; warm: asked again. The two pages share no run."""
    figures = []
    for size, metric in SEARCHES.items():
        order = [f"metrics.{metric} DESC"]
        request = wire.post("runs/search", {"experiment_ids": ["0"], "max_results": size, "order_by": order})
        cold = wire.exchange(port, [[request]])
        warm = wire.exchange(port, [[request] * SEARCH_REPEATS], SEARCH_SECONDS)
        best = sorted(runs, key=lambda run: run.metrics[metric], reverse=True)[:size]
        for page in (cold.answers[0], warm.answers[-1]):
            shown = [sample.seen(run) for run in page.message()["runs"]]
            require(shown == best, f"the {size} runs with the greatest {metric}, in order and whole")
        name = f"first {size:,} of {len(runs):,} runs by a metric"
        figures += [_milliseconds(f"{name}, cold", cold), _milliseconds(f"{name}, warm", warm)]
    return figures


def _milliseconds(scenario: str, done: wire.Exchange) -> Figure:
    value = statistics.median(answer.received - answer.sent for answer in done.answers) * 1000
    return Figure(scenario, "ms", value, done.failed, done.cpu / done.seconds)


def log_metric(port: int) -> Figure:
    """Each client logs one metric of its own run, step by step."""
    run_ids = _new_runs(port, METRIC_CLIENTS)
    lanes = [[_metric(run_id, step) for step in range(METRIC_REQUESTS)] for run_id in run_ids]
    done = wire.exchange(port, lanes, LOG_SECONDS)
    _check_logged(port, run_ids, "loss", done, points_each=1)
    return Figure(f"log-metric, {METRIC_CLIENTS} clients", "req/s", done.rate, done.failed, done.cpu / done.seconds)


def _metric(run_id: str, step: int) -> bytes:
    return wire.post("runs/log-metric", _point("loss", step) | {"run_id": run_id})


def log_batch(port: int) -> Figure:
    """Each client logs to its own run, BATCH_STEPS steps of BATCH_KEYS metrics at a time."""
    run_ids = _new_runs(port, BATCH_CLIENTS)
    lanes = [[_batch(run_id, number) for number in range(BATCH_REQUESTS)] for run_id in run_ids]
    done = wire.exchange(port, lanes, LOG_SECONDS)
    _check_logged(port, run_ids, "loss-0", done, points_each=BATCH_STEPS)
    size = BATCH_KEYS * BATCH_STEPS
    name = f"log-batch of {size:,}, {BATCH_CLIENTS} clients"
    return Figure(name, "metrics/s", size * done.rate, done.failed, done.cpu / done.seconds)


def _batch(run_id: str, number: int) -> bytes:
    steps = _steps(number, BATCH_STEPS)
    metrics = [_point(f"loss-{key}", step) for step in steps for key in range(BATCH_KEYS)]
    return wire.post("runs/log-batch", {"run_id": run_id, "metrics": metrics})


def _steps(request: int, points_each: int) -> range:
    return range(request * points_each, (request + 1) * points_each)


def _point(key: str, step: int) -> dict[str, object]:
    return {"key": key, "value": 1 / (step + 1), "timestamp": sample.START + step, "step": step}


def _new_runs(port: int, count: int) -> list[str]:
    """Runs in an experiment apart from the sample."""
    (experiment,) = wire.ask(port, wire.post("experiments/create", {"name": f"{count} clients"}))
    create = wire.post("runs/create", {"experiment_id": experiment["experiment_id"], "start_time": sample.START})
    return [message["run"]["info"]["run_id"] for message in wire.ask(port, *[create] * count)]


def _check_logged(port: int, run_ids: Sequence[str], key: str, done: wire.Exchange, points_each: int) -> None:
    """Each run's history of the key has every acknowledged point once; of a request that failed, it may have them."""
    histories = wire.ask(port, *[wire.get("metrics/get-history", run_id=run_id, metric_key=key) for run_id in run_ids])
    for history, answers in zip(histories, done.lanes, strict=True):
        points = {point["step"]: point["value"] for point in history.get("metrics", [])}
        sent = [step for request in range(len(answers)) for step in _steps(request, points_each)]
        told = [step for request, answer in enumerate(answers) if answer.ok for step in _steps(request, points_each)]
        require(len(points) == len(history.get("metrics", [])), f"no point of {key} twice")
        require(set(told) <= points.keys() <= set(sent), f"the points of {key} that were acknowledged, and no others")
        require(
            all(value == 1 / (step + 1) for step, value in points.items()), f"the values of {key} as they were sent"
        )


def require(true: bool, what: str) -> None:
    """Raises AssertionError, also where Python leaves assertions out: a fast wrong answer counts for nothing."""
    if not true:
        raise AssertionError(f"expected {what}")
