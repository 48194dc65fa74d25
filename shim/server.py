"""What the server says of itself: health, readiness, version, features, and the page at its root."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from native_api.core import schema
from native_api.core.access import Actor
from native_api.web.endpoint import Door
from shim import messages as m
from shim.direct_artifacts import Addresses

VERSION = version("mlflow-shim")

SERVER_INFO = {
    "store_type": "SqlStore",
    "trace_archival_enabled": False,
    "features_enabled": {"gateway": False},
}

ROOT = f"""mlflow-shim {VERSION}

An MLflow tracking server on a native system of organisations, projects and runs.
Use it as it is:  export MLFLOW_TRACKING_URI=<the address of this page>

MLflow's REST API   api/2.0/mlflow/...
Artifacts           api/2.0/mlflow-artifacts/artifacts/...
Health              health, ready, version
"""


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


async def root(door: Door, actor: Actor, request: Request) -> Response:
    """A page for people."""
    return PlainTextResponse(ROOT)


@dataclass(frozen=True)
class Info:
    """What is switched on. Clients that name a workspace ask whether there are any."""

    addresses: Addresses
    workspaces: bool

    async def get(self, door: Door, actor: Actor, msg: m.Nothing) -> dict[str, Any]:
        uploads, downloads = await self.addresses.abilities()
        return SERVER_INFO | {
            "workspaces_enabled": self.workspaces,
            "multipart_uploads_enabled": uploads,
            "multipart_downloads_enabled": downloads,
            "presigned_upload_run_id_supported": downloads,
            "presigned_upload_model_id_supported": downloads,
        }
