"""What the autologging of gradient boosting leaves behind, whichever library does the boosting."""

import json
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

FEATURES, TARGETS = load_diabetes(return_X_y=True, as_frame=True)
TRAIN, VALID, TRAIN_TARGETS, VALID_TARGETS = train_test_split(FEATURES, TARGETS, random_state=7)


def history(client: MlflowClient, run: Run, key: str) -> list[float]:
    """The values of a metric, which has one at each step from zero."""
    points = client.get_metric_history(run.info.run_id, key)
    assert [point.step for point in points] == list(range(len(points)))
    return [point.value for point in points]


def inputs(run: Run) -> list[tuple[str, str]]:
    """The datasets by name, and what each was used for; all of them came from code and have a schema and a profile."""
    for one in run.inputs.dataset_inputs:
        assert one.dataset.source_type == "code"
        assert json.loads(one.dataset.schema)
        assert json.loads(one.dataset.profile)
    return sorted((one.dataset.name, one.tags[0].value) for one in run.inputs.dataset_inputs)


def importance(run: Run, kind: str, folder: Path) -> dict[str, float]:
    """How much each feature counts, from the file beside the plot."""
    place = f"{run.info.artifact_uri}/feature_importance_{kind}"
    plot = Path(mlflow.artifacts.download_artifacts(f"{place}.png", dst_path=str(folder)))
    assert plot.read_bytes().startswith(b"\x89PNG")
    told: dict[str, float] = mlflow.artifacts.load_dict(f"{place}.json")
    return told


def model_of(client: MlflowClient, run: Run) -> LoggedModel:
    """The one model of a run, which is ready."""
    [output] = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (model.name, model.status, model.source_run_id) == ("model", "READY", run.info.run_id)
    return model


def points_of(model: LoggedModel) -> set[tuple[str, int, float]]:
    """The key, the step and the value of each point that belongs to a model."""
    return {(point.key, point.step, point.value) for point in model.metrics}


def points_in(client: MlflowClient, run: Run) -> set[tuple[str, int, float]]:
    """The same of each point in a run."""
    keys = run.data.metrics.keys()
    return {(key, one.step, one.value) for key in keys for one in client.get_metric_history(run.info.run_id, key)}
