"""What the server says of itself: health, readiness, version and features."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from native_api.core import projects, schema
from native_api.core.access import Actor
from native_api.core.projects import DEFAULT
from native_api.web.endpoint import Door
from shim import messages as m
from shim.direct_artifacts import Addresses

VERSION = version("mlflow-shim")

SERVER_INFO = {
    "store_type": "SqlStore",
    "trace_archival_enabled": False,
    "features_enabled": {"gateway": False},
}


async def health(door: Door, actor: Actor, request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse("OK")


async def ready(door: Door, actor: Actor, request: Request) -> Response:
    """The database answers and has the schema of this release; 503 if not."""
    try:
        found = await door.read(schema.current)
    except Exception:
        return PlainTextResponse("The database does not answer", 503)
    if found != schema.HEAD:
        return PlainTextResponse("The database has another schema", 503)
    return PlainTextResponse("OK")


async def own_version(door: Door, actor: Actor, request: Request) -> Response:
    """Our own version, below MLflow's 3.4: its clients then do not send spans to an OTLP endpoint."""
    return PlainTextResponse(VERSION)


@dataclass(frozen=True)
class Info:
    """What is switched on."""

    addresses: Addresses

    async def get(self, door: Door, actor: Actor, msg: m.Nothing) -> dict[str, Any]:
        """For clients, of which those that name a workspace ask whether there are any."""
        uploads, downloads = await self.addresses.abilities()
        return SERVER_INFO | {
            "workspaces_enabled": True,
            "multipart_uploads_enabled": uploads,
            "multipart_downloads_enabled": downloads,
            "presigned_upload_run_id_supported": downloads,
            "presigned_upload_model_id_supported": downloads,
        }


def info_for_ui(conn: Connection, actor: Actor, msg: m.Nothing) -> dict[str, Any]:
    """The same for the UI, whose files all pass through this server.

    It lets its user choose a workspace, unless the path names one, or the default one is all they have.
    """
    has_others = actor.projects.keys() != {projects.find_id(conn, DEFAULT)}
    return SERVER_INFO | {
        "workspaces_enabled": has_others and not actor.workspace,
        "multipart_uploads_enabled": False,
        "multipart_downloads_enabled": False,
        "presigned_upload_run_id_supported": False,
        "presigned_upload_model_id_supported": False,
    }
