"""Runs on the native surface: messages and handlers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from native_api.core import runs
from native_api.core.access import Actor


class OfRun(BaseModel):
    """Names a run by its UUID, in canonical text or as 32 hex digits."""

    run_id: UUID


class Run(BaseModel):
    """A run. Timestamps are UTC; `params_json` holds its params with their types."""

    model_config = ConfigDict(frozen=True)

    run_id: UUID
    run_name: str | None
    status: str
    started_at: datetime | None
    finished_at: datetime | None
    git_commit: str | None
    notes: str | None
    params_json: dict[str, Any]


def get(conn: Connection, actor: Actor, msg: OfRun) -> Run:
    number, _ = runs.find(conn, actor, msg.run_id.hex)
    (run,) = runs.load(conn, [number])
    info = run.info
    return Run(
        run_id=UUID(info.run_id),
        run_name=info.run_name,
        status=info.status,
        started_at=_time(info.started_at),
        finished_at=_time(info.finished_at),
        git_commit=info.git_commit,
        notes=info.notes,
        params_json=dict(run.params),
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def _time(milliseconds: int | None) -> datetime | None:
    """MLflow takes any 64 bits for a time: what lies beyond the calendar is shown as its first or last moment."""
    if milliseconds is None:
        return None
    return _EPOCH + timedelta(milliseconds=max(_FIRST, min(_LAST, milliseconds)))
