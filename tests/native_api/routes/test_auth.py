"""Registering and logging in, over HTTP; and what no page of another site may do."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from native_api.core import db, schema
from native_api.settings import Settings
from shim.app import create_app
from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"


@pytest.fixture
async def required(tmp_path: Path) -> AsyncIterator[Api]:
    """A caller without credentials, of a server that wants some and lets nobody register."""
    url = f"sqlite:///{tmp_path / 'test.db'}"
    schema.upgrade(db.parse_url(url))
    settings = Settings(database_url=url, artifacts_destination=str(tmp_path / "artifacts"), secret_key="k" * 64)
    settings = replace(settings, access="required", registration="closed")
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shim.example.org") as client:
        yield Api(client)


async def register(api: Api, name: str, expect: int = 201, **changed: Any) -> Any:
    account = {"email": f"{name}@auth.example.org", "full_name": f"{name} of auth", "password": PASSWORD}
    return await api.post("/auth/register", account | changed, expect)


def with_header(api: Api, credential: str) -> Api:
    return Api(api.http, {"Authorization": credential})


def basic(name: str, password: str) -> str:
    return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"


async def test_who_registers_is_logged_in(api: Api) -> None:
    made = await register(api, "Ada")
    assert made.keys() == {"user_id", "email", "full_name", "access_token", "token_type"}
    assert (made["email"], made["full_name"], made["token_type"]) == ("ada@auth.example.org", "Ada of auth", "bearer")
    assert str(UUID(made["user_id"])) == made["user_id"]
    ada = with_header(api, f"Bearer {made['access_token']}")
    assert (await ada.get(f"/users/{made['user_id']}"))["email"] == made["email"]
    assert (await ada.get("/projects"))["items"] == []


async def test_an_email_is_taken_in_any_case(api: Api) -> None:
    await register(api, "bob")
    answer = await register(api, "BOB", 409)
    assert answer["error_code"] == "ALREADY_EXISTS"


async def test_every_way_to_log_in_leads_to_the_same_user(api: Api) -> None:
    made = await register(api, "carol")
    by_email = await api.post("/auth/login", {"email": "CAROL@auth.example.org", "password": PASSWORD}, 200)
    by_name = await api.post("/auth/login", {"email": "carol of auth", "password": PASSWORD}, 200)
    form = {"username": "carol@auth.example.org", "password": PASSWORD, "grant_type": "password", "scope": ""}
    by_form = await api.call("POST", "/auth/token", 200, data=form)
    assert by_email.keys() == made.keys()
    assert by_email["user_id"] == by_name["user_id"] == made["user_id"]
    assert by_form.keys() == {"access_token", "token_type"}
    for credential in (
        *(f"Bearer {answer['access_token']}" for answer in (by_email, by_name, by_form)),
        basic("carol@auth.example.org", PASSWORD),
    ):
        (me,) = (await with_header(api, credential).get("/users"))["items"]
        assert me["user_id"] == made["user_id"]


async def test_wrong_names_and_wrong_passwords_get_the_same_answer(api: Api) -> None:
    await register(api, "dave")
    answers = [
        await api.post("/auth/login", {"email": "dave@auth.example.org", "password": "wrong"}, 401),
        await api.post("/auth/login", {"email": "nobody@auth.example.org", "password": PASSWORD}, 401),
        await api.call("POST", "/auth/token", 401, data={"username": "nobody", "password": "wrong"}),
        await with_header(api, basic("dave@auth.example.org", "wrong")).get("/orgs", 401),
    ]
    assert len({str(answer) for answer in answers}) == 1
    assert answers[0]["error_code"] == "UNAUTHENTICATED"


async def test_who_guesses_is_told_to_wait(api: Api) -> None:
    guess = {"email": "guessed@auth.example.org", "password": "wrong"}
    for _ in range(10):
        await api.post("/auth/login", guess, 401)
    answer = await api.http.post("/api/auth/login", json=guess)
    assert (answer.status_code, answer.json()["error_code"]) == (429, "TOO_MANY_ATTEMPTS")
    assert 0 < int(answer.headers["retry-after"]) <= 300
    by_mlflow = await api.http.get(
        "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default",
        headers={"Authorization": basic("guessed@auth.example.org", "wrong")},
    )
    assert (by_mlflow.status_code, by_mlflow.json()["error_code"]) == (401, "CUSTOMER_UNAUTHORIZED")  # not retried


@pytest.mark.parametrize(
    "changed",
    [
        *({"email": email} for email in ("", "ada", "a@b@c", "a b@c", "a@\0", None, 1, "a" * 250 + "@b.org")),
        *({"password": password} for password in ("", "7 chars", None, 12345678, "x" * 1025, "with \0 in it")),
        *({"full_name": name} for name in ("", None, 1, "x" * 256, "\0")),
        {"is_administrator": True},
        {"user_id": str(UUID(int=0))},
    ],
    ids=str,
)
async def test_what_is_no_account_is_refused_without_repeating_it(api: Api, changed: dict[str, Any]) -> None:
    answer = await register(api, "nobody", 422, **changed)
    assert answer["error_code"] == "INVALID"
    assert next(iter(changed)) in answer["message"]
    assert str(changed.get("password") or PASSWORD) not in answer["message"]


async def test_a_form_is_a_form_and_json_is_json(api: Api) -> None:
    fields = {"username": "x", "password": "y"}
    await api.post("/auth/token", fields, 422)
    await api.call("POST", "/auth/login", 422, data={"email": "x", "password": "y"})
    await api.call("POST", "/auth/token", 422, data={"username": "x"})


async def test_closed_registration_makes_no_accounts(required: Api) -> None:
    answer = await register(required, "eve", 403)
    assert answer["error_code"] == "FORBIDDEN"
    await required.post("/auth/login", {"email": "eve@auth.example.org", "password": PASSWORD}, 401)


async def test_without_credentials_one_is_told_so(required: Api) -> None:
    for path in ("/orgs", "/projects", "/audit-log", "/users", f"/runs/{UUID(int=1)}"):
        answer = await required.http.get(f"/api{path}")
        assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == "Bearer"
    answer = await required.http.post("/api/2.0/mlflow/runs/create", json={})
    assert (answer.status_code, answer.json()["error_code"]) == (401, "CUSTOMER_UNAUTHORIZED")
    assert answer.headers["www-authenticate"].startswith("Basic")
    for path in ("/health", "/ready", "/version", "/api/docs", "/api/openapi.json"):
        assert (await required.http.get(path)).status_code == 200


async def test_a_page_of_another_site_can_do_nothing(api: Api, required: Api) -> None:
    for caller, foreign in (
        (api, "http://evil.example.org"),
        (required, "https://evil.example.org"),
        (required, "null"),
    ):
        for path, sent in (
            ("/api/auth/token", {"data": {"username": "x", "password": "y"}}),
            ("/api/auth/login", {"json": {"email": "x", "password": "y"}}),
            ("/api/orgs", {"json": {"name": "foreign"}}),
            ("/api/2.0/mlflow/experiments/create", {"json": {"name": "foreign"}}),
        ):
            answer = await caller.http.post(path, headers={"Origin": foreign}, **sent)  # type: ignore[arg-type]
            assert (answer.status_code, "another site" in answer.text) == (403, True)
    own = await required.http.post(
        "/api/auth/login", json={"email": "x", "password": "y"}, headers={"Origin": "https://shim.example.org"}
    )
    assert own.status_code == 401


async def test_an_open_server_answers_to_names_of_this_machine_alone(api: Api) -> None:
    for host in ("evil.example.org", "127.0.0.1.evil.example.org", "localhost.evil.example.org:5000"):
        assert (await api.http.get("/api/orgs", headers={"Host": host})).status_code == 403
        assert (await api.http.post("/api/auth/login", json={}, headers={"Host": host})).status_code == 403
    for host in ("127.0.0.1:1", "localhost", "[::1]:5000"):
        assert (await api.http.get("/api/orgs", headers={"Host": host})).status_code == 200


async def test_no_secret_is_written_to_the_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "native_api")
    caplog.set_level(logging.INFO)
    made = await register(api, "frank")
    await api.post("/auth/login", {"email": "frank@auth.example.org", "password": "a wrong secret"}, 401)
    await with_header(api, f"Bearer {made['access_token']}x").get("/orgs", 401)
    await with_header(api, "Bearer mls_asecret").get("/orgs", 401)
    for secret in (PASSWORD, "a wrong secret", made["access_token"], "mls_asecret"):
        assert secret not in caplog.text


async def test_what_goes_wrong_in_the_database_is_logged_without_values(tmp_path: Path) -> None:
    engine = db.create_writer(db.parse_url(f"sqlite:///{tmp_path / 'x.db'}"))
    with engine.connect() as conn, pytest.raises(Exception, match="no such table") as raised:
        conn.exec_driver_sql("SELECT * FROM no_table WHERE password_hash = ?", ("a secret",))
    assert "a secret" not in str(raised.value)
    engine.dispose()
