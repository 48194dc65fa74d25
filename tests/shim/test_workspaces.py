"""Workspaces: MLflow's calls for them, and that nothing of one is seen from another.

What is refused, and with which status, was recorded from `mlflow server --enable-workspaces` 3.17.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import pytest

from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio

PREFIX = "/api/3.0/mlflow/"
BAD, MISSING = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"

numbers = itertools.count()


@pytest.fixture
def admin(http: httpx.AsyncClient) -> MLflow:
    """MLflow's API 3.0, where workspaces are."""
    return MLflow(http, PREFIX)


async def make(admin: MLflow) -> str:
    """The name of a new workspace."""
    name = f"team-{next(numbers)}"
    await admin("workspaces", 201, name=name)
    return name


def inside(http: httpx.AsyncClient, name: str) -> MLflow:
    """MLflow's API in this workspace, by the path."""
    return MLflow(http, f"/workspaces/{name}/api/2.0/mlflow/")


# The calls for workspaces


async def test_a_workspace_is_made_shown_described_and_deleted(admin: MLflow) -> None:
    name = f"team-{next(numbers)}"
    assert await admin("workspaces", 201, name=name) == {"workspace": {"name": name}}
    assert await admin.get(f"workspaces/{name}") == {"workspace": {"name": name}}
    for words in ("first", "second", ""):
        shown = {"workspace": {"name": name, "description": words}}
        assert await admin(f"workspaces/{name}", method="PATCH", description=words) == shown
        assert await admin.get(f"workspaces/{name}") == shown
    answer = await admin.send(f"workspaces/{name}", "DELETE", {})
    assert (answer.status_code, answer.content) == (204, b"")
    await admin.refused(f"workspaces/{name}", MISSING, "GET")


async def test_a_description_may_come_with_it(admin: MLflow) -> None:
    for words in ("for all", ""):
        name = f"team-{next(numbers)}"
        made = await admin("workspaces", 201, name=name, description=words)
        assert made == {"workspace": {"name": name, "description": words}}


async def test_all_that_are_in_view_are_listed_by_name(admin: MLflow, http: httpx.AsyncClient) -> None:
    made = {await make(admin) for _ in range(3)}
    listed = [workspace["name"] for workspace in (await admin.get("workspaces"))["workspaces"]]
    assert listed == sorted(listed)
    assert {"default", *made} <= set(listed)
    assert await MLflow(http, "/ajax-api/3.0/mlflow/").get("workspaces") == await admin.get("workspaces")
    await admin(f"workspaces/{made.pop()}", 200, method="PATCH", description="d")


async def test_clients_are_told_that_there_are_workspaces_and_the_ui_once_there_are_several(
    admin: MLflow, http: httpx.AsyncClient
) -> None:
    assert (await admin.get("server-info"))["workspaces_enabled"] is True
    await admin("workspaces", 201, name="another-one")
    for workspace, told in (("", True), ("/workspaces/another-one", False)):
        info = await MLflow(http, f"{workspace}/ajax-api/3.0/mlflow/").get("server-info")
        assert info["workspaces_enabled"] is told
    await admin.send("workspaces/another-one", "DELETE", {})


GOOD_NAMES = ["ab", "1a", "a--b", "x" * 63]
BAD_NAMES = ["A", "a", "a_b", "a b", "-ab", "ab-", "x" * 64, "é1", "a.b", "ab/c", "a\n"]
RESERVED = ["workspaces", "api", "ajax-api", "static-files"]


@pytest.mark.parametrize("name", GOOD_NAMES)
async def test_a_good_name_is_taken_once_and_free_again_when_it_is_deleted(admin: MLflow, name: str) -> None:
    for _ in range(2):
        await admin("workspaces", 201, name=name)
        await admin.refused("workspaces", "RESOURCE_ALREADY_EXISTS", name=name)
        assert (await admin.send(f"workspaces/{name}", "DELETE", {})).status_code == 204


@pytest.mark.parametrize("name", [*BAD_NAMES, *RESERVED, "default", "", None, 5, ["ab"]])
async def test_a_bad_name_is_refused(admin: MLflow, name: object) -> None:
    before = await admin.get("workspaces")
    await admin.refused("workspaces", name=name)
    assert await admin.get("workspaces") == before


