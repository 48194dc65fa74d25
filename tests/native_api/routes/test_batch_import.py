"""Batch imports as callers send them: forms, jobs and errors, and the same file sent again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from native_api.core.errors import Busy
from native_api.core.imports import Outcome
from native_api.routes import batch_import
from native_api.routes.import_rows import KINDS
from native_api.web.endpoint import Door
from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio

METRICS = "run_id,metric_key,scope,step,value,recorded_at\n"


async def send(api: Api, job_type: str, content: str | bytes | None, form: str = "csv", expect: int = 201) -> Any:
    files = None if content is None else {"file": ("rows." + form, content)}
    fields = {"job_type": job_type, "format": form}
    if files is None:
        files = {name: (None, value) for name, value in fields.items()}  # type: ignore[misc]
        return await api.call("POST", "/batch-import", expect, files=files)
    return await api.call("POST", "/batch-import", expect, data=fields, files=files)


async def reasons(api: Api, job: Any) -> dict[int, str]:
    """Why which rows were refused."""
    errors = await api.get("/batch-import-errors", job_id=job["job_id"], limit=1000)
    return {error["row_number"]: error["error_message"] for error in errors["items"]}


def stats(rows: int, inserted: int, errors: int = 0) -> dict[str, int]:
    return {"rows": rows, "inserted": inserted, "errors": errors}


@pytest.fixture
async def run_id(home: Api, experiment: Any) -> str:
    made = await home.post(
        "/runs", {"experiment_id": experiment["experiment_id"], "started_at": "2024-05-01T10:00:00Z"}
    )
    run_id: str = made["run_id"]
    return run_id


# What goes in


async def test_metrics_go_in_and_a_second_time_nothing_changes(home: Api, run_id: str) -> None:
    content = (
        METRICS
        + f"{run_id},loss,val,1,0.5,2024-05-01T10:00:01Z\n"
        + f"{UUID(run_id).hex},loss,val,2,NaN,2024-05-01T12:00:02+02:00\n"
        + f"{run_id},loss,val,,-Infinity,\n"
        + f"{run_id},val/loss,,3,0.5,\n"
        + f"{uuid4()},loss,,3,0.5,\n"
    )
    job = await send(home, "metrics", content)
    assert (job["status"], job["stats_json"]) == ("finished", stats(5, 3, 2))
    again = await send(home, "metrics", content)
    assert again["stats_json"] == stats(5, 0, 2)
    shown = (await home.get(f"/runs/{run_id}/metrics"))["items"]
    assert [(value["scope"], value["step"], value["value"], value["recorded_at"]) for value in shown] == [
        ("val", 1, 0.5, "2024-05-01T10:00:01.000Z"),
        ("val", 2, "NaN", "2024-05-01T10:00:02.000Z"),
        ("val", None, "-Infinity", "2024-05-01T10:00:00.000Z"),
    ]
    told = await reasons(home, job)
    assert sorted(told) == [4, 5]
    assert "give the scope apart" in told[4]
    assert "No run with id" in told[5]
    seen = await home.mlflow("metrics/get-history", method="GET", run_id=UUID(run_id).hex, metric_key="val/loss")
    assert [metric["step"] for metric in seen["metrics"]] == [0, 1, 2]


async def test_each_kind_goes_in_once_from_either_form(home: Api, project_id: str, experiment: Any) -> None:
    experiment_id = experiment["experiment_id"]
    own_id = str(uuid4())
    rows: dict[str, list[dict[str, Any]]] = {
        "datasets": [{"project_id": project_id, "name": "data", "task_type": "nlp", "description": 'a "quoted", text'}],
        "runs": [
            {"experiment_id": experiment_id, "run_name": "a", "params_json": {"lr": 0.1, "deep": {"x": None}}},
            {"experiment_id": experiment["mlflow_experiment_id"], "run_id": own_id, "status": "failed", "notes": "n"},
        ],
        "metrics": [{"run_id": own_id, "metric_key": "m", "step": 1, "value": 2}],
        "artifacts": [{"project_id": project_id, "uri": "s3://b/x.onnx", "run_id": own_id, "alias": "model"}],
    }
    for job_type, some in rows.items():
        names = list(dict.fromkeys(name for row in some for name in row))
        lines = [names, *([row.get(name, "") for name in names] for row in some)]
        quoted = [
            ",".join('"{}"'.format((json.dumps(v) if isinstance(v, dict) else str(v)).replace('"', '""')) for v in line)
            for line in lines
        ]
        job = await send(home, job_type, "\r\n".join(quoted))
        assert job["stats_json"] == stats(len(some), len(some)), await reasons(home, job)
        job = await send(home, job_type, json.dumps(some), "json")
        assert job["stats_json"] == stats(len(some), 0), await reasons(home, job)
    run = await home.get(f"/runs/{own_id}")
    assert (run["status"], run["notes"], run["experiment_id"]) == ("failed", "n", experiment_id)
    entries = await home.get("/audit-log", row_pk=UUID(own_id).hex)
    assert [entry["operation"] for entry in entries["items"]] == ["I"]
    (artifact,) = (await home.get("/artifacts", project_id=project_id))["items"]
    assert artifact["artifact_type"] == "model"
    (link,) = (await home.get("/run-artifacts", run_id=own_id))["items"]
    assert (link["artifact_id"], link["alias"]) == (artifact["artifact_id"], "model")


async def test_a_file_of_many_chunks_goes_in_whole(home: Api, run_id: str) -> None:
    content = METRICS + "".join(
        f"{run_id if n % 100 else 'nobody'},m{n % 3},,{n},{n / 7!r},2024-05-01T10:00:00Z\n" for n in range(1, 12_001)
    )
    job = await send(home, "metrics", content)
    assert job["stats_json"] == stats(12_000, 11_880, 120)
    assert list(await reasons(home, job)) == list(range(100, 12_001, 100))


async def test_without_a_file_there_is_a_job_without_rows(home: Api) -> None:
    job = await send(home, "runs", None)
    assert (job["status"], job["stats_json"], job["source_uri"]) == ("finished", stats(0, 0), None)


async def test_what_came_before_the_place_where_a_file_breaks_off_is_kept(home: Api, run_id: str) -> None:
    row = json.dumps({"run_id": run_id, "metric_key": "m", "step": 1, "value": 2})
    job = await send(home, "metrics", f"[{row}, {row[:20]}", "json")
    assert (job["status"], job["stats_json"]) == ("failed", stats(2, 1, 1))
    assert "breaks off" in (await reasons(home, job))[2]


async def test_an_import_waits_for_a_server_that_is_busy(
    home: Api, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, tries = Door.write, 0

    async def write_the_second_time(door: Door, call: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries == 2:
            raise Busy(0)
        return await write(door, call)

    monkeypatch.setattr(Door, "write", write_the_second_time)
    job = await send(home, "metrics", f"{METRICS}{run_id},m,,1,2,\n")
    assert (tries, job["status"], job["stats_json"]) == (4, "finished", stats(1, 1))


async def test_an_import_that_cannot_go_on_is_failed(home: Api, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Outcome:
        raise RuntimeError("the disk is full")

    kind = KINDS["metrics"]
    monkeypatch.setitem(KINDS, "metrics", kind._replace(put=fail))
    await send(home, "metrics", f"{METRICS}{run_id},m,,1,2,\n", expect=500)
    (job, *_) = (await home.get("/batch-import-jobs", limit=1))["items"]
    assert (job["status"], job["stats_json"]) == ("failed", stats(0, 0))


# Who may do and see what


async def test_viewers_import_nothing_and_jobs_are_ones_own(home: Api, project_id: str, run_id: str) -> None:
    viewer, editor = await home.member(project_id, "viewer"), await home.member(project_id, "editor")
    content = f"{METRICS}{run_id},m,,1,2,\n"
    refused = await send(viewer, "metrics", content)
    assert "write access" in (await reasons(viewer, refused))[1]
    job = await send(editor, "metrics", content)
    assert job["stats_json"] == stats(1, 1)
    assert (await editor.get(f"/batch-import-jobs/{job['job_id']}")) == job
    assert [one["job_id"] for one in (await editor.get("/batch-import-jobs"))["items"]] == [job["job_id"]]
    await viewer.get(f"/batch-import-jobs/{job['job_id']}", expect=404)
    await viewer.get("/batch-import-errors", expect=404, job_id=job["job_id"])
    assert [one["job_id"] for one in (await viewer.get("/batch-import-jobs"))["items"]] == [refused["job_id"]]


async def test_jobs_are_listed_by_type_and_status(home: Api, project_id: str) -> None:
    editor = await home.member(project_id, "editor")
    made = [await send(editor, kind, "[" if kind == "runs" else "[]", "json") for kind in ("runs", "datasets")]
    listed = await editor.get("/batch-import-jobs", status="failed")
    assert [job["job_id"] for job in listed["items"]] == [made[0]["job_id"]]
    listed = await editor.get("/batch-import-jobs", job_type="datasets")
    assert [job["job_id"] for job in listed["items"]] == [made[1]["job_id"]]
    await editor.get("/batch-import-jobs", expect=422, status="lost")


# Forms that are none

FIELDS = {"job_type": "metrics", "format": "csv"}
FILE = ("rows.csv", METRICS)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"data": FIELDS}, "multipart/form-data"),
        ({"json": FIELDS}, "multipart/form-data"),
        ({"data": {"job_type": "metrics"}, "files": {"file": FILE}}, "format: Field required"),
        ({"data": FIELDS | {"job_type": "models"}, "files": {"file": FILE}}, "job_type"),
        ({"data": FIELDS | {"more": "1"}, "files": {"file": FILE}}, "more: Extra inputs"),
        ({"data": FIELDS, "files": {"rows": FILE}}, "rows: Extra inputs"),
        ({"data": FIELDS, "files": [("file", FILE), ("file", FILE)]}, "Too many files"),
        ({"data": FIELDS | {"format": ["csv", "csv"]}, "files": {"file": FILE}}, "twice"),
        ({"data": FIELDS | {"source_uri": "x" * 10_000}, "files": {"file": FILE}}, "exceeded maximum size"),
        ({"data": FIELDS | {"source_uri": "x\0"}, "files": {"file": FILE}}, "source_uri"),
        ({"files": {name: (None, value) for name, value in (FIELDS | {"file": "text"}).items()}}, "sent as a file"),
        ({"data": FIELDS, "files": {"file": FILE}, "params": {"format": "csv"}}, "no query parameters"),
        ({"data": FIELDS, "files": {"file": ("rows.csv", "a,b\n")}}, "unknown column 'a'"),
        ({"content": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data"}}, "boundary"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, "Invalid multipart"),
    ],
)
async def test_what_is_no_such_form_is_refused_and_makes_no_job(home: Api, sent: dict[str, Any], words: str) -> None:
    before = await home.get("/batch-import-jobs", limit=1)
    answer = await home.http.post("/api/batch-import", **sent)
    assert answer.status_code == 422
    assert words in answer.json()["message"]
    assert await home.get("/batch-import-jobs", limit=1) == before


def form_of(home: Api, content: str) -> tuple[bytes, dict[str, str]]:
    request = home.http.build_request("POST", "/api/batch-import", data=FIELDS, files={"file": ("f", content)})
    return request.read(), {"Content-Type": request.headers["content-type"]}


async def test_a_form_without_its_end_makes_no_job(home: Api, run_id: str) -> None:
    before = await home.get("/batch-import-jobs", limit=1)
    body, headers = form_of(home, f"{METRICS}{run_id},m,,1,2,\n")
    for end in (-4, -60, 200, 0):
        answer = await home.http.post("/api/batch-import", content=body[:end], headers=headers)
        assert (answer.status_code, answer.json()["message"]) == (422, "The form cannot be read: it breaks off")
    assert await home.get("/batch-import-jobs", limit=1) == before


async def test_a_body_has_a_bound(home: Api, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_import, "MAX_BODY", 1000)
    body, headers = form_of(home, "x" * 1000)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    answer: httpx.Response = await home.http.post("/api/batch-import", content=pieces(), headers=headers)
    assert answer.status_code == 413
