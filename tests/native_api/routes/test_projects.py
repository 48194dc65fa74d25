"""Projects over HTTP, and as MLflow's workspaces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio


def in_workspace(api: Api, name: str) -> Api:
    return replace(api, headers=api.headers | {"X-MLFLOW-WORKSPACE": name})


async def test_a_project_is_in_view_of_its_members(api: Api) -> None:
    org_id = await api.org()
    project = await api.post("/projects", {"org_id": org_id, "name": "Seen", "description": "why"})
    assert project.keys() == {"project_id", "org_id", "name", "slug", "description", "status", "created_at"}
    assert (project["org_id"], project["status"]) == (org_id, "active")
    own = f"/projects/{project['project_id']}"
    assert await api.get(own) == project
    viewer, stranger = await api.member(project["project_id"], "viewer"), await api.register()
    assert await viewer.get(own) == project
    assert (await viewer.get("/projects"))["items"] == [project]
    await viewer.get(f"/orgs/{org_id}", 404)
    await stranger.get(own, 404)
    await stranger.put(own, {"name": "x"}, 404)
    await stranger.delete(own, 404)
    assert (await stranger.get("/projects"))["items"] == []


async def test_only_the_fields_that_are_sent_change(api: Api) -> None:
    project = await api.get(f"/projects/{await api.project()}")
    own = f"/projects/{project['project_id']}"
    assert await api.put(own, {}) == project
    changed = await api.put(own, {"description": "new"})
    assert changed == project | {"description": "new"} == await api.get(own)


async def test_a_name_that_is_taken_is_a_conflict(api: Api) -> None:
    org_id = await api.org()
    one, two = [await api.post("/projects", {"org_id": org_id, "name": name}) for name in ("one", "two")]
    assert (await api.post("/projects", {"org_id": org_id, "name": "one"}, 409))["error_code"] == "ALREADY_EXISTS"
    await api.put(f"/projects/{two['project_id']}", {"name": "one"}, 409)
    other = await api.post("/projects", {"org_id": await api.org(), "name": "one"})
    assert other["slug"] != one["slug"]


@pytest.mark.parametrize(
    ("role", "makes"), [("viewer", 403), ("member", 403), ("admin", 201), ("owner", 201), (None, 404)]
)
async def test_making_one_needs_the_role_admin_in_the_organisation(api: Api, role: str | None, makes: int) -> None:
    org_id, ada = await api.org(), await api.register()
    if role:
        await api.post("/org-members", {"org_id": org_id, "user_id": ada.user_id, "role": role})
    made = await ada.post("/projects", {"org_id": org_id, "name": "hers"}, makes)
    if makes == 201:
        (member,) = (await ada.get("/project-members", project_id=made["project_id"]))["items"]
        assert (member["user_id"], member["role"]) == (ada.user_id, "admin")


@pytest.mark.parametrize(
    ("role", "changes", "deletes"), [("viewer", 403, 403), ("editor", 403, 403), ("admin", 200, 204)]
)
async def test_roles_say_who_changes_and_deletes(api: Api, role: str, changes: int, deletes: int) -> None:
    project_id = await api.project()
    member = await api.member(project_id, role)
    await member.put(f"/projects/{project_id}", {"description": "x"}, changes)
    await member.delete(f"/projects/{project_id}", deletes)


async def test_nothing_in_an_archived_one_changes_from_either_surface(api: Api) -> None:
    project_id = await api.project()
    editor = await api.member(project_id, "editor")
    project = await api.put(f"/projects/{project_id}", {"status": "archived"})
    dataset = {"project_id": project_id, "name": "d"}
    assert (await editor.post("/datasets", dataset, 409))["error_code"] == "CONFLICT"
    by_mlflow = in_workspace(editor, project["slug"])
    assert "archived" in (await by_mlflow.mlflow("experiments/create", 400, name="e"))["message"]
    assert (await editor.get(f"/projects/{project_id}"))["status"] == "archived"
    await api.put(f"/projects/{project_id}", {"status": "active"})
    await editor.post("/datasets", dataset)
    await by_mlflow.mlflow("experiments/create", name="e")


async def test_a_deleted_one_is_gone_from_both_surfaces(api: Api) -> None:
    project_id = await api.project()
    editor = await api.member(project_id, "editor")
    slug = (await api.get(f"/projects/{project_id}"))["slug"]
    by_mlflow = in_workspace(editor, slug)
    number = (await by_mlflow.mlflow("experiments/create", name="e"))["experiment_id"]
    dataset = await editor.post("/datasets", {"project_id": project_id, "name": "d"})
    await api.delete(f"/projects/{project_id}")
    for caller in (api, editor):
        await caller.get(f"/projects/{project_id}", 404)
        await caller.get(f"/datasets/{dataset['dataset_id']}", 404)
        await caller.post("/datasets", {"project_id": project_id, "name": "e"}, 404)
    await by_mlflow.mlflow("experiments/get", 404, "GET", experiment_id=number)
    await api.delete(f"/projects/{project_id}", 404)


async def test_the_default_one_stays(api: Api) -> None:
    (default,) = [found for found in (await api.get("/projects", limit=1000))["items"] if found["slug"] == "default"]
    assert (await api.delete(f"/projects/{default['project_id']}", 409))["error_code"] == "CONFLICT"


async def test_a_workspace_is_chosen_by_header_or_path_and_the_path_wins(api: Api) -> None:
    one, two = [await api.get(f"/projects/{await api.project()}") for _ in range(2)]
    await in_workspace(api, one["slug"]).mlflow("experiments/create", name="in one")
    path = f"/workspaces/{one['slug']}/api/2.0/mlflow/experiments/get-by-name?experiment_name=in one"
    assert (await api.http.get(path)).status_code == 200
    assert (await api.http.get(path, headers={"X-MLFLOW-WORKSPACE": two["slug"]})).status_code == 200
    await in_workspace(api, two["slug"]).mlflow("experiments/get-by-name", 404, "GET", experiment_name="in one")


async def test_ids_of_another_workspace_are_not_there(api: Api) -> None:
    project_id = await api.project()
    ada = await api.register()
    own = await ada.get(f"/projects/{await ada.project()}")
    mine, hers = in_workspace(api, (await api.get(f"/projects/{project_id}"))["slug"]), in_workspace(ada, own["slug"])
    number = (await mine.mlflow("experiments/create", name="mine"))["experiment_id"]
    run_id = (await mine.mlflow("runs/create", experiment_id=number))["run"]["info"]["run_id"]
    await in_workspace(ada, mine.headers["X-MLFLOW-WORKSPACE"]).mlflow("runs/get", 404, "GET", run_id=run_id)
    for path, fields in (
        ("runs/create", {"experiment_id": number}),
        ("runs/update", {"run_id": run_id, "status": "KILLED"}),
        ("runs/set-tag", {"run_id": run_id, "key": "k", "value": "v"}),
        ("runs/delete", {"run_id": run_id}),
        ("experiments/update", {"experiment_id": number, "new_name": "hers"}),
        ("experiments/delete", {"experiment_id": number}),
    ):
        await hers.mlflow(path, 404, **fields)
    assert await hers.mlflow("runs/search", experiment_ids=[number]) == {}
    assert (await mine.mlflow("runs/get", method="GET", run_id=run_id))["run"]["info"]["status"] == "RUNNING"


async def test_an_odd_workspace_is_not_there(api: Api) -> None:
    for name in ("nothing", "a%00b", "%2e%2e", "DEFAULT", "a" * 3000):
        answer = await api.http.get(f"/workspaces/{name}/api/2.0/mlflow/experiments/get?experiment_id=0")
        assert answer.status_code == 404, name


@pytest.mark.parametrize(
    "body",
    [
        *({"name": name} for name in (None, "", 1, "x" * 256, "\0")),
        *({"status": status} for status in (None, "deleted", "ACTIVE", 1)),
        {"description": 1},
        {"org_id": "x"},
        {"slug": "mine"},
        {"project_id": str(UUID(int=1))},
    ],
    ids=str,
)
async def test_what_is_no_project_is_refused(api: Api, body: dict[str, Any]) -> None:
    await api.post("/projects", {"org_id": str(UUID(int=1)), "name": "x"} | body, 422)
    await api.put(f"/projects/{UUID(int=1)}", body, 422)


async def test_a_project_does_not_move_to_another_organisation(api: Api) -> None:
    await api.put(f"/projects/{await api.project()}", {"org_id": await api.org()}, 422)


async def test_a_list_is_by_workspace_name_and_can_be_narrowed(api: Api) -> None:
    ada = await api.register()
    org_id = await ada.org()
    made = [await ada.post("/projects", {"org_id": org_id, "name": f"listed {n}"}) for n in (3, 1, 2)]
    first = await ada.get("/projects", limit=2)
    rest = await ada.get("/projects", limit=2, cursor=first["next_cursor"])
    assert first["items"] + rest["items"] == sorted(made, key=lambda project: project["slug"])
    assert (await ada.get("/projects", name="listed 1"))["items"] == [made[1]]
    assert (await ada.get("/projects", status="archived"))["items"] == []
    assert len((await ada.get("/projects", org_id=org_id))["items"]) == 3
    assert (await ada.get("/projects", org_id=await api.org()))["items"] == []
