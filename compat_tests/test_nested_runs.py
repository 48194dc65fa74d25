"""Runs inside runs, and runs taken up again."""

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Experiment

from compat_tests.clients import needs

pytestmark = pytest.mark.usefixtures("experiment")


@needs("mlflow.get_parent_run")
def test_children_know_their_parent() -> None:
    with mlflow.start_run(run_name="parent") as parent:
        for depth in range(3):
            with mlflow.start_run(run_name=f"child {depth}", nested=True) as child:
                mlflow.log_metric("depth", depth)
            found = mlflow.get_parent_run(child.info.run_id)
            assert found is not None
            assert found.info.run_id == parent.info.run_id
    children = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'",
        order_by=["metrics.depth DESC"],
        output_format="list",
    )
    assert [run.info.run_name for run in children] == ["child 2", "child 1", "child 0"]


def test_three_levels() -> None:
    with mlflow.start_run() as top, mlflow.start_run(nested=True) as middle, mlflow.start_run(nested=True) as bottom:
        pass
    parents = {run.info.run_id: run.data.tags.get("mlflow.parentRunId") for run in (top, middle, bottom)}
    assert parents == {
        top.info.run_id: None,
        middle.info.run_id: top.info.run_id,
        bottom.info.run_id: middle.info.run_id,
    }
    runs = mlflow.search_runs(output_format="list")
    assert {run.info.run_id: run.data.tags.get("mlflow.parentRunId") for run in runs} == parents


def test_a_run_is_resumed_where_it_ended(client: MlflowClient, experiment: Experiment) -> None:
    with mlflow.start_run(run_name="long") as first:
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_param("lr", 1)
    with mlflow.start_run(run_id=first.info.run_id) as second:
        assert client.get_run(first.info.run_id).info.status == "RUNNING"
        mlflow.log_metric("loss", 0.25, step=2)
        mlflow.log_param("lr", 1)
    assert second.info.run_id == first.info.run_id
    run = client.get_run(first.info.run_id)
    assert (run.info.run_name, run.info.status, run.info.start_time) == ("long", "FINISHED", first.info.start_time)
    assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == [0.5, 0.25]
    assert len(client.search_runs([experiment.experiment_id])) == 1


def test_a_deleted_run_is_not_resumed() -> None:
    with mlflow.start_run() as active:
        pass
    mlflow.delete_run(active.info.run_id)
    with pytest.raises(mlflow.MlflowException, match="deleted"):
        mlflow.start_run(run_id=active.info.run_id)