async def test_a_workspace_needs_a_name(admin: MLflow) -> None:
    assert "'name'" in await admin.refused("workspaces", description="d")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("names", "code"),
    [(["unknown", "x" * 63], MISSING), (["A", "a", "x" * 64, *RESERVED], BAD)],
    ids=["unknown", "bad"],
)
async def test_a_workspace_that_is_not_there_or_cannot_be(
    admin: MLflow, method: str, names: list[str], code: str
) -> None:
    for name in names:
        answer = await admin.send(f"workspaces/{name}", method, {"description": "d"} if method == "PATCH" else {})
        assert (answer.status_code, answer.json()["error_code"]) == ({MISSING: 404, BAD: 400}[code], code)


@pytest.mark.parametrize("fields", [{}, {"name": "other"}, {"description": None}, {"description": 5}, {"nope": 1}])
async def test_a_change_has_to_say_what(admin: MLflow, fields: dict[str, Any]) -> None:
    name = await make(admin)
    await admin.refused(f"workspaces/{name}", method="PATCH", **fields)
    assert await admin.get(f"workspaces/{name}") == {"workspace": {"name": name}}


async def test_the_path_says_which_workspace_is_changed(admin: MLflow) -> None:
    name, other = await make(admin), await make(admin)
    for spelling in ("name", "workspace_name", "workspaceName"):
        fields: dict[str, Any] = {"description": spelling, spelling: other}
        await admin(f"workspaces/{name}", method="PATCH", **fields)
        assert (await admin.get(f"workspaces/{name}"))["workspace"]["description"] == spelling
    assert await admin.get(f"workspaces/{other}") == {"workspace": {"name": other}}


@pytest.mark.parametrize(
    "fields", [{"default_artifact_root": "s3://b/p"}, {"trace_archival_config": {"location": "x"}}]
)
async def test_places_of_a_workspace_s_own_are_refused(admin: MLflow, fields: dict[str, Any]) -> None:
    name = await make(admin)
    await admin.refused("workspaces", name=f"{name}-2", **fields)
    await admin.refused(f"workspaces/{name}", method="PATCH", description="d", **fields)
    await admin.refused(f"workspaces/{name}-2", MISSING, "GET")


# Deleting


async def delete(admin: MLflow, name: str, mode: str) -> httpx.Response:
    return await admin.http.delete(f"{PREFIX}workspaces/{name}", params={"mode": mode} if mode else {})


@pytest.mark.parametrize("mode", ["", "RESTRICT", "CASCADE", "SET_DEFAULT"])
async def test_an_empty_workspace_is_deleted_in_any_mode(admin: MLflow, mode: str) -> None:
    name = await make(admin)
    assert (await delete(admin, name, mode)).status_code == 204
    assert (await delete(admin, name, mode)).json()["error_code"] == MISSING


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [("", 400, BAD), ("RESTRICT", 400, BAD), ("SET_DEFAULT", 501, "NOT_IMPLEMENTED")],
)
async def test_one_with_something_in_it_is_kept(admin: MLflow, mode: str, status: int, code: str) -> None:
    """At MLflow's own 500 clients would try again for minutes."""
    name = await make(admin)
    run_id = await inside(admin.http, name).run()
    answer = await delete(admin, name, mode)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    await inside(admin.http, name).get("runs/get", run_id=run_id)


async def test_one_is_deleted_with_all_that_is_in_it_if_that_is_meant(admin: MLflow, mlflow: MLflow) -> None:
    name = await make(admin)
    run_id = await inside(admin.http, name).run()
    assert (await delete(admin, name, "CASCADE")).status_code == 204
    await inside(admin.http, name).refused("runs/get", MISSING, "GET", run_id=run_id)
    await admin("workspaces", 201, name=name)  # another one of that name
    for view in (inside(admin.http, name), mlflow):
        await view.refused("runs/get", MISSING, "GET", run_id=run_id)


@pytest.mark.parametrize("mode", ["restrict", "NONSENSE"])
async def test_an_unknown_mode_is_refused(admin: MLflow, mode: str) -> None:
    name = await make(admin)
    assert (await delete(admin, name, mode)).json()["error_code"] == BAD
    await admin.get(f"workspaces/{name}")


@pytest.mark.parametrize("mode", ["", "RESTRICT", "CASCADE", "SET_DEFAULT"])
async def test_the_default_workspace_stays(admin: MLflow, mode: str) -> None:
    answer = await delete(admin, "default", mode)
    assert (answer.status_code, answer.json()["error_code"]) == (400, BAD)


# Which one a call is made in


