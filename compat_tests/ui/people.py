"""A server that everybody has to log in to, with people of two workspaces and what they have logged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import pytest
import requests
from mlflow import MlflowClient
from playwright.sync_api import Page

from compat_tests import processes, targets

BOSS, EDITOR, VIEWER, OUTSIDER = (f"{name}@example.org" for name in ("boss", "ada", "eve", "tom"))
PASSWORD = "correct horse battery"
OTHER = "team-b"
"""The workspace beside `default`. The editor works in both, the outsider only there, the viewer only in `default`."""

ACCESS = {
    "MLFLOW_SHIM_ACCESS": "required",
    "MLFLOW_SHIM_ADMIN_EMAIL": BOSS,
    "MLFLOW_SHIM_ADMIN_PASSWORD": PASSWORD,
}


class Work(NamedTuple):
    """An experiment with one run, which has a file of notes, in a workspace."""

    experiment: str
    experiment_id: str
    run: str
    run_id: str
    notes: str


class House(NamedTuple):
    """The address of the server, and what was logged in each workspace."""

    address: str
    work: dict[str, Work]


@contextmanager
def running(folder: Path) -> Iterator[House]:
    """A house, which ends with the block."""
    with processes.running(targets.TARGET, folder, environment=ACCESS) as server:
        _invite(server.uri)
        yield House(server.uri, {name: _log(server.uri, name) for name in ("default", OTHER)})


def _invite(uri: str) -> None:
    def call(method: str, path: str, who: str | None = BOSS, body: Any = None) -> Any:
        credentials = (who, PASSWORD) if who else None
        answer = requests.request(method, f"{uri}/api{path}", json=body, auth=credentials, timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    ids = {}
    for email in (EDITOR, VIEWER, OUTSIDER):
        account = {"email": email, "full_name": email.partition("@")[0], "password": PASSWORD}
        ids[email] = call("POST", "/auth/register", None, account)["user_id"]
    (default,) = call("GET", "/projects")["items"]
    other = call("POST", "/projects", body={"org_id": default["org_id"], "name": OTHER})
    for project, email, role in (
        *((default, EDITOR, "editor"), (default, VIEWER, "viewer")),
        *((other, EDITOR, "editor"), (other, OUTSIDER, "editor")),
    ):
        member = {"project_id": project["project_id"], "user_id": ids[email], "role": role}
        call("POST", "/project-members", body=member)


def _log(uri: str, workspace: str) -> Work:
    with logged_in(uri, workspace) as client:
        experiment = f"work of {workspace}"
        experiment_id = str(client.create_experiment(experiment))
        run = client.create_run(experiment_id, run_name=f"run of {workspace}")
        client.log_metric(run.info.run_id, "loss", 0.5)
        notes = f"These are the notes of {workspace}."
        client.log_text(run.info.run_id, notes, "notes.txt")
        client.set_terminated(run.info.run_id)
        return Work(experiment, experiment_id, f"run of {workspace}", run.info.run_id, notes)


@contextmanager
def logged_in(uri: str, workspace: str = "default") -> Iterator[MlflowClient]:
    """The real client with the editor's credentials, in a workspace, until the block ends."""
    place, before = f"{uri}/workspaces/{workspace}", mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_USERNAME", EDITOR)
        patch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        mlflow.set_tracking_uri(place)  # artifacts are fetched from there
        yield MlflowClient(place)
    mlflow.set_tracking_uri(before)


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in the form that a page shows, and send it."""
    page.get_by_label("Email or name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
