"""Runs on the native surface, and what MLflow clients see of them: in both directions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from native_api.routes.messages import iso
from tests.native_api.routes.conftest import Api, in_workspace

pytestmark = pytest.mark.anyio

START, END = "2023-11-14T22:13:20.123Z", "2023-11-14T22:13:21.000Z"
START_MS, END_MS = 1_700_000_000_123, 1_700_000_001_000


async def make(api: Api, experiment: Any, **fields: Any) -> Any:
    return await api.post("/runs", {"experiment_id": experiment["experiment_id"], **fields})


async def log(api: Api, experiment: Any, **fields: Any) -> str:
    """The id of a run that an MLflow client makes."""
    number = experiment["mlflow_experiment_id"]
    answer = await api.mlflow("runs/create", experiment_id=number, **fields)
    run_id: str = answer["run"]["info"]["run_id"]
    return run_id


async def seen(api: Api, run_id: str) -> dict[str, Any]:
    """What an MLflow client sees of a run; its metrics, params and tags by key."""
    run = (await api.mlflow("runs/get", method="GET", run_id=UUID(run_id).hex))["run"]
    for part in ("params", "tags"):
        run[part] = {item["key"]: item["value"] for item in run["data"].get(part, [])}
    return dict(run)


async def version(api: Api, project_id: str, digest: str = "d1") -> str:
    """The id of a new dataset version."""
    listed = (await api.get("/datasets", project_id=project_id, name="data"))["items"]
    dataset = listed[0] if listed else await api.post("/datasets", {"project_id": project_id, "name": "data"})
    new = {"dataset_id": dataset["dataset_id"], "version_label": digest, "content_hash": digest}
    made = await api.post("/dataset-versions", new | {"storage_uri": "s3://b/data"})
    version_id: str = made["dataset_version_id"]
    return version_id


# Both ways


async def test_a_run_is_shown_whole_and_to_mlflow_clients(home: Api, experiment: Any, project_id: str) -> None:
    data = await version(home, project_id)
    config = {
        "params_json": {"lr": 0.1, "layers": [64, 32], "deep": {"b": None, "a": True}, "name": "x", "n": 3},
        "env_json": {"python": "3.11"},
        "command_line": "python train.py",
        "seed": 42,
    }
    fields = {
        "dataset_version_id": data,
        "run_name": "first",
        "status": "finished",
        "started_at": START,
        "finished_at": END,
        "git_commit": "abc",
        "notes": "why",
    }
    made = await make(home, experiment, **fields, config=config)
    assert made == await home.get(f"/runs/{made['run_id']}")
    number = experiment["mlflow_experiment_id"]
    assert made | fields == made
    assert made["config"] == config | {"created_at": made["config"]["created_at"]}
    assert (made["experiment_id"], made["project_id"]) == (experiment["experiment_id"], project_id)
    assert (made["deleted_at"], made["created_by"]) == (None, experiment["created_by"])
    assert made["artifact_uri"] == f"mlflow-artifacts:/{number}/{UUID(made['run_id']).hex}/artifacts"

    run = await seen(home, made["run_id"])
    assert (run["info"]["run_name"], run["info"]["status"], run["info"]["experiment_id"]) == (
        *("first", "FINISHED"),
        number,
    )
    assert (run["info"]["start_time"], run["info"]["end_time"]) == (START_MS, END_MS)
    assert run["params"] == {
        **{"lr": "0.1", "layers": "[64,32]", "deep": '{"a":true,"b":null}'},
        **{"name": "x", "n": "3"},
    }
    assert run["tags"] == {
        "mlflow.runName": "first",
        "mlflow.note.content": "why",
        "mlflow.source.git.commit": "abc",
        "mlflow.source.name": "python train.py",
    }
    (used,) = run["inputs"]["dataset_inputs"]
    assert used["tags"] == [{"key": "mlflow.data.context", "value": "training"}]
    assert (used["dataset"]["name"], used["dataset"]["digest"]) == ("data", "d1")


async def test_a_run_of_an_mlflow_client_is_shown_whole(home: Api, experiment: Any) -> None:
    tags = {
        "mlflow.source.git.commit": "abc",
        "mlflow.note.content": "why",
        "mlflow.source.name": "train.py",
        "mlflow.user": "me",
    }
    run_id = await log(
        home,
        experiment,
        run_name="theirs",
        start_time=START_MS,
        user_id="me",
        tags=[{"key": key, "value": value} for key, value in tags.items()],
    )
    await home.mlflow("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    dataset = {"name": "data", "digest": "1", "source_type": "local", "source": "/x"}
    context = [{"key": "mlflow.data.context", "value": "training"}]
    await home.mlflow("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": context}])
    await home.mlflow("runs/update", run_id=run_id, status="FINISHED", end_time=END_MS)
    shown = await home.get(f"/runs/{run_id}")
    (data,) = (await home.get("/dataset-versions", content_hash="1"))["items"][:1]
    assert shown == {
        "run_id": str(UUID(run_id)),
        "experiment_id": experiment["experiment_id"],
        "project_id": experiment["project_id"],
        "dataset_version_id": data["dataset_version_id"],
        "run_name": "theirs",
        "status": "finished",
        "started_at": START,
        "finished_at": END,
        "created_by": experiment["created_by"],
        "created_at": shown["created_at"],
        "git_commit": "abc",
        "notes": "why",
        "artifact_uri": shown["artifact_uri"],
        "deleted_at": None,
        "config": {
            "params_json": {"lr": "0.1"},
            "env_json": None,
            "command_line": "train.py",
            "seed": None,
            "created_at": shown["config"]["created_at"],
        },
    }
    run = await seen(home, run_id)
    assert (run["info"]["user_id"], run["tags"]["mlflow.user"]) == ("me", "me")


async def test_a_plain_run_starts_now_and_has_nothing_else(home: Api, experiment: Any) -> None:
    made = await make(home, experiment)
    assert (made["status"], made["run_name"], made["config"], made["finished_at"]) == ("running", None, None, None)
    assert made["started_at"] <= made["created_at"]
    run = await seen(home, made["run_id"])
    assert (run["info"]["status"], run["info"]["run_name"]) == ("RUNNING", "")
    assert (run["params"], run["tags"], run["inputs"]) == ({}, {}, {})


@pytest.mark.parametrize(
    ("native", "mlflow"),
    [
        *(("queued", "SCHEDULED"), ("running", "RUNNING"), ("finished", "FINISHED")),
        *(("failed", "FAILED"), ("killed", "KILLED")),
    ],
)
async def test_statuses_go_both_ways(home: Api, experiment: Any, native: str, mlflow: str) -> None:
    made = await make(home, experiment, status=native)
    assert (await seen(home, made["run_id"]))["info"]["status"] == mlflow
    run_id = await log(home, experiment)
    await home.mlflow("runs/update", run_id=run_id, status=mlflow)
    assert (await home.get(f"/runs/{run_id}"))["status"] == native


async def test_who_has_an_account_is_the_user_whatever_a_client_says(
    home: Api, experiment: Any, project_id: str
) -> None:
    editor = await in_workspace(await home.member(project_id, "editor"), project_id)
    email = (await editor.get(f"/users/{editor.user_id}"))["email"]
    tags = [{"key": "mlflow.user", "value": "somebody else"}]
    run_id = await log(editor, experiment, user_id="somebody else", tags=tags)
    for made in (run_id, (await make(editor, experiment))["run_id"]):
        run = await seen(home, made)
        assert (run["info"]["user_id"], run["tags"]["mlflow.user"]) == (email, email)
        assert (await home.get(f"/runs/{made}"))["created_by"] == editor.user_id


# What is refused


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "done"},
        {"run_name": ""},
        {"notes": "a\0b"},
        {"started_at": 5},
        {"started_at": "yesterday"},
        {"experiment_id": "0"},
        {"started_at": END, "finished_at": START},
        {"finished_at": START},
        {"dataset_version_id": "x"},
        {"config": {"params_json": []}},
        {"config": {"seed": 2**63}},
        {"config": {"seed": 1.5}},
        {"config": {"unknown": 1}},
        {"user_name": "x"},
    ],
)
async def test_what_is_no_run_is_refused(home: Api, experiment: Any, wrong: dict[str, Any]) -> None:
    await home.post("/runs", {"experiment_id": experiment["experiment_id"]} | wrong, expect=422)


async def test_the_dataset_version_must_be_of_the_experiments_project(home: Api, experiment: Any) -> None:
    other = await home.project()
    elsewhere = await version(home, other)
    new = {"experiment_id": experiment["experiment_id"]}
    await home.post("/runs", new | {"dataset_version_id": elsewhere}, expect=422)
    await home.post("/runs", new | {"dataset_version_id": "f" * 32}, expect=404)
    stranger = await home.member(experiment["project_id"], "editor")
    await stranger.post("/runs", new | {"dataset_version_id": elsewhere}, expect=404)
    run = await make(home, experiment)
    await home.put(f"/runs/{run['run_id']}", {"dataset_version_id": elsewhere}, expect=422)


async def test_an_unknown_run_is_not_there(home: Api) -> None:
    for path in ("/runs/", "/run-configs/"):
        answer = await home.get(path + "f" * 32, expect=404)
        assert answer["error_code"] == "NOT_FOUND"
        await home.put(path + "f" * 32, {}, expect=404)
    await home.delete("/runs/" + "f" * 32, expect=404)
    await home.post(f"/runs/{'f' * 32}/complete", {}, expect=404)
    await home.post(f"/runs/{'f' * 32}/metrics", [], expect=404)
    await home.get(f"/runs/{'f' * 32}/metrics", expect=404)


@pytest.mark.parametrize("bad", ["x", "1", "f" * 31, "f" * 33, "é" * 32, "f" * 31 + "%00", " ", "f" * 5000])
async def test_what_is_no_uuid_is_refused(home: Api, bad: str) -> None:
    answer = await home.get(f"/runs/{bad}", expect=422)
    assert answer["message"].startswith("run_id: ")


async def test_a_run_is_named_by_its_uuid_in_any_spelling(home: Api, experiment: Any) -> None:
    made = await make(home, experiment)
    for spelled in (UUID(made["run_id"]).hex, made["run_id"].upper()):
        assert await home.get(f"/runs/{spelled}") == made


@pytest.mark.parametrize("time", [2**63 - 1, -(2**63), 253_402_300_800_000, -1])
async def test_a_run_with_a_time_beyond_the_calendar_is_shown(home: Api, experiment: Any, time: int) -> None:
    """MLflow takes any 64 bits for a time."""
    run_id = await log(home, experiment, start_time=time)
    assert (await home.get(f"/runs/{run_id}"))["started_at"] == iso(time)


async def test_viewers_read_and_nobody_else_sees_it(home: Api, experiment: Any, project_id: str) -> None:
    made = await make(home, experiment, config={"seed": 1})
    run_id = made["run_id"]
    viewer, stranger = await home.member(project_id, "viewer"), await home.register()
    assert await viewer.get(f"/runs/{run_id}") == made
    assert await viewer.get(f"/run-configs/{run_id}") == made["config"]
    assert (await viewer.get("/runs"))["items"] == [made]
    assert (await stranger.get("/runs", experiment_id=experiment["experiment_id"]))["items"] == []
    for path in (f"/runs/{run_id}", f"/run-configs/{run_id}", f"/runs/{run_id}/metrics"):
        await stranger.get(path, expect=404)
    for other, status in ((viewer, 403), (stranger, 404)):
        await other.post("/runs", {"experiment_id": experiment["experiment_id"]}, expect=status)
        await other.put(f"/runs/{run_id}", {"notes": "x"}, expect=status)
        await other.put(f"/run-configs/{run_id}", {"seed": 2}, expect=status)
        await other.post(f"/runs/{run_id}/metrics", [{"metric_key": "m", "value": 1}], expect=status)
        await other.post(f"/runs/{run_id}/complete", {}, expect=status)
        await other.delete(f"/runs/{run_id}", expect=status)
    assert await home.get(f"/runs/{run_id}") == made


@given(st.binary(max_size=50), st.sampled_from(["POST", "PUT"]), st.sampled_from(["", "/metrics", "/complete"]))
@bounded(max_examples=50, deadline=None)
async def test_whatever_is_sent_is_answered(
    native_http: httpx.AsyncClient, body: bytes, method: str, path: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = await native_http.request(method, f"/api/runs/{'f' * 32}{path}", content=body, headers=headers)
    assert answer.status_code in (404, 405, 422)
    assert answer.json().keys() == {"error_code", "message"}


# Lists


async def listed(api: Api, **query: Any) -> list[str]:
    """The ids of a whole list, by pages of two."""
    found: list[str] = []
    page = await api.get("/runs", limit=2, **query)
    while True:
        assert len(page["items"]) <= 2
        found += [item["run_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        page = await api.get("/runs", limit=2, cursor=page["next_cursor"], **query)


async def test_runs_are_listed_the_last_started_first(home: Api, experiment: Any, project_id: str) -> None:
    other = await home.post("/experiments", {"project_id": project_id, "name": "other"})
    data = await version(home, project_id)
    starts = {0: "2024-01-03T00:00:00Z", 1: "2024-01-01T00:00:00Z", 2: "2024-01-02T00:00:00Z"}
    a = [(await make(home, experiment, started_at=start))["run_id"] for start in starts.values()]
    b = (await make(home, other, started_at="2024-01-02T12:00:00Z", status="queued"))["run_id"]
    c = (await make(home, other, started_at="2023-01-01T00:00:00Z", dataset_version_id=data))["run_id"]
    await home.delete(f"/runs/{a[2]}")
    assert await listed(home, project_id=project_id) == [a[0], b, a[1], c]
    assert await listed(home, project_id=project_id, include_deleted="true") == [a[0], b, a[2], a[1], c]
    assert await listed(home, experiment_id=experiment["experiment_id"]) == [a[0], a[1]]
    assert await listed(home, project_id=project_id, status="queued") == [b]
    assert await listed(home, dataset_version_id=data) == [c]
    await home.put(f"/runs/{a[0]}", {"started_at": None})
    assert await listed(home, project_id=project_id) == [b, a[1], c, a[0]]


# Changes


async def test_only_what_is_sent_changes(home: Api, experiment: Any) -> None:
    made = await make(home, experiment, run_name="a", notes="why", git_commit="abc", started_at=START)
    path = f"/runs/{made['run_id']}"
    assert await home.put(path, {}) == made
    changes = {"run_name": "b", "notes": None, "status": "failed", "finished_at": END}
    assert await home.put(path, changes) == made | changes
    run = await seen(home, made["run_id"])
    assert (run["info"]["run_name"], run["info"]["status"], run["info"]["end_time"]) == ("b", "FAILED", END_MS)
    assert run["tags"] == {"mlflow.runName": "b", "mlflow.source.git.commit": "abc"}
    await home.put(path, {"finished_at": "2020-01-01T00:00:00Z"}, expect=422)
    await home.put(path, {"started_at": "2033-01-01T00:00:00Z"}, expect=422)
    await home.put(path, {"status": None}, expect=422)


async def test_another_dataset_version_takes_the_place_of_the_first(
    home: Api, experiment: Any, project_id: str
) -> None:
    first, second = await version(home, project_id, "d1"), await version(home, project_id, "d2")
    made = await make(home, experiment, dataset_version_id=first)
    path = f"/runs/{made['run_id']}"
    assert (await home.put(path, {"dataset_version_id": second}))["dataset_version_id"] == second
    inputs = (await seen(home, made["run_id"]))["inputs"]["dataset_inputs"]
    assert [used["dataset"]["digest"] for used in inputs] == ["d2"]
    await home.put(path, {"dataset_version_id": None})
    assert (await seen(home, made["run_id"]))["inputs"] == {}


async def test_a_deleted_run_is_shown_and_takes_no_changes_until_it_is_restored(home: Api, experiment: Any) -> None:
    made = await make(home, experiment)
    path = f"/runs/{made['run_id']}"
    await home.delete(path)
    await home.delete(path)
    assert (await home.get(path))["deleted_at"]
    assert (await seen(home, made["run_id"]))["info"]["lifecycle_stage"] == "deleted"
    await home.put(path, {"notes": "x"}, expect=409)
    await home.put(f"/run-configs/{made['run_id']}", {"seed": 1}, expect=409)
    await home.post(f"{path}/complete", {}, expect=409)
    await home.post(f"{path}/metrics", [{"metric_key": "m", "value": 1}], expect=409)
    await home.mlflow("runs/restore", run_id=UUID(made["run_id"]).hex)
    assert await home.get(path) == made


# The end


async def test_a_run_is_completed_with_its_final_values(home: Api, experiment: Any) -> None:
    made = await make(home, experiment, started_at=START)
    path = f"/runs/{made['run_id']}"
    finals: list[dict[str, Any]] = [
        {"metric_key": "accuracy", "scope": "val", "value": 0.9},
        {"metric_key": "auc", "value": "NaN"},
    ]
    done = {"finished_at": END, "final_metrics": finals}
    ended = await home.post(f"{path}/complete", done, expect=200)
    assert ended == made | {"status": "finished", "finished_at": END}
    run = await seen(home, made["run_id"])
    assert (run["info"]["status"], run["info"]["end_time"]) == ("FINISHED", END_MS)
    point = {"timestamp": END_MS, "step": 0}
    assert sorted(run["data"]["metrics"], key=lambda metric: metric["key"]) == [
        {"key": "auc", "value": "NaN"} | point,
        {"key": "val/accuracy", "value": 0.9} | point,
    ]
    for again in (done, {}, {"status": "finished"}, {"final_metrics": finals[:1]}, {"finished_at": END}):
        assert await home.post(f"{path}/complete", again, expect=200) == ended
    assert len((await home.get(f"{path}/metrics"))["items"]) == 2
    log_size = len((await home.get("/audit-log", table_name="runs", row_pk=made["run_id"]))["items"])
    assert log_size == 2
    for other in (
        {"status": "failed"},
        {"finished_at": START},
        {"final_metrics": [finals[0] | {"value": 0.8}]},
        {"final_metrics": [{"metric_key": "new", "value": 1}]},
    ):
        await home.post(f"{path}/complete", other, expect=409)
    assert len((await home.get(f"{path}/metrics"))["items"]) == 2


async def test_a_run_ends_now_and_not_before_its_start(home: Api, experiment: Any) -> None:
    made = await make(home, experiment, started_at="2100-01-01T00:00:00Z")
    path = f"/runs/{made['run_id']}/complete"
    await home.post(path, {"finished_at": END}, expect=422)
    assert (await home.post(path, {"status": "killed"}, expect=200))["finished_at"] == made["started_at"]
    made = await make(home, experiment)
    ended = await home.post(f"/runs/{made['run_id']}/complete", {}, expect=200)
    assert ended["finished_at"] >= ended["started_at"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "running"},
        {"final_metrics": [{"metric_key": "m", "value": 1, "step": 1}]},
        {"final_metrics": [{"value": 1}]},
        {"final_metrics": {}},
        {"other": 1},
    ],
)
async def test_what_is_no_end_is_refused(home: Api, experiment: Any, wrong: dict[str, Any]) -> None:
    run_id = (await make(home, experiment))["run_id"]
    await home.post(f"/runs/{run_id}/complete", wrong, expect=422)
    assert (await home.get(f"/runs/{run_id}"))["status"] == "running"


# Audit


async def audited(api: Api, table: str, run_id: str) -> list[tuple[Any, ...]]:
    entries = (await api.get("/audit-log", table_name=table, row_pk=run_id))["items"][::-1]
    return [(entry["operation"], entry["old_data"], entry["new_data"]) for entry in entries]


async def test_every_change_is_in_the_audit_log_from_either_surface(
    home: Api, experiment: Any, project_id: str
) -> None:
    made = await make(home, experiment, run_name="a", started_at=START)
    run_id = UUID(made["run_id"]).hex
    data = await version(home, project_id)
    await home.put(f"/runs/{run_id}", {"notes": "why", "status": "running", "dataset_version_id": data})
    await home.mlflow("runs/set-tag", run_id=run_id, key="mlflow.runName", value="b")
    await home.mlflow("runs/set-tag", run_id=run_id, key="other", value="b")
    await home.mlflow("runs/log-metric", run_id=run_id, key="m", value=1, timestamp=1)
    await home.mlflow("runs/delete-tag", run_id=run_id, key="mlflow.note.content")
    await home.mlflow("runs/update", run_id=run_id, status="FAILED")
    await home.post(f"/runs/{run_id}/complete", {"status": "failed", "finished_at": END}, expect=200)
    await home.delete(f"/runs/{run_id}")
    await home.mlflow("runs/restore", run_id=run_id)
    first, *rest = await audited(home, "runs", run_id)
    assert first[0] == "I"
    assert (first[2]["run_name"], first[2]["experiment_id"]) == ("a", UUID(experiment["experiment_id"]).hex)
    deleted_at = rest[5][2]["deleted_at"]
    assert rest == [
        ("U", {"notes": None, "dataset_version_id": None}, {"notes": "why", "dataset_version_id": UUID(data).hex}),
        ("U", {"run_name": "a"}, {"run_name": "b"}),
        ("U", {"notes": "why"}, {"notes": None}),
        ("U", {"status": "running"}, {"status": "failed"}),
        ("U", {"finished_at": None}, {"finished_at": END_MS}),
        ("U", {"deleted_at": None}, {"deleted_at": deleted_at}),
        ("U", {"deleted_at": deleted_at}, {"deleted_at": None}),
    ]


async def test_of_params_the_audit_log_holds_what_was_added(home: Api, experiment: Any) -> None:
    run_id = await log(home, experiment)
    params = [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]
    source = [{"key": "mlflow.source.name", "value": "x.py"}]
    await home.mlflow("runs/log-batch", run_id=run_id, params=params)
    await home.mlflow("runs/log-batch", run_id=run_id, params=[*params, {"key": "c", "value": "3"}], tags=source)
    await home.mlflow("runs/log-batch", run_id=run_id, params=params)
    await home.put(f"/run-configs/{run_id}", {"seed": 5, "command_line": "x.py", "params_json": {"a": 1}})
    first, *rest = await audited(home, "run_configs", run_id)
    assert (first[0], first[2]["params_json"], first[2]["run_id"]) == ("I", {"a": "1", "b": "2"}, run_id)
    assert rest == [
        ("U", {"params_json": {}, "command_line": None}, {"params_json": {"c": "3"}, "command_line": "x.py"}),
        (
            "U",
            {"seed": None, "params_json": {"a": "1", "b": "2", "c": "3"}},
            {"seed": 5, "params_json": {"a": 1}},
        ),
    ]
