"""Registered models on the native surface: the same rows that MLflow's registry shows."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio


async def make_model(api: Api, project_id: str, **fields: Any) -> Any:
    return await api.post("/models", {"project_id": project_id, "name": f"model {uuid4().hex}", **fields})


async def make_version(api: Api, name: str, **fields: Any) -> Any:
    return await api.post(f"/models/{name}/versions", {"source": "s3://bucket/model", **fields})


# Models


async def test_a_model_is_made_changed_and_deleted(api: Api, project_id: str) -> None:
    made = await make_model(api, project_id, description="d", tags={"a": "1", "b": "2"})
    assert (made["project_id"], made["description"], made["tags"]) == (project_id, "d", {"a": "1", "b": "2"})
    assert made["aliases"] == {}
    path = f"/models/{made['name']}"
    assert await api.get(path) == made
    renamed = await api.put(path, {"new_name": f"{made['name']} 2", "tags": {"a": "3", "b": None, "c": ""}})
    assert renamed["name"] == f"{made['name']} 2"
    assert (renamed["description"], renamed["tags"]) == ("d", {"a": "3", "c": ""})
    assert renamed["registered_model_id"] == made["registered_model_id"]
    await api.get(path, 404)
    await api.delete(f"{path} 2")
    await api.get(f"{path} 2", 404)
    await api.delete(f"{path} 2", 404)


async def test_a_name_is_unique_in_its_project(api: Api, project_id: str) -> None:
    made, other = await make_model(api, project_id), await make_model(api, project_id)
    await api.post("/models", {"project_id": project_id, "name": made["name"]}, 409)
    await api.put(f"/models/{made['name']}", {"new_name": other["name"], "description": "not kept"}, 409)
    assert await api.get(f"/models/{made['name']}") == made


async def test_a_name_that_several_projects_have_needs_the_project(api: Api, project_id: str) -> None:
    first, second = await make_model(api, project_id), await api.project()
    name = first["name"]
    other = await api.post("/models", {"project_id": second, "name": name})
    answer = await api.get(f"/models/{name}", 422)
    assert "project_id" in answer["message"]
    assert await api.get(f"/models/{name}", project_id=second) == other
    await api.put(f"/models/{name}", {"project_id": second, "description": "other"})
    version = await make_version(api, name, project_id=second)
    assert version["project_id"] == second
    assert (await api.get(f"/models/{name}", project_id=project_id)) == first
    await api.delete(f"/models/{name}", project_id=second)
    assert await api.get(f"/models/{name}") == first


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "..", " ", "n" * 257, "a\0b"])
async def test_what_may_be_no_name_is_refused(api: Api, project_id: str, name: str) -> None:
    await api.post("/models", {"project_id": project_id, "name": name}, 422)
    made = await make_model(api, project_id)
    await api.put(f"/models/{made['name']}", {"new_name": name}, 422)


async def test_models_are_listed_by_name_a_page_at_a_time(api: Api, project_id: str) -> None:
    names = sorted([(await make_model(api, project_id))["name"] for _ in range(5)])
    prompt = await make_model(api, project_id, tags={"mlflow.prompt.is_prompt": "true"})
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await api.get("/models", project_id=project_id, limit=2, **cursor)
        found += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == names
    shown = (await api.get("/models", project_id=project_id, prompts="true"))["items"]
    assert {item["name"] for item in shown} == {*names, prompt["name"]}
    assert (await api.get("/models", name=names[0]))["items"][0]["name"] == names[0]


# Versions and aliases


async def test_versions_are_numbered_and_no_number_comes_twice(api: Api, project_id: str) -> None:
    name = (await make_model(api, project_id))["name"]
    path = f"/models/{name}/versions"
    first = await make_version(api, name, description="d", tags={"a": "1"})
    assert (first["version"], first["source"], first["stage"], first["status"]) == (
        1,
        "s3://bucket/model",
        "none",
        "ready",
    )
    assert await api.get(f"{path}/1") == first
    assert (await make_version(api, name))["version"] == 2
    await api.delete(f"{path}/2")
    await api.get(f"{path}/2", 404)
    assert (await make_version(api, name))["version"] == 3
    listed = (await api.get(path))["items"]
    assert [item["version"] for item in listed] == [3, 1]
    page = await api.get(path, limit=1)
    assert [item["version"] for item in (await api.get(path, cursor=page["next_cursor"], limit=1))["items"]] == [1]


async def test_a_version_changes_its_stage_and_archives_the_others(api: Api, project_id: str) -> None:
    name = (await make_model(api, project_id))["name"]
    path = f"/models/{name}/versions"
    for _ in range(2):
        await make_version(api, name)
    assert (await api.put(f"{path}/1", {"stage": "production"}))["stage"] == "production"
    changed = await api.put(
        f"{path}/2", {"stage": "production", "archive_others": True, "description": "d", "tags": {"a": "b"}}
    )
    assert (changed["stage"], changed["description"], changed["tags"]) == ("production", "d", {"a": "b"})
    assert (await api.get(f"{path}/1"))["stage"] == "archived"
    assert [item["version"] for item in (await api.get(path, stage="production"))["items"]] == [2]
    await api.put(f"{path}/1", {"stage": "archived", "archive_others": True}, 422)
    await api.put(f"{path}/1", {"stage": "best"}, 422)
    assert (await api.put(f"{path}/1", {}))["stage"] == "archived"


async def test_an_alias_names_one_version_and_moves(api: Api, project_id: str) -> None:
    name = (await make_model(api, project_id))["name"]
    for _ in range(2):
        await make_version(api, name)
    path = f"/models/{name}/aliases/champion"
    await api.get(path, 404)
    assert (await api.put(path, {"version": 1}))["aliases"] == ["champion"]
    assert (await api.get(path))["version"] == 1
    await api.put(path, {"version": 2})
    assert (await api.get(path))["version"] == 2
    assert (await api.get(f"/models/{name}"))["aliases"] == {"champion": 2}
    assert [item["aliases"] for item in (await api.get(f"/models/{name}/versions"))["items"]] == [["champion"], []]
    assert (await api.get(f"/models/{name}/aliases/latest"))["version"] == 2
    for reserved in ("latest", "v2", "a b"):
        await api.put(f"/models/{name}/aliases/{reserved}", {"version": 1}, 422)
    await api.put(path, {"version": 3}, 404)
    await api.delete(path)
    await api.get(path, 404)


HOSTILE = [
    "/etc/passwd",
    "file:///etc/passwd",
    "mlflow-artifacts:/0/1/artifacts",
    "runs:/0123/model",
    "models:/m-0123",
    "s3://bucket/../x",
    "s3://bucket/%2e%2e/x",
    "relative/path",
]


@pytest.mark.parametrize("source", HOSTILE)
async def test_a_source_that_is_not_ones_own_is_refused(api: Api, project_id: str, source: str) -> None:
    name = (await make_model(api, project_id))["name"]
    await api.post(f"/models/{name}/versions", {"source": source}, 422)
    assert (await api.get(f"/models/{name}/versions"))["items"] == []


async def test_a_version_is_made_from_a_place_in_a_run(home: Api, project_id: str, experiment: Any) -> None:
    run = await home.post("/runs", {"experiment_id": experiment["experiment_id"]})
    name = (await make_model(home, project_id))["name"]
    source = f"runs:/{run['run_id'].replace('-', '')}/model"
    made = await make_version(home, name, source=source, run_id=run["run_id"])
    assert (made["source"], made["run_id"]) == (source, run["run_id"])
    assert (await home.get(f"/models/{name}/versions", run_id=run["run_id"]))["items"] == [made]
    await home.post(f"/models/{name}/versions", {"source": source, "run_id": str(uuid4())}, 422)


async def test_what_becomes_of_them_is_in_the_audit_log(api: Api, project_id: str) -> None:
    model = await make_model(api, project_id)
    name, pk = model["name"], model["registered_model_id"].replace("-", "")
    await make_version(api, name)
    await api.put(f"/models/{name}/aliases/champion", {"version": 1})
    await api.delete(f"/models/{name}")
    told = [
        (entry["table_name"], entry["operation"])
        for row_pk in (model["registered_model_id"], pk, f"{pk}/1", f"{pk}/champion")
        for entry in (await api.get("/audit-log", row_pk=row_pk))["items"]
    ]
    assert sorted(set(told)) == [
        (table, operation)
        for table in ("model_versions", "registered_model_aliases", "registered_models")
        for operation in ("D", "I")
    ]


# Other people


async def test_a_viewer_reads_and_changes_nothing(api: Api, project_id: str) -> None:
    name = (await make_model(api, project_id))["name"]
    version = await make_version(api, name)
    viewer = await api.member(project_id, "viewer")
    assert await viewer.get(f"/models/{name}/versions/1") == version
    await viewer.post("/models", {"project_id": project_id, "name": "new"}, 403)
    await viewer.post(f"/models/{name}/versions", {"source": "s3://a/b"}, 403)
    await viewer.put(f"/models/{name}/aliases/a", {"version": 1}, 403)
    for path in (f"/models/{name}", f"/models/{name}/versions/1"):
        await viewer.put(path, {"description": "d"}, 403)
        await viewer.delete(path, 403)


async def test_others_find_nothing(api: Api, project_id: str) -> None:
    name = (await make_model(api, project_id))["name"]
    await make_version(api, name)
    await api.put(f"/models/{name}/aliases/a", {"version": 1})
    stranger = await api.register()
    own = await stranger.project()
    assert (await stranger.get("/models"))["items"] == []
    assert (await stranger.get("/models", project_id=project_id))["items"] == []
    for asked in ({}, {"project_id": project_id}):
        for path in (f"/models/{name}", f"/models/{name}/versions/1", f"/models/{name}/versions"):
            await stranger.get(path, 404, **asked)
        await stranger.get(f"/models/{name}/aliases/a", 404, **asked)
        await stranger.put(f"/models/{name}", {"description": "d", **asked}, 404)
        await stranger.delete(f"/models/{name}", 404, **asked)
    assert (await stranger.post("/models", {"project_id": own, "name": name}))["project_id"] == own
