"""A server that asks everybody who they are, and a client that brings what MLflow knows of: nothing else changes."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import mlflow
import pytest
import requests
from mlflow import MlflowClient, MlflowException

from compat_tests import processes, targets

NAMES = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
BOSS, ADA, EVE = "boss@example.org", "ada@example.org", "eve@example.org"
PASSWORD = "correct horse battery"

if targets.TARGET == "stock":
    pytest.skip("MLflow's own server has these only as a plugin", allow_module_level=True)


class Guarded(NamedTuple):
    """The server, and what an editor and a viewer of a project of their own can show for themselves."""

    uri: str
    editor: dict[str, str]
    tokens: dict[str, str]
    viewer: dict[str, str]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_SHIM_ACCESS", "required")
        patch.setenv("MLFLOW_SHIM_ADMIN_EMAIL", BOSS)
        patch.setenv("MLFLOW_SHIM_ADMIN_PASSWORD", PASSWORD)
        with processes.running(targets.TARGET, tmp_path_factory.mktemp("guarded")) as server:
            yield made(server.uri)


def made(uri: str) -> Guarded:
    """A project `vision`, with an editor and a viewer."""

    def post(path: str, who: str | None, body: Any) -> Any:
        answer = requests.post(f"{uri}/api{path}", json=body, auth=(who, PASSWORD) if who else None, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    ada, eve = (
        post("/auth/register", None, {"email": email, "full_name": email, "password": PASSWORD}) for email in (ADA, EVE)
    )
    org = post("/orgs", BOSS, {"name": "example"})
    project = post("/projects", BOSS, {"org_id": org["org_id"], "name": "vision"})
    for user, role in ((ada, "editor"), (eve, "viewer")):
        member = {"project_id": project["project_id"], "user_id": user["user_id"], "role": role}
        post("/project-members", BOSS, member)
    token = post("/tokens", ADA, {"name": "training", "scope": "write"})
    return Guarded(
        f"{uri}/workspaces/{project['slug']}",
        {"MLFLOW_TRACKING_USERNAME": ADA, "MLFLOW_TRACKING_PASSWORD": PASSWORD},
        {"access token": ada["access_token"], "API token": token["token"]},
        {"MLFLOW_TRACKING_USERNAME": EVE, "MLFLOW_TRACKING_PASSWORD": PASSWORD},
    )


@pytest.fixture(autouse=True)
def in_vision(guarded: Guarded, tracking_uri: str) -> Iterator[None]:
    """The 2.x client finds the artifacts of its runs by the global address alone."""
    mlflow.set_tracking_uri(guarded.uri)
    yield
    mlflow.set_tracking_uri(tracking_uri)


def bring(patch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for name in NAMES:
        patch.delenv(name, raising=False)
    for name, value in given.items():
        patch.setenv(name, value)


@pytest.mark.parametrize("kind", ["password", "access token", "API token"])
def test_each_kind_of_credential_logs_a_run(guarded: Guarded, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    given = guarded.editor if kind == "password" else {"MLFLOW_TRACKING_TOKEN": guarded.tokens[kind]}
    bring(monkeypatch, given)
    mlflow.set_experiment(f"by {kind}")
    with mlflow.start_run() as run:
        mlflow.log_param("lr", 0.1)
        mlflow.log_metric("loss", 0.5)
        mlflow.log_text("hello", "notes/hello.txt")
    found = mlflow.get_run(run.info.run_id)
    assert (found.data.params, found.data.metrics) == ({"lr": "0.1"}, {"loss": 0.5})
    assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/notes/hello.txt") == "hello"
    assert (found.info.user_id, found.data.tags["mlflow.user"]) == (ADA, ADA)


def test_a_viewer_reads_and_does_not_write(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, guarded.editor)
    editor = MlflowClient(guarded.uri)
    run_id = editor.create_run(editor.create_experiment("to be read")).info.run_id
    editor.log_metric(run_id, "loss", 0.5)
    editor.log_text(run_id, "hello", "hello.txt")

    bring(monkeypatch, guarded.viewer)
    viewer = MlflowClient(guarded.uri)
    assert viewer.get_run(run_id).data.metrics == {"loss": 0.5}
    assert [file.path for file in viewer.list_artifacts(run_id)] == ["hello.txt"]
    writes: list[Callable[[], object]] = [
        lambda: viewer.log_metric(run_id, "loss", 0.4),
        lambda: viewer.set_tag(run_id, "k", "v"),
        lambda: viewer.create_experiment("mine"),
        lambda: viewer.delete_run(run_id),
        lambda: viewer.log_text(run_id, "bye", "hello.txt"),
    ]
    for write in writes:
        with pytest.raises((MlflowException, requests.HTTPError), match=r"403|PERMISSION_DENIED"):
            write()
    bring(monkeypatch, guarded.editor)
    assert len(editor.get_metric_history(run_id, "loss")) == 1


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"MLFLOW_TRACKING_USERNAME": ADA, "MLFLOW_TRACKING_PASSWORD": "wrong"},
        {"MLFLOW_TRACKING_USERNAME": "nobody", "MLFLOW_TRACKING_PASSWORD": PASSWORD},
        {"MLFLOW_TRACKING_TOKEN": "mls_unknown"},
        {"MLFLOW_TRACKING_TOKEN": "e30.e30.e30"},
    ],
    ids=["none", "a wrong password", "a wrong name", "an unknown token", "a forged one"],
)
def test_without_a_good_credential_a_client_is_told_at_once(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    bring(monkeypatch, given)
    client = MlflowClient(guarded.uri)
    began = time.monotonic()
    with pytest.raises(MlflowException) as refused:
        client.create_experiment("nobody's")
    assert time.monotonic() - began < 10
    assert refused.value.error_code == "CUSTOMER_UNAUTHORIZED"


def test_the_default_workspace_is_not_everybodys(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, guarded.editor)
    client = MlflowClient(guarded.uri.partition("/workspaces/")[0])
    with pytest.raises(MlflowException, match="You have no role in the workspace 'default'"):
        client.search_experiments()
