"""What the client measures of its own machine while a run goes on."""

import time

import mlflow
import pytest
from mlflow import MlflowClient

from compat_tests.clients import needs

CPU = "system/cpu_utilization_percentage"


@needs("mlflow.set_system_metrics_sampling_interval")
@pytest.mark.usefixtures("experiment")
def test_system_metrics_arrive_step_by_step(client: MlflowClient) -> None:
    mlflow.set_system_metrics_sampling_interval(0.2)
    mlflow.set_system_metrics_samples_before_logging(1)
    try:
        with mlflow.start_run(log_system_metrics=True) as active:
            time.sleep(2)
    finally:
        mlflow.set_system_metrics_sampling_interval(None)
        mlflow.set_system_metrics_samples_before_logging(None)
    metrics = client.get_run(active.info.run_id).data.metrics
    assert {CPU, "system/system_memory_usage_megabytes", "system/disk_usage_percentage"} <= metrics.keys()
    steps = [point.step for point in client.get_metric_history(active.info.run_id, CPU)]
    assert len(steps) >= 2
    assert steps == list(range(len(steps)))
