"""Batches larger than one request."""

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, RunTag


def test_a_big_batch_arrives_whole(client: MlflowClient, run_id: str) -> None:
    metrics = [Metric(f"m{i % 50}", i, 1000 + i, i) for i in range(2500)]
    params = [Param(f"p{i}", str(i)) for i in range(250)]
    tags = [RunTag(f"t{i}", str(i)) for i in range(150)]
    client.log_batch(run_id, metrics, params, tags)
    data = client.get_run(run_id).data
    assert data.metrics == {f"m{i % 50}": float(i) for i in range(2450, 2500)}
    assert data.params == {f"p{i}": str(i) for i in range(250)}
    assert {key: value for key, value in data.tags.items() if key != "mlflow.runName"} == {
        f"t{i}": str(i) for i in range(150)
    }
    assert [point.step for point in client.get_metric_history(run_id, "m7")] == list(range(7, 2500, 50))


def test_the_fluent_calls_split_what_is_too_much(experiment: Experiment) -> None:
    with mlflow.start_run() as active:
        mlflow.log_params({f"p{i}": i for i in range(101)})
        mlflow.log_metrics({f"m{i}": i for i in range(1001)}, step=1)
    data = mlflow.get_run(active.info.run_id).data
    assert (len(data.params), len(data.metrics)) == (101, 1001)
