"""API tokens over HTTP, and what a caller may do with one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio


async def make(api: Api, scope: str = "write", **fields: Any) -> Any:
    return await api.post("/tokens", {"name": "mine", "scope": scope} | fields)


def using(api: Api, token: Any) -> Api:
    return Api(api.http, {"Authorization": f"Bearer {token['token']}"}, token["user_id"])


async def test_a_token_is_shown_once(api: Api) -> None:
    ada = await api.register()
    token = await make(ada, expires_at="2100-01-01T00:00:00Z")
    assert token["token"].startswith("mls_")
    shown = await ada.get(f"/tokens/{token['token_id']}")
    assert shown == {name: value for name, value in token.items() if name != "token"}
    assert (shown["user_id"], shown["created_by"], shown["scope"]) == (ada.user_id, ada.user_id, "write")
    assert (shown["expires_at"], shown["revoked_at"]) == ("2100-01-01T00:00:00.000Z", None)
    assert (await ada.get("/tokens"))["items"] == [shown]
    assert token["token"] not in str(await ada.get("/audit-log"))


async def test_a_token_is_revoked_at_once_and_stays_in_the_list(api: Api) -> None:
    ada = await api.register()
    token = await make(ada)
    assert (await using(api, token).get("/projects"))["items"] == []
    for _ in range(2):
        await ada.delete(f"/tokens/{token['token_id']}")
    await using(api, token).get("/projects", 401)
    (shown,) = (await ada.get("/tokens"))["items"]
    assert shown["revoked_at"] is not None


async def test_a_token_allows_what_its_scope_says(api: Api) -> None:
    project = await api.project()
    admin = await api.member(project, "admin")
    dataset = {"project_id": project, "task_type": "other"}
    read, write, full = [using(api, await make(admin, scope)) for scope in ("read", "write", "admin")]
    for caller in (read, write, full):
        await caller.get(f"/projects/{project}")
    await read.post("/datasets", dataset | {"name": "r"}, 403)
    await write.post("/datasets", dataset | {"name": "w"})
    for caller in (read, write):
        await caller.put(f"/projects/{project}", {"description": "x"}, 403)
        await caller.post("/orgs", {"name": "by a token"}, 403)
        await caller.put(f"/users/{admin.user_id}", {"full_name": "x"}, 403)
        await caller.call("POST", f"/users/{admin.user_id}/deactivate", 403)
    await full.put(f"/projects/{project}", {"description": "x"})


async def test_no_token_makes_a_greater_one(api: Api) -> None:
    ada = await api.register()
    for scope in ("read", "write"):
        lesser = using(api, await make(ada, scope))
        for wanted in ("read", "write", "admin"):
            await lesser.post("/tokens", {"name": "more", "scope": wanted}, 403)
        await lesser.delete(f"/tokens/{(await make(ada))['token_id']}", 403)


async def test_nobody_makes_or_sees_tokens_of_somebody_else(api: Api) -> None:
    ada, bob = await api.register(), await api.register()
    token = await make(ada)
    await bob.post("/tokens", {"name": "theirs", "scope": "read", "user_id": ada.user_id}, 404)
    await bob.get(f"/tokens/{token['token_id']}", 404)
    await bob.delete(f"/tokens/{token['token_id']}", 404)
    assert (await bob.get("/tokens", user_id=ada.user_id))["items"] == []
    await api.post("/tokens", {"name": "theirs", "scope": "read", "user_id": ada.user_id}, 403)
    assert (await using(api, token).get("/projects"))["items"] == []


async def test_a_service_account_works_with_the_tokens_of_who_made_it(api: Api) -> None:
    owner = await api.register()
    project = await owner.project()
    service = await owner.post("/users", {"email": f"{owner.user_id}@ci.org", "full_name": "CI", "is_service": True})
    token = await make(owner, user_id=service["user_id"])
    assert (token["user_id"], token["created_by"]) == (service["user_id"], owner.user_id)
    ci = using(api, token)
    await ci.get(f"/projects/{project}", 404)
    await owner.post("/project-members", {"project_id": project, "user_id": service["user_id"], "role": "editor"})
    dataset = await ci.post("/datasets", {"project_id": project, "name": "by ci"})
    entries = await owner.get("/audit-log", table_name="datasets", row_pk=dataset["dataset_id"])
    assert [entry["changed_by"] for entry in entries["items"]] == [service["user_id"]]
    assert (await owner.get("/tokens", user_id=service["user_id"]))["items"][0]["token_id"] == token["token_id"]
    await owner.call("POST", f"/users/{service['user_id']}/deactivate", 200)
    await ci.get(f"/projects/{project}", 401)


@pytest.mark.parametrize(
    "fields",
    [
        *({"name": name} for name in (None, "", 1, "x" * 256)),
        *({"scope": scope} for scope in (None, "all", "READ", 1, "public")),
        *({"expires_at": time} for time in (1, "soon", "2000-01-01T00:00:00Z", "2100-01-01")),
        *({"user_id": user} for user in (1, "x", "")),
        {"token": "mls_mine"},
        {"digest": "x"},
    ],
    ids=str,
)
async def test_what_is_no_token_is_refused(api: Api, fields: dict[str, Any]) -> None:
    await api.post("/tokens", {"name": "mine"} | fields, 422)


async def test_what_is_not_there_is_not_found(api: Api) -> None:
    await api.get(f"/tokens/{UUID(int=1)}", 404)
    await api.delete(f"/tokens/{UUID(int=1)}", 404)
    await api.post("/tokens", {"name": "x", "user_id": str(UUID(int=1))}, 404)


async def test_a_list_goes_on_where_it_ended(api: Api) -> None:
    ada = await api.register()
    made = [(await make(ada))["token_id"] for _ in range(3)]
    first = await ada.get("/tokens", limit=2)
    rest = await ada.get("/tokens", limit=2, cursor=first["next_cursor"])
    seen = [token["token_id"] for token in first["items"] + rest["items"]]
    assert sorted(seen) == sorted(made)
    assert rest["next_cursor"] is None
