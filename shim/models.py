"""Logged models: none are kept yet, which clients ask about when they list the artifacts of a run."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from native_api.core.access import Actor
from shim import messages as m


def search(conn: Connection, actor: Actor, msg: m.SearchModels) -> dict[str, Any]:
    """Finds nothing: no endpoint of this server creates a logged model.

    Clients of 3.x look for models among a run's artifacts at every listing and download of a path; an error here
    would fail them.
    """
    return {}
