"""Versions of registered models over MLflow's API, on both databases."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio

_numbers = itertools.count(1)
S3 = "s3://bucket/model"
MISSING = "RESOURCE_DOES_NOT_EXIST"


@pytest.fixture
async def name(mlflow: MLflow) -> str:
    """The name of a new registered model."""
    name = f"versioned {next(_numbers)}"
    await mlflow("registered-models/create", name=name)
    return name


async def make(mlflow: MLflow, name: str, source: str = S3, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = await mlflow("model-versions/create", name=name, source=source, **fields)
    version: dict[str, Any] = made["model_version"]
    return version


async def get(mlflow: MLflow, name: str, version: str) -> dict[str, Any]:
    found: dict[str, Any] = (await mlflow.get("model-versions/get", name=name, version=version))["model_version"]
    return found


async def test_a_version_is_shown_as_mlflow_does(mlflow: MLflow, name: str) -> None:
    version = await make(mlflow, name)
    assert version == {
        "name": name,
        "version": "1",
        "creation_timestamp": version["creation_timestamp"],
        "last_updated_timestamp": version["creation_timestamp"],
        "current_stage": "None",
        "description": "",
        "source": S3,
        "run_id": "",
        "run_link": "",
        "status": "READY",
    }
    assert await get(mlflow, name, "1") == version
    tags = [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]
    second = await make(mlflow, name, run_id="r", run_link="https://run", description="why", tags=tags)
    expected = {"version": "2", "run_id": "r", "run_link": "https://run", "description": "why"}
    assert second == version | second | expected | {"tags": [{"key": "a", "value": "2"}]}
    latest = (await mlflow.get("registered-models/get", name=name))["registered_model"]["latest_versions"]
    assert latest == [second]


@pytest.mark.parametrize("number", ["x", "", "1.0", None, 1])
async def test_a_version_has_a_number_as_text(mlflow: MLflow, name: str, number: object) -> None:
    await make(mlflow, name)
    for path, fields in (("update", {}), ("delete", {}), ("transition-stage", {"stage": "None"})):
        method = {"update": "PATCH", "delete": "DELETE"}.get(path, "POST")
        await mlflow.refused(f"model-versions/{path}", method=method, name=name, version=number, **fields)
    await get(mlflow, name, " +1 ")


@pytest.mark.parametrize("number", ["2", "0", "-1", "9" * 19, "9" * 300])
async def test_a_version_that_is_not_there(mlflow: MLflow, name: str, number: str) -> None:
    await make(mlflow, name)
    await mlflow.refused("model-versions/get", MISSING, method="GET", name=name, version=number)
    await mlflow.refused("model-versions/get-download-uri", MISSING, method="GET", name=name, version=number)
    await mlflow.refused("model-versions/delete", MISSING, method="DELETE", name=name, version=number)
    await mlflow.refused("model-versions/set-tag", MISSING, name=name, version=number, key="k", value="v")


async def test_a_description_is_taken_away_by_an_update_without_one(mlflow: MLflow, name: str) -> None:
    await make(mlflow, name, description="first")
    fields: dict[str, Any] = {"method": "PATCH", "name": name, "version": "1"}
    assert (await mlflow("model-versions/update", **fields, description=""))["model_version"]["description"] == ""
    assert "description" not in (await mlflow("model-versions/update", **fields))["model_version"]


async def test_a_deleted_version_leaves_its_number_behind(mlflow: MLflow, name: str) -> None:
    for _ in range(2):
        await make(mlflow, name)
    await mlflow("registered-models/alias", name=name, alias="best", version="2")
    await mlflow("model-versions/delete", method="DELETE", name=name, version="2")
    await mlflow.refused("model-versions/delete", MISSING, method="DELETE", name=name, version="2")
    await mlflow.refused("registered-models/alias", method="GET", name=name, alias="best")
    assert (await make(mlflow, name))["version"] == "3"


# Stages


async def test_stages_in_any_case_and_the_latest_in_each(mlflow: MLflow, name: str) -> None:
    for _ in range(4):
        await make(mlflow, name)
    for number, stage in (("1", "staging"), ("2", "STAGING"), ("3", "Production")):
        await mlflow("model-versions/transition-stage", name=name, version=number, stage=stage)
    moved = await mlflow(
        "model-versions/transition-stage", name=name, version="4", stage="Staging", archive_existing_versions=True
    )
    assert moved["model_version"]["current_stage"] == "Staging"
    assert [(await get(mlflow, name, number))["current_stage"] for number in "1234"] == [
        *("Archived", "Archived", "Production", "Staging")
    ]
    for stages, numbers in ((None, ["2", "3", "4"]), (["production", "Staging"], ["3", "4"]), (["None"], [])):
        fields: dict[str, Any] = {"name": name} | ({"stages": stages} if stages else {})
        posted = await mlflow("registered-models/get-latest-versions", **fields)
        assert posted == await mlflow.get("registered-models/get-latest-versions", **fields)
        assert [version["version"] for version in posted.get("model_versions", [])] == numbers


async def test_a_stage_that_is_none(mlflow: MLflow, name: str) -> None:
    await make(mlflow, name)
    moves: dict[str, Any] = {"name": name, "version": "1"}
    for stage in ("Nowhere", "", None, "Deleted_Internal"):
        await mlflow.refused("model-versions/transition-stage", **moves, stage=stage)
    await mlflow.refused("model-versions/transition-stage", **moves, stage="None", archive_existing_versions=True)
    await mlflow("model-versions/transition-stage", **moves, stage="None", archive_existing_versions="FALSE")
    await mlflow.refused("registered-models/get-latest-versions", name=name, stages=["Nowhere"])


# Sources


async def test_a_version_is_made_from_the_files_of_its_run(mlflow: MLflow, name: str) -> None:
    run_id, other = await mlflow.run(), await mlflow.run()
    root = (await mlflow.get("runs/get", run_id=run_id))["run"]["info"]["artifact_uri"]
    for source in (f"{root}/model", f"runs:/{run_id}/model"):
        made = await make(mlflow, name, source, run_id=run_id)
        uri = await mlflow.get("model-versions/get-download-uri", name=name, version=made["version"])
        assert uri == {"artifact_uri": source}
        for wrong in ({}, {"run_id": other}, {"run_id": "0" * 32}, {"model_id": "m-1"}):
            await mlflow.refused("model-versions/create", name=name, source=source, **wrong)
    for source in ("/etc/passwd", "file:///etc/passwd", f"{root}/../x", f"{root}/%2e%2e/x", "mlflow-artifacts:/", "x"):
        await mlflow.refused("model-versions/create", name=name, source=source, run_id=run_id)
    assert (await make(mlflow, name))["version"] == "3"


async def test_a_copy_is_made_from_another_model(mlflow: MLflow, name: str) -> None:
    await make(mlflow, name, run_id="r")
    await mlflow("registered-models/create", name=f"{name} copied")
    made = await make(mlflow, f"{name} copied", f"models:/{name}/1")
    assert (made["source"], made["run_id"]) == (f"models:/{name}/1", "r")
    uri = await mlflow.get("model-versions/get-download-uri", name=f"{name} copied", version="1")
    assert uri == {"artifact_uri": S3}
    await mlflow.refused("model-versions/create", MISSING, name=name, source=f"models:/{name}/2")
    await mlflow.refused("model-versions/create", name=name, source=f"models:/{name}/1", run_id="other")


async def test_a_version_needs_a_model_and_a_source(mlflow: MLflow, name: str) -> None:
    await mlflow.refused("model-versions/create", MISSING, name="never", source=S3)
    for wrong in (
        {},
        {"source": ""},
        {"source": 5},
        {"source": "s3://b/" + "x" * 2048},
        {"source": S3, "run_id": "x" * 257},
    ):
        await mlflow.refused("model-versions/create", name=name, **wrong)
    await mlflow.refused("model-versions/create", MISSING, name=name, source=S3, model_id="m-1")
    assert (await make(mlflow, name))["version"] == "1"


async def test_a_prompt_has_no_source(mlflow: MLflow) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.prompt.text", "value": "Hello"}]
    await mlflow("registered-models/create", name="hello", tags=tags[:1])
    assert (await make(mlflow, "hello", "dummy-source", tags=tags))["version"] == "1"
    await mlflow.refused("model-versions/create", name="hello", source=S3, tags=tags)
    await mlflow.refused("model-versions/create", name="hello", source="dummy-source")
    await mlflow.refused("model-versions/create", name="hello", source="models:/hello/1")
    found = await mlflow.get("model-versions/search", filter="name = 'hello'")
    assert found == {}


# Searching


async def test_versions_come_a_page_at_a_time(mlflow: MLflow, name: str) -> None:
    for number in range(5):
        await make(mlflow, name, run_id=f"{name} {number % 2}")
    query: dict[str, Any] = {"filter": f"name = '{name}' AND version_number > '1'", "max_results": 3}
    first = await mlflow.get("model-versions/search", **query, order_by="version_number")
    assert [version["version"] for version in first["model_versions"]] == ["2", "3", "4"]
    token = first["next_page_token"]
    rest = await mlflow.get("model-versions/search", **query, order_by="version_number", page_token=token)
    assert [version["version"] for version in rest["model_versions"]] == ["5"]
    assert "next_page_token" not in rest
    await mlflow.refused("model-versions/search", method="GET", **query, page_token=token)
    found = await mlflow.get("model-versions/search", filter=f"run_id = '{name} 1'")
    assert [version["version"] for version in found["model_versions"]] == ["4", "2"]
    for size in (0, 200_001):
        await mlflow.refused("model-versions/search", method="GET", max_results=size)


async def test_a_search_leaves_aliases_out(mlflow: MLflow, name: str) -> None:
    await make(mlflow, name, tags=[{"key": "k", "value": "v"}])
    await mlflow("registered-models/alias", name=name, alias="best", version="1")
    (found,) = (await mlflow.get("model-versions/search", filter=f"name = '{name}'"))["model_versions"]
    assert found["tags"] == [{"key": "k", "value": "v"}]
    assert "aliases" not in found
    await mlflow("model-versions/set-tag", name=name, version="1", key="k", value="w")
    await mlflow("model-versions/delete-tag", method="DELETE", name=name, version="1", key="never")
    shown = await get(mlflow, name, "1")
    assert (shown["tags"], shown["aliases"]) == ([{"key": "k", "value": "w"}], ["best"])
    await mlflow("model-versions/delete-tag", method="DELETE", name=name, version="1", key="k")
    assert "tags" not in await get(mlflow, name, "1")
