"""The files of runs, logged models and model versions, as the UI asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from native_api.core import clock, db
from native_api.core import tables as t
from native_api.settings import Settings
from tests import model_rows
from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio

PROXY = "/api/2.0/mlflow-artifacts/artifacts"
UPLOAD = "/ajax-api/2.0/mlflow/upload-artifact"
MEGABYTE = 1024 * 1024


@dataclass
class Model:
    """A logged model with the file `d/a.html`, and three versions of a registered model.

    The first has the files of the logged model, the second is named after it, the third's are elsewhere.
    """

    model_id: str
    home: str
    name: str


@pytest.fixture
async def model(http: httpx.AsyncClient, mlflow: MLflow, settings: Settings) -> Model:
    experiment, model_id, name = await mlflow.experiment(), f"m-{clock.new_id()}", clock.new_id()
    uri = f"mlflow-artifacts:/{experiment}/models/{model_id}/artifacts"
    engine = db.create_writer(db.parse_url(settings.database_url))
    with engine.begin() as conn:
        of = select(t.experiments.c.project_id).where(t.experiments.c.id == int(experiment))
        project = conn.execute(of).scalar_one()
        model_rows.add_model(conn, int(experiment), model_id, uri)
        model_rows.add_registered(conn, name, project, name)
        for version, kept in enumerate([uri, f"models:/{model_id}", "s3://bucket/x"], 1):
            model_rows.add_version(conn, name, project, version, kept)
    engine.dispose()
    home = uri.removeprefix("mlflow-artifacts:/")
    assert (await http.put(f"{PROXY}/{home}/d/a.html", content=b"<p>")).status_code == 200
    return Model(model_id, home, name)


async def test_a_logged_models_folder_is_listed(mlflow: MLflow, model: Model) -> None:
    path = f"logged-models/{model.model_id}/artifacts/directories"
    root = {"root_uri": f"mlflow-artifacts:/{model.home}"}
    assert await mlflow.get(path) == root | {"files": [{"path": "d", "is_dir": True}]}
    listed = await mlflow.get(path, artifact_directory_path="d")
    assert listed == root | {"files": [{"path": "d/a.html", "is_dir": False, "file_size": 3}]}
    assert await mlflow.get(path, artifact_directory_path="d/a.html") == root
    await mlflow.refused("logged-models/m-0/artifacts/directories", "RESOURCE_DOES_NOT_EXIST", "GET")


async def test_a_logged_models_file_is_fetched(http: httpx.AsyncClient, mlflow: MLflow, model: Model) -> None:
    path = f"logged-models/{model.model_id}/artifacts/files"
    answer = await mlflow.send(path, "GET", {"artifact_file_path": "d/a.html"})
    assert (answer.status_code, answer.content) == (200, b"<p>")
    assert answer.headers["content-disposition"] == 'attachment; filename="a.html"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    await mlflow.refused(path, method="GET")
    await mlflow.refused(path, method="GET", artifact_file_path="d")
    await mlflow.refused(path, "RESOURCE_DOES_NOT_EXIST", "GET", artifact_file_path="none")


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_versions_file_is_fetched(http: httpx.AsyncClient, model: Model, version: str) -> None:
    asked = {"name": model.name, "version": version, "path": "d/a.html"}
    answer = await http.get("/model-versions/get-artifact", params=asked)
    assert (answer.status_code, answer.content) == (200, b"<p>")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"version": "3"}, 400),  # which the server does not keep
        ({"version": "4"}, 404),
        ({"version": "x"}, 400),
        ({"version": "0"}, 400),
        ({"version": "99999999999"}, 400),
        ({"name": "none"}, 404),
        ({"path": ""}, 400),
        ({"path": "none"}, 404),
    ],
)
async def test_a_file_of_no_version_is_not(
    http: httpx.AsyncClient, model: Model, change: dict[str, str], status: int
) -> None:
    asked = {"name": model.name, "version": "1", "path": "d/a.html"} | change
    assert (await http.get("/model-versions/get-artifact", params=asked)).status_code == status


async def test_a_deleted_model_and_version_have_no_files(
    http: httpx.AsyncClient, mlflow: MLflow, model: Model, settings: Settings
) -> None:
    engine = db.create_writer(db.parse_url(settings.database_url))
    with engine.begin() as conn:
        conn.execute(t.logged_models.update().where(t.logged_models.c.model_id == model.model_id).values(deleted_at=1))
        mine = t.model_versions.c.registered_model_id == model.name
        conn.execute(t.model_versions.update().where(mine, t.model_versions.c.version == 1).values(deleted_at=1))
    engine.dispose()
    path = f"logged-models/{model.model_id}/artifacts/directories"
    await mlflow.refused(path, "RESOURCE_DOES_NOT_EXIST", "GET")
    for version in ("1", "2"):
        asked = {"name": model.name, "version": version, "path": "d/a.html"}
        assert (await http.get("/model-versions/get-artifact", params=asked)).status_code == 404


async def test_what_is_in_another_project_is_not_there(http: httpx.AsyncClient, mlflow: MLflow, model: Model) -> None:
    await http.post("/api/3.0/mlflow/workspaces", json={"name": "farther"})
    elsewhere = {"x-mlflow-workspace": "farther"}
    of_model = f"/api/2.0/mlflow/logged-models/{model.model_id}/artifacts"
    asked: list[tuple[str, dict[str, str]]] = [
        (f"{of_model}/directories", {}),
        (f"{of_model}/files", {"artifact_file_path": "d/a.html"}),
        ("/model-versions/get-artifact", {"name": model.name, "version": "1", "path": "d/a.html"}),
        (f"{PROXY}/{model.home}/d/a.html", {}),
    ]
    for path, query in asked:
        assert (await http.get(path, params=query, headers=elsewhere)).status_code == 404
    assert (await http.put(f"{PROXY}/{model.home}/d/a.html", content=b"x", headers=elsewhere)).status_code == 404


async def test_a_version_does_not_lead_into_another_project(
    http: httpx.AsyncClient, model: Model, settings: Settings
) -> None:
    """Whatever its maker said of where its files are."""
    elsewhere = {"x-mlflow-workspace": "yonder"}
    await http.post("/api/3.0/mlflow/workspaces", json={"name": "yonder"})
    made = await http.post("/api/2.0/mlflow/experiments/create", json={"name": model.name}, headers=elsewhere)
    home = f"{made.json()['experiment_id']}/x"
    await http.put(f"{PROXY}/{home}/secret", content=b"secret", headers=elsewhere)
    engine = db.create_writer(db.parse_url(settings.database_url))
    with engine.begin() as conn:
        mine = t.model_versions.c.registered_model_id == model.name
        conn.execute(t.model_versions.update().where(mine).values(storage_uri=f"mlflow-artifacts:/{home}"))
    engine.dispose()
    asked = {"name": model.name, "version": "1", "path": "secret"}
    assert (await http.get("/model-versions/get-artifact", params=asked)).status_code == 404


# Uploads of the UI


async def upload(http: httpx.AsyncClient, content: bytes, **query: Any) -> httpx.Response:
    return await http.post(UPLOAD, params=query, content=content)


@pytest.mark.parametrize("size", [1, 10 * MEGABYTE])
async def test_a_short_file_is_uploaded_to_a_run(http: httpx.AsyncClient, mlflow: MLflow, size: int) -> None:
    run_id = await mlflow.run()
    answer = await upload(http, bytes(size), run_uuid=run_id, path="d/a b")
    assert (answer.status_code, answer.content) == (200, b"")
    fetched = await http.get("/get-artifact", params={"run_id": run_id, "path": "d/a b"})
    assert fetched.content == bytes(size)
    assert (await mlflow.get("artifacts/list", run_id=run_id))["files"] == [{"path": "d", "is_dir": True}]


@pytest.mark.parametrize(
    ("query", "size", "words"),
    [
        ({"run_uuid": None}, 1, "run_id"),
        ({"run_uuid": ""}, 1, "run_uuid"),
        ({"path": None}, 1, "path"),
        ({"path": ""}, 1, "path"),
        ({"path": "../x"}, 1, "Invalid path"),
        ({}, 0, "Request must specify data."),
        ({}, 10 * MEGABYTE + 1, "Artifact size is too large. Max size is 10MB."),
    ],
)
async def test_what_is_no_such_upload_is_refused(
    http: httpx.AsyncClient, mlflow: MLflow, query: dict[str, Any], size: int, words: str
) -> None:
    run_id = await mlflow.run()
    asked = {name: value for name, value in ({"run_uuid": run_id, "path": "a"} | query).items() if value is not None}
    answer = await upload(http, bytes(size), **asked)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert words in answer.json()["message"]
    assert "files" not in await mlflow.get("artifacts/list", run_id=run_id)


async def test_an_upload_needs_its_run(http: httpx.AsyncClient) -> None:
    assert (await upload(http, b"x", run_uuid="0" * 32, path="a")).status_code == 404
