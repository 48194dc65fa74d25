"""Who uses the UI, and what it lets them do."""

from __future__ import annotations

import httpx
import pytest

from tests.shim.ui.conftest import PASSWORD, Browser, log_in

pytestmark = pytest.mark.anyio

USERS = "/ajax-api/2.0/mlflow/users"
USERS_3 = "/ajax-api/3.0/mlflow/users"


async def test_where_nobody_logs_in_the_ui_has_no_user(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"{USERS}/current")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


async def test_the_ui_shows_its_user_who_is_no_administrator_to_it(browser: Browser) -> None:
    async with browser() as page:
        await log_in(page, "boss@example.org")
        told = (await page.get(f"{USERS}/current")).json()
        assert told["is_basic_auth"] is True  # which gives the UI its menu to log out
        assert told["user"] == {"id": told["user"]["id"], "username": "boss@example.org", "is_admin": False}


@pytest.mark.parametrize(("name", "permission"), [("viewer", "READ"), ("editor", "EDIT"), ("boss", "MANAGE")])
async def test_the_ui_offers_what_the_role_in_each_project_allows(browser: Browser, name: str, permission: str) -> None:
    async with browser() as page:
        await log_in(page, f"{name}@example.org")
        told = (await page.get(f"{USERS_3}/current/permissions")).json()
        assert told["is_admin"] is False
        mine = [row for row in told["permissions"] if row["workspace"] == "default"]
        assert {row["resource_type"]: row["permission"] for row in mine} == dict.fromkeys(
            ["experiment", "registered_model", "workspace"], permission
        )
        roles = (await page.get(f"{USERS_3}/roles/list", params={"username": f"{name}@example.org"})).json()["roles"]
        assert [role["name"] for role in roles if role["workspace"] == "default"] == [permission.lower()]
        others = await page.get(f"{USERS_3}/roles/list", params={"username": "somebody@example.org"})
        assert others.status_code == 403


async def test_who_has_no_role_anywhere_may_nothing(browser: Browser) -> None:
    async with browser() as page:
        await log_in(page, "outsider@example.org")
        assert (await page.get(f"{USERS_3}/current/permissions")).json()["permissions"] == []
        assert (await page.get("/ajax-api/3.0/mlflow/server-info")).json()["workspaces_enabled"] is True


async def test_a_user_changes_their_own_password_with_the_old_one(browser: Browser) -> None:
    async with browser() as page:
        await log_in(page, "editor@example.org")

        async def change(username: str, new: str, old: str | None) -> int:
            fields = {"username": username, "password": new, "current_password": old}
            return (await page.patch(f"{USERS}/update-password", json=fields)).status_code

        new = "another battery"
        assert await change("editor@example.org", new, None) == 400
        assert await change("editor@example.org", new, "wrong") == 400
        assert await change("editor@example.org", "short", PASSWORD) == 400
        assert await change("editor@example.org", PASSWORD, PASSWORD) == 400
        assert await change("boss@example.org", new, PASSWORD) == 403
        assert await change("editor@example.org", new, PASSWORD) == 200
        assert (await page.get("/")).status_code == 303  # the session was made with the old one
        assert (await log_in(page, "editor@example.org")).status_code == 401
        assert (await log_in(page, "editor@example.org", new)).status_code == 303
        assert await change("editor@example.org", PASSWORD, new) == 200


async def test_a_user_with_one_project_beside_the_default_one_is_asked_which(browser: Browser) -> None:
    async with browser() as page:
        info = "/ajax-api/3.0/mlflow/server-info"
        await log_in(page, "viewer@example.org")
        assert (await page.get(info)).json()["workspaces_enabled"] is False
        await log_in(page, "outsider@example.org")
        assert (await page.get(info)).json()["workspaces_enabled"] is True
        assert (await page.get(f"/workspaces/mine{info}")).json()["workspaces_enabled"] is False
