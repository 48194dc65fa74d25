"""Logging in the background: many small batches at once, in no order."""

import mlflow
import pytest
from mlflow import MlflowClient

from compat_tests.clients import needs

pytestmark = pytest.mark.usefixtures("experiment")


@needs("mlflow.flush_async_logging")
def test_what_was_flushed_is_there(client: MlflowClient) -> None:
    with mlflow.start_run() as active:
        for step in range(200):
            mlflow.log_metric("loss", 1 / (step + 1), step=step, synchronous=False)
        mlflow.log_params({"lr": 0.1, "depth": 3}, synchronous=False)
        mlflow.log_metrics({"acc": 0.9, "f1": 0.8}, step=1, synchronous=False)
        mlflow.set_tags({"team": "blue"}, synchronous=False)
        mlflow.flush_async_logging()
        run = client.get_run(active.info.run_id)
    assert sorted(point.step for point in client.get_metric_history(run.info.run_id, "loss")) == list(range(200))
    assert run.data.metrics == {"loss": 1 / 200, "acc": 0.9, "f1": 0.8}
    assert run.data.params == {"lr": "0.1", "depth": "3"}
    assert run.data.tags["team"] == "blue"


@needs("mlflow.log_metric.synchronous")
def test_one_operation_is_waited_for(client: MlflowClient) -> None:
    with mlflow.start_run() as active:
        operations = mlflow.log_metric("loss", 0.5, synchronous=False)
        assert operations is not None
        operations.wait()
        assert client.get_run(active.info.run_id).data.metrics == {"loss": 0.5}


@needs("mlflow.config.enable_async_logging")
def test_all_logging_in_the_background(client: MlflowClient) -> None:
    mlflow.config.enable_async_logging()
    try:
        with mlflow.start_run() as active:
            for step in range(50):
                mlflow.log_metric("loss", step, step=step)
                mlflow.log_param(f"p{step}", step)
            mlflow.flush_async_logging()
    finally:
        mlflow.config.enable_async_logging(False)
    data = client.get_run(active.info.run_id).data
    assert data.metrics == {"loss": 49.0}
    assert data.params == {f"p{step}": str(step) for step in range(50)}
