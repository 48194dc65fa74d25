"""Sixty-four real clients at once: nothing fails, nothing is lost, nothing is stored twice."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import NamedTuple

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from compat_tests import processes

CLIENTS = 64
WAIT_SECONDS = 120


class Point(NamedTuple):
    key: str
    step: int
    timestamp: int
    value: float


def single_points(number: int) -> list[Point]:
    return [Point("loss", step, 1000 + step, number + 1 / (step + 1)) for step in range(25)]


def batches(number: int) -> list[list[Point]]:
    keys = [f"metric-{n}" for n in range(5)]
    return [
        [Point(key, step, 2000 + step, number + step / 100) for key in keys for step in range(first, first + 20)]
        for first in range(0, 80, 20)
    ]


def single_params(number: int) -> dict[str, str]:
    return {f"param-{n}": f"{number} {n}" for n in range(5)}


def batch_params(number: int) -> dict[str, str]:
    return {f"batch-param-{n}": f"{number} {n}" for n in range(20)}


def tags(number: int) -> dict[str, str]:
    return {f"tag-{n}": f"{number} {n}" for n in range(5)}


together: Barrier


def wait_for_all_at(barrier: Barrier) -> None:
    global together
    together = barrier


def log_a_run(uri: str, experiment_id: str, number: int) -> str:
    """One client's work, begun when all of them are there; the run it made."""
    client = MlflowClient(uri)
    together.wait(WAIT_SECONDS)
    run_id: str = client.create_run(experiment_id, run_name=f"client-{number}").info.run_id
    for key, value in single_params(number).items():
        client.log_param(run_id, key, value)
    client.log_batch(run_id, params=[Param(*pair) for pair in batch_params(number).items()])
    for key, value in tags(number).items():
        client.set_tag(run_id, key, value)
    client.log_batch(run_id, tags=[RunTag("batch-tag", str(number))])
    for point in single_points(number):
        client.log_metric(run_id, point.key, point.value, point.timestamp, point.step)
    for batch in batches(number):
        client.log_batch(run_id, [Metric(point.key, point.value, point.timestamp, point.step) for point in batch])
    client.set_terminated(run_id)
    return run_id


def in_processes(work: Callable[[str, str, int], str], uri: str, experiment_id: str) -> list[str]:
    """What each client returned; raises what any raised. Forked, so that MLflow is imported once: it takes seconds."""
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(CLIENTS)
    with ProcessPoolExecutor(CLIENTS, fork, initializer=wait_for_all_at, initargs=(barrier,)) as pool:
        return list(pool.map(work, [uri] * CLIENTS, [experiment_id] * CLIENTS, range(CLIENTS)))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_sixty_four_clients_at_once_store_every_point_exactly_once(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # a refusal is an error, not a pause
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    with processes.running(database, tmp_path) as server:
        client = MlflowClient(server.uri)
        experiment_id = client.create_experiment("load")
        run_ids = in_processes(log_a_run, server.uri, experiment_id)
        assert {run.info.run_id for run in client.search_runs([experiment_id])} == set(run_ids)
        for number, run_id in enumerate(run_ids):
            assert_stored(client, run_id, number)
    for trouble in ("database is locked", "Traceback", "ERROR"):
        assert trouble not in server.log()


def assert_stored(client: MlflowClient, run_id: str, number: int) -> None:
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == (f"client-{number}", "FINISHED")
    assert run.data.params == single_params(number) | batch_params(number)
    assert run.data.tags == tags(number) | {"batch-tag": str(number), "mlflow.runName": f"client-{number}"}
    points = sorted(single_points(number) + [point for batch in batches(number) for point in batch])
    assert run.data.metrics == {point.key: point.value for point in points}
    history = [metric for key in run.data.metrics for metric in client.get_metric_history(run_id, key)]
    assert sorted(Point(metric.key, metric.step, metric.timestamp, metric.value) for metric in history) == points
