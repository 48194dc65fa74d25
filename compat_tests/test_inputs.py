"""Datasets a run has used."""

import json

import mlflow
import mlflow.entities
import pandas
import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Experiment, InputTag

from compat_tests.clients import needs


def dataset(name: str, digest: str = "d1") -> Dataset:
    return Dataset(name, digest, "local", '{"uri": "here"}', '{"columns": []}', '{"rows": 3}')


def used(client: MlflowClient, run_id: str) -> list[tuple[str, str, dict[str, str]]]:
    inputs = client.get_run(run_id).inputs.dataset_inputs
    return sorted((one.dataset.name, one.dataset.digest, {tag.key: tag.value for tag in one.tags}) for one in inputs)


@pytest.mark.usefixtures("experiment")
def test_a_frame_is_logged_with_its_context(client: MlflowClient) -> None:
    frame = mlflow.data.from_pandas(
        pandas.DataFrame({"x": [1, 2], "y": [0.5, 1.5]}), source="http://host/data.csv", name="iris", targets="y"
    )
    with mlflow.start_run() as active:
        mlflow.log_input(frame, context="training", tags={"split": "2024"})
        mlflow.log_input(frame, context="training", tags={"split": "2024"})
    [one] = client.get_run(active.info.run_id).inputs.dataset_inputs
    assert {tag.key: tag.value for tag in one.tags} == {"mlflow.data.context": "training", "split": "2024"}
    assert (one.dataset.name, one.dataset.digest) == ("iris", frame.digest)
    assert json.loads(one.dataset.source)["url"] == "http://host/data.csv"
    assert json.loads(one.dataset.profile)["num_rows"] == 2
    assert "x" in one.dataset.schema


def test_several_datasets(client: MlflowClient, run_id: str) -> None:
    tags = [InputTag("mlflow.data.context", "eval"), InputTag("note", "a b")]
    inputs = [DatasetInput(dataset("a"), tags), DatasetInput(dataset("b"), []), DatasetInput(dataset("a", "d2"))]
    client.log_inputs(run_id, inputs)
    assert used(client, run_id) == [
        ("a", "d1", {"mlflow.data.context": "eval", "note": "a b"}),
        ("a", "d2", {}),
        ("b", "d1", {}),
    ]


def test_all_fields_come_back(client: MlflowClient, run_id: str) -> None:
    client.log_inputs(run_id, [DatasetInput(dataset("a"))])
    [one] = client.get_run(run_id).inputs.dataset_inputs
    assert dict(one.dataset) == dict(dataset("a"))


def test_the_first_use_keeps_its_tags(client: MlflowClient, run_id: str) -> None:
    for context in ("train", "eval"):
        client.log_inputs(run_id, [DatasetInput(dataset("a"), [InputTag("mlflow.data.context", context)])])
    assert used(client, run_id) == [("a", "d1", {"mlflow.data.context": "train"})]


def test_runs_are_found_by_dataset(client: MlflowClient, experiment: Experiment) -> None:
    runs = [client.create_run(experiment.experiment_id, run_name=name).info.run_id for name in ("one", "two", "none")]
    client.log_inputs(runs[0], [DatasetInput(dataset("mnist"), [InputTag("mlflow.data.context", "train")])])
    client.log_inputs(runs[1], [DatasetInput(dataset("mnist", "d2"), [InputTag("mlflow.data.context", "eval")])])

    def found(where: str) -> list[str]:
        return sorted(run.info.run_name for run in client.search_runs([experiment.experiment_id], where))

    assert found("dataset.name = 'mnist'") == ["one", "two"]
    assert found("dataset.digest = 'd2'") == ["two"]
    assert found("datasets.context IN ('train', 'test')") == ["one"]
    assert found("dataset.name LIKE 'MN%'") == []
    assert found("dataset.name ILIKE 'MN%' AND dataset.context = 'eval'") == ["two"]
    [run] = client.search_runs([experiment.experiment_id], "dataset.context = 'train'")
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["mnist"]


@needs("mlflow.MlflowClient.log_outputs")
def test_outputs_are_shown_with_the_run(client: MlflowClient, run_id: str) -> None:
    client.log_outputs(run_id, [mlflow.entities.LoggedModelOutput("m-" + "1" * 32, step=3)])
    [output] = client.get_run(run_id).outputs.model_outputs
    assert (output.model_id, output.step) == ("m-" + "1" * 32, 3)
