"""Organisations on the native surface: messages and handlers."""

from __future__ import annotations

from sqlalchemy import Connection

from native_api.core import orgs
from native_api.core.access import Actor
from native_api.routes.messages import (
    Answer,
    Changes,
    Id,
    Listing,
    LongText,
    Message,
    Name,
    Page,
    ShownTime,
    page_of,
)


class Org(Answer):
    """An organisation: a tenant with members and projects."""

    org_id: Id
    name: str
    description: str | None
    created_at: ShownTime
    created_by: Id | None


class OneOrg(Message):
    """Names an organisation."""

    org_id: Id


class ListOrgs(Listing):
    """A page of the organisations that one is a member of."""

    name: Name | None = None


class CreateOrg(Message):
    """A new organisation."""

    name: Name
    description: LongText | None = None


class ChangeOrg(Changes):
    """Changes of an organisation."""

    org_id: Id
    name: Name = ""
    description: LongText | None = None


def page(conn: Connection, actor: Actor, msg: ListOrgs) -> Page[Org]:
    """List the organisations that one is a member of, by name."""
    return page_of(orgs.page(conn, actor, msg.limit, msg.cursor, name=msg.name), Org.model_validate)


def create(conn: Connection, actor: Actor, msg: CreateOrg) -> Org:
    """Make an organisation, and become its owner."""
    return Org.model_validate(orgs.create(conn, actor, msg.name, msg.description))


def get(conn: Connection, actor: Actor, msg: OneOrg) -> Org:
    """Show an organisation that one is a member of."""
    return Org.model_validate(orgs.get(conn, actor, msg.org_id))


def change(conn: Connection, actor: Actor, msg: ChangeOrg) -> Org:
    """Change an organisation. Needs its role admin."""
    return Org.model_validate(orgs.change(conn, actor, msg.org_id, msg.sent("org_id")))


def delete(conn: Connection, actor: Actor, msg: OneOrg) -> None:
    """Delete an organisation that has no projects any more. Needs its role owner."""
    orgs.delete(conn, actor, msg.org_id)
