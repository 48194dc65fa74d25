"""Metric histories over MLflow's API, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio


async def logged(mlflow: MLflow, count: int, key: str = "val/loss") -> str:
    run_id = await mlflow.run()
    points = [{"key": key, "value": step * 1.0, "timestamp": 1000 - step, "step": step} for step in range(count)]
    for start in range(0, count, 1000):
        await mlflow("runs/log-batch", run_id=run_id, metrics=points[start : start + 1000])
    return run_id


async def test_a_history_comes_by_time_in_pages(mlflow: MLflow) -> None:
    run_id = await logged(mlflow, 25)
    whole = (await mlflow.get("metrics/get-history", run_id=run_id, metric_key="val/loss"))["metrics"]
    assert [point["timestamp"] for point in whole] == sorted(1000 - step for step in range(25))
    assert whole[0] == {"key": "val/loss", "value": 24.0, "timestamp": 976, "step": 24}
    paged = []
    token = None
    while True:
        asked: dict[str, Any] = {"run_uuid": run_id, "metric_key": "val/loss", "max_results": 10}
        answer = await mlflow.get("metrics/get-history", **asked | ({"page_token": token} if token else {}))
        paged += answer["metrics"]
        token = answer.get("next_page_token")
        if token is None:
            break
    assert paged == whole
    await mlflow.refused(
        "metrics/get-history", method="GET", run_id=run_id, metric_key="val/loss", max_results=1, page_token="forged"
    )


async def test_unknown_runs_and_keys_have_an_empty_history(mlflow: MLflow) -> None:
    run_id = await logged(mlflow, 1)
    assert await mlflow.get("metrics/get-history", run_id=run_id, metric_key="loss") == {}
    assert await mlflow.get("metrics/get-history", run_id="f" * 32, metric_key="val/loss") == {}


async def test_bulk_history_comes_by_run_within_one_bound(mlflow: MLflow) -> None:
    runs = sorted([await logged(mlflow, 3), await logged(mlflow, 3)])
    answer = await mlflow.get("metrics/get-history-bulk", run_id=runs, metric_key="val/loss", max_results=4)
    assert [point["run_id"] for point in answer["metrics"]] == [runs[0]] * 3 + [runs[1]]


async def test_an_interval_is_sampled_for_each_run(mlflow: MLflow) -> None:
    runs = sorted([await logged(mlflow, 200), await logged(mlflow, 3)])
    answer = await mlflow.get("metrics/get-history-bulk-interval", run_ids=runs, metric_key="val/loss", max_results=10)
    steps = {run: [point["step"] for point in answer["metrics"] if point["run_id"] == run] for run in runs}
    assert sorted(steps.values()) == [[0, 1, 2], [*range(0, 180, 20), 199]]
    within = await mlflow.get(
        "metrics/get-history-bulk-interval", run_ids=runs, metric_key="val/loss", start_step=2, end_step=3
    )
    assert sorted(point["step"] for point in within["metrics"]) == [2, 2, 3]
    for bad in ({"start_step": 1}, {"start_step": 3, "end_step": 2}, {"max_results": 2501}, {"max_results": 0}):
        asked: dict[str, Any] = {"run_ids": runs, "metric_key": "val/loss"} | bad
        await mlflow.refused("metrics/get-history-bulk-interval", method="GET", **asked)
    await mlflow.refused("metrics/get-history-bulk-interval", method="GET", run_ids=["a"] * 101, metric_key="m")
