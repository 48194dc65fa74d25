"""Members over HTTP."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio


class Kind(NamedTuple):
    """Members of an organisation, or of a project."""

    path: str
    of: str
    key: str
    since: str
    roles: tuple[str, ...]

    def about(self, of: str) -> dict[str, Any]:
        return {self.of: of}

    async def place(self, api: Api) -> str:
        return await (api.org() if self.of == "org_id" else api.project())

    async def add(self, api: Api, of: str, user: Api, role: str, expect: int = 201) -> Any:
        return await api.post(self.path, {self.of: of, "user_id": user.user_id, "role": role}, expect)


ORG = Kind("/org-members", "org_id", "org_member_id", "joined_at", ("owner", "admin", "member", "viewer"))
PROJECT = Kind("/project-members", "project_id", "project_member_id", "added_at", ("admin", "editor", "viewer"))
both = pytest.mark.parametrize("kind", [ORG, PROJECT], ids=["org", "project"])


@both
async def test_a_member_is_taken_in_changed_and_removed(api: Api, kind: Kind) -> None:
    of, ada = await kind.place(api), await api.register()
    for role in kind.roles:
        member = await kind.add(api, of, ada, role)
        assert member.keys() == {kind.key, kind.of, "user_id", "role", kind.since, "is_active"}
        assert (member[kind.of], member["user_id"], member["role"], member["is_active"]) == (
            of,
            ada.user_id,
            role,
            True,
        )
        own = f"{kind.path}/{member[kind.key]}"
        assert await api.get(own) == member == await ada.get(own)
        assert await api.put(own, {}) == member
        assert await api.put(own, {"is_active": False}) == member | {"is_active": False}
        await ada.get(own, 404)
        assert await api.put(own, {"is_active": True, "role": "viewer"}) == member | {"role": "viewer"}
        await api.delete(own)
        await api.get(own, 404)


@both
async def test_one_is_a_member_once(api: Api, kind: Kind) -> None:
    of, ada = await kind.place(api), await api.register()
    await kind.add(api, of, ada, "viewer")
    assert (await kind.add(api, of, ada, "admin", 409))["error_code"] == "ALREADY_EXISTS"


@both
async def test_what_others_have_is_not_there(api: Api, kind: Kind) -> None:
    of, ada, bob = await kind.place(api), await api.register(), await api.register()
    member = await kind.add(api, of, ada, "viewer")
    own = f"{kind.path}/{member[kind.key]}"
    await kind.add(bob, of, bob, "admin", 404)
    await bob.get(own, 404)
    await bob.put(own, {"role": "admin"}, 404)
    await bob.delete(own, 404)
    assert (await bob.get(kind.path, **kind.about(of)))["items"] == []
    assert (await bob.get(kind.path, user_id=ada.user_id))["items"] == []


@both
async def test_who_may_only_look_takes_in_nobody_and_is_not_promoted(api: Api, kind: Kind) -> None:
    of, ada, bob = await kind.place(api), await api.register(), await api.register()
    member = await kind.add(api, of, ada, "viewer")
    await kind.add(ada, of, bob, "viewer", 403)
    await ada.put(f"{kind.path}/{member[kind.key]}", {"role": "admin"}, 403)
    (mine,) = (await ada.get(kind.path, user_id=ada.user_id))["items"]
    assert mine["role"] == "viewer"
    await ada.delete(f"{kind.path}/{mine[kind.key]}")
    assert (await ada.get(kind.path))["items"] == []


async def test_the_last_owner_stays(api: Api) -> None:
    org_id, ada = await api.org(), await api.register()
    (owner,) = (await api.get("/org-members", org_id=org_id))["items"]
    own = f"/org-members/{owner['org_member_id']}"
    for changes in ({"role": "admin"}, {"is_active": False}):
        assert (await api.put(own, changes, 409))["error_code"] == "CONFLICT"
    await api.delete(own, 409)
    await ORG.add(api, org_id, ada, "owner")
    await ada.put(own, {"role": "viewer"})
    await api.get(f"/orgs/{org_id}")
    await api.put(f"/orgs/{org_id}", {"name": "x"}, 403)


async def test_an_admin_of_an_organisation_makes_no_owners(api: Api) -> None:
    org_id, ada, bob = await api.org(), await api.register(), await api.register()
    mine = await ORG.add(api, org_id, ada, "admin")
    (owner,) = [m for m in (await ada.get("/org-members", org_id=org_id))["items"] if m["role"] == "owner"]
    await ORG.add(ada, org_id, bob, "owner", 403)
    await ada.put(f"/org-members/{mine['org_member_id']}", {"role": "owner"}, 403)
    await ada.put(f"/org-members/{owner['org_member_id']}", {"role": "viewer"}, 403)
    await ada.delete(f"/org-members/{owner['org_member_id']}", 403)
    await ORG.add(ada, org_id, bob, "admin")


async def test_admins_of_an_organisation_look_after_its_projects(api: Api) -> None:
    org_id, ada, bob = await api.org(), await api.register(), await api.register()
    project = await api.post("/projects", {"org_id": org_id, "name": "p"})
    await PROJECT.add(ada, project["project_id"], bob, "viewer", 404)
    await ORG.add(api, org_id, ada, "admin")
    await PROJECT.add(ada, project["project_id"], bob, "viewer")


@both
@pytest.mark.parametrize(
    "body",
    [
        *({"role": role} for role in (None, "", "boss", "OWNER", 1)),
        *({"is_active": flag} for flag in (None, "true", 1)),
        *({"user_id": user} for user in (None, "x", 1)),
        {"joined": "x"},
    ],
    ids=str,
)
async def test_what_is_no_member_is_refused(api: Api, kind: Kind, body: dict[str, Any]) -> None:
    someone = str(UUID(int=1))
    await api.post(kind.path, {kind.of: someone, "user_id": someone, "role": "viewer"} | body, 422)
    await api.put(f"{kind.path}/{someone}", body, 422)


async def test_each_place_has_its_own_roles(api: Api) -> None:
    someone = str(UUID(int=1))
    await api.post("/org-members", {"org_id": someone, "user_id": someone, "role": "editor"}, 422)
    await api.post("/project-members", {"project_id": someone, "user_id": someone, "role": "owner"}, 422)


@both
async def test_who_or_what_is_not_there_is_not_found(api: Api, kind: Kind) -> None:
    nowhere = str(UUID(int=1))
    await kind.add(api, nowhere, await api.register(), "viewer", 404)
    await kind.add(api, await kind.place(api), Api(api.http, user_id=nowhere), "viewer", 404)
    await api.get(f"{kind.path}/{nowhere}", 404)
    await api.put(f"{kind.path}/{nowhere}", {"role": "viewer"}, 404)
    await api.delete(f"{kind.path}/{nowhere}", 404)


@both
async def test_a_list_is_in_the_order_they_came(api: Api, kind: Kind) -> None:
    of = await kind.place(api)
    for _ in range(3):
        await kind.add(api, of, await api.register(), "viewer")
    first = await api.get(kind.path, limit=2, **kind.about(of))
    rest = await api.get(kind.path, limit=2, cursor=first["next_cursor"], **kind.about(of))
    members = first["items"] + rest["items"]
    assert len({member[kind.key] for member in members}) == 4
    assert members == sorted(members, key=lambda member: (member[kind.since], member[kind.key]))
    await api.get(kind.path, 422, cursor=first["next_cursor"])