async def test_the_header_or_the_path_chooses_the_workspace(admin: MLflow, http: httpx.AsyncClient) -> None:
    name = await make(admin)
    by_path = inside(http, name)
    experiment_id = await by_path.experiment()
    shown = (await by_path.get("experiments/get", experiment_id=experiment_id))["experiment"]
    assert shown["workspace"] == name
    answer = await http.get(
        "/api/2.0/mlflow/experiments/get",
        params={"experiment_id": experiment_id},
        headers={"X-MLFLOW-WORKSPACE": name},
    )
    assert answer.json()["experiment"] == shown


async def test_without_a_word_it_is_the_default_one(mlflow: MLflow, http: httpx.AsyncClient) -> None:
    shown = await mlflow.get("experiments/get", experiment_id="0")
    assert shown["experiment"]["workspace"] == "default"
    for name in ("default", "", " "):
        headers = {"X-MLFLOW-WORKSPACE": name}
        answer = await http.get("/api/2.0/mlflow/experiments/get?experiment_id=0", headers=headers)
        assert answer.json() == shown
    assert await inside(http, "default").get("experiments/get", experiment_id="0") == shown


async def test_the_path_counts_before_the_header(admin: MLflow, http: httpx.AsyncClient) -> None:
    name, other = await make(admin), await make(admin)
    experiment_id = await inside(http, name).experiment()
    for path, header, status in ((name, other, 200), (other, name, 404)):
        answer = await http.get(
            f"/workspaces/{path}/api/2.0/mlflow/experiments/get",
            params={"experiment_id": experiment_id},
            headers={"X-MLFLOW-WORKSPACE": header},
        )
        assert answer.status_code == status


async def test_names_of_experiments_are_unique_in_each_workspace(admin: MLflow, http: httpx.AsyncClient) -> None:
    name, other = await make(admin), await make(admin)
    ids = [
        (await inside(http, where)("experiments/create", name="the same"))["experiment_id"] for where in (name, other)
    ]
    assert ids[0] != ids[1]
    for where, experiment_id in zip((name, other), ids, strict=True):
        view = inside(http, where)
        await view.refused("experiments/create", "RESOURCE_ALREADY_EXISTS", name="the same")
        found = await view.get("experiments/get-by-name", experiment_name="the same")
        assert found["experiment"]["experiment_id"] == experiment_id


async def test_the_experiment_0_is_in_the_default_workspace_alone(admin: MLflow, http: httpx.AsyncClient) -> None:
    view = inside(http, await make(admin))
    await view.refused("experiments/get", MISSING, "GET", experiment_id="0")
    await view.refused("runs/create", MISSING)
    assert await view("experiments/search", max_results=10) == {}


# What is in one is nowhere else


class Hidden(NamedTuple):
    """An experiment of another workspace, and a run in it with something of everything."""

    experiment_id: str
    run_id: str

    @property
    def file(self) -> str:
        return f"{self.experiment_id}/{self.run_id}/artifacts/a.txt"


