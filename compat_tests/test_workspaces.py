"""Work in a workspace of one's own, named in each way that this client knows: it is there and nowhere else."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import mlflow
import pytest
from mlflow import MlflowClient, MlflowException

from compat_tests.clients import needs

numbers = itertools.count()


def make_workspace(uri: str) -> str:
    """The name of a new workspace; not every client has a call for it."""
    name = f"team-{next(numbers)}"
    body = json.dumps({"name": name}).encode()
    urlopen(Request(f"{uri}/api/3.0/mlflow/workspaces", body, {"Content-Type": "application/json"})).close()
    return name


@pytest.fixture
def workspace(tracking_uri: str) -> str:
    return make_workspace(tracking_uri)


def by_uri(uri: str, workspace: str, _: pytest.MonkeyPatch) -> None:
    """Any client: the tracking URI ends with the workspace."""
    mlflow.set_tracking_uri(f"{uri}/workspaces/{workspace}")


def by_call(uri: str, workspace: str, _: pytest.MonkeyPatch) -> None:
    mlflow.set_workspace(workspace)


def by_environment(uri: str, workspace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WORKSPACE", workspace)


HAS_WORKSPACES = hasattr(mlflow, "set_workspace")
WAYS = [by_uri, by_call, by_environment] if HAS_WORKSPACES else [by_uri]

Enter = Callable[[str], None]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def enter(request: pytest.FixtureRequest, tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Enter]:
    """Go to work in a workspace, in each way in turn; afterwards everybody is in the default one again."""
    yield lambda workspace: request.param(tracking_uri, workspace, monkeypatch)
    while mlflow.active_run():
        mlflow.end_run()
    if HAS_WORKSPACES:
        mlflow.set_workspace(None)
    mlflow.set_tracking_uri(tracking_uri)


@needs("mlflow.artifacts.list_artifacts")
def test_the_fluent_calls(enter: Enter, workspace: str, tracking_uri: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    enter(workspace)
    experiment = mlflow.set_experiment("its own")
    with mlflow.start_run(run_name="r") as active:
        mlflow.log_params({"lr": 0.1})
        for step in range(3):
            mlflow.log_metric("loss", 1 / (step + 1), step)
        mlflow.set_tag("team", "a")
        mlflow.log_artifact(str(tmp_path / "a.txt"), "dir")
        mlflow.log_dict({"b": 1}, "b.json")
    run_id = active.info.run_id
    run = mlflow.get_run(run_id)
    assert (run.info.status, run.data.params, run.data.tags["team"]) == ("FINISHED", {"lr": "0.1"}, "a")
    assert [point.step for point in MlflowClient().get_metric_history(run_id, "loss")] == [0, 1, 2]
    found = mlflow.search_runs([experiment.experiment_id], "metrics.loss < 0.4", output_format="list")
    assert [run.info.run_id for run in found] == [run_id]
    files = mlflow.artifacts.list_artifacts(run_id=run_id)
    assert sorted(file.path for file in files) == ["b.json", "dir"]
    back = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="dir/a.txt", dst_path=str(tmp_path / "1"))
    assert Path(back).read_text() == "a"
    assert mlflow.artifacts.load_text(f"{active.info.artifact_uri}/dir/a.txt") == "a"
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/b.json") == {"b": 1}


def test_the_client_s_calls(enter: Enter, workspace: str, tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(bytes(range(256)) * 10_000)
    enter(workspace)
    client = MlflowClient()
    experiment_id = client.create_experiment("its own", tags={"k": "v"})
    run_id = client.create_run(experiment_id).info.run_id
    client.log_artifact(run_id, str(tmp_path / "big.bin"))
    (tmp_path / "back").mkdir()
    back = client.download_artifacts(run_id, "big.bin", str(tmp_path / "back"))
    assert Path(back).read_bytes() == (tmp_path / "big.bin").read_bytes()
    client.rename_experiment(experiment_id, "another name")
    assert [found.name for found in client.search_experiments()] == ["another name"]
    client.delete_experiment(experiment_id)
    client.restore_experiment(experiment_id)
    client.set_terminated(run_id, "FAILED")
    assert client.get_run(run_id).info.status == "FAILED"
    client.delete_run(run_id)
    assert client.search_runs([experiment_id]) == []


def test_nothing_is_there_for_others(enter: Enter, tracking_uri: str, tmp_path: Path) -> None:
    one, other = make_workspace(tracking_uri), make_workspace(tracking_uri)
    ids = []
    for workspace in (one, other):
        enter(workspace)
        experiment = mlflow.set_experiment("the same name")
        with mlflow.start_run() as active:
            mlflow.log_text(workspace, "where.txt")
        ids.append((experiment.experiment_id, active.info.run_id, active.info.artifact_uri))
    assert len({experiment_id for experiment_id, _, _ in ids}) == 2
    client = MlflowClient()
    assert [found.experiment_id for found in client.search_experiments()] == [ids[1][0]]
    hidden_experiment, hidden_run, hidden_uri = ids[0]
    assert client.search_runs([hidden_experiment]) == []
    for look in (client.get_run, client.delete_run, lambda run: client.log_metric(run, "m", 1)):
        with pytest.raises(MlflowException, match=hidden_run):
            look(hidden_run)
    with pytest.raises(MlflowException, match=hidden_experiment):
        client.get_experiment(hidden_experiment)
    with pytest.raises(Exception, match=r"where\.txt|404|not found"):
        mlflow.artifacts.download_artifacts(f"{hidden_uri}/where.txt", dst_path=str(tmp_path))
    assert mlflow.artifacts.load_text(f"{ids[1][2]}/where.txt") == other


def test_who_names_none_sees_nothing_of_it(enter: Enter, workspace: str, tracking_uri: str) -> None:
    at_home = MlflowClient(tracking_uri)
    before = {found.experiment_id for found in at_home.search_experiments()}
    enter(workspace)
    mlflow.set_experiment("its own")
    enter("default")
    assert mlflow.get_experiment("0").name == "Default"
    assert {found.experiment_id for found in MlflowClient().search_experiments()} == before


def test_a_workspace_that_is_not_there_is_told_at_once(enter: Enter) -> None:
    enter("no-such-workspace")
    with pytest.raises(MlflowException, match="no-such-workspace") as refused:
        MlflowClient().search_experiments()
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
