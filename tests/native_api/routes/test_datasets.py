"""Datasets and their versions on the native surface, and what MLflow's surface makes of them."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio

NOBODYS = str(uuid4())


async def make_dataset(api: Api, project_id: str, name: str = "iris", **fields: Any) -> Any:
    return await api.post("/datasets", {"project_id": project_id, "name": name, **fields})


async def make_version(api: Api, dataset_id: str, label: str = "v1", content: str = "hash", **fields: Any) -> Any:
    body = {"dataset_id": dataset_id, "version_label": label, "content_hash": content, **fields}
    return await api.post("/dataset-versions", body)


# Datasets


async def test_a_dataset_is_made_shown_changed_and_deleted(api: Api) -> None:
    project_id = await api.project()
    made = await make_dataset(api, project_id, task_type="classification", description="flowers")
    assert made | {"dataset_id": "", "created_at": ""} == {
        "dataset_id": "",
        "project_id": project_id,
        "name": "iris",
        "task_type": "classification",
        "description": "flowers",
        "created_at": "",
    }
    path = f"/datasets/{made['dataset_id']}"
    assert await api.get(path) == made
    changed = await api.put(path, {"description": None, "name": "wine"})
    assert changed == made | {"description": None, "name": "wine"} == await api.get(path)
    assert await api.put(path, {}) == changed
    await api.delete(path)
    for call in (api.get(path, 404), api.put(path, {}, 404), api.delete(path, 404)):
        assert (await call)["error_code"] == "NOT_FOUND"


async def test_a_taken_name_is_a_conflict(api: Api) -> None:
    project_id = await api.project()
    await make_dataset(api, project_id)
    second = await make_dataset(api, project_id, "wine")
    await api.post("/datasets", {"project_id": project_id, "name": "iris"}, 409)
    refused = await api.put(f"/datasets/{second['dataset_id']}", {"name": "iris"}, 409)
    assert refused["error_code"] == "ALREADY_EXISTS"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 256},
        {"name": "\0"},
        {"name": None},
        {"task_type": "guessing"},
        {"task_type": None},
        {"description": 5},
        {"dataset_id": NOBODYS},
        {"project_id": "x"},
        {"other": 1},
    ],
)
async def test_what_is_no_dataset_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    project_id = await api.project()
    await api.post("/datasets", {"project_id": project_id, "name": "iris"} | wrong, 422)
    path = f"/datasets/{(await make_dataset(api, project_id))['dataset_id']}"
    before = await api.get(path)
    await api.put(path, wrong, 422)
    assert await api.get(path) == before


async def test_datasets_are_listed_page_by_page(api: Api) -> None:
    project_id = await api.project()
    made = [await make_dataset(api, project_id, name, task_type="nlp") for name in "abc"]
    await make_dataset(api, await api.project(), "a")
    first = await api.get("/datasets", project_id=project_id, limit=2)
    rest = await api.get("/datasets", project_id=project_id, limit=2, cursor=first["next_cursor"])
    assert rest["next_cursor"] is None
    assert sorted(first["items"] + rest["items"], key=lambda item: item["name"]) == made
    assert (await api.get("/datasets", project_id=project_id, name="b"))["items"] == [made[1]]
    assert (await api.get("/datasets", project_id=project_id, task_type="other"))["items"] == []
    for wrong in ({"task_type": "x"}, {"limit": 0}, {"limit": 1001}, {"cursor": "x"}, {"project_id": "x"}, {"x": 1}):
        await api.get("/datasets", 422, **wrong)


# Versions


async def test_a_version_is_made_shown_changed_and_deleted(api: Api) -> None:
    dataset_id = (await make_dataset(api, await api.project()))["dataset_id"]
    made = await make_version(
        api, dataset_id, storage_uri="s3://a", row_count=150, size_bytes=0, schema_json={"columns": ["é", 1.5, None]}
    )
    assert made | {"dataset_version_id": "", "created_at": ""} == {
        "dataset_version_id": "",
        "dataset_id": dataset_id,
        "version_label": "v1",
        "storage_uri": "s3://a",
        "content_hash": "hash",
        "row_count": 150,
        "size_bytes": 0,
        "schema_json": {"columns": ["é", 1.5, None]},
        "created_at": "",
    }
    path = f"/dataset-versions/{made['dataset_version_id']}"
    assert await api.get(path) == made
    changed = await api.put(path, {"schema_json": [], "row_count": None, "version_label": "v2"})
    assert changed == made | {"schema_json": [], "row_count": None, "version_label": "v2"} == await api.get(path)
    assert (await api.put(path, {"schema_json": None}))["schema_json"] is None
    await api.delete(f"/datasets/{dataset_id}", 409)
    await api.delete(path)
    await api.get(path, 404)
    await api.delete(f"/datasets/{dataset_id}")


async def test_a_taken_label_or_content_is_a_conflict(api: Api) -> None:
    dataset_id = (await make_dataset(api, await api.project()))["dataset_id"]
    await make_version(api, dataset_id)
    second = await make_version(api, dataset_id, "v2", "hash 2")
    for label, content in (("v1", "new"), ("new", "hash")):
        body = {"version_label": label, "content_hash": content}
        await api.post("/dataset-versions", {"dataset_id": dataset_id} | body, 409)
        await api.put(f"/dataset-versions/{second['dataset_version_id']}", body, 409)


@pytest.mark.parametrize(
    "wrong",
    [
        {"content_hash": None},
        {"content_hash": ""},
        {"version_label": None},
        {"row_count": -1},
        {"row_count": 1.5},
        {"row_count": "1"},
        {"size_bytes": 2**63},
        {"schema_json": "text"},
        {"schema_json": 5},
        {"schema_json": {"x": "x" * 1_048_575}},
        {"storage_uri": ""},
        {"dataset_version_id": NOBODYS},
    ],
)
async def test_what_is_no_version_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    dataset_id = (await make_dataset(api, await api.project()))["dataset_id"]
    body = {"dataset_id": dataset_id, "version_label": "v1", "content_hash": "hash"}
    await api.post("/dataset-versions", body | wrong, 422)
    made = await make_version(api, dataset_id)
    await api.put(f"/dataset-versions/{made['dataset_version_id']}", wrong, 422)


@pytest.mark.parametrize("missing", ["dataset_id", "version_label", "content_hash"])
async def test_a_version_needs_its_dataset_its_label_and_its_content(api: Api, missing: str) -> None:
    body = {"dataset_id": NOBODYS, "version_label": "v1", "content_hash": "hash"}
    del body[missing]
    assert missing in (await api.post("/dataset-versions", body, 422))["message"]


async def test_versions_are_listed_by_what_is_asked(api: Api) -> None:
    dataset_id = (await make_dataset(api, await api.project()))["dataset_id"]
    a, b = [await make_version(api, dataset_id, label, content) for label, content in (("v1", "x"), ("v2", "y"))]
    listed = await api.get("/dataset-versions", dataset_id=dataset_id)
    assert sorted(listed["items"], key=lambda item: item["version_label"]) == [a, b]
    assert (await api.get("/dataset-versions", dataset_id=dataset_id, content_hash="y"))["items"] == [b]
    assert (await api.get("/dataset-versions", dataset_id=dataset_id, version_label="v1"))["items"] == [a]


# Both surfaces


async def log_input(api: Api, **dataset: Any) -> str:
    """The id of a new run of an MLflow client that used this dataset for training."""
    run_id: str = (await api.mlflow("runs/create", experiment_id="0"))["run"]["info"]["run_id"]
    used = {"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "training"}]}
    await api.mlflow("runs/log-inputs", run_id=run_id, datasets=[used])
    return run_id


async def input_of(api: Api, run_id: str) -> Any:
    """The dataset that a run used, as MLflow clients see it."""
    (used,) = (await api.mlflow("runs/get", method="GET", run_id=run_id))["run"]["inputs"]["dataset_inputs"]
    return used["dataset"]


@pytest.mark.parametrize(
    ("logged", "shown"),
    [
        ('{"mlflow_colspec": [{"type": "long"}]}', {"mlflow_colspec": [{"type": "long"}]}),
        ("[1, 2.5, null]", [1, 2.5, None]),
        (str(10**30), 10**30),
        ('"text"', "text"),
        ("no JSON", "no JSON"),
        ("", ""),
        ('{"a": NaN}', '{"a": NaN}'),
        ("[1e999]", "[1e999]"),
        ('"\\ud800"', '"\\ud800"'),
        ("[" * 5000, "[" * 5000),
        ("[" * 200 + "]" * 200, json.loads("[" * 200 + "]" * 200)),
        ("[" * 300 + "]" * 300, "[" * 300 + "]" * 300),
    ],
)
async def test_a_logged_schema_is_shown_as_json_or_else_as_it_was_logged(api: Api, logged: str, shown: Any) -> None:
    name = uuid4().hex
    run_id = await log_input(api, name=name, digest="hash", source_type="local", source="/a", schema=logged)
    (dataset,) = (await api.get("/datasets", name=name))["items"]
    (version,) = (await api.get("/dataset-versions", dataset_id=dataset["dataset_id"]))["items"]
    assert (version["version_label"], version["content_hash"], version["storage_uri"]) == ("hash", "hash", "/a")
    assert version["schema_json"] == shown
    assert (await input_of(api, run_id)).get("schema", "") == logged


async def test_what_is_changed_of_a_dataset_shows_in_the_runs_of_mlflow_clients(api: Api) -> None:
    name = uuid4().hex
    run_id = await log_input(api, name=name, digest="hash", source_type="s3", source="s3://a")
    assert (await input_of(api, run_id))["name"] == name
    (dataset,) = (await api.get("/datasets", name=name))["items"]
    (version,) = (await api.get("/dataset-versions", dataset_id=dataset["dataset_id"]))["items"]
    await api.put(f"/datasets/{dataset['dataset_id']}", {"name": f"{name}!"})
    changes = {"schema_json": {"a": ["é"]}, "content_hash": "new", "storage_uri": "s3://b"}
    await api.put(f"/dataset-versions/{version['dataset_version_id']}", changes)
    shown = await input_of(api, run_id)
    assert (shown["name"], shown["digest"], shown["source"]) == (f"{name}!", "new", "s3://b")
    assert json.loads(shown["schema"]) == {"a": ["é"]}
    await api.delete(f"/dataset-versions/{version['dataset_version_id']}", 409)


# Other people


async def test_a_viewer_reads_and_changes_nothing(api: Api) -> None:
    project_id = await api.project()
    dataset = await make_dataset(api, project_id)
    version = await make_version(api, dataset["dataset_id"])
    viewer = await api.member(project_id, "viewer")
    assert (await viewer.get("/datasets"))["items"] == [dataset]
    assert (await viewer.get("/dataset-versions"))["items"] == [version]
    for path in (f"/datasets/{dataset['dataset_id']}", f"/dataset-versions/{version['dataset_version_id']}"):
        await viewer.get(path)
        await viewer.put(path, {}, 403)
        await viewer.delete(path, 403)
    await viewer.post("/datasets", {"project_id": project_id, "name": "new"}, 403)
    body = {"dataset_id": dataset["dataset_id"], "version_label": "v2", "content_hash": "new"}
    await viewer.post("/dataset-versions", body, 403)


async def test_an_editor_changes_what_a_project_has(api: Api) -> None:
    project_id = await api.project()
    editor = await api.member(project_id, "editor")
    dataset = await make_dataset(editor, project_id)
    version = await make_version(editor, dataset["dataset_id"])
    await editor.delete(f"/dataset-versions/{version['dataset_version_id']}")
    await editor.delete(f"/datasets/{dataset['dataset_id']}")


async def test_others_find_nothing(api: Api) -> None:
    project_id = await api.project()
    dataset = await make_dataset(api, project_id)
    version = await make_version(api, dataset["dataset_id"])
    stranger = await api.register()
    await stranger.project()
    assert (await stranger.get("/datasets", project_id=project_id))["items"] == []
    assert (await stranger.get("/dataset-versions"))["items"] == []
    for path in (f"/datasets/{dataset['dataset_id']}", f"/dataset-versions/{version['dataset_version_id']}"):
        await stranger.get(path, 404)
        await stranger.put(path, {}, 404)
        await stranger.delete(path, 404)
    await stranger.post("/datasets", {"project_id": project_id, "name": "new"}, 404)
    body = {"dataset_id": dataset["dataset_id"], "version_label": "v2", "content_hash": "new"}
    await stranger.post("/dataset-versions", body, 404)
