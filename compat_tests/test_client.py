"""MlflowClient: each tracking call once, with what it changes."""

import time

import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Experiment, Metric, Param, RunTag, ViewType

from compat_tests.clients import needs

LONG_PAST = 1_500_000_000_000


def test_create_and_get_an_experiment(client: MlflowClient, experiment: Experiment) -> None:
    before = int(time.time() * 1000)
    experiment_id = client.create_experiment(f"{experiment.name} made", tags={"kind": "made"})
    made = client.get_experiment(experiment_id)
    assert (made.name, made.lifecycle_stage, made.tags) == (f"{experiment.name} made", "active", {"kind": "made"})
    assert before <= made.creation_time == made.last_update_time
    assert made.artifact_location.endswith(f"/{experiment_id}")
    by_name = client.get_experiment_by_name(made.name)
    assert by_name is not None
    assert by_name.experiment_id == experiment_id


@needs("mlflow.entities.Run.inputs")
def test_create_run_keeps_what_it_is_given(client: MlflowClient, experiment: Experiment) -> None:
    created = client.create_run(experiment.experiment_id, LONG_PAST, {"a": "1", "mlflow.user": "ant"}, "given")
    run = client.get_run(created.info.run_id)
    assert run.info == created.info
    assert (run.info.run_name, run.info.start_time, run.info.end_time) == ("given", LONG_PAST, None)
    assert run.info.status == "RUNNING"
    assert run.data.tags == {"a": "1", "mlflow.user": "ant", "mlflow.runName": "given"}
    assert (run.data.metrics, run.data.params, run.inputs.dataset_inputs) == ({}, {}, [])


def test_run_ids_are_32_hex_digits(run_id: str) -> None:
    assert len(run_id) == 32
    assert int(run_id, 16) >= 0


def test_log_metric_and_param_and_tag(client: MlflowClient, run_id: str) -> None:
    client.log_metric(run_id, "loss", 0.25, timestamp=LONG_PAST, step=3)
    assert client.log_param(run_id, "lr", 0.1) == 0.1
    client.set_tag(run_id, "team", "blue")
    data = client.get_run(run_id).data
    assert (data.metrics, data.params, data.tags["team"]) == ({"loss": 0.25}, {"lr": "0.1"}, "blue")
    [point] = client.get_metric_history(run_id, "loss")
    assert (point.key, point.value, point.timestamp, point.step) == ("loss", 0.25, LONG_PAST, 3)


def test_delete_tag(client: MlflowClient, run_id: str) -> None:
    client.set_tag(run_id, "team", "blue")
    client.delete_tag(run_id, "team")
    assert "team" not in client.get_run(run_id).data.tags


def test_log_batch(client: MlflowClient, run_id: str) -> None:
    client.log_batch(run_id, [Metric("a", 1, LONG_PAST, 0)], [Param("p", "x")], [RunTag("t", "y")])
    data = client.get_run(run_id).data
    assert (data.metrics, data.params, data.tags["t"]) == ({"a": 1.0}, {"p": "x"}, "y")


def test_update_run(client: MlflowClient, run_id: str) -> None:
    client.update_run(run_id, status="FAILED", name="renamed")
    run = client.get_run(run_id)
    assert (run.info.status, run.info.run_name, run.data.tags["mlflow.runName"]) == ("FAILED", "renamed", "renamed")


def test_the_run_name_tag_is_the_run_name(client: MlflowClient, run_id: str) -> None:
    client.set_tag(run_id, "mlflow.runName", "by tag")
    assert client.get_run(run_id).info.run_name == "by tag"
    client.log_batch(run_id, tags=[RunTag("mlflow.runName", "by batch")])
    assert client.get_run(run_id).info.run_name == "by batch"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_set_terminated(client: MlflowClient, run_id: str, status: str) -> None:
    client.set_terminated(run_id, status, end_time=LONG_PAST)
    info = client.get_run(run_id).info
    assert (info.status, info.end_time) == (status, LONG_PAST)


def test_delete_and_restore_a_run(client: MlflowClient, run_id: str) -> None:
    experiment_id = client.get_run(run_id).info.experiment_id
    client.delete_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    assert [run.info.run_id for run in client.search_runs([experiment_id], "", ViewType.DELETED_ONLY)] == [run_id]
    with pytest.raises(MlflowException, match="active") as caught:
        client.log_metric(run_id, "loss", 1)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    client.restore_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "active"
    client.log_metric(run_id, "loss", 1)


@needs("mlflow.MlflowClient.get_parent_run")
def test_get_parent_run(client: MlflowClient, run_id: str) -> None:
    experiment_id = client.get_run(run_id).info.experiment_id
    child = client.create_run(experiment_id, tags={"mlflow.parentRunId": run_id}).info.run_id
    parent = client.get_parent_run(child)
    assert parent is not None
    assert parent.info.run_id == run_id
    assert client.get_parent_run(run_id) is None


def test_an_unknown_run_does_not_exist(client: MlflowClient) -> None:
    with pytest.raises(MlflowException) as caught:
        client.get_run("0" * 32)
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_an_unknown_experiment_does_not_exist(client: MlflowClient) -> None:
    with pytest.raises(MlflowException) as caught:
        client.get_experiment("987654321")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize("key", ["a//b", "/a", "a/", "../a", "a*b", "a\nb", "k" * 251])
def test_a_bad_key_is_refused(client: MlflowClient, run_id: str, key: str) -> None:
    with pytest.raises(MlflowException) as caught:
        client.log_metric(run_id, key, 1)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_long_param_and_tag_values_are_cut(client: MlflowClient, run_id: str) -> None:
    client.log_param(run_id, "p", "x" * 7000)
    client.set_tag(run_id, "t", "y" * 9000)
    data = client.get_run(run_id).data
    assert (data.params["p"], data.tags["t"]) == ("x" * 6000, "y" * 8000)
