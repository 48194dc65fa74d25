"""Experiments over MLflow's API, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio


async def test_a_fresh_server_has_the_default_experiment(mlflow: MLflow) -> None:
    default = (await mlflow.get("experiments/get", experiment_id="0"))["experiment"]
    assert (default["name"], default["artifact_location"], default["lifecycle_stage"]) == (
        "Default",
        "mlflow-artifacts:/0",
        "active",
    )
    assert default == (await mlflow.get("experiments/get-by-name", experiment_name="Default"))["experiment"]


async def test_a_name_is_taken_also_by_a_deleted_experiment(mlflow: MLflow) -> None:
    number = (await mlflow("experiments/create", name="taken"))["experiment_id"]
    await mlflow.refused("experiments/create", "RESOURCE_ALREADY_EXISTS", name="taken")
    await mlflow("experiments/delete", experiment_id=number)
    await mlflow.refused("experiments/create", "RESOURCE_ALREADY_EXISTS", name="taken")
    found = (await mlflow.get("experiments/get-by-name", experiment_name="taken"))["experiment"]
    assert (found["experiment_id"], found["lifecycle_stage"]) == (number, "deleted")


async def test_a_location_of_its_own_is_kept_and_runs_go_below_it(mlflow: MLflow) -> None:
    location = "s3://bucket/path?versionId=1"
    number = (await mlflow("experiments/create", name="own location", artifact_location=location))["experiment_id"]
    info = (await mlflow("runs/create", experiment_id=number))["run"]["info"]
    assert info["artifact_uri"] == f"s3://bucket/path/{info['run_id']}/artifacts?versionId=1"
    for bad in ("s3://b/p#fragment", "runs:/abc", "s3://b/p;params", "x" * 2049):
        await mlflow.refused("experiments/create", name="bad location", artifact_location=bad)


async def test_rename_touches_the_update_time_and_tags_do_not(mlflow: MLflow) -> None:
    number = await mlflow.experiment()
    before = (await mlflow.get("experiments/get", experiment_id=number))["experiment"]
    await mlflow("experiments/set-experiment-tag", experiment_id=number, key="k", value="v")
    await mlflow("experiments/set-experiment-tag", experiment_id=number, key="mlflow.note.content", value="why")
    tagged = (await mlflow.get("experiments/get", experiment_id=number))["experiment"]
    assert tagged["last_update_time"] == before["last_update_time"]
    assert tagged["tags"] == [{"key": "k", "value": "v"}, {"key": "mlflow.note.content", "value": "why"}]
    await mlflow("experiments/update", experiment_id=number, new_name="renamed")
    renamed = (await mlflow.get("experiments/get", experiment_id=number))["experiment"]
    assert renamed["name"] == "renamed"
    assert renamed["last_update_time"] >= before["last_update_time"]
    other = await mlflow.experiment()
    await mlflow.refused("experiments/update", "RESOURCE_ALREADY_EXISTS", experiment_id=other, new_name="renamed")


@pytest.mark.parametrize("key", ["plain", "mlflow.note.content"])
async def test_experiment_tags_go(mlflow: MLflow, key: str) -> None:
    number = await mlflow.experiment()
    await mlflow("experiments/set-experiment-tag", experiment_id=number, key=key, value="v")
    await mlflow("experiments/delete-experiment-tag", experiment_id=number, key=key)
    assert "tags" not in (await mlflow.get("experiments/get", experiment_id=number))["experiment"]
    missing = "RESOURCE_DOES_NOT_EXIST"
    await mlflow.refused("experiments/delete-experiment-tag", missing, experiment_id=number, key=key)


async def test_deleting_and_restoring_takes_all_runs_along(mlflow: MLflow) -> None:
    number = await mlflow.experiment()
    runs = [await mlflow.run(number) for _ in range(2)]
    await mlflow("runs/delete", run_id=runs[0])
    await mlflow("experiments/delete", experiment_id=number)
    gone = "RESOURCE_DOES_NOT_EXIST"
    await mlflow.refused("experiments/delete", gone, experiment_id=number)
    await mlflow.refused("runs/create", experiment_id=number)
    await mlflow.refused("experiments/update", experiment_id=number, new_name="x")
    await mlflow.refused("experiments/set-experiment-tag", experiment_id=number, key="k", value="v")
    deleted = await mlflow("runs/search", experiment_ids=[number], run_view_type="DELETED_ONLY")
    assert {run["info"]["run_id"] for run in deleted["runs"]} == set(runs)
    await mlflow("experiments/restore", experiment_id=number)
    await mlflow.refused("experiments/restore", gone, experiment_id=number)
    assert await mlflow("runs/search", experiment_ids=[number], run_view_type="DELETED_ONLY") == {}
    active = await mlflow("runs/search", experiment_ids=[number])
    assert {run["info"]["run_id"] for run in active["runs"]} == set(runs)


async def test_search_reads_get_and_post_and_pages_to_the_end(mlflow: MLflow) -> None:
    made = [(await mlflow("experiments/create", name=f"paged {n}"))["experiment_id"] for n in range(5)]
    fields: dict[str, Any] = {"filter": "name LIKE 'paged %'", "order_by": ["name DESC"], "max_results": "2"}
    found: list[str] = []
    answer = await mlflow.get("experiments/search", **fields)
    while True:
        found += [experiment["experiment_id"] for experiment in answer["experiments"]]
        if "next_page_token" not in answer:
            break
        answer = await mlflow("experiments/search", **fields, page_token=answer["next_page_token"])
    assert found == made[::-1]
    assert await mlflow("experiments/search", max_results=5, filter="name = 'no such'") == {}
    for bad in ({}, {"max_results": 0}, {"max_results": 50001}, {"max_results": 5, "page_token": "bad"}):
        await mlflow.refused("experiments/search", **bad)


async def test_old_clients_list_oldest_first_and_all_unless_they_ask_for_less(mlflow: MLflow) -> None:
    made = [(await mlflow("experiments/create", name=f"listed {n}"))["experiment_id"] for n in range(3)]
    await mlflow("experiments/delete", experiment_id=made[1])
    listed = [one["experiment_id"] for one in (await mlflow.get("experiments/list"))["experiments"]]
    assert (listed, [number for number in made if number in listed]) == (sorted(listed, key=int), [made[0], made[2]])
    deleted: list[str] = []
    answer = await mlflow.get("experiments/list", view_type="DELETED_ONLY", max_results=1)
    while "next_page_token" in answer:
        deleted += [one["experiment_id"] for one in answer["experiments"]]
        token = answer["next_page_token"]
        answer = await mlflow.get("experiments/list", view_type="DELETED_ONLY", max_results=1, page_token=token)
    assert made[1] in deleted + [one["experiment_id"] for one in answer["experiments"]]


async def test_datasets_of_experiments_are_listed_once(mlflow: MLflow) -> None:
    number = await mlflow.experiment()
    for context in ("training", "training", "eval"):
        run_id = await mlflow.run(number)
        tags = [{"key": "mlflow.data.context", "value": context}]
        given = {"dataset": {"name": "n", "digest": "d", "source_type": "local", "source": "s"}, "tags": tags}
        await mlflow("runs/log-inputs", run_id=run_id, datasets=[given])
    answer = await mlflow("experiments/search-datasets", experiment_ids=[number])
    one = {"experiment_id": number, "name": "n", "digest": "d"}
    assert answer == {"dataset_summaries": [one | {"context": "eval"}, one | {"context": "training"}]}
    assert await mlflow("experiments/search-datasets", experiment_ids=[await mlflow.experiment()]) == {}


@pytest.mark.parametrize("bad", ["abc", "", "1.5", "9" * 30, "-1", "0x1"])
async def test_what_is_no_experiment_id_is_refused(mlflow: MLflow, bad: str) -> None:
    answer = await mlflow.http.get("/api/2.0/mlflow/experiments/get", params={"experiment_id": bad})
    assert answer.status_code in (400, 404)
    assert answer.json()["error_code"] in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
