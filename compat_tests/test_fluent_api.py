"""A training script as people write it: module-level calls, one active run."""

import mlflow
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Experiment

pytestmark = pytest.mark.usefixtures("experiment")


def test_a_script_finds_what_it_logged(experiment: Experiment) -> None:
    with mlflow.start_run(run_name="first try", tags={"team": "vision"}, description="What we *think*") as active:
        mlflow.log_param("lr", 0.01)
        mlflow.log_params({"layers": 3, "optimiser": "adam", "nothing": None})
        mlflow.log_metric("loss", 0.5)
        mlflow.log_metrics({"acc": 0.9, "val/acc": 0.8}, step=7)
        mlflow.set_tag("stage", "warm up")
        mlflow.set_tags({"stage": "done", "attempt": 1})
    run = mlflow.get_run(active.info.run_id)
    assert (run.info.run_name, run.info.status, run.info.lifecycle_stage) == ("first try", "FINISHED", "active")
    assert run.info.experiment_id == experiment.experiment_id
    assert 0 < run.info.start_time <= run.info.end_time
    assert run.data.params == {"lr": "0.01", "layers": "3", "optimiser": "adam", "nothing": "None"}
    assert run.data.metrics == {"loss": 0.5, "acc": 0.9, "val/acc": 0.8}
    tags = run.data.tags
    assert (tags["team"], tags["stage"], tags["attempt"]) == ("vision", "done", "1")
    assert (tags["mlflow.runName"], tags["mlflow.note.content"]) == ("first try", "What we *think*")
    assert tags["mlflow.user"] == run.info.user_id
    assert tags["mlflow.source.type"] == "LOCAL"


def test_a_run_without_a_name_gets_one() -> None:
    with mlflow.start_run() as active:
        pass
    run = mlflow.get_run(active.info.run_id)
    assert run.info.run_name
    assert run.data.tags["mlflow.runName"] == run.info.run_name


def train_and_crash() -> None:
    with mlflow.start_run():
        raise ZeroDivisionError


def test_a_run_that_raises_has_failed() -> None:
    with pytest.raises(ZeroDivisionError):
        train_and_crash()
    run = mlflow.last_active_run()
    assert run is not None
    assert run.info.status == "FAILED"
    assert run.info.end_time >= run.info.start_time


def test_the_latest_metric_is_that_of_the_greatest_step() -> None:
    with mlflow.start_run() as active:
        for step, value in [(1, 0.9), (3, 0.1), (2, 0.5)]:
            mlflow.log_metric("loss", value, step=step)
    assert mlflow.get_run(active.info.run_id).data.metrics == {"loss": 0.1}


def test_a_tag_goes_away() -> None:
    with mlflow.start_run() as active:
        mlflow.set_tag("draft", "yes")
        mlflow.delete_tag("draft")
        with pytest.raises(MlflowException, match="draft") as caught:
            mlflow.delete_tag("draft")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert "draft" not in mlflow.get_run(active.info.run_id).data.tags


def test_a_deleted_run_is_out_of_sight() -> None:
    with mlflow.start_run() as active:
        pass
    mlflow.delete_run(active.info.run_id)
    assert mlflow.search_runs(output_format="list") == []
    assert mlflow.get_run(active.info.run_id).info.lifecycle_stage == "deleted"


def test_an_experiment_carries_tags(client: MlflowClient, experiment: Experiment) -> None:
    mlflow.set_experiment_tag("owner", "ant")
    mlflow.set_experiment_tags({"owner": "bee", "mlflow.note.content": "Why we *do* this"})
    assert mlflow.get_experiment(experiment.experiment_id).tags == {
        "owner": "bee",
        "mlflow.note.content": "Why we *do* this",
    }


def test_set_experiment_by_id_chooses_it(experiment: Experiment) -> None:
    other = mlflow.create_experiment(f"{experiment.name} other", tags={"kind": "other"})
    mlflow.set_experiment(experiment_id=other)
    with mlflow.start_run() as active:
        pass
    assert active.info.experiment_id == other


def test_runs_go_to_the_default_experiment_unless_told_otherwise() -> None:
    default = mlflow.set_experiment("Default")
    assert default.experiment_id == "0"
    with mlflow.start_run() as active:
        pass
    assert active.info.experiment_id == "0"


def test_an_experiment_that_is_not_there_is_none() -> None:
    assert mlflow.get_experiment_by_name("never heard of it") is None


def test_a_second_experiment_of_the_same_name_is_refused(experiment: Experiment) -> None:
    with pytest.raises(MlflowException) as caught:
        mlflow.create_experiment(experiment.name)
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_the_artifact_uri_lies_under_the_experiment(experiment: Experiment) -> None:
    with mlflow.start_run() as active:
        assert mlflow.get_artifact_uri("plots") == f"{active.info.artifact_uri}/plots"
    assert active.info.artifact_uri == f"{experiment.artifact_location}/{active.info.run_id}/artifacts"
