"""Personal API tokens on the native surface: messages and handlers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import Connection

from native_api.core import api_tokens, clock
from native_api.core.access import Actor, Scope
from native_api.core.errors import Invalid
from native_api.routes.messages import Answer, Id, Listing, Message, Name, Page, ShownTime, Time, page_of

ScopeName = Literal["read", "write", "admin"]


class Token(Answer):
    """A token without its secret."""

    token_id: Id
    user_id: Id
    name: str
    hint: Annotated[str, Field(description="The first characters of the token.")]
    scope: ScopeName
    created_at: ShownTime
    created_by: Id
    expires_at: ShownTime | None
    last_used_at: Annotated[ShownTime | None, Field(description="To the minute.")]
    revoked_at: ShownTime | None


class NewToken(Token):
    """A token with its secret, which is shown this once."""

    token: str


class OneToken(Message):
    """Names a token."""

    token_id: Id


class ListTokens(Listing):
    """A page of one's tokens, and of one's service accounts'."""

    user_id: Id | None = None


class CreateToken(Message):
    """A new token: of one's own, or of a service account of one's own. Without a time it does not expire."""

    name: Name
    scope: ScopeName = "write"
    expires_at: Time | None = None
    user_id: Id | None = None


def page(conn: Connection, actor: Actor, msg: ListTokens) -> Page[Token]:
    """List tokens, newest first, revoked ones included."""
    return page_of(api_tokens.page(conn, actor, msg.limit, msg.cursor, user_id=msg.user_id), Token.model_validate)


def create(conn: Connection, actor: Actor, msg: CreateToken) -> NewToken:
    """Make a token. It allows no more than whoever makes it may do."""
    if msg.expires_at is not None and msg.expires_at <= clock.now():
        raise Invalid("expires_at: is over already")
    user_id = msg.user_id or actor.user_id
    made, text = api_tokens.create(conn, actor, user_id, msg.name, Scope[msg.scope.upper()], msg.expires_at)
    return NewToken(**made._asdict(), token=text)


def get(conn: Connection, actor: Actor, msg: OneToken) -> Token:
    """Show a token."""
    return Token.model_validate(api_tokens.get(conn, actor, msg.token_id))


def revoke(conn: Connection, actor: Actor, msg: OneToken) -> None:
    """Revoke a token: it does not count any more."""
    api_tokens.revoke(conn, actor, msg.token_id)
