"""Artifacts past the server: addresses at which clients get and put files in the store itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from native_api.core import places
from native_api.core.access import Actor, Scope
from native_api.core.blobs import Address, Direct, Multipart, Part, safe_key
from native_api.core.errors import Invalid, Unsupported
from native_api.core.places import Place, Root
from native_api.web.endpoint import Door
from shim import artifact_messages as m
from shim.artifacts import Files

Answer = dict[str, Any]

DOWNLOAD_SECONDS = 300
UPLOAD_SECONDS = 900
PART_SECONDS = 3600
"""How long an address is good if nobody says, as MLflow has it: a part may wait until those before it have gone."""


@dataclass(frozen=True)
class Addresses:
    """The handlers of endpoints that give addresses. Where the store has none they answer NOT_IMPLEMENTED, and MLflow's
    clients, who know the words, send and fetch files through the server.
    """

    files: Files

    async def abilities(self) -> tuple[bool, bool]:
        """Whether clients may put files in parts, and whether they may get them, past the server."""
        direct = await self.files.run(self.files.store.direct)
        return direct is not None and await self._multipart() is not None, direct is not None

    async def _multipart(self) -> Multipart | None:
        direct = await self.files.run(self.files.store.direct)
        return None if direct is None else await self.files.run(direct.multipart)

    # The proxy: paths below `mlflow-artifacts:/`

    async def begin(self, door: Door, actor: Actor, msg: m.BeginUpload) -> Answer:
        """An address for each part of a file."""
        place, multipart = await self._upload(door, actor, msg.folder, msg.path)
        begun = await self.files.run(multipart.begin, place.key, msg.num_parts or 1, PART_SECONDS)
        parts = [{"url": url, "part_number": number, "headers": {}} for number, url in enumerate(begun.urls, 1)]
        return {"upload_id": begun.upload_id, "credentials": parts}

    async def complete(self, door: Door, actor: Actor, msg: m.CompleteUpload) -> Answer:
        """Make the file of its parts; answered once it is there, and recorded like any other."""
        place, multipart = await self._upload(door, actor, msg.folder, msg.path)
        parts = [Part(part.part_number, part.etag or "") for part in msg.parts]
        stored = await self.files.run(multipart.complete, place.key, msg.upload_id, parts)
        await self.files.arrived(door, actor, place, stored)
        return {}

    async def abort(self, door: Door, actor: Actor, msg: m.AbortUpload) -> Answer:
        """Give up a file that was put in parts."""
        place, multipart = await self._upload(door, actor, msg.folder, msg.path)
        await self.files.run(multipart.abort, place.key, msg.upload_id)
        return {}

    async def _upload(self, door: Door, actor: Actor, folder: str, path: str) -> tuple[Place, Multipart]:
        """The place of a file that the client has at this path, on whichever system."""
        name = re.split(r"[/\\]", path)[-1]
        key = safe_key(f"{folder}/{name}")
        place = await self.files.place(door, actor, key, Scope.WRITE)
        multipart = await self._multipart()
        if multipart is None:
            raise Unsupported("Multipart upload is not supported for the current artifact repository")
        return place, multipart

    async def download(self, door: Door, actor: Actor, msg: m.Presigned) -> Answer:
        """The address of a file."""
        key = safe_key(msg.path)
        await self.files.place(door, actor, key)
        direct = await self.files.run(self.files.store.direct)
        if direct is None:
            raise Unsupported("Multipart download is not supported for the current artifact repository")
        address = await self.files.run(direct.download, key, DOWNLOAD_SECONDS)
        return {"url": address.url, "headers": address.headers, "file_size": address.size}

    # The tracking side: paths below a run or a logged model

    async def presign_upload(self, door: Door, actor: Actor, msg: m.PresignUpload) -> Answer:
        """Where to put a file of a run, or of a logged model. Nothing is recorded of it."""
        path = safe_key(msg.path)
        if bool(msg.run_id) == bool(msg.model_id):
            raise Invalid("Exactly one of run_id and model_id must be provided.")

        def find(conn: Connection) -> Root:
            if msg.run_id:
                return places.root_of_run(conn, actor, msg.run_id)
            return places.root_of_model(conn, actor, msg.model_id or "")

        key, direct = await self._presign(await door.read(find), path, "upload")
        await self.files.place(door, actor, key, Scope.WRITE)
        return _presigned(await self.files.run(direct.upload, key, msg.expiration or UPLOAD_SECONDS))

    async def presign_download(self, door: Door, actor: Actor, msg: m.PresignDownload) -> Answer:
        """Where to get a file of a run."""
        path = safe_key(msg.path)
        root = await door.read(lambda conn: places.root_of_run(conn, actor, msg.run_id))
        key, direct = await self._presign(root, path, "download")
        return _presigned(await self.files.run(direct.download, key, msg.expiration or DOWNLOAD_SECONDS))

    async def _presign(self, root: Root, path: str, way: str) -> tuple[str, Direct]:
        """The key of a path, and how to get there. The server signs for no place that a caller names."""
        if root.key is None:
            raise Unsupported(f"Presigned {way} is not supported for the current artifact repository")
        direct = await self.files.run(self.files.store.direct)
        if direct is None:
            raise Invalid(
                f"Presigned {way} is not supported for proxied artifact storage "
                f"(artifact URI scheme: {root.uri.partition(':')[0]})."
            )
        return (f"{root.key}/{path}" if root.key else path), direct


def _presigned(address: Address) -> Answer:
    size = {} if address.size is None else {"file_size": address.size}
    return {"presigned_url": address.url, "headers": address.headers} | size
