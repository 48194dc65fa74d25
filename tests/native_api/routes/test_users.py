"""Users over HTTP."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from uuid import UUID

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"
"""What `Api.register` gives everybody."""


async def me(api: Api) -> Any:
    return await api.get(f"/users/{api.user_id}")


async def test_a_user_is_shown_without_secrets(api: Api) -> None:
    ada = await api.register()
    shown = await me(ada)
    assert shown.keys() == {
        *("user_id", "email", "full_name", "is_active", "is_administrator", "is_service", "created_at", "created_by")
    }
    assert shown["created_at"].endswith("Z")
    assert (shown["is_active"], shown["is_administrator"], shown["created_by"]) == (True, False, None)


async def test_only_the_fields_that_are_sent_change(api: Api) -> None:
    ada = await api.register()
    before = await me(ada)
    assert await ada.put(f"/users/{ada.user_id}", {}) == before
    changed = await ada.put(f"/users/{ada.user_id}", {"full_name": "Countess"})
    assert changed == before | {"full_name": "Countess"} == await me(ada)


async def test_an_email_that_is_taken_stays_with_who_has_it(api: Api) -> None:
    ada, bob = await api.register(), await api.register()
    theirs = (await me(bob))["email"]
    await ada.put(f"/users/{ada.user_id}", {"email": theirs.upper()}, 409)
    await api.post("/users", {"email": theirs.upper(), "full_name": "x"}, 409)


@pytest.mark.parametrize(
    "changes",
    [
        *({"email": email} for email in (None, "x", 1)),
        *({"full_name": name} for name in (None, "", 1)),
        *({"is_active": flag} for flag in (None, "true", 1, 0)),
        {"is_administrator": "yes"},
        {"password_hash": "x"},
        {"is_service": True},
        {"signed_out_at": 0},
        {"user_id": str(UUID(int=1))},
    ],
    ids=str,
)
async def test_what_is_no_change_is_refused(api: Api, changes: dict[str, Any]) -> None:
    ada = await api.register()
    before = await me(ada)
    await api.put(f"/users/{ada.user_id}", changes, 422)
    assert await me(ada) == before


async def test_nobody_changes_somebody_else(api: Api) -> None:
    ada, bob = await api.register(), await api.register()
    for body in ({"full_name": "x"}, {"email": "x@y.org"}, {"password": "another one"}, {"is_active": False}):
        await bob.put(f"/users/{ada.user_id}", body, 404)
    project = await api.project()
    for user in (ada, bob):
        body = {"project_id": project, "user_id": user.user_id, "role": "admin"}
        await api.post("/project-members", body)
    for body in ({"full_name": "x"}, {"email": "x@y.org"}, {"password": "another one"}, {"is_active": False}):
        await bob.put(f"/users/{ada.user_id}", body, 403)
    await bob.call("POST", f"/users/{ada.user_id}/deactivate", 403)
    assert (await me(ada))["is_active"]


async def test_nobody_makes_themselves_an_administrator(api: Api) -> None:
    ada = await api.register()
    await ada.put(f"/users/{ada.user_id}", {"is_administrator": True}, 403)
    await ada.put(f"/users/{ada.user_id}", {"is_active": True}, 403)
    await ada.post("/users", {"email": "made@example.org", "full_name": "x"}, 403)
    await ada.post("/users", {"email": "made@example.org", "full_name": "x", "is_administrator": True}, 403)


async def test_another_password_needs_the_current_one_and_ends_the_old_logins(api: Api) -> None:
    ada = await api.register()
    own = f"/users/{ada.user_id}"
    for current in ({}, {"current_password": "wrong"}):
        await ada.put(own, {"password": "another one"} | current, 401)
    changed = await ada.put(own, {"password": "another one", "current_password": PASSWORD})
    assert "password" not in str(changed)
    await ada.get(own, 401)
    email = changed["email"]
    await api.post("/auth/login", {"email": email, "password": PASSWORD}, 401)
    again = await api.post("/auth/login", {"email": email, "password": "another one"}, 200)
    assert await Api(api.http, {"Authorization": f"Bearer {again['access_token']}"}).get(own) == changed


async def test_an_administrator_gives_another_password(api: Api) -> None:
    ada = await api.register()
    changed = await api.put(f"/users/{ada.user_id}", {"password": "given to her"})
    await api.post("/auth/login", {"email": changed["email"], "password": "given to her"}, 200)
    await ada.get("/users", 401)


async def test_an_administrator_makes_accounts(api: Api) -> None:
    new = {"email": "Made.By@example.org", "full_name": "Made"}
    made = await api.post("/users", new | {"password": PASSWORD})
    assert (made["email"], made["is_active"], made["is_administrator"]) == ("made.by@example.org", True, False)
    assert made["created_by"] is not None
    await api.post("/auth/login", {"email": made["email"], "password": PASSWORD}, 200)
    silent = await api.post("/users", {"email": "silent@example.org", "full_name": "Without a password"})
    await api.post("/auth/login", {"email": silent["email"], "password": ""}, 401)


async def test_a_service_account_has_no_password(api: Api) -> None:
    new = {"email": "service@example.org", "full_name": "CI", "is_service": True}
    await api.post("/users", new | {"password": PASSWORD}, 422)
    await api.post("/users", new | {"is_administrator": True}, 422)
    service = await api.post("/users", new)
    assert service["is_service"]
    await api.put(f"/users/{service['user_id']}", {"password": "another one"}, 422)


async def test_who_is_deactivated_is_out_at_once_and_can_be_let_in_again(api: Api) -> None:
    ada = await api.register()
    email = (await me(ada))["email"]
    shown = await api.call("POST", f"/users/{ada.user_id}/deactivate", 200)
    assert shown["is_active"] is False
    assert await api.call("POST", f"/users/{ada.user_id}/deactivate", 200) == shown
    await ada.get("/users", 401)
    await api.post("/auth/login", {"email": email, "password": PASSWORD}, 401)
    header = b64encode(f"{email}:{PASSWORD}".encode()).decode()
    await Api(api.http, {"Authorization": f"Basic {header}"}).get("/users", 401)
    await api.put(f"/users/{ada.user_id}", {"is_active": True})
    await api.post("/auth/login", {"email": email, "password": PASSWORD}, 200)
    await ada.get("/users", 401)


async def test_one_may_leave(api: Api) -> None:
    ada = await api.register()
    await ada.call("POST", f"/users/{ada.user_id}/deactivate", 200)
    await ada.get("/users", 401)


async def test_strangers_are_not_there(api: Api) -> None:
    ada, bob = await api.register(), await api.register()
    await bob.get(f"/users/{ada.user_id}", 404)
    assert [user["user_id"] for user in (await bob.get("/users"))["items"]] == [bob.user_id]
    assert (await bob.get("/users", email=(await me(ada))["email"]))["items"] == []
    project = await api.project()
    for user in (ada, bob):
        await api.post("/project-members", {"project_id": project, "user_id": user.user_id, "role": "viewer"})
    assert (await bob.get(f"/users/{ada.user_id}"))["user_id"] == ada.user_id


async def test_a_cursor_is_of_one_list_and_one_caller(api: Api) -> None:
    for _ in range(3):
        await api.register()
    first = await api.get("/users", limit=2)
    assert len(first["items"]) == 2
    second = await api.get("/users", limit=2, cursor=first["next_cursor"])
    assert second["items"][0]["email"] > first["items"][-1]["email"]
    ada = await api.register()
    await ada.get("/users", 422, cursor=first["next_cursor"])
    await api.get("/orgs", 422, cursor=first["next_cursor"])
    await api.get("/users", 422, cursor=first["next_cursor"], email="x@y")
    for wrong in ("x", "%", "AAAA", first["next_cursor"][:-4]):
        await api.get("/users", 422, cursor=wrong)


@pytest.mark.parametrize("limit", [0, 1001, -1, "x", ""])
async def test_a_page_has_between_1_and_1000_items(api: Api, limit: object) -> None:
    await api.get("/users", 422, limit=limit)


@pytest.mark.parametrize("user_id", ["x", "1", "0" * 31, "g" * 32, "0" * 36, "-" * 32])
async def test_an_id_is_a_uuid(api: Api, user_id: str) -> None:
    await api.get(f"/users/{user_id}", 422)
    await api.get(f"/users/{UUID(int=0)}", 404)
