"""Several clients at the same moment."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import mlflow
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Experiment, Metric, Param

from compat_tests.clients import since

TOGETHER = 8


def at_once(work: Callable[[int], str]) -> list[str]:
    """What the work says for each of several threads that begin together."""
    barrier = Barrier(TOGETHER)

    def begin(number: int) -> str:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(TOGETHER) as pool:
        return list(pool.map(begin, range(TOGETHER)))


def test_one_name_is_created_once(client: MlflowClient, experiment: Experiment) -> None:
    def create(number: int) -> str:
        try:
            return f"created {client.create_experiment(f'{experiment.name} raced')}"
        except MlflowException as error:
            return str(error.error_code)

    said = at_once(create)
    assert said.count("RESOURCE_ALREADY_EXISTS") == TOGETHER - 1
    made = client.get_experiment_by_name(f"{experiment.name} raced")
    assert made is not None
    assert f"created {made.experiment_id}" in said


def set_experiment(uri: str, name: str) -> str:
    mlflow.set_tracking_uri(uri)
    return str(mlflow.set_experiment(name).experiment_id)


@since("2.18", "set_experiment minds that another process may be first")
def test_processes_that_set_the_same_experiment_agree(tracking_uri: str, experiment: Experiment) -> None:
    # Processes, because within one the client takes turns; forked, because each would import mlflow for seconds.
    with multiprocessing.get_context("fork").Pool(4) as pool:
        chosen = pool.starmap(set_experiment, [(tracking_uri, f"{experiment.name} raced")] * 4, chunksize=1)
    assert len(set(chosen)) == 1


def test_one_param_gets_one_value(client: MlflowClient, run_id: str) -> None:
    def log(number: int) -> str:
        try:
            client.log_batch(run_id, params=[Param("lr", str(number))])
        except MlflowException as error:
            return str(error.error_code)
        return str(number)

    accepted = [said for said in at_once(log) if said.isdigit()]
    assert accepted == [client.get_run(run_id).data.params["lr"]]


def test_batches_to_one_run_all_arrive(client: MlflowClient, run_id: str) -> None:
    def log(number: int) -> str:
        for batch in range(5):
            step = number * 5 + batch
            client.log_batch(run_id, [Metric(f"m{i}", step, step, step) for i in range(20)])
        return "done"

    at_once(log)
    assert client.get_run(run_id).data.metrics == {f"m{i}": TOGETHER * 5 - 1.0 for i in range(20)}
    assert [point.step for point in client.get_metric_history(run_id, "m7")] == list(range(TOGETHER * 5))
