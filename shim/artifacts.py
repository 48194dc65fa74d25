"""Artifacts: the proxy that streams files in and out, and the files of runs, logged models and model versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from posixpath import basename
from typing import Any, ParamSpec, TypeVar

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from native_api.core import places
from native_api.core.access import Actor, Scope
from native_api.core.artifacts import Arrival, forget
from native_api.core.blobs import BLOCK, Entry, Store, Stored, safe_key
from native_api.core.errors import Invalid, NotFound
from native_api.core.places import Known, Place, Root
from native_api.web.endpoint import Door, Incoming
from shim import artifact_messages as m
from shim.arrivals import Arrivals
from shim.download import Download
from shim.wire import read

Answer = dict[str, Any]
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
P = ParamSpec("P")

THREADS = 32
"""How many calls to the store are made at once."""

MAX_UPLOAD = 10 * 1024 * 1024
"""How much `upload-artifact` takes, which is for the UI's notes."""


@dataclass(frozen=True)
class Files:
    """The handlers of artifact endpoints, which know where the proxy keeps files."""

    store: Store
    known: Known = field(default_factory=Known)
    arrivals: Arrivals = field(default_factory=Arrivals)
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "store"))

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have the store do something in a thread: anyio's way there takes half as much processor time again."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, partial(call, *args, **kwargs))

    # The proxy: paths below `mlflow-artifacts:/`

    async def upload(self, door: Door, actor: Actor, request: Request) -> Response:
        """Store the body under the path, as it comes; answered once the whole file is in its place and recorded."""
        key = safe_key(request.path_params["path"])
        place = await self.place(door, actor, key, Scope.WRITE)
        try:
            stored = await self._store(key, _blocks(request))
        except ClientDisconnect:
            raise Invalid("The upload was broken off") from None
        await self.arrived(door, actor, place, stored)
        return Response(b"{}", media_type="application/json")

    async def _store(self, key: str, blocks: AsyncIterator[list[bytes]]) -> Stored:
        """While one block is written the next one is received: no more than these two are held."""
        first: list[bytes] = await anext(blocks, [])
        if sum(map(len, first)) < BLOCK:  # that was all
            return await self.run(self.store.put, key, first)
        growing = await self.run(self.store.open_upload, key)
        writing = asyncio.create_task(self.run(growing.write, first))
        try:
            async for block in blocks:
                await writing
                writing = asyncio.create_task(self.run(growing.write, block))
            await writing
            return await self.run(growing.finish)
        finally:
            await asyncio.wait([writing])
            await self.run(growing.abort)

    async def arrived(self, door: Door, actor: Actor, place: Place, stored: Stored) -> None:
        """Record a file that is in its place, if it is a run's. Raises NotFound, and leaves nothing of the file, if
        the run has been purged meanwhile.
        """
        if not place.run:
            return
        try:
            await self.arrivals.record(door, Arrival(actor, place, stored.size, stored.sha256))
        except NotFound:
            self.known.forget(place)
            await self.run(self.store.take_back, place.key, stored)
            raise

    async def download(self, door: Door, actor: Actor, request: Request) -> Response:
        """The file of the path."""
        key = safe_key(request.path_params["path"])
        await self.place(door, actor, key)
        return await self._file(key)

    async def place(self, door: Door, actor: Actor, key: str, scope: Scope = Scope.READ) -> Place:
        """The place of a key. Raises what `places.get_place` does."""
        place = self.known.get_place(actor, key, scope)
        if place is None:
            place = await door.read(lambda conn: places.get_place(conn, actor, key, scope))
            self.known.note(place)
        return place

    async def list_proxied(self, door: Door, actor: Actor, msg: m.ListProxied) -> Answer:
        """What is in a folder, each by its own name. Files, absent folders and the root have nothing in them."""
        key = safe_key(msg.path or "", folder=True)
        known = await door.read(lambda conn: places.find_place(conn, actor, key))
        return _listing(await self.run(self.store.entries, key) if known else [], "")

    async def delete(self, door: Door, actor: Actor, request: Request) -> Response:
        """Delete a file, or a folder with all in it. What is not there is fine."""
        key = safe_key(request.path_params["path"], folder=True)
        place = await door.read(lambda conn: places.get_place(conn, actor, key, Scope.WRITE))
        await door.write(lambda conn: forget(conn, actor, place))
        await self.run(self.store.delete, key)
        return Response(b"{}", media_type="application/json")

    # The tracking side: paths below a run, a logged model or a model version

    async def list_of_run(self, door: Door, actor: Actor, msg: m.ListArtifacts) -> Answer:
        """What is in a run's folder, each by its path under the run's root.

        Roots that the proxy does not keep are left to clients: the server opens no place that a caller names.
        """
        path = safe_key(msg.path or "", folder=True)
        return await self._list(await door.read(lambda conn: places.root_of_run(conn, actor, msg.run_id)), path)

    async def list_of_model(self, door: Door, actor: Actor, msg: m.ListModelArtifacts) -> Answer:
        """The same of a logged model."""
        path = safe_key(msg.artifact_directory_path or "", folder=True)
        return await self._list(await door.read(lambda conn: places.root_of_model(conn, actor, msg.model_id)), path)

    async def _list(self, root: Root, path: str) -> Answer:
        entries = [] if root.key is None else await self.run(self.store.entries, _joined(root.key, path))
        return {"root_uri": root.uri} | _listing(entries, path)

    async def download_of_run(self, door: Door, actor: Actor, request: Request) -> Response:
        """The file of a run's path."""
        msg = _asked(m.GetArtifact, request)
        path = safe_key(msg.path)
        root = await door.read(lambda conn: places.root_of_run(conn, actor, msg.run_id))
        return await self._file(_kept(root, path))

    async def download_of_model(self, door: Door, actor: Actor, request: Request) -> Response:
        """The file of a logged model's path."""
        msg = _asked(m.GetModelArtifact, request)
        path = safe_key(msg.artifact_file_path)
        root = await door.read(lambda conn: places.root_of_model(conn, actor, msg.model_id))
        return await self._file(_kept(root, path))

    async def download_of_version(self, door: Door, actor: Actor, request: Request) -> Response:
        """The file of a model version's path."""
        msg = _asked(m.GetVersionArtifact, request)
        path = safe_key(msg.path)
        root = await door.read(lambda conn: places.root_of_version(conn, actor, msg.name, msg.version))
        return await self._file(_kept(root, path))

    async def _file(self, key: str) -> Response:
        return Download(await self.run(self.store.read, key, BLOCK), basename(key))

    async def upload_to_run(self, door: Door, actor: Actor, request: Request) -> Response:
        """Store the body, which is short, under a run's path."""
        msg = _asked(m.UploadArtifact, request)
        path = safe_key(msg.path)
        content = await _short_body(request)
        root = await door.read(lambda conn: places.root_of_run(conn, actor, msg.run_id))
        key = _kept(root, path)
        place = await self.place(door, actor, key, Scope.WRITE)
        await self.arrived(door, actor, place, await self.run(self.store.put, key, [content]))
        return Response(media_type="application/json")


