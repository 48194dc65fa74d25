"""Artifacts, and runs' links to them, on the native surface, and files that came in through MLflow's."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.native_api.routes.conftest import Api, in_workspace

pytestmark = pytest.mark.anyio

NOBODYS = str(uuid4())
SHA = "0" * 64


async def make_artifact(api: Api, project_id: str, uri: str = "s3://bucket/a", **fields: Any) -> Any:
    return await api.post("/artifacts", {"project_id": project_id, "uri": uri, **fields})


async def make_run(api: Api, project_id: str) -> str:
    """The id of a run in a new experiment of the project."""
    experiment = await api.post("/experiments", {"project_id": project_id, "name": uuid4().hex})
    run_id: str = (await api.post("/runs", {"experiment_id": experiment["experiment_id"]}))["run_id"]
    return run_id


# Artifacts


async def test_an_artifact_is_made_shown_changed_and_deleted(api: Api) -> None:
    project_id = await api.project()
    made = await make_artifact(api, project_id, artifact_type="model", checksum=SHA, size_bytes=5)
    assert made | {"artifact_id": "", "created_at": ""} == {
        "artifact_id": "",
        "project_id": project_id,
        "artifact_type": "model",
        "uri": "s3://bucket/a",
        "checksum": SHA,
        "size_bytes": 5,
        "created_at": "",
    }
    path = f"/artifacts/{made['artifact_id']}"
    assert await api.get(path) == made
    changed = await api.put(path, {"checksum": None, "artifact_type": "dataset-sample"})
    assert changed == made | {"checksum": None, "artifact_type": "dataset-sample"} == await api.get(path)
    assert await api.put(path, {}) == changed
    await api.delete(path)
    for call in (api.get(path, 404), api.put(path, {}, 404), api.delete(path, 404)):
        assert (await call)["error_code"] == "NOT_FOUND"


async def test_without_a_type_its_uri_tells_the_kind(api: Api) -> None:
    assert (await make_artifact(api, await api.project(), "s3://bucket/roc.png"))["artifact_type"] == "plot"


@pytest.mark.parametrize(
    "wrong",
    [
        {"uri": ""},
        {"uri": None},
        {"uri": "x" * 2049},
        {"uri": "a\0"},
        {"artifact_type": "song"},
        {"checksum": ""},
        {"checksum": "x" * 129},
        {"size_bytes": -1},
        {"size_bytes": 0.5},
        {"artifact_id": NOBODYS},
    ],
)
async def test_what_is_no_artifact_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    project_id = await api.project()
    await api.post("/artifacts", {"project_id": project_id, "uri": "s3://a"} | wrong, 422)
    await api.put(f"/artifacts/{(await make_artifact(api, project_id))['artifact_id']}", wrong, 422)


async def test_artifacts_are_listed_by_what_is_asked(api: Api) -> None:
    project_id = await api.project()
    plot, model = [await make_artifact(api, project_id, f"s3://bucket/a.{ending}") for ending in ("png", "pkl")]
    first = await api.get("/artifacts", project_id=project_id, limit=1)
    rest = await api.get("/artifacts", project_id=project_id, limit=1, cursor=first["next_cursor"])
    assert rest["next_cursor"] is None
    assert sorted(first["items"] + rest["items"], key=lambda item: item["uri"]) == [model, plot]
    assert (await api.get("/artifacts", project_id=project_id, artifact_type="plot"))["items"] == [plot]


# Links


async def test_a_run_is_linked_and_unlinked(api: Api) -> None:
    project_id = await api.project()
    run_id, artifact = await make_run(api, project_id), await make_artifact(api, project_id)
    body = {"run_id": run_id, "artifact_id": artifact["artifact_id"], "alias": "model"}
    made = await api.post("/run-artifacts", body)
    assert made | {"run_artifact_id": "", "created_at": ""} == body | {"run_artifact_id": "", "created_at": ""}
    path = f"/run-artifacts/{made['run_artifact_id']}"
    assert await api.get(path) == made
    await api.post("/run-artifacts", body | {"alias": None}, 409)
    second = (await make_artifact(api, project_id))["artifact_id"]
    await api.post("/run-artifacts", body | {"artifact_id": second}, 409)
    assert await api.put(path, {"alias": None}) == made | {"alias": None} == await api.put(path, {})
    other = await api.post("/run-artifacts", body | {"artifact_id": second})
    await api.put(path, {"alias": "model"}, 409)
    assert (await api.get("/run-artifacts", run_id=run_id, alias="model"))["items"] == [other]
    assert (await api.get("/run-artifacts", artifact_id=artifact["artifact_id"]))["items"] == [made | {"alias": None}]
    await api.delete(f"/artifacts/{artifact['artifact_id']}", 409)
    await api.delete(path)
    await api.get(path, 404)
    await api.delete(f"/artifacts/{artifact['artifact_id']}")


@pytest.mark.parametrize("wrong", [{"run_id": "x"}, {"artifact_id": None}, {"alias": ""}, {"alias": "x" * 256}])
async def test_what_is_no_link_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    await api.post("/run-artifacts", {"run_id": NOBODYS, "artifact_id": NOBODYS} | wrong, 422)


async def test_a_run_and_an_artifact_of_two_projects_are_not_linked(api: Api) -> None:
    run_id, artifact = await make_run(api, await api.project()), await make_artifact(api, await api.project())
    body = {"run_id": run_id, "artifact_id": artifact["artifact_id"]}
    await api.post("/run-artifacts", body, 422)
    await api.post("/run-artifacts", body | {"run_id": NOBODYS}, 404)
    await api.post("/run-artifacts", body | {"artifact_id": NOBODYS}, 404)


# Files that came in through MLflow's surface


async def test_an_uploaded_file_is_an_artifact_of_its_run(api: Api) -> None:
    info = (await api.mlflow("runs/create", experiment_id="0"))["run"]["info"]
    root = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    file = f"/2.0/mlflow-artifacts/artifacts/{root}/plots/roc.png"
    await api.call("PUT", file, 200, content=b"12345")
    (link,) = (await api.get("/run-artifacts", run_id=info["run_id"]))["items"]
    assert (link["run_id"], link["alias"]) == (str(UUID(info["run_id"])), None)
    path = f"/artifacts/{link['artifact_id']}"
    artifact = await api.get(path)
    assert (artifact["artifact_type"], artifact["size_bytes"]) == ("plot", 5)
    assert artifact["uri"] == f"{info['artifact_uri']}/plots/roc.png"
    assert len(artifact["checksum"]) == 64
    await api.put(path, {"artifact_type": "report"})
    await api.put(path, {"uri": "s3://a"}, 409)
    await api.delete(path, 409)
    await api.delete(f"/run-artifacts/{link['run_artifact_id']}", 409)
    await api.put(f"/run-artifacts/{link['run_artifact_id']}", {"alias": "roc"})
    await api.call("DELETE", file, 200)
    await api.get(path, 404)
    assert (await api.get("/run-artifacts", run_id=info["run_id"]))["items"] == []


# Other people


async def test_a_viewer_reads_and_changes_nothing(api: Api) -> None:
    project_id = await api.project()
    run_id, artifact = await make_run(api, project_id), await make_artifact(api, project_id)
    link = await api.post("/run-artifacts", {"run_id": run_id, "artifact_id": artifact["artifact_id"]})
    viewer = await api.member(project_id, "viewer")
    assert (await viewer.get("/artifacts"))["items"] == [artifact]
    assert (await viewer.get("/run-artifacts"))["items"] == [link]
    for path in (f"/artifacts/{artifact['artifact_id']}", f"/run-artifacts/{link['run_artifact_id']}"):
        await viewer.get(path)
        await viewer.put(path, {}, 403)
        await viewer.delete(path, 403)
    await viewer.post("/artifacts", {"project_id": project_id, "uri": "s3://b"}, 403)
    await viewer.post("/run-artifacts", {"run_id": run_id, "artifact_id": artifact["artifact_id"]}, 403)


async def test_others_find_nothing(api: Api) -> None:
    project_id = await api.project()
    run_id, artifact = await make_run(api, project_id), await make_artifact(api, project_id)
    link = await api.post("/run-artifacts", {"run_id": run_id, "artifact_id": artifact["artifact_id"]})
    stranger = await api.register()
    own_project = await api.project()
    await api.post("/project-members", {"project_id": own_project, "user_id": stranger.user_id, "role": "editor"})
    own_run, own = await make_run(stranger, own_project), await make_artifact(stranger, own_project)
    assert (await stranger.get("/artifacts"))["items"] == [own]
    assert (await stranger.get("/artifacts", project_id=project_id))["items"] == []
    assert (await stranger.get("/run-artifacts", run_id=run_id))["items"] == []
    for path in (f"/artifacts/{artifact['artifact_id']}", f"/run-artifacts/{link['run_artifact_id']}"):
        await stranger.get(path, 404)
        await stranger.put(path, {}, 404)
        await stranger.delete(path, 404)
    await stranger.post("/artifacts", {"project_id": project_id, "uri": "s3://b"}, 404)
    for run, linked in ((own_run, artifact["artifact_id"]), (run_id, own["artifact_id"])):
        await stranger.post("/run-artifacts", {"run_id": run, "artifact_id": linked}, 404)


async def test_no_experiment_is_placed_over_one_of_another_project(api: Api) -> None:
    one, two = [await in_workspace(api, await api.project()) for _ in range(2)]
    team = uuid4().hex
    await one.mlflow("experiments/create", name="e", artifact_location=f"mlflow-artifacts:/{team}/a")
    for location in (f"/{team}/a", f"/{team}", f"/{team}/a/b", f"//localhost/{team}/a/", "/", f"/{team}//%61"):
        refused = await two.mlflow(
            "experiments/create", 400, name="e", artifact_location=f"mlflow-artifacts:{location}"
        )
        assert refused["error_code"] == "INVALID_PARAMETER_VALUE"
        assert team not in refused["message"]
    await one.mlflow("experiments/create", name="f", artifact_location=f"mlflow-artifacts:/{team}/a/b")
    await two.mlflow("experiments/create", name="e", artifact_location=f"mlflow-artifacts:/{team}/b")
    await two.mlflow("experiments/create", name="f")
