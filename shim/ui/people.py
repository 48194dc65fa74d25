"""Who uses the UI and what they may do, as MLflow's UI asks it of a server with accounts.

The UI greys out what a user may not do, and has a menu to log out and to change the password. Accounts are looked after
by the native API: to the UI nobody is an administrator, whose pages would ask for calls that this server does not have.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import StringConstraints
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from native_api.core import projects, users
from native_api.core.access import Actor, Scope
from native_api.core.errors import Forbidden, Invalid, NoSuchEndpoint, Unauthenticated
from native_api.web.auth import Guard
from native_api.web.endpoint import Caller, Door
from native_api.web.sessions import Sessions, abandoned_in
from shim import messages as m
from shim.errors import refuse_ui

MAX_PROJECTS = 10_000

PERMISSIONS = {Scope.READ: "READ", Scope.WRITE: "EDIT", Scope.ADMIN: "MANAGE"}
RESOURCES = ("experiment", "registered_model", "workspace")

Answer = dict[str, Any]


class OneUser(m.Message):
    """Names a user."""

    username: m.Text


class ChangePassword(m.Message):
    """A new password for oneself."""

    username: m.Text
    password: Annotated[str, StringConstraints(min_length=8, max_length=1024)]
    current_password: m.Text | None = None


@dataclass(frozen=True)
class People:
    """What the UI asks about its user."""

    guard: Guard
    sessions: Sessions

    async def current(self, door: Door, actor: Actor, request: Request) -> Response:
        """The user of the UI. Where nobody logs in, there is no such path.

        The UI asks this also as it logs out, after it has deleted its own cookie: then the session is ended.
        """
        if self.guard.is_open:
            raise NoSuchEndpoint(request.method, request.scope["path"])
        headers = dict(request.scope["headers"])
        abandoned = abandoned_in(headers)
        if abandoned and b"authorization" not in headers:
            await self.guard.log_out(door, abandoned)
            refusal = refuse_ui(Unauthenticated("You have logged out"))
            response = Response(refusal.body, refusal.status, media_type="application/json")
            self.sessions.end(response)
            return response
        known = await self.guard.anywhere(door, Caller(headers, actor.address, None))
        user = {"id": _number(known.user_id), "username": known.email, "is_admin": False}
        return JSONResponse({"user": user, "is_basic_auth": True}, headers={"cache-control": "no-store"})

    async def change_password(self, door: Door, actor: Actor, msg: ChangePassword) -> Answer:
        """Change one's own password, which ends every login made with the old one."""
        if msg.username.lower() != actor.email.lower():
            raise Forbidden("The UI changes one's own password only")
        if not msg.current_password:
            raise Invalid("Current password is required when changing your own password.")
        if msg.password == msg.current_password:
            raise Invalid("New password must differ from the current password.")
        try:
            await self.guard.login(door, actor.email, msg.current_password, actor.address)
        except Unauthenticated:
            raise Invalid("Current password does not match.") from None
        change = {"password_hash": await self.guard.hash_password(msg.password)}
        await door.write(lambda conn: users.change(conn, actor, actor.user_id, change))
        return {}


def permissions(conn: Connection, actor: Actor, msg: m.Nothing) -> Answer:
    """What the user may do in each of their projects: in MLflow's words, by the role held there."""
    rows = [
        {"role_id": role["id"], "role_name": role["name"], "workspace": role["workspace"]}
        | {name: permission[name] for name in ("resource_type", "resource_pattern", "permission")}
        for role in _roles(conn, actor)
        for permission in role["permissions"]
    ]
    return {"is_admin": False, "permissions": rows}


def roles(conn: Connection, actor: Actor, msg: OneUser) -> Answer:
    """One's own roles, a project each."""
    if msg.username.lower() != actor.email.lower():
        raise Forbidden("The UI shows one's own roles only")
    return {"roles": _roles(conn, actor)}


def _roles(conn: Connection, actor: Actor) -> list[Answer]:
    found = projects.page(conn, actor, MAX_PROJECTS, None).items
    return [_role(project, PERMISSIONS[actor.projects[project.project_id]]) for project in found]


def _role(project: projects.Project, permission: str) -> Answer:
    role_id = _number(project.project_id)
    allowed = [
        {
            "id": _number(f"{project.project_id} {resource}"),
            "role_id": role_id,
            "resource_type": resource,
            "resource_pattern": "*",
            "permission": permission,
        }
        for resource in RESOURCES
    ]
    name = permission.lower()
    return {"id": role_id, "name": name, "workspace": project.slug, "description": None, "permissions": allowed}


def _number(key: str) -> int:
    """MLflow numbers users, roles and permissions; the UI only tells them apart by it."""
    return zlib.crc32(key.encode())