def _asked(kind: type[M], request: Request) -> M:
    """The message in a request's path and query."""
    msg = read(kind, Incoming("GET", {}, request.path_params, request.scope["query_string"], b""))
    assert isinstance(msg, kind)
    return msg


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


async def _short_body(request: Request) -> bytes:
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > MAX_UPLOAD:
                raise Invalid("Artifact size is too large. Max size is 10MB.")
    except ClientDisconnect:
        raise Invalid("The upload was broken off") from None
    if not content:
        raise Invalid("Request must specify data.")
    return bytes(content)


def _kept(root: Root, path: str) -> str:
    """The key of a path under a root, which must be on the proxy."""
    if root.key is None:
        raise Invalid(f"The artifacts are at {root.uri}, which this server does not keep")
    return _joined(root.key, path)


def _joined(root: str, path: str) -> str:
    return f"{root}/{path}" if path else root


def _listing(entries: list[Entry], folder: str) -> Answer:
    files = [_file_info(entry, folder) for entry in entries]
    return {"files": files} if files else {}


def _file_info(entry: Entry, folder: str) -> Answer:
    info: Answer = {"path": f"{folder}/{entry.name}" if folder else entry.name, "is_dir": entry.is_dir}
    return info | {"file_size": entry.size} if entry.size else info
