"""Logged models of 3.x clients: made, finished, measured, searched, loaded back."""

from pathlib import Path
from typing import Any

import mlflow
import pandas
import pytest
from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModelStatus, Metric
from mlflow.exceptions import MlflowException

from compat_tests.clients import not_with

FRAME = pandas.DataFrame({"x": [1.0, 2.0, 3.0]})


class Doubler(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Twice whatever comes in."""

    def predict(self, context: Any, model_input: pandas.DataFrame, params: Any = None) -> pandas.DataFrame:
        return model_input * 2


def log_doubler(name: str = "doubler", **more: Any) -> Any:
    """The info of a small model, logged to the active run."""
    return mlflow.pyfunc.log_model(name=name, python_model=Doubler(), pip_requirements=["mlflow"], **more)


def names(models: Any) -> list[str]:
    return [model.name for model in models]


def search(experiment: Experiment, *filters: str, **more: Any) -> list[str]:
    return names(
        mlflow.search_logged_models(
            experiment_ids=[experiment.experiment_id], filter_string=" AND ".join(filters), output_format="list", **more
        )
    )


def test_a_model_is_initialised_and_finalised(client: MlflowClient, experiment: Experiment) -> None:
    params = {f"p{number}": str(number) for number in range(250)}  # more than the client sends at once
    made = mlflow.initialize_logged_model("m", params=params, tags={"team": "red"}, model_type="agent")
    assert made.status == LoggedModelStatus.PENDING
    done = client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    assert done.status == LoggedModelStatus.READY
    found = mlflow.get_logged_model(made.model_id)
    assert (found.name, found.model_type, found.params) == ("m", "agent", params)
    assert found.tags["team"] == "red"
    assert found.experiment_id == experiment.experiment_id
    assert found.artifact_location.endswith(f"/models/{made.model_id}/artifacts")
    assert found.last_updated_timestamp >= found.creation_timestamp


def test_a_failed_model_says_so(client: MlflowClient, experiment: Experiment) -> None:
    made = client.create_logged_model(experiment.experiment_id)
    assert made.name
    client.finalize_logged_model(made.model_id, "FAILED")
    assert client.get_logged_model(made.model_id).status == LoggedModelStatus.FAILED


@pytest.mark.usefixtures("experiment")
def test_an_external_model_is_ready_at_once() -> None:
    made = mlflow.create_external_model(name="elsewhere", params={"lr": "0.1"}, tags={"at": "a service"})
    found = mlflow.get_logged_model(made.model_id)
    assert found.status == LoggedModelStatus.READY
    assert found.params == {"lr": "0.1"}
    assert found.tags["at"] == "a service"


@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "a%b", "a'b", 'a"b'])
def test_a_name_that_is_no_part_of_a_path_is_refused(client: MlflowClient, experiment: Experiment, name: str) -> None:
    with pytest.raises(MlflowException) as refused:
        client.create_logged_model(experiment.experiment_id, name)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_tags_and_params(client: MlflowClient, experiment: Experiment) -> None:
    model_id = client.create_logged_model(experiment.experiment_id, "m", params={"a": "1"}).model_id
    client.set_logged_model_tags(model_id, {"t": "1", "u": "1"})
    client.set_logged_model_tags(model_id, {"t": "2"})
    client.delete_logged_model_tag(model_id, "u")
    client.log_model_params(model_id, {"b": "2"})
    found = client.get_logged_model(model_id)
    assert (found.tags, found.params) == ({"t": "2"}, {"a": "1", "b": "2"})
    with pytest.raises(MlflowException) as refused:
        client.delete_logged_model_tag(model_id, "u")
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(MlflowException):
        client.log_model_params(model_id, {"b": "3"})
    assert client.get_logged_model(model_id).params["b"] == "2"


def test_a_deleted_model_is_gone(client: MlflowClient, experiment: Experiment) -> None:
    model_id = client.create_logged_model(experiment.experiment_id, "m").model_id
    client.delete_logged_model(model_id)
    with pytest.raises(MlflowException) as refused:
        client.get_logged_model(model_id)
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert search(experiment) == []


def test_a_logged_model_is_an_output_of_its_run_and_loads_back(client: MlflowClient, experiment: Experiment) -> None:
    with mlflow.start_run() as run:
        info = log_doubler(params={"depth": 3}, input_example=FRAME)
    model = client.get_logged_model(info.model_id)
    assert (model.name, model.status, model.source_run_id) == ("doubler", LoggedModelStatus.READY, run.info.run_id)
    assert model.params == {"depth": "3"}
    [output] = client.get_run(run.info.run_id).outputs.model_outputs
    assert (output.model_id, output.step) == (info.model_id, 0)
    for uri in (f"models:/{info.model_id}", f"runs:/{run.info.run_id}/doubler", info.model_uri):
        assert mlflow.pyfunc.load_model(uri).predict(FRAME).equals(FRAME * 2)
    assert search(experiment, f"source_run_id = '{run.info.run_id}'") == ["doubler"]
    assert mlflow.last_logged_model().model_id == info.model_id


def test_below_runs_files_of_a_run_and_of_its_models_lie_together(client: MlflowClient, tmp_path: Path) -> None:
    mlflow.set_experiment("files of runs and models")
    with mlflow.start_run() as run:
        mlflow.log_text("own", "notes/own.txt")
        log_doubler("notes")
        log_doubler()
    run_id = run.info.run_id
    listed = {file.path for file in client.list_artifacts(run_id, "notes")}
    assert {"notes/own.txt", "notes/MLmodel"} <= listed
    both = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="notes", dst_path=str(tmp_path))
    assert {"own.txt", "MLmodel"} <= {path.name for path in Path(both).iterdir()}
    assert Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/doubler/MLmodel")).read_text()


@not_with("3.0", "the client looks for a model of that name and takes no for an answer about the file")
def test_a_file_with_an_odd_name_is_no_model() -> None:
    mlflow.set_experiment("odd files")
    with mlflow.start_run() as run:
        mlflow.log_text("odd", "it's 100%.txt")
    downloaded = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/it's 100%.txt")
    assert Path(downloaded).read_text() == "odd"


def test_metrics_of_a_model_are_also_those_of_its_run(client: MlflowClient, experiment: Experiment) -> None:
    train, test = (mlflow.data.from_pandas(FRAME * factor, name=name) for factor, name in ((1, "train"), (2, "test")))
    with mlflow.start_run() as run:
        model_id = mlflow.initialize_logged_model("m").model_id
        mlflow.log_metric("acc", 0.5, step=1, model_id=model_id, dataset=train)
        mlflow.log_metrics({"acc": 0.25, "loss": 2.0}, step=2, model_id=model_id, dataset=test)
        mlflow.log_metrics({"acc": 0.125}, step=3)
        client.log_batch(run.info.run_id, [Metric("val/acc", 1.0, 5, 0, model_id=model_id)])
    metrics = mlflow.get_logged_model(model_id).metrics
    points = [(point.key, point.value, point.step, point.dataset_name) for point in metrics]
    assert sorted(points, key=str) == [
        ("acc", 0.25, 2, "test"),
        ("acc", 0.5, 1, "train"),
        ("loss", 2.0, 2, "test"),
        ("val/acc", 1.0, 0, None),
    ]
    assert {point.run_id for point in metrics} == {run.info.run_id}
    assert {point.dataset_digest for point in metrics} == {train.digest, test.digest, None}
    assert client.get_run(run.info.run_id).data.metrics == {"acc": 0.125, "loss": 2.0, "val/acc": 1.0}
    assert len(client.get_metric_history(run.info.run_id, "acc")) == 3
    assert experiment.experiment_id == mlflow.get_logged_model(model_id).experiment_id


def test_the_active_model_gets_what_is_logged(client: MlflowClient, run_id: str) -> None:
    with mlflow.start_run(run_id=run_id):
        with mlflow.set_active_model(name="active") as model:
            for step in range(3):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metric("loss", 9.0, step=9)
    assert sorted(point.step for point in mlflow.get_logged_model(model.model_id).metrics) == [0, 1, 2]
    assert len(client.get_metric_history(run_id, "loss")) == 4


def test_searching(client: MlflowClient, experiment: Experiment, run_id: str) -> None:
    for number, name in enumerate(["one", "two", "three"]):
        model = client.create_logged_model(
            experiment.experiment_id, name, params={"lr": f"0.{number}"}, tags={"odd": str(number % 2)}
        )
        for step, dataset in enumerate(["train", "test"]):
            value = [0.5, 0.9, 0.1][(number + step) % 3]
            point = Metric("acc", value, step, step, model.model_id, dataset, "1")
            client.log_batch(run_id, [point])
    train, test = ({"dataset_name": name, "dataset_digest": "1"} for name in ("train", "test"))
    by_acc = {"field_name": "metrics.acc", "ascending": False}
    assert search(experiment) == ["three", "two", "one"]
    assert search(experiment, "name = 'two'") == ["two"]
    assert search(experiment, "name LIKE 't%'", "params.lr = '0.2'") == ["three"]
    assert search(experiment, "tags.odd IN ('1', '2')") == ["two"]
    assert search(experiment, "metrics.acc > 0.8") == ["two", "one"]
    assert search(experiment, "metrics.acc > 0.8", datasets=[train]) == ["two"]
    assert search(experiment, datasets=[{"dataset_name": "other", "dataset_digest": "1"}]) == []
    assert search(experiment, order_by=[by_acc | train]) == ["two", "one", "three"]
    assert search(experiment, order_by=[by_acc | test]) == ["one", "three", "two"]
    assert search(experiment, order_by=[{"field_name": "name"}]) == ["one", "three", "two"]
    assert search(experiment, max_results=2) == ["three", "two"]
    frame = mlflow.search_logged_models(experiment_ids=[experiment.experiment_id])
    assert list(frame["name"]) == ["three", "two", "one"]
    first = client.search_logged_models([experiment.experiment_id], max_results=2)
    rest = client.search_logged_models([experiment.experiment_id], max_results=2, page_token=first.token)
    assert names(first) + names(rest) == ["three", "two", "one"]
    assert not rest.token
    with pytest.raises(MlflowException) as refused:
        client.search_logged_models([experiment.experiment_id], "name = 'x'", page_token=first.token)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_an_evaluation_puts_its_metrics_on_the_model_and_the_data(client: MlflowClient, experiment: Experiment) -> None:
    data = mlflow.data.from_pandas(FRAME.assign(y=FRAME["x"] * 2 + 1), targets="y", name="held out")
    with mlflow.start_run():
        info = log_doubler()
    with mlflow.start_run() as run:
        mlflow.models.evaluate(
            f"models:/{info.model_id}", data, model_type="regressor", evaluator_config={"log_explainer": False}
        )
    found = {point.key: point for point in mlflow.get_logged_model(info.model_id).metrics}
    assert found["mean_absolute_error"].value == pytest.approx(1.0)
    assert found["mean_absolute_error"].dataset_name == "held out"
    [used] = client.get_run(run.info.run_id).inputs.model_inputs
    assert used.model_id == info.model_id
    held_out = {"dataset_name": "held out", "dataset_digest": data.digest}
    assert search(experiment, "metrics.mean_absolute_error < 2", datasets=[held_out]) == ["doubler"]
