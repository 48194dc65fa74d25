"""Registering and logging in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from native_api.core import users
from native_api.core.access import Actor
from native_api.core.errors import Forbidden
from native_api.core.users import NewUser
from native_api.routes.messages import Answer, Form, Id, Message, Name, text
from native_api.web.auth import Guard
from native_api.web.endpoint import Door

Email = Annotated[str, text(254, at_least=3, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")]
Password = Annotated[str, text(1024, at_least=8)]
AnyText = Annotated[str, text(1024)]


class Register(Message):
    """A new account."""

    email: Email
    full_name: Name
    password: Password


class Login(Message):
    """The credentials of an account: its email (or full name, where only one has it) and password."""

    email: AnyText
    password: AnyText


class PasswordForm(Form):
    """OAuth2's password form. What else OAuth2 may send along is ignored."""

    username: AnyText
    password: AnyText


class LoggedIn(Answer):
    """Who has logged in, and the token for the calls that follow: `Authorization: Bearer <access_token>`."""

    user_id: Id
    email: str
    full_name: str
    access_token: str
    token_type: Literal["bearer"] = "bearer"


class AccessToken(Answer):
    """An access token, as OAuth2 words it."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"


@dataclass(frozen=True)
class Accounts:
    """The handlers that give out access tokens, which are good for so many minutes."""

    guard: Guard
    minutes: int
    registration_is_open: bool

    async def register(self, door: Door, actor: Actor, msg: Register) -> LoggedIn:
        """Make an account of one's own and log in.

        It has no role anywhere until an organisation or a project takes it in, or it makes an organisation.
        """
        if not self.registration_is_open:
            raise Forbidden("Registration is closed: an administrator makes accounts here")
        new = NewUser(msg.email, msg.full_name, await self.guard.hash_password(msg.password))
        user = await door.write(lambda conn: users.register(conn, new))
        return self._logged_in(user.user_id, user.email, user.full_name)

    async def login(self, door: Door, actor: Actor, msg: Login) -> LoggedIn:
        """Log in with email and password."""
        user = await self.guard.login(door, msg.email, msg.password, actor.address)
        return self._logged_in(user.user_id, user.email, user.full_name)

    async def token(self, door: Door, actor: Actor, msg: PasswordForm) -> AccessToken:
        """Log in with OAuth2's password form."""
        user = await self.guard.login(door, msg.username, msg.password, actor.address)
        return AccessToken(access_token=self.guard.issue(user.user_id, self.minutes))

    def _logged_in(self, user_id: str, email: str, full_name: str) -> LoggedIn:
        token = self.guard.issue(user_id, self.minutes)
        return LoggedIn(user_id=user_id, email=email, full_name=full_name, access_token=token)
