"""The audit log over HTTP: who sees which entries of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio


async def of_row(api: Api, row_pk: str, **query: Any) -> Any:
    return (await api.get("/audit-log", row_pk=row_pk, **query))["items"]


async def test_every_change_has_an_entry_newest_first(api: Api) -> None:
    dataset = await api.post("/datasets", {"project_id": await api.project(), "name": "d"})
    for _ in range(2):  # of which the second changes nothing
        await api.put(f"/datasets/{dataset['dataset_id']}", {"description": "new"})
    await api.delete(f"/datasets/{dataset['dataset_id']}")
    entries = await of_row(api, dataset["dataset_id"])
    assert [entry["operation"] for entry in entries] == ["D", "U", "I"]
    assert [entry["audit_id"] for entry in entries] == sorted((entry["audit_id"] for entry in entries), reverse=True)
    assert (entries[0]["new_data"], entries[0]["old_data"]["description"]) == (None, "new")


async def test_what_became_of_a_deleted_organisation_is_told_to_who_deleted_it(api: Api) -> None:
    org_id = await api.org()
    await api.delete(f"/orgs/{org_id}")
    update, insert = await of_row(api, org_id)
    assert (insert["operation"], update["operation"]) == ("I", "U")
    assert await of_row(await api.register(), org_id) == []


async def test_an_entry_tells_who_when_and_what(api: Api) -> None:
    project_id = await api.project()
    admin = await api.member(project_id, "admin")
    await admin.put(f"/projects/{project_id}", {"description": "new"})
    entry, made = await of_row(admin, project_id)
    assert entry.keys() == {
        *("audit_id", "table_name", "operation", "row_pk", "changed_by", "changed_at", "old_data", "new_data")
    }
    assert (entry["table_name"], entry["operation"], entry["row_pk"]) == ("ml_projects", "U", project_id)
    assert (entry["changed_by"], entry["old_data"], entry["new_data"]) == (
        admin.user_id,
        {"description": None},
        {"description": "new"},
    )
    assert (made["operation"], made["old_data"], made["new_data"]["status"]) == ("I", None, "active")
    assert made["changed_at"] <= entry["changed_at"]
    assert entry["changed_at"].endswith("Z")


async def test_what_is_refused_leaves_no_entry(api: Api) -> None:
    project_id = await api.project()
    viewer = await api.member(project_id, "viewer")
    before = await api.get("/audit-log", limit=1)
    await viewer.put(f"/projects/{project_id}", {"description": "x"}, 403)
    await api.put(f"/projects/{project_id}", {"name": ""}, 422)
    await api.put(f"/projects/{project_id}", {}, 200)
    assert await api.get("/audit-log", limit=1) == before


async def test_each_sees_what_is_in_view_and_what_is_about_themselves(api: Api) -> None:
    project_id, stranger = await api.project(), await api.register()
    viewer = await api.member(project_id, "viewer")
    assert await of_row(viewer, project_id)
    assert await of_row(stranger, project_id) == []
    own = (await stranger.get("/audit-log"))["items"]
    assert {(entry["table_name"], entry["row_pk"]) for entry in own} == {("users", stranger.user_id)}
    assert await of_row(api, stranger.user_id)  # an administrator, who looks after accounts
    org_id = (await api.get(f"/projects/{project_id}"))["org_id"]
    assert await of_row(api, org_id)
    assert await of_row(viewer, org_id) == []


async def test_what_an_organisations_members_do_is_theirs_to_see(api: Api) -> None:
    org_id, member, stranger = await api.org(), await api.register(), await api.register()
    joined = await api.post("/org-members", {"org_id": org_id, "user_id": member.user_id, "role": "viewer"})
    (entry,) = await of_row(member, joined["org_member_id"])
    assert entry["new_data"]["role"] == "viewer"
    assert await of_row(stranger, joined["org_member_id"]) == []


async def test_no_secret_is_in_it(api: Api) -> None:
    ada = await api.register()
    token = (await ada.post("/tokens", {"name": "t"}))["token"]
    await api.put(f"/users/{ada.user_id}", {"password": "another secret"})
    entries = await of_row(api, ada.user_id)
    assert [entry["operation"] for entry in entries] == ["U", "I"]
    assert {entry["new_data"]["password_hash"] for entry in entries} == {"(secret)"}
    everything = str(await api.get("/audit-log", limit=1000))
    for secret in ("another secret", "correct horse", "argon2", token):
        assert secret not in everything


async def test_the_list_can_be_narrowed_and_goes_on_where_it_ended(api: Api) -> None:
    project_id = await api.project()
    editor = await api.member(project_id, "editor")
    made = [await editor.post("/datasets", {"project_id": project_id, "name": f"d{n}"}) for n in range(3)]
    mine: dict[str, Any] = {"changed_by": editor.user_id, "table_name": "datasets"}
    first = await api.get("/audit-log", limit=2, **mine)
    rest = await api.get("/audit-log", limit=2, cursor=first["next_cursor"], **mine)
    entries = first["items"] + rest["items"]
    assert [entry["row_pk"] for entry in entries] == [dataset["dataset_id"] for dataset in reversed(made)]
    assert rest["next_cursor"] is None
    moment = entries[0]["changed_at"]
    since = (await api.get("/audit-log", since=moment, **mine))["items"]
    assert entries[0] in since
    assert all(entry["changed_at"] >= moment for entry in since)
    assert (await api.get("/audit-log", since="2100-01-01T00:00:00Z"))["items"] == []
    await editor.get("/audit-log", 422, cursor=first["next_cursor"], **mine)


@pytest.mark.parametrize(
    "query",
    [{"since": "today"}, {"since": "1"}, {"changed_by": "x"}, {"operation": "I"}, {"limit": 0}, {"row_pk": "\0"}],
)
async def test_what_is_no_question_is_refused(api: Api, query: dict[str, Any]) -> None:
    await api.get("/audit-log", 422, **query)


async def test_nobody_writes_to_it(api: Api) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/audit-log", f"/audit-log/{UUID(int=1)}", "/audit-log/1"):
            answer = await api.http.request(method, f"/api{path}", json={})
            assert answer.status_code in (404, 405)
