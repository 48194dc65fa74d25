"""Surfaces as one ASGI application: finding the endpoint, the pages beside them, and the start and stop of it all."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from native_api.core.access import Scope as Need
from native_api.core.errors import Forbidden, NoSuchEndpoint, WrongMethod
from native_api.settings import LOOPBACK
from native_api.web import sessions
from native_api.web.endpoint import Caller, Door, Refusal, Row, Surface, refusal, send_bytes


class Opened(NamedTuple):
    """A running server: the door, its surfaces, and the names it answers to, any if there are none."""

    door: Door
    surfaces: Sequence[Surface]
    hosts: Collection[str]


class App:
    """The ASGI application. Endpoints are looked up by their whole path; only paths with parameters are matched.

    `open_` runs from start to stop and gives what is open. One of the surfaces has the prefix "": what no list names is
    refused in its shape. Every path is served below `/workspaces/<name>` as well, which chooses that workspace; and all
    of it below `prefix` too, for a proxy that hands on a part of its own paths.
    """

    def __init__(self, open_: Callable[[], AbstractAsyncContextManager[Opened]], prefix: str = "") -> None:
        self._open = open_
        self._prefix = prefix
        self._starlette = Starlette(lifespan=lambda _: self.lifespan())
        self._exact: dict[tuple[str, str], tuple[Surface, Row]] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Surface, Row]] = []
        self._prefixes: list[tuple[str, Surface]] = []

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """From start to stop; the server enters it, and so do tests."""
        async with self._open() as opened:
            self._door, self._hosts = opened.door, opened.hosts
            for surface in opened.surfaces:
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
        path, workspace = scope["path"], None
        if self._prefix and (path == self._prefix or path.startswith(f"{self._prefix}/")):
            path = path[len(self._prefix) :] or "/"
        if path.startswith(BELOW_WORKSPACE):
            workspace, _, rest = path[len(BELOW_WORKSPACE) :].partition("/")
            path = f"/{rest}"
        params: dict[str, str] = {}
        found = self._exact.get((method, path))
        if found is None:
            found, params = self._match(method, path)
        if found is None:
            await send_bytes(send, *self._refuse_path(method, path))
            return
        surface, row = found
        is_harmless = row.needs is Need.PUBLIC and method == "GET"
        if not is_harmless and is_foreign(headers, method, self._hosts):
            await send_bytes(send, *refusal(surface, Forbidden(FOREIGN)))
            return
        address = scope["client"][0] if scope.get("client") else ""
        await self._door.serve(surface, row, Caller(headers, address, workspace), params, scope, receive, send)

    def _match(self, method: str, path: str) -> tuple[tuple[Surface, Row] | None, dict[str, str]]:
        for its_method, pattern, surface, row in self._patterns:
            if its_method == method and (match := pattern.match(path)):
                return (surface, row), match.groupdict()
        return None, {}

    def _refuse_path(self, method: str, path: str) -> Refusal:
        surface = next(surface for prefix, surface in self._prefixes if path.startswith(prefix))
        exact = {its_method for its_method, its_path in self._exact if its_path == path}
        allowed = exact | {its_method for its_method, pattern, _, _ in self._patterns if pattern.match(path)}
        error = WrongMethod(method, path, sorted(allowed)) if allowed else NoSuchEndpoint(method, path)
        return refusal(surface, error)


BELOW_WORKSPACE = "/workspaces/"
FOREIGN = "A request from another site, or to a Host that this server is not"
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:/\[\]]*)(:\d+)?$")


def is_foreign(headers: Mapping[bytes, bytes], method: str, hosts: Collection[str]) -> bool:
    """Whether a browser was led here from another site: by a name that resolves to us, or by a page of its own.

    Browsers send along what lets a caller in (an address that needs no credentials, a password they remember, a
    session) whoever made the page. Clients that are no browsers send our own Host, no Origin and no session.
    """
    host = headers.get(b"host", b"localhost").decode("latin-1")
    if hosts and _name(host) not in hosts:
        return True
    if method == "GET":
        return False
    has_session = bool(sessions.token_in(headers))
    origin = headers.get(b"origin")
    if origin is None:
        return has_session
    scheme, _, named = origin.decode("latin-1").partition("://")
    if scheme not in ("http", "https"):
        return True
    # Other pages of this machine may call as well, but not with a session, which browsers send whatever the port is.
    is_of_this_machine = _name(named) in hosts and _name(named) in LOOPBACK
    return named != host and (has_session or not is_of_this_machine)


def _name(host: str) -> str:
    """The name in a Host header, without the port; empty if it is none."""
    match = _HOST.match(host)
    return match[1].strip("[]").lower() if match else ""
