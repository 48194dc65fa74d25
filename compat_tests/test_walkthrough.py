"""The example of docs/examples on a server, as an MLflow client sees it; and a client's run, as the native API does."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from compat_tests.clients import needs

EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "examples" / "walkthrough.py"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("walkthrough", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def as_ada(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada@example.org")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)


@pytest.fixture(scope="module")
def walked(example: ModuleType, tracking_uri: str) -> Any:
    """What the example made."""
    return example.main(tracking_uri, "ada@example.org", PASSWORD)


@pytest.fixture
def workspace_uri(tracking_uri: str, walked: Any) -> Iterator[str]:
    """The address of the example's project. The 2.x client finds artifacts by the global address alone."""
    uri = f"{tracking_uri}/workspaces/{walked['project']['slug']}"
    mlflow.set_tracking_uri(uri)
    yield uri
    mlflow.set_tracking_uri(tracking_uri)


@needs("mlflow.entities.Run.inputs")
@pytest.mark.usefixtures("as_ada")
def test_what_the_native_api_tracks_an_mlflow_client_sees(workspace_uri: str, walked: Any) -> None:
    client = MlflowClient(workspace_uri)
    experiment = client.get_experiment_by_name("linear models")
    assert experiment.tags["mlflow.note.content"] == "How far does a line get us?"
    (run,) = client.search_runs([experiment.experiment_id], "params.epochs = '20' and metrics.`val/accuracy` > 0")
    assert run.info.run_id == walked["run"]["run_id"].replace("-", "")
    assert (run.info.run_name, run.info.status) == ("sgd", "FINISHED")
    assert run.info.end_time >= run.info.start_time > 0
    assert run.data.params == {"alpha": "0.001", "epochs": "20", "shuffle": "true"}
    assert run.data.metrics["val/accuracy"] == walked["accuracy"]
    assert run.data.metrics["val/loss"] == walked["loss"]
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [point.step for point in history] == list(range(20))
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.name == "iris"
    assert used.dataset.source == "sklearn:load_iris"


@pytest.mark.usefixtures("as_ada")
def test_what_an_mlflow_client_tracks_the_native_api_shows(
    example: ModuleType, tracking_uri: str, workspace_uri: str, walked: Any
) -> None:
    client = MlflowClient(workspace_uri)
    number = client.get_experiment_by_name("linear models").experiment_id
    made = client.create_run(number, run_name="by mlflow", tags={"mlflow.note.content": "better"})
    run_id = made.info.run_id
    client.log_param(run_id, "alpha", 0.1)
    client.log_metric(run_id, "val/accuracy", 1.5, step=3, timestamp=1_700_000_000_123)
    client.log_dict(run_id, {"a": 1}, "report.json")
    client.set_terminated(run_id)

    api = example.Api(tracking_uri)
    api.session.auth = ("ada@example.org", PASSWORD)
    run = api.get(f"/runs/{run_id}")
    assert (run["run_name"], run["status"], run["notes"]) == ("by mlflow", "finished", "better")
    assert run["config"]["params_json"] == {"alpha": "0.1"}
    assert run["created_by"] is not None
    (point,) = api.get(f"/runs/{run_id}/metrics")["items"]
    assert (point["metric_key"], point["scope"], point["step"], point["value"]) == ("accuracy", "val", 3, 1.5)
    assert point["recorded_at"] == "2023-11-14T22:13:20.123Z"
    best = api.get(
        f"/reports/experiments/{walked['experiment']['experiment_id']}/leaderboard",
        metric_key="accuracy",
        scope="val",
    )["items"]
    assert [row["run_name"] for row in best] == ["by mlflow", "sgd"]
    (link,) = api.get("/run-artifacts", run_id=run_id)["items"]
    artifact = api.get(f"/artifacts/{link['artifact_id']}")
    assert artifact["uri"].endswith("/report.json")
    entries = api.get("/audit-log", table_name="runs", row_pk=run["run_id"])["items"]
    assert [entry["operation"] for entry in entries][-1] == "I"


def test_a_stranger_sees_nothing_of_it(
    example: ModuleType, tracking_uri: str, workspace_uri: str, walked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = example.Api(tracking_uri)
    account = {"email": "eve@example.org", "full_name": "Eve", "password": PASSWORD}
    api.session.headers["Authorization"] = f"Bearer {api.post('/auth/register', account)['access_token']}"
    assert api.get("/projects")["items"] == []
    with pytest.raises(RuntimeError, match="404"):
        api.get(f"/runs/{walked['run']['run_id']}")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "eve@example.org")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    client = MlflowClient(workspace_uri)
    with pytest.raises(mlflow.MlflowException, match="workspace"):
        client.get_run(walked["run"]["run_id"].replace("-", ""))
