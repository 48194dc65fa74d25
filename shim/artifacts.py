"""Artifacts: the proxy that streams files in and out, and the listings of runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from posixpath import basename
from typing import Any

from anyio.to_thread import run_sync
from sqlalchemy import Connection
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Send
from starlette.types import Scope as Asked

from native_api.core import artifacts, places
from native_api.core.access import Actor, Scope
from native_api.core.artifacts import Arrival
from native_api.core.blobs import Entry, File, Folder, safe_key
from native_api.core.errors import Invalid
from native_api.core.places import Known, Place
from native_api.web.endpoint import Door, Incoming
from shim import messages as m
from shim.arrivals import Arrivals
from shim.wire import read

Answer = dict[str, Any]

BLOCK = 1024 * 1024
"""How much of a file is held in memory at a time."""


@dataclass(frozen=True)
class Files:
    """The handlers of artifact endpoints, which know where the proxy keeps files."""

    folder: Folder
    known: Known = field(default_factory=Known)
    arrivals: Arrivals = field(default_factory=Arrivals)

    # The proxy: paths below `mlflow-artifacts:/`

    async def upload(self, door: Door, actor: Actor, request: Request) -> Response:
        """Store the body under the path, as it comes; answered once the whole file is in its place and recorded."""
        key = safe_key(request.path_params["path"])
        place = await self._place(door, actor, key, Scope.WRITE)
        try:
            size, checksum = await self._store(key, _blocks(request))
        except ClientDisconnect:
            raise Invalid("The upload was broken off") from None
        await self.arrivals.record(door, Arrival(actor, place, size, checksum))
        return Response(b"{}", media_type="application/json")

    async def _store(self, key: str, blocks: AsyncIterator[list[bytes]]) -> tuple[int, str]:
        """While one block is written the next one is received: no more than these two are held."""
        first: list[bytes] = await anext(blocks, [])
        if sum(map(len, first)) < BLOCK:  # that was all
            return await run_sync(self.folder.put, key, first)
        growing = await run_sync(self.folder.open_upload, key)
        writing = asyncio.create_task(run_sync(growing.write, first))
        try:
            async for block in blocks:
                await writing
                writing = asyncio.create_task(run_sync(growing.write, block))
            await writing
            return await run_sync(growing.finish)
        finally:
            await asyncio.wait([writing])
            await run_sync(growing.abort)

    async def download(self, door: Door, actor: Actor, request: Request) -> Response:
        """The file of the path."""
        key = safe_key(request.path_params["path"])
        await self._place(door, actor, key)
        return await self._file(key)

    async def _place(self, door: Door, actor: Actor, key: str, scope: Scope = Scope.READ) -> Place:
        """The place of a key. Raises what `places.get_place` does."""
        place = self.known.get_place(actor, key, scope)
        if place is None:
            place = await door.read(lambda conn: places.get_place(conn, actor, key, scope))
            self.known.note(place)
        return place

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
        found, content = await run_sync(self.folder.read, key, BLOCK)
        return Download(found, basename(key), content)


class Download(FileResponse):
    """A file as an attachment, in whole or in ranges; `content` is all that is in it, where that is little."""

    chunk_size = BLOCK

    def __init__(self, found: File, name: str, content: bytes | None) -> None:
        super().__init__(
            found.path,
            media_type=artifacts.content_type(name),
            filename=name,
            stat_result=found.stat,
            headers={"content-security-policy": "default-src 'none'; sandbox"},
        )
        self._content = content

    async def __call__(self, scope: Asked, receive: Receive, send: Send) -> None:
        """As FileResponse, which opens the file once more and reads it in a thread, unless there is no need to."""
        if self._content is None or "range" in Headers(scope=scope):
            await super().__call__(scope, receive, send)
            return
        content = b"" if scope["method"] == "HEAD" else self._content
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": content})


async def _blocks(request: Request) -> AsyncIterator[list[bytes]]:
    """The body as it came, in blocks that are worth a write: each has BLOCK bytes or a little more, the last fewer."""
    block: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        block.append(chunk)
        size += len(chunk)
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if size:
        yield block


def _joined(root: str, path: str) -> str:
    return f"{root}/{path}" if path else root


def _listing(entries: list[Entry], folder: str) -> Answer:
    files = [_file_info(entry, folder) for entry in entries]
    return {"files": files} if files else {}


def _file_info(entry: Entry, folder: str) -> Answer:
    info: Answer = {"path": f"{folder}/{entry.name}" if folder else entry.name, "is_dir": entry.is_dir}
    return info | {"file_size": entry.size} if entry.size else info
