"""Surfaces as one ASGI application: finding the endpoint, the pages beside them, and the start and stop of it all."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from native_api.core.access import Scope as Need
from native_api.core.errors import Forbidden, NoSuchEndpoint
from native_api.settings import LOOPBACK
from native_api.web.endpoint import Door, Row, Surface, refusal, send_bytes

Opened = tuple[Door, Sequence[Surface]]


class App:
    """The ASGI application. Endpoints are looked up by their whole path; only paths with parameters are matched.

    `open_` runs from start to stop and gives the door and the surfaces. One of them has the prefix "": what no list
    names is refused in its shape.
    """

    def __init__(self, open_: Callable[[], AbstractAsyncContextManager[Opened]]) -> None:
        self._open = open_
        self._starlette = Starlette(lifespan=lambda _: self.lifespan())
        self._exact: dict[tuple[str, str], tuple[Surface, Row]] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Surface, Row]] = []
        self._prefixes: list[tuple[str, Surface]] = []

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """From start to stop; the server enters it, and so do tests."""
        async with self._open() as (self._door, surfaces):
            for surface in surfaces:
                self._add(surface)
            self._prefixes.sort(key=lambda entry: -len(entry[0]))
            yield

    def _add(self, surface: Surface) -> None:
        for prefix in surface.prefixes:
            self._prefixes.append((prefix, surface))
            for row in surface.endpoints:
                path = prefix + row.path
                if "{" in path:
                    self._patterns.append((row.method, compile_path(path)[0], surface, row))
                else:
                    self._exact[row.method, path] = surface, row

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._starlette(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        path = scope["path"]
        params: dict[str, str] = {}
        found = self._exact.get((method, path))
        if found is None:
            found, params = self._match(method, path)
        if found is None:
            surface = next(surface for prefix, surface in self._prefixes if path.startswith(prefix))
            await send_bytes(send, *refusal(surface, NoSuchEndpoint(method, path)))
            return
        surface, row = found
        if row.needs is not Need.PUBLIC and is_foreign(headers, method):
            problem = Forbidden(
                "A request from another site, or to an unknown Host: this server answers only to this machine"
            )
            await send_bytes(send, *refusal(surface, problem))
            return
        await self._door.serve(surface, row, headers, params, scope, receive, send)

    def _match(self, method: str, path: str) -> tuple[tuple[Surface, Row] | None, dict[str, str]]:
        for its_method, pattern, surface, row in self._patterns:
            if its_method == method and (match := pattern.match(path)):
                return (surface, row), match.groupdict()
        return None, {}


_LOCAL = re.compile(rf"^(https?://)?({'|'.join(re.escape(host) for host in LOOPBACK)}|\[::1\])(:\d+)?$")


def is_foreign(headers: Mapping[bytes, bytes], method: str) -> bool:
    """Whether a browser was led here from another site: by a name that resolves to us, or by a page of its own.

    Needed where callers act without credentials. Clients that are no browsers send our own Host and no Origin.
    """
    if not _LOCAL.match(headers.get(b"host", b"localhost").decode("latin-1")):
        return True
    origin = headers.get(b"origin")
    return origin is not None and method != "GET" and not _LOCAL.match(origin.decode("latin-1"))
