"""The audit log on the native surface: messages and handlers."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field
from sqlalchemy import Connection

from native_api.core import audit
from native_api.core.access import Actor
from native_api.routes.messages import Answer, Id, Listing, Page, ShownTime, Time, page_of, text

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]{32}")

RowKey = Annotated[
    str, text(64), AfterValidator(lambda key: key.replace("-", "").lower() if _UUID.fullmatch(key) else key)
]


class Entry(Answer):
    """One change of an audited table: who, when, and the columns that differ, before and after. Times in it are ms."""

    audit_id: int
    table_name: str
    operation: Literal["I", "U", "D"]
    row_pk: Annotated[str, Field(description="The key of the row: a UUID.")]
    changed_by: Id | None
    changed_at: ShownTime
    old_data: dict[str, Any] | None
    new_data: dict[str, Any] | None


class ListEntries(Listing):
    """A page of the log, of what is in view."""

    table_name: Annotated[str, text(64)] | None = None
    row_pk: RowKey | None = None
    changed_by: Id | None = None
    since: Time | None = None


def page(conn: Connection, actor: Actor, msg: ListEntries) -> Page[Entry]:
    """List changes in projects and organisations in view, and of oneself, newest first."""
    found = audit.page(
        conn,
        actor,
        msg.limit,
        msg.cursor,
        table_name=msg.table_name,
        row_pk=msg.row_pk,
        changed_by=msg.changed_by,
        since=msg.since,
    )
    return page_of(found, _entry)


def _entry(entry: audit.Entry) -> Entry:
    row_pk = str(UUID(entry.row_pk)) if _HEX.fullmatch(entry.row_pk) else entry.row_pk
    return Entry(
        **entry._asdict() | {"row_pk": row_pk, "old_data": _data(entry.old_data), "new_data": _data(entry.new_data)}
    )


def _data(stored: str | None) -> Any:
    return None if stored is None else json.loads(stored)
