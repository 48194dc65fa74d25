"""Users on the native surface: messages and handlers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection

from native_api.core import users
from native_api.core.access import Actor
from native_api.core.errors import Forbidden, Invalid
from native_api.core.users import NewUser
from native_api.routes.auth import AnyText, Email, Password
from native_api.routes.messages import (
    Answer,
    Changes,
    Id,
    Listing,
    Message,
    Name,
    Page,
    ShownTime,
    Yes,
    page_of,
)
from native_api.web.auth import Guard
from native_api.web.endpoint import Door


class User(Answer):
    """A user: a person, or a service account, which has API tokens and no password."""

    user_id: Id
    email: str
    full_name: str
    is_active: bool
    is_administrator: Annotated[bool, Field(description="Looks after the accounts of this server.")]
    is_service: bool
    created_at: ShownTime
    created_by: Id | None


class OneUser(Message):
    """Names a user."""

    user_id: Id


class ListUsers(Listing):
    """A page of the users in view: those one shares an organisation or a project with; all for administrators."""

    email: AnyText | None = None


class CreateUser(Message):
    """A new user. Without a password it cannot log in until an administrator gives it one."""

    email: Email
    full_name: Name
    password: Password | None = None
    is_service: Yes = False
    is_administrator: Yes = False


class ChangeUser(Changes):
    """Changes of a user. A new password needs the current one, but from an administrator for somebody else."""

    user_id: Id
    email: Email = ""
    full_name: Name = ""
    password: Password = ""
    current_password: AnyText = ""
    is_active: Yes = True
    is_administrator: Yes = False


@dataclass(frozen=True)
class Users:
    """The handlers that hash passwords."""

    guard: Guard

    async def create(self, door: Door, actor: Actor, msg: CreateUser) -> User:
        """Make an account: for a person as an administrator, for a service as an admin of an organisation."""
        if msg.is_service and (msg.password is not None or msg.is_administrator):
            raise Invalid("A service account has tokens, no password, and is no administrator")
        hashed = None if msg.password is None else await self.guard.hash_password(msg.password)
        new = NewUser(msg.email, msg.full_name, hashed, msg.is_service, msg.is_administrator)
        return User.model_validate(await door.write(lambda conn: users.create(conn, actor, new)))

    async def change(self, door: Door, actor: Actor, msg: ChangeUser) -> User:
        """Change one's own account, or any as an administrator."""
        changes = msg.sent("user_id")
        changes.pop("current_password", None)
        if password := changes.pop("password", None):
            await self._check(door, actor, msg)
            changes["password_hash"] = await self.guard.hash_password(password)
        return User.model_validate(await door.write(lambda conn: users.change(conn, actor, msg.user_id, changes)))

    async def _check(self, door: Door, actor: Actor, msg: ChangeUser) -> None:
        """A stolen session is no way to another password."""
        target = await door.read(lambda conn: users.get(conn, actor, msg.user_id))
        if target.is_service:
            raise Invalid("A service account has tokens, no password")
        if actor.is_administrator and msg.user_id != actor.user_id:
            return
        if msg.user_id != actor.user_id:
            raise Forbidden("Only the user or an administrator of this server may do this")
        if actor.email:  # the local owner, who came without credentials, may have no password yet
            await self.guard.login(door, target.email, msg.current_password, actor.user_id)


def page(conn: Connection, actor: Actor, msg: ListUsers) -> Page[User]:
    """List the users in view, by email."""
    return page_of(users.page(conn, actor, msg.limit, msg.cursor, email=msg.email), User.model_validate)


def get(conn: Connection, actor: Actor, msg: OneUser) -> User:
    """Show a user in view."""
    return User.model_validate(users.get(conn, actor, msg.user_id))


def deactivate(conn: Connection, actor: Actor, msg: OneUser) -> User:
    """End every credential of an account: one's own, or any as an administrator."""
    return User.model_validate(users.deactivate(conn, actor, msg.user_id))
