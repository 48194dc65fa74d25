"""The answer that is a file."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import closing
from email.utils import formatdate
from secrets import token_hex
from urllib.parse import quote

from anyio.to_thread import run_sync
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as Asked

from native_api.core.artifact_types import content_type
from native_api.core.blobs import Found

Range = tuple[int, int]
"""From one byte to before another."""

MAX_RANGES = 100


class Download(Response):
    """A file as an attachment, in whole or in ranges, no more than a block of it in memory."""

    def __init__(self, found: Found, name: str) -> None:
        self._found = found
        self._etag = f'"{hashlib.md5(found.version.encode(), usedforsecurity=False).hexdigest()}"'
        self._modified = formatdate(found.modified_at, usegmt=True)
        quoted = quote(name)
        super().__init__(
            media_type=content_type(name),
            headers={
                "accept-ranges": "bytes",
                "cache-control": "private, no-cache",
                "content-disposition": f"attachment; filename*=utf-8''{quoted}"
                if quoted != name
                else f'attachment; filename="{name}"',
                "content-length": str(found.size),
                "content-security-policy": "default-src 'none'; sandbox",
                "etag": self._etag,
                "last-modified": self._modified,
            },
        )

    async def __call__(self, scope: Asked, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope)
        size = self._found.size
        ranges = ranges_in(asked.get("range", ""), size) if self._may_part(asked.get("if-range")) else None
        headers = MutableHeaders(raw=list(self.raw_headers))
        pieces = [(b"", (0, size))]
        status, end = 200, b""
        if ranges is not None:
            status = 206 if ranges else 416
            pieces, end = self._pieces(ranges, headers)
        if scope["method"] == "HEAD":
            pieces, end = [], b""
        await send({"type": "http.response.start", "status": status, "headers": headers.raw})
        if self._found.content is not None:
            parts = [head + self._found.content[start:stop] for head, (start, stop) in pieces]
            await send({"type": "http.response.body", "body": b"".join([*parts, end])})
            return
        # A server that nobody listens to any more takes what it is sent, and would go on to the end of the file.
        leaving = asyncio.create_task(_left(receive))
        try:
            for head, wanted in pieces:
                await self._stream(send, head, wanted, leaving)
        finally:
            leaving.cancel()
        await send({"type": "http.response.body", "body": end})

    def _may_part(self, if_range: str | None) -> bool:
        """Whether ranges of this very file are wanted."""
        return if_range is None or if_range in (self._etag, self._modified)

    def _pieces(self, ranges: list[Range], headers: MutableHeaders) -> tuple[list[tuple[bytes, Range]], bytes]:
        """What is sent before each range, and after the last; the headers are made to say so."""
        size = self._found.size
        if len(ranges) == 1:
            ((start, end),) = ranges
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
            headers["content-length"] = str(end - start)
            return [(b"", (start, end))], b""
        if not ranges:
            headers["content-range"] = f"bytes */{size}"
            headers["content-length"] = "0"
            return [], b""
        boundary, kind = token_hex(13), headers["content-type"]
        pieces = [
            (
                f"\r\n--{boundary}\r\ncontent-type: {kind}\r\n"
                f"content-range: bytes {start}-{end - 1}/{size}\r\n\r\n".encode(),
                (start, end),
            )
            for start, end in ranges
        ]
        last = f"\r\n--{boundary}--\r\n".encode()
        headers["content-type"] = f"multipart/byteranges; boundary={boundary}"
        headers["content-length"] = str(sum(len(head) + end - start for head, (start, end) in pieces) + len(last))
        return pieces, last

    async def _stream(self, send: Send, head: bytes, wanted: Range, leaving: asyncio.Task[None]) -> None:
        """Send a range, block by block, until it ends or who asked has left."""
        if head:
            await send({"type": "http.response.body", "body": head, "more_body": True})
        with closing(self._found.blocks(*wanted)) as blocks:
            while not leaving.done() and (block := await run_sync(next, blocks, b"")):
                await send({"type": "http.response.body", "body": block, "more_body": True})


async def _left(receive: Receive) -> None:
    """Returns once who asked has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def ranges_in(header: str, size: int) -> list[Range] | None:
    """The ranges that a Range header asks of so many bytes, in order; None if it asks for nothing that is understood.

    As in RFC 9110, section 14: such a header is ignored. What is beyond the end is left out; none is left if all is.
    """
    unit, _, listed = header.partition("=")
    wanted = listed.split(",")
    if unit.strip().lower() != "bytes" or len(wanted) > MAX_RANGES:
        return None
    found: list[Range] = []
    for text in wanted:
        first, dash, last = (part.strip() for part in text.partition("-"))
        if not dash or not (first or last) or not f"{first}{last}".isdecimal() or not f"{first}{last}".isascii():
            return None
        start = int(first) if first else max(size - int(last), 0)
        end = min(int(last) + 1, size) if first and last else size
        if first and last and int(last) < int(first):
            return None
        if start < end:
            found.append((start, end))
    return _merged(sorted(found))


def _merged(ranges: list[Range]) -> list[Range]:
    """The same bytes, none of them twice."""
    merged: list[Range] = []
    for start, end in ranges:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