@pytest.fixture
async def hidden(admin: MLflow) -> Hidden:
    name = await make(admin)
    view = inside(admin.http, name)
    experiment_id = (await view("experiments/create", name=f"secret {name}"))["experiment_id"]
    run_id = await view.run(experiment_id, tags=[{"key": "secret", "value": "tag"}])
    point = {"key": "secret", "value": 1, "timestamp": 1, "step": 0}
    await view("runs/log-batch", run_id=run_id, metrics=[point], params=[{"key": "secret", "value": "param"}])
    dataset = {"name": "secret", "digest": "d", "source_type": "t", "source": "s"}
    await view("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset}])
    found = Hidden(experiment_id, run_id)
    answer = await admin.http.put(
        f"/workspaces/{name}/api/2.0/mlflow-artifacts/artifacts/{found.file}", content=b"secret"
    )
    assert answer.status_code == 200
    return found


@pytest.fixture(params=["default", "another"])
async def elsewhere(request: pytest.FixtureRequest, admin: MLflow) -> MLflow:
    """A view from another workspace."""
    name = "default" if request.param == "default" else await make(admin)
    return inside(admin.http, name)


Given = Callable[[Hidden], dict[str, Any]]


def of_run(**more: Any) -> Given:
    return lambda of: {"run_id": of.run_id, **more}


def of_experiment(**more: Any) -> Given:
    return lambda of: {"experiment_id": of.experiment_id, **more}


POINT = {"key": "m", "value": 1, "timestamp": 1, "step": 0}

NOT_THERE: dict[str, tuple[str, Given]] = {
    "experiments/get": ("GET", of_experiment()),
    "experiments/update": ("POST", of_experiment(new_name="mine")),
    "experiments/delete": ("POST", of_experiment()),
    "experiments/restore": ("POST", of_experiment()),
    "experiments/set-experiment-tag": ("POST", of_experiment(key="k", value="v")),
    "experiments/delete-experiment-tag": ("POST", of_experiment(key="k")),
    "runs/create": ("POST", of_experiment()),
    "runs/get": ("GET", of_run()),
    "runs/update": ("POST", of_run(status="FAILED")),
    "runs/delete": ("POST", of_run()),
    "runs/restore": ("POST", of_run()),
    "runs/log-metric": ("POST", of_run(**POINT)),
    "runs/log-parameter": ("POST", of_run(key="k", value="v")),
    "runs/log-batch": ("POST", of_run(metrics=[POINT])),
    "runs/set-tag": ("POST", of_run(key="k", value="v")),
    "runs/delete-tag": ("POST", of_run(key="secret")),
    "runs/log-inputs": ("POST", of_run(models=[{"model_id": "m-1"}])),
    "runs/outputs": ("POST", of_run(models=[{"model_id": "m-1", "step": 1}])),
    "artifacts/list": ("GET", of_run()),
}

EMPTY: dict[str, tuple[str, Given]] = {
    "experiments/search": ("POST", lambda of: {"max_results": 1000, "filter": "name LIKE 'secret%'"}),
    "experiments/search-datasets": ("POST", lambda of: {"experiment_ids": [of.experiment_id]}),
    "runs/search": ("POST", lambda of: {"experiment_ids": [of.experiment_id], "run_view_type": "ALL"}),
    "metrics/get-history": ("GET", of_run(metric_key="secret")),
    "metrics/get-history-bulk": ("GET", of_run(metric_key="secret")),
    "metrics/get-history-bulk-interval": ("GET", lambda of: {"run_ids": [of.run_id], "metric_key": "secret"}),
}


@pytest.mark.parametrize("path", NOT_THERE)
async def test_nothing_is_found_or_changed_by_its_id(elsewhere: MLflow, hidden: Hidden, path: str) -> None:
    method, given = NOT_THERE[path]
    message = await elsewhere.refused(path, MISSING, method, **given(hidden))
    unknown = await elsewhere.refused(path, MISSING, method, **given(Hidden("987654321", "f" * 32)))
    words = unknown.replace("987654321", hidden.experiment_id).replace("f" * 32, hidden.run_id)
    assert message == words  # and that it is somewhere else is not told


@pytest.mark.parametrize("path", EMPTY)
async def test_nothing_is_found_by_a_search_or_in_a_history(elsewhere: MLflow, hidden: Hidden, path: str) -> None:
    method, given = EMPTY[path]
    assert await elsewhere(path, method=method, **given(hidden)) in ({}, {"metrics": []})


async def test_nothing_is_found_by_its_name(elsewhere: MLflow, hidden: Hidden, http: httpx.AsyncClient) -> None:
    for workspace in ("default", "other"):
        name = f"secret {workspace}"
        await elsewhere.refused("experiments/get-by-name", MISSING, "GET", experiment_name=name)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_files_are_neither_read_nor_written_nor_deleted(elsewhere: MLflow, hidden: Hidden, method: str) -> None:
    base = elsewhere.prefix.replace("/mlflow/", "/mlflow-artifacts/artifacts")
    http = elsewhere.http
    for key in (hidden.file, f"{hidden.experiment_id}/{hidden.run_id}/artifacts/new.txt", hidden.experiment_id):
        answer = await http.request(method, f"{base}/{key}", content=b"mine" if method == "PUT" else None)
        assert answer.status_code in (400, 404)
    assert (await http.get(base, params={"path": hidden.experiment_id})).json() in ({}, {"files": []})
    start = elsewhere.prefix.removesuffix("api/2.0/mlflow/")
    answer = await http.get(f"{start}get-artifact", params={"run_id": hidden.run_id, "path": "a.txt"})
    assert answer.status_code == 404


async def test_a_page_token_shows_nothing_of_another_workspace(admin: MLflow, http: httpx.AsyncClient) -> None:
    one, other = inside(http, await make(admin)), inside(http, await make(admin))
    for view in (one, other):
        for _ in range(2):
            await view.experiment()
    token = (await one("experiments/search", max_results=1))["next_page_token"]
    theirs = {found["experiment_id"] for found in (await one("experiments/search", max_results=9))["experiments"]}
    answer = await other.send("experiments/search", "POST", {"max_results": 9, "page_token": token})
    shown = {found["experiment_id"] for found in answer.json().get("experiments", [])}
    assert not shown & theirs
