"""Artifacts: the proxy that streams files in and out, and the listings of runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from posixpath import basename
from typing import Any

from anyio.to_thread import run_sync
from sqlalchemy import Connection
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response

from native_api.core import artifacts, places
from native_api.core.access import Actor, Scope
from native_api.core.blobs import Entry, Folder, safe_key
from native_api.core.errors import Invalid
from native_api.web.endpoint import Door, Incoming
from shim import messages as m
from shim.wire import read

Answer = dict[str, Any]

BLOCK = 1024 * 1024
"""How much of an upload is held in memory before it is written."""


@dataclass(frozen=True)
class Files:
    """The handlers of artifact endpoints, which know where the proxy keeps files."""

    folder: Folder

    # The proxy: paths below `mlflow-artifacts:/`

    async def upload(self, door: Door, actor: Actor, request: Request) -> Response:
        """Store the body under the path, as it comes; answered once the whole file is in its place and recorded."""
        key = safe_key(request.path_params["path"])
        place = await door.read(lambda conn: places.get_place(conn, actor, key, Scope.WRITE))
        growing = await run_sync(self.folder.open_upload, key)
        try:
            async for block in _blocks(request):
                await run_sync(growing.write, block)
            size, checksum = await run_sync(growing.finish)
        except ClientDisconnect:
            raise Invalid("The upload was broken off") from None
        finally:
            await run_sync(growing.abort)
        await door.write(lambda conn: artifacts.record(conn, actor, place, size, checksum))
        return Response(b"{}", media_type="application/json")

    async def download(self, door: Door, actor: Actor, request: Request) -> Response:
        """The file of the path."""
        key = safe_key(request.path_params["path"])
        await door.read(lambda conn: places.get_place(conn, actor, key))
        return await self._file(key)

    def list_proxied(self, conn: Connection, actor: Actor, msg: m.ListProxied) -> Answer:
        """What is in a folder, each by its own name. Files, absent folders and the root have nothing in them."""
        key = safe_key(msg.path or "", folder=True)
        known = places.find_place(conn, actor, key)
        return _listing(self.folder.entries(key) if known else [], "")

    async def delete(self, door: Door, actor: Actor, request: Request) -> Response:
        """Delete a file, or a folder with all in it. What is not there is fine."""
        key = safe_key(request.path_params["path"], folder=True)
        place = await door.read(lambda conn: places.get_place(conn, actor, key, Scope.WRITE))
        await door.write(lambda conn: artifacts.forget(conn, actor, place))
        await run_sync(self.folder.delete, key)
        return Response(b"{}", media_type="application/json")

    # The tracking side: paths below a run

    def list_of_run(self, conn: Connection, actor: Actor, msg: m.ListArtifacts) -> Answer:
        """What is in a run's folder, each by its path under the run's root.

        Roots that the proxy does not keep are left to clients: the server opens no place that a caller names.
        """
        path = safe_key(msg.path or "", folder=True)
        root = places.root_of_run(conn, actor, msg.run_id)
        entries = [] if root.key is None else self.folder.entries(_joined(root.key, path))
        return {"root_uri": root.uri} | _listing(entries, path)

    async def download_of_run(self, door: Door, actor: Actor, request: Request) -> Response:
        """The file of a run's path."""
        msg = read(m.GetArtifact, Incoming("GET", {}, {}, request.scope["query_string"], b""))
        assert isinstance(msg, m.GetArtifact)
        path = safe_key(msg.path)
        root = await door.read(lambda conn: places.root_of_run(conn, actor, msg.run_id))
        if root.key is None:
            raise Invalid(f"The artifacts of this run are at {root.uri}, which this server does not keep")
        return await self._file(_joined(root.key, path))

    async def _file(self, key: str) -> Response:
        found = await run_sync(self.folder.file, key)
        name = basename(key)
        return FileResponse(
            found.path,
            media_type=artifacts.content_type(name),
            filename=name,
            stat_result=found.stat,
            headers={"content-security-policy": "default-src 'none'; sandbox"},
        )


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """The body in blocks that are worth a write."""
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        if len(held) >= BLOCK:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _joined(root: str, path: str) -> str:
    return f"{root}/{path}" if path else root


def _listing(entries: list[Entry], folder: str) -> Answer:
    files = [_file_info(entry, folder) for entry in entries]
    return {"files": files} if files else {}


def _file_info(entry: Entry, folder: str) -> Answer:
    info: Answer = {"path": f"{folder}/{entry.name}" if folder else entry.name, "is_dir": entry.is_dir}
    return info | {"file_size": entry.size} if entry.size else info
