"""Experiments on the native surface, and what MLflow clients see of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio


async def make(api: Api, project_id: str, name: str = "e", **fields: Any) -> Any:
    return await api.post("/experiments", {"project_id": project_id, "name": name, **fields})


async def seen(api: Api, experiment: Any, expect: int = 200) -> Any:
    """What an MLflow client sees of it."""
    number = experiment["mlflow_experiment_id"]
    answer = await api.mlflow("experiments/get", expect, "GET", experiment_id=number)
    return answer.get("experiment")


async def test_an_experiment_is_shown_to_mlflow_clients(home: Api, project_id: str) -> None:
    made = await make(home, project_id, objective="why")
    assert await home.get(f"/experiments/{made['experiment_id']}") == made
    assert made.keys() == {
        *("experiment_id", "project_id", "name", "objective", "created_by", "created_at"),
        *("mlflow_experiment_id", "deleted_at"),
    }
    assert (made["project_id"], made["name"], made["objective"], made["deleted_at"]) == (project_id, "e", "why", None)
    document = await seen(home, made)
    assert document["name"] == "e"
    assert document["tags"] == [{"key": "mlflow.note.content", "value": "why"}]
    assert document["artifact_location"] == f"mlflow-artifacts:/{made['mlflow_experiment_id']}"


async def test_an_experiment_of_an_mlflow_client_is_shown(home: Api, project_id: str) -> None:
    tags = [{"key": "mlflow.note.content", "value": "why"}]
    number = (await home.mlflow("experiments/create", name="theirs", tags=tags))["experiment_id"]
    (shown,) = (await home.get("/experiments", project_id=project_id, name="theirs"))["items"]
    assert (shown["mlflow_experiment_id"], shown["objective"]) == (number, "why")
    await home.mlflow("experiments/set-experiment-tag", experiment_id=number, key="mlflow.note.content", value="more")
    assert (await home.get(f"/experiments/{shown['experiment_id']}"))["objective"] == "more"


async def test_they_are_listed_newest_first_in_pages(home: Api, project_id: str) -> None:
    made = [(await make(home, project_id, f"e{n}"))["experiment_id"] for n in range(5)]
    await home.delete(f"/experiments/{made[2]}")

    async def listed(**query: Any) -> list[str]:
        found: list[str] = []
        page = await home.get("/experiments", project_id=project_id, limit=2, **query)
        while True:
            found += [item["experiment_id"] for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]
            page = await home.get("/experiments", project_id=project_id, limit=2, **query)

    assert await listed() == [made[n] for n in (4, 3, 1, 0)]
    assert await listed(include_deleted="true") == made[::-1]
    assert await listed(name="e1") == [made[1]]
    assert await listed(name="e") == []


async def test_only_what_is_sent_changes(home: Api, project_id: str) -> None:
    made = await make(home, project_id, objective="why")
    path = f"/experiments/{made['experiment_id']}"
    assert await home.put(path, {}) == made
    assert await home.put(path, {"name": "new"}) == made | {"name": "new"}
    assert await home.put(path, {"objective": None}) == made | {"name": "new", "objective": None}
    document = await seen(home, made)
    assert (document["name"], "tags" in document) == ("new", False)


async def test_names_are_unique_in_a_project_deleted_ones_included(home: Api, project_id: str) -> None:
    first, second = await make(home, project_id, "one"), await make(home, project_id, "two")
    await home.delete(f"/experiments/{first['experiment_id']}")
    await home.post("/experiments", {"project_id": project_id, "name": "one"}, expect=409)
    await home.put(f"/experiments/{second['experiment_id']}", {"name": "one"}, expect=409)
    await make(home, await home.project(), "one")


async def test_deleting_one_deletes_its_runs_until_an_mlflow_client_restores_it(home: Api, project_id: str) -> None:
    made = await make(home, project_id)
    run = await home.post("/runs", {"experiment_id": made["experiment_id"]})
    await home.delete(f"/experiments/{made['experiment_id']}")
    assert (await home.get(f"/experiments/{made['experiment_id']}"))["deleted_at"]
    assert (await home.get(f"/runs/{run['run_id']}"))["deleted_at"]
    assert (await seen(home, made))["lifecycle_stage"] == "deleted"
    await home.put(f"/experiments/{made['experiment_id']}", {"name": "x"}, expect=409)
    await home.post("/runs", {"experiment_id": made["experiment_id"]}, expect=409)
    await home.delete(f"/experiments/{made['experiment_id']}", expect=404)
    await home.mlflow("experiments/restore", experiment_id=made["mlflow_experiment_id"])
    assert await home.get(f"/experiments/{made['experiment_id']}") == made
    assert await home.get(f"/runs/{run['run_id']}") == run
    entries = (await home.get("/audit-log", table_name="runs", row_pk=run["run_id"]))["items"]
    assert [list(entry["new_data"]) for entry in entries[:2]] == [["deleted_at"]] * 2


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": None}, {"name": "a\0b"}, {"name": 5}, {"name": "x" * 256}, {"artifact_location": "s3://b"}],
)
async def test_what_is_no_experiment_is_refused(home: Api, project_id: str, wrong: dict[str, Any]) -> None:
    await home.post("/experiments", {"project_id": project_id, "name": "e"} | wrong, expect=422)


async def test_viewers_read_and_nobody_else_sees_it(home: Api, project_id: str) -> None:
    made = await make(home, project_id)
    path = f"/experiments/{made['experiment_id']}"
    viewer, stranger = await home.member(project_id, "viewer"), await home.register()
    assert await viewer.get(path) == made
    assert (await viewer.get("/experiments"))["items"] == [made]
    assert (await stranger.get("/experiments", project_id=project_id))["items"] == []
    new = {"project_id": project_id, "name": "new"}
    for other, status in ((viewer, 403), (stranger, 404)):
        await other.post("/experiments", new, expect=status)
        await other.put(path, {"name": "new"}, expect=status)
        await other.delete(path, expect=status)
    await stranger.get(path, expect=404)


async def test_every_change_is_in_the_audit_log_from_either_surface(home: Api, project_id: str) -> None:
    made = await make(home, project_id)
    pk, number = made["experiment_id"].replace("-", ""), made["mlflow_experiment_id"]
    await home.put(f"/experiments/{pk}", {"name": "new", "objective": "why"})
    await home.mlflow("experiments/update", experiment_id=number, new_name="newer")
    await home.mlflow("experiments/delete-experiment-tag", experiment_id=number, key="mlflow.note.content")
    await home.delete(f"/experiments/{pk}")
    await home.mlflow("experiments/restore", experiment_id=number)
    entries = (await home.get("/audit-log", table_name="experiments", row_pk=pk))["items"][::-1]
    changes = [(entry["operation"], entry["old_data"], entry["new_data"]) for entry in entries]
    assert changes[0][0] == "I"
    assert changes[0][2]["name"] == "e"
    assert "id" not in changes[0][2]
    deleted_at = changes[4][2]["deleted_at"]
    assert changes[1:] == [
        ("U", {"name": "e", "objective": None}, {"name": "new", "objective": "why"}),
        ("U", {"name": "new"}, {"name": "newer"}),
        ("U", {"objective": "why"}, {"objective": None}),
        ("U", {"deleted_at": None}, {"deleted_at": deleted_at}),
        ("U", {"deleted_at": deleted_at}, {"deleted_at": None}),
    ]
