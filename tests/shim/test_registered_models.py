"""Registered models over MLflow's API, on both databases."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import pytest

from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio

_numbers = itertools.count(1)
PROMPT = {"key": "mlflow.prompt.is_prompt", "value": "true"}


@pytest.fixture
async def name(mlflow: MLflow) -> str:
    """The name of a new registered model."""
    name = f"model {next(_numbers)}"
    await mlflow("registered-models/create", name=name)
    return name


async def get(mlflow: MLflow, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (await mlflow.get("registered-models/get", name=name))["registered_model"]
    return found


async def test_a_model_is_shown_as_mlflow_does(mlflow: MLflow) -> None:
    tags = [{"key": "b", "value": "2"}, {"key": "a", "value": "1"}, {"key": "b", "value": "3"}]
    made = await mlflow("registered-models/create", name="shown", description="why", tags=tags)
    model = made["registered_model"]
    assert model == {
        "name": "shown",
        "creation_timestamp": model["creation_timestamp"],
        "last_updated_timestamp": model["creation_timestamp"],
        "description": "why",
        "tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "3"}],
    }
    assert await get(mlflow, "shown") == model


async def test_what_is_empty_is_left_out(mlflow: MLflow, name: str) -> None:
    assert (await get(mlflow, name)).keys() == {"name", "creation_timestamp", "last_updated_timestamp"}


@pytest.mark.parametrize("bad", ["", " ", "a/b", "a:b", ".", "..", "x" * 257, "a\0b", None, 5])
async def test_a_name_that_is_none(mlflow: MLflow, name: str, bad: object) -> None:
    await mlflow.refused("registered-models/create", name=bad)
    await mlflow.refused("registered-models/rename", name=name, new_name=bad)


async def test_a_taken_name_is_told_by_its_code(mlflow: MLflow, name: str) -> None:
    code = "RESOURCE_ALREADY_EXISTS"
    message = await mlflow.refused("registered-models/create", code, name=name)
    assert message == f"Registered Model (name={name}) already exists."
    await mlflow("registered-models/create", name=f"{name} too")
    await mlflow.refused("registered-models/rename", code, name=name, new_name=f"{name} too")
    assert (await get(mlflow, name))["name"] == name


async def test_changes_come_in_bodies_of_patch_and_delete(mlflow: MLflow, name: str) -> None:
    changed = await mlflow("registered-models/update", method="PATCH", name=name, description="why")
    assert changed["registered_model"]["description"] == "why"
    emptied = await mlflow("registered-models/update", method="PATCH", name=name)
    assert "description" not in emptied["registered_model"]
    await mlflow("registered-models/set-tag", name=name, key="k", value="v")
    assert (await get(mlflow, name))["tags"] == [{"key": "k", "value": "v"}]
    for _ in range(2):
        await mlflow("registered-models/delete-tag", method="DELETE", name=name, key="k")
    assert "tags" not in await get(mlflow, name)
    await mlflow("registered-models/delete", method="DELETE", name=name)
    missing = "RESOURCE_DOES_NOT_EXIST"
    await mlflow.refused("registered-models/get", missing, method="GET", name=name)
    await mlflow.refused("registered-models/delete", missing, method="DELETE", name=name)


async def test_a_query_beside_the_body_of_a_delete_is_ignored(
    http: httpx.AsyncClient, mlflow: MLflow, name: str
) -> None:
    await mlflow("registered-models/create", name=f"{name} stays")
    path = "/api/2.0/mlflow/registered-models/delete"
    body = json.dumps({"name": name})
    answer = await http.request("DELETE", path, params={"name": f"{name} stays"}, content=body)
    assert answer.status_code == 200, answer.text
    assert (await get(mlflow, f"{name} stays"))["name"] == f"{name} stays"


async def test_tags_have_limits(mlflow: MLflow, name: str) -> None:
    await mlflow("registered-models/set-tag", name=name, key="k" * 250, value="v" * 100_000)
    for tag in ({"key": "k" * 251}, {"key": "k", "value": "v" * 100_001}, {"key": "a//b"}, {"key": ""}, {}):
        await mlflow.refused("registered-models/set-tag", name=name, **tag)
    await mlflow.refused("registered-models/create", name="other", tags=[{"key": "a*b", "value": "1"}])
    await mlflow.refused("registered-models/get", "RESOURCE_DOES_NOT_EXIST", method="GET", name="other")


async def test_prompts_are_models_that_are_found_where_they_are_asked_for(mlflow: MLflow) -> None:
    await mlflow("registered-models/create", name="found model")
    await mlflow("registered-models/create", name="found prompt", tags=[PROMPT])
    is_prompt = "tags.`mlflow.prompt.is_prompt`"
    for text, names in (
        ("name LIKE 'found%'", ["found model"]),
        (f"name LIKE 'found%' AND {is_prompt} != 'true'", ["found model"]),
        (f"name LIKE 'found%' AND {is_prompt} = 'true'", ["found prompt"]),
    ):
        found = await mlflow.get("registered-models/search", filter=text)
        assert [model["name"] for model in found["registered_models"]] == names


async def test_models_come_a_page_at_a_time(mlflow: MLflow) -> None:
    for number in range(5):
        await mlflow("registered-models/create", name=f"paged {number}")
    query: dict[str, Any] = {"filter": "name LIKE 'paged%'", "order_by": "name DESC", "max_results": 2}
    names, token = [], ""
    while True:
        page = await mlflow.get("registered-models/search", **query, page_token=token)
        names.append([model["name"] for model in page["registered_models"]])
        if "next_page_token" not in page:
            break
        token = page["next_page_token"]
    assert names == [["paged 4", "paged 3"], ["paged 2", "paged 1"], ["paged 0"]]
    other = query | {"order_by": "name", "page_token": token}
    await mlflow.refused("registered-models/search", method="GET", **other)
    assert await mlflow.get("registered-models/search", filter="name = 'never'") == {}
    for size in (0, -1, 1001, "x"):
        await mlflow.refused("registered-models/search", method="GET", max_results=size)


async def test_a_workspace_has_models_of_its_own(http: httpx.AsyncClient, mlflow: MLflow, name: str) -> None:
    made = await http.post("/api/3.0/mlflow/workspaces", json={"name": "registry"})
    assert made.status_code == 201, made.text
    there = {"X-MLFLOW-WORKSPACE": "registry"}
    path = "/api/2.0/mlflow/registered-models"
    assert (await http.get(f"{path}/get", params={"name": name}, headers=there)).status_code == 404
    assert (await http.get(f"{path}/search", headers=there)).json() == {}
    assert (await http.post(f"{path}/create", json={"name": name}, headers=there)).status_code == 200
    full = await http.request("DELETE", "/api/3.0/mlflow/workspaces/registry", params={"mode": "RESTRICT"})
    assert full.status_code == 400, full.text


# Aliases


async def test_an_alias_is_found_in_either_direction(mlflow: MLflow, name: str) -> None:
    for _ in range(2):
        await mlflow("model-versions/create", name=name, source="s3://bucket/m")
    await mlflow("registered-models/alias", name=name, alias="best", version="2")
    assert (await get(mlflow, name))["aliases"] == [{"alias": "best", "version": "2"}]
    for alias in ("best", "latest", "LATEST"):
        found = (await mlflow.get("registered-models/alias", name=name, alias=alias))["model_version"]
        assert (found["version"], found["aliases"]) == ("2", ["best"])
    await mlflow("registered-models/alias", method="DELETE", name=name, alias="best")
    await mlflow("registered-models/alias", method="DELETE", name=name, alias="best")
    message = await mlflow.refused("registered-models/alias", method="GET", name=name, alias="best")
    assert message == "Registered model alias best not found."


@pytest.mark.parametrize("alias", ["latest", "v1", "V2", "a b", "", "x" * 256, None])
async def test_an_alias_that_may_not_be_given(mlflow: MLflow, name: str, alias: str | None) -> None:
    await mlflow("model-versions/create", name=name, source="s3://bucket/m")
    await mlflow.refused("registered-models/alias", name=name, alias=alias, version="1")
    assert "aliases" not in await get(mlflow, name)


async def test_there_is_no_alias_of_what_is_not_there(mlflow: MLflow, name: str) -> None:
    missing = "RESOURCE_DOES_NOT_EXIST"
    await mlflow.refused("registered-models/alias", missing, name=name, alias="best", version="1")
    await mlflow.refused("registered-models/alias", missing, method="GET", name=name, alias="latest")
    await mlflow.refused("registered-models/alias", missing, method="GET", name="never", alias="best")
