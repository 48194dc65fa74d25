"""Organisations over HTTP."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import UUID

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio

_numbers = itertools.count()


def fresh() -> str:
    return f"an organisation {next(_numbers)}"


async def test_an_organisation_comes_into_view_for_who_makes_it(api: Api) -> None:
    ada, bob, name = await api.register(), await api.register(), fresh()
    org = await ada.post("/orgs", {"name": name, "description": "why"})
    assert org.keys() == {"org_id", "name", "description", "created_at", "created_by"}
    assert (org["name"], org["description"], org["created_by"]) == (name, "why", ada.user_id)
    assert await ada.get(f"/orgs/{org['org_id']}") == org
    assert (await ada.get("/orgs"))["items"] == [org]
    assert (await bob.get("/orgs"))["items"] == []
    for method, body in (("GET", None), ("PUT", {"name": "x"}), ("DELETE", None)):
        await bob.call(method, f"/orgs/{org['org_id']}", 404, json=body) if body else await bob.call(
            method, f"/orgs/{org['org_id']}", 404
        )


async def test_only_the_fields_that_are_sent_change(api: Api) -> None:
    org = await api.post("/orgs", {"name": fresh(), "description": "why"})
    own = f"/orgs/{org['org_id']}"
    assert await api.put(own, {}) == org
    assert await api.put(own, {"description": None}) == org | {"description": None}
    renamed = await api.put(own, {"name": (name := fresh())})
    assert renamed == org | {"description": None, "name": name} == await api.get(own)


async def test_a_name_that_is_taken_is_a_conflict(api: Api) -> None:
    one, two = await api.post("/orgs", {"name": fresh()}), await api.post("/orgs", {"name": fresh()})
    assert (await api.post("/orgs", {"name": one["name"]}, 409))["error_code"] == "ALREADY_EXISTS"
    await (await api.register()).post("/orgs", {"name": one["name"]}, 409)
    await api.put(f"/orgs/{two['org_id']}", {"name": one["name"]}, 409)
    assert await api.get(f"/orgs/{two['org_id']}") == two


async def test_one_with_projects_is_not_deleted(api: Api) -> None:
    org_id = await api.org()
    project = await api.post("/projects", {"org_id": org_id, "name": "p"})
    assert (await api.delete(f"/orgs/{org_id}", 409))["error_code"] == "CONFLICT"
    await api.delete(f"/projects/{project['project_id']}")
    await api.delete(f"/orgs/{org_id}")
    await api.get(f"/orgs/{org_id}", 404)
    await api.delete(f"/orgs/{org_id}", 404)
    await api.post("/projects", {"org_id": org_id, "name": "q"}, 404)


@pytest.mark.parametrize(
    ("role", "changes", "deletes"),
    [("viewer", 403, 403), ("member", 403, 403), ("admin", 200, 403), ("owner", 200, 204)],
)
async def test_roles_say_who_changes_and_deletes(api: Api, role: str, changes: int, deletes: int) -> None:
    org_id, ada = await api.org(), await api.register()
    await api.post("/org-members", {"org_id": org_id, "user_id": ada.user_id, "role": role})
    await ada.get(f"/orgs/{org_id}")
    await ada.put(f"/orgs/{org_id}", {"description": "x"}, changes)
    await ada.delete(f"/orgs/{org_id}", deletes)


@pytest.mark.parametrize(
    "body",
    [
        *({"name": name} for name in (None, "", 1, True, "x" * 256, "\0", ["x"])),
        *({"name": "x", "description": text} for text in (1, "x" * 65_536, "\0")),
        *({"name": "x", "org_id": str(UUID(int=1))}, {"name": "x", "created_by": None}, {"description": "x"}, {}),
    ],
    ids=lambda body: str(body)[:40],
)
async def test_what_is_no_organisation_is_refused(api: Api, body: dict[str, Any]) -> None:
    await api.post("/orgs", body, 422)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"{", b'{"name": "x"}{', b"\xff", b'{"name": NaN}'])
async def test_a_body_is_one_json_object(api: Api, body: bytes) -> None:
    answer = await api.http.post("/api/orgs", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json().keys()) == (422, {"error_code", "message"})


async def test_a_list_is_by_name_and_can_be_narrowed(api: Api) -> None:
    ada = await api.register()
    names = sorted(fresh() for _ in range(3))
    for name in reversed(names):
        await ada.post("/orgs", {"name": name})
    first = await ada.get("/orgs", limit=2)
    rest = await ada.get("/orgs", limit=2, cursor=first["next_cursor"])
    assert [org["name"] for org in first["items"] + rest["items"]] == names
    assert [org["name"] for org in (await ada.get("/orgs", name=names[1]))["items"]] == [names[1]]
    await ada.get("/orgs", 422, unknown="x")
    await api.get("/orgs", 422, limit=2, cursor=first["next_cursor"])  # of another caller
