"""Requests to an ASGI application byte for byte, as a server may hand them on and no HTTP client would send them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from anyio import fail_after
from starlette.types import ASGIApp, Message

JSON = (b"content-type", b"application/json")


class Answer(NamedTuple):
    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """Sends requests: `await call("POST", "/path", b"{}")`. A body of several parts comes as so many messages."""

    app: ASGIApp

    async def __call__(
        self,
        method: str,
        path: str,
        body: bytes | Sequence[bytes] = b"",
        query: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] = (JSON,),
    ) -> Answer:
        parts = [body] if isinstance(body, bytes) else list(body)
        arriving: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        arriving[-1]["more_body"] = False
        return await self.send(method, path, arriving, query, headers)

    async def send(
        self,
        method: str,
        path: str,
        arriving: Iterable[Message],
        query: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] = (JSON,),
    ) -> Answer:
        """The same, with what arrives message by message. After it comes nothing more: the client waits."""
        waiting = iter(arriving)
        sent: list[Message] = []

        async def receive() -> Message:
            for message in waiting:
                return message
            never: asyncio.Future[Message] = asyncio.Future()
            return await never

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode("utf-8", "replace"),
            "query_string": query,
            "headers": [(b"host", b"localhost:5000"), *headers],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 5000),
        }
        with fail_after(60):
            await self.app(scope, receive, send)
        start, *rest = sent
        assert start["type"] == "http.response.start"
        assert {message["type"] for message in rest} == {"http.response.body"}
        assert not rest[-1].get("more_body")
        return Answer(start["status"], dict(start["headers"]), b"".join(message.get("body", b"") for message in rest))
