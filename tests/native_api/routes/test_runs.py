"""Runs on the native surface, over the whole application and on both databases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from native_api.core import db, schema
from native_api.settings import Settings
from shim.app import create_app
from tests.asgi import Caller
from tests.conftest import fresh_postgres

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A server's settings, with a database at the schema of this release."""
    folder = tmp_path_factory.mktemp("native")
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'test.db'}"
    else:
        url = fresh_postgres(request.getfixturevalue("postgres_url"), "native")
    schema.upgrade(db.parse_url(url))
    return Settings(database_url=url, artifacts_destination=folder / "artifacts")


@pytest.fixture(scope="module")
async def call(settings: Settings) -> AsyncIterator[Caller]:
    app = create_app(settings)
    async with app.lifespan():
        yield Caller(app)


async def log(call: Caller, path: str, **fields: Any) -> Any:
    """A call of MLflow's API, by which runs come in."""
    answer = await call("POST", f"/api/2.0/mlflow/runs/{path}", json.dumps(fields).encode())
    assert answer.status == 200, answer
    return answer.json


async def make_run(call: Caller, **fields: Any) -> str:
    run_id: str = (await log(call, "create", **fields))["run"]["info"]["run_id"]
    return run_id


async def test_a_run_is_shown_with_its_params_and_utc_times(call: Caller) -> None:
    run_id = await make_run(
        call,
        run_name="first",
        start_time=1_700_000_000_123,
        tags=[
            {"key": "mlflow.source.git.commit", "value": "abc"},
            {"key": "mlflow.note.content", "value": "why"},
        ],
    )
    await log(call, "log-parameter", run_id=run_id, key="lr", value="0.1")
    await log(call, "update", run_id=run_id, status="FINISHED", end_time=1_700_000_001_000)
    answer = await call("GET", f"/api/runs/{run_id}")
    assert answer.status == 200
    assert answer.json == {
        "run_id": str(UUID(run_id)),
        "run_name": "first",
        "status": "finished",
        "started_at": "2023-11-14T22:13:20.123000Z",
        "finished_at": "2023-11-14T22:13:21Z",
        "git_commit": "abc",
        "notes": "why",
        "params_json": {"lr": "0.1"},
    }


async def test_what_is_not_known_of_a_run_is_null(call: Caller) -> None:
    run = (await call("GET", f"/api/runs/{await make_run(call)}")).json
    assert (run["finished_at"], run["git_commit"], run["notes"], run["params_json"]) == (None, None, None, {})


async def test_a_run_is_named_by_its_uuid_in_any_spelling(call: Caller) -> None:
    run_id = await make_run(call)
    shown = (await call("GET", f"/api/runs/{run_id}")).json
    for spelled in (str(UUID(run_id)), run_id.upper()):
        assert (await call("GET", f"/api/runs/{spelled}")).json == shown


async def test_a_deleted_run_is_still_shown(call: Caller) -> None:
    run_id = await make_run(call)
    await log(call, "delete", run_id=run_id)
    assert (await call("GET", f"/api/runs/{run_id}")).status == 200


async def test_an_unknown_run_is_not_there(call: Caller) -> None:
    answer = await call("GET", "/api/runs/" + "f" * 32)
    assert (answer.status, answer.json["error_code"]) == (404, "NOT_FOUND")
    assert "f" * 32 in answer.json["message"]


@pytest.mark.parametrize("bad", ["x", "1", "f" * 31, "f" * 33, "é" * 32, "f" * 31 + "\0", " ", "f" * 5000])
async def test_what_is_no_uuid_is_refused(call: Caller, bad: str) -> None:
    answer = await call("GET", f"/api/runs/{bad}")
    assert (answer.status, answer.json["error_code"]) == (422, "INVALID")
    assert answer.json["message"].startswith("run_id: ")


async def test_the_path_counts_before_query_and_body(call: Caller) -> None:
    run_id = await make_run(call)
    other = "f" * 32
    answer = await call(
        "GET", f"/api/runs/{run_id}", json.dumps({"run_id": other}).encode(), f"run_id={other}".encode()
    )
    assert answer.json["run_id"] == str(UUID(run_id))


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"5", b"null", b'"x"', b"\xff", b'{"a":"\\ud800"}', b"[" * 100_000, b'{"a":' * 100_000]
)
async def test_a_body_that_is_no_json_object_is_refused(call: Caller, body: bytes) -> None:
    answer = await call("GET", "/api/runs/" + "f" * 32, body)
    assert (answer.status, answer.json["error_code"]) == (422, "INVALID")


@pytest.mark.parametrize("query", [b"a=%ff", b"a=\xff", b"\xc3\xbc=1"])
async def test_a_query_that_is_no_utf_8_is_refused(call: Caller, query: bytes) -> None:
    answer = await call("GET", "/api/runs/" + "f" * 32, query=query)
    assert (answer.status, answer.json["error_code"]) == (422, "INVALID")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_other_methods_are_no_endpoints(call: Caller, method: str) -> None:
    answer = await call(method, "/api/runs/" + "f" * 32)
    assert (answer.status, answer.json["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


@pytest.mark.parametrize("time", [2**63 - 1, -(2**63), 253_402_300_800_000, -1])
async def test_a_run_with_a_time_beyond_the_calendar_is_shown(call: Caller, time: int) -> None:
    """MLflow takes any 64 bits for a time."""
    run_id = await make_run(call, start_time=time)
    assert (await call("GET", f"/api/runs/{run_id}")).status == 200


@given(st.binary(max_size=50), st.binary(max_size=20), st.text(max_size=20))
@bounded(max_examples=50, deadline=None)
async def test_whatever_is_sent_is_answered(call: Caller, body: bytes, query: bytes, run_id: str) -> None:
    answer = await call("GET", f"/api/runs/{run_id}", body, query)
    assert answer.status in (404, 422)
    assert answer.json.keys() == {"error_code", "message"}
