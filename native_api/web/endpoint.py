"""Endpoints, the surfaces that list them, and the one door every request passes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from native_api.core import access
from native_api.core.access import NOBODY, Actor
from native_api.core.errors import Busy, Forbidden, Invalid, Problem, TooLarge, Unavailable
from native_api.core.runs import LogEntry
from native_api.core.writer import Writer

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

MAX_BODY = 32 * 1024 * 1024
MAX_READS_WAITING = 2048

logger = logging.getLogger(__name__)


# What an endpoint is


@dataclass(frozen=True)
class Endpoint:
    """One row of a surface's list. `needs` has no default: forgetting it is an error, not an open door."""

    method: str
    path: str


@dataclass(frozen=True)
class Read(Endpoint, Generic[M]):
    """Answers from one consistent snapshot of the database, in a thread of the read pool."""

    message: type[M]
    handler: Callable[[Connection, Actor, M], object]
    needs: access.Scope
    status: int | None = None


@dataclass(frozen=True)
class Write(Endpoint, Generic[M]):
    """Changes the database in a savepoint of its own; answered once it is committed."""

    message: type[M]
    handler: Callable[[Connection, Actor, M], object]
    needs: access.Scope
    status: int | None = None


@dataclass(frozen=True)
class Log(Endpoint, Generic[M]):
    """Adds to a run: its handler only says what, and all that waits is written at once."""

    message: type[M]
    handler: Callable[[Actor, M], LogEntry]
    needs: access.Scope


@dataclass(frozen=True)
class Steps(Endpoint, Generic[M]):
    """Takes several steps, not all in the database: its handler reads and writes through the door itself."""

    message: type[M]
    handler: Callable[[Door, Actor, M], Awaitable[object]]
    needs: access.Scope
    status: int | None = None


@dataclass(frozen=True)
class Stream(Endpoint):
    """Takes or gives bytes piece by piece: its handler sees the request itself.

    `form` and `answers` only describe it: the fields of the form it takes, and what it answers.
    """

    handler: Callable[[Door, Actor, Request], Awaitable[Response]]
    needs: access.Scope
    form: type[BaseModel] | None = None
    answers: type[BaseModel] | None = None


Row = Read[Any] | Write[Any] | Log[Any] | Steps[Any] | Stream


# What a surface is


class Caller(NamedTuple):
    """What tells who asks, and in which workspace, if the path names one. Header names are lower case."""

    headers: Mapping[bytes, bytes]
    address: str
    workspace: str | None


class Incoming(NamedTuple):
    """What arrived, before it is understood. Header names are lower case."""

    method: str
    headers: Mapping[bytes, bytes]
    path_params: Mapping[str, str]
    query: bytes
    body: bytes


class Refusal(NamedTuple):
    """How a surface tells of a problem."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()


Identify = Callable[["Door", Caller], Awaitable[Actor]]
"""Finds out who calls."""


@dataclass(frozen=True)
class Surface:
    """An API: its list, the prefixes it is served under, and how it reads, renders and refuses."""

    name: str
    prefixes: Sequence[str]
    endpoints: Sequence[Row]
    read: Callable[[type[BaseModel], Incoming], BaseModel]
    render: Callable[[object], bytes]
    refuse: Callable[[Exception], Refusal]
    statuses: Mapping[str, int]
    identify: Identify


# The door

_JSON = (b"content-type", b"application/json")
SAFETY = [(b"x-content-type-options", b"nosniff"), (b"x-frame-options", b"SAMEORIGIN")]


class Door:
    """What every request passes: who asks, may they, what do they say; then the handler, then the answer."""

    def __init__(self, reader: Engine, writer: Writer, threads: int) -> None:
        self._reader = reader
        self._writer = writer
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")
        self._reads_waiting = 0

    async def close(self) -> None:
        """Finish what was accepted; nothing new is taken."""
        await self._writer.close()
        self._pool.shutdown()

    async def read(self, call: Callable[[Connection], T]) -> T:
        """Run the call in a thread, on a snapshot of the database."""
        if self._reads_waiting >= MAX_READS_WAITING:
            raise Busy
        self._reads_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, call)
        finally:
            self._reads_waiting -= 1

    def _read(self, call: Callable[[Connection], T]) -> T:
        # Ended by a commit: after a rollback psycopg forgets the statements it has prepared.
        with self._reader.begin() as conn:
            return call(conn)

    async def write(self, call: Callable[[Connection], T]) -> T:
        """Run the call in a transaction; its result once it is committed."""
        return await self._writer.write(call)

    async def serve(
        self,
        surface: Surface,
        row: Row,
        caller: Caller,
        path_params: dict[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer one request to one endpoint."""
        try:
            if row.needs is access.Scope.PUBLIC:
                actor = replace(NOBODY, address=caller.address)
            else:
                actor = await surface.identify(self, caller)
            if not actor.may(row.needs):
                raise Forbidden(f"This needs {row.needs.name.lower()} access")
            if isinstance(row, Stream):
                scope["path_params"] = path_params
                response = await row.handler(self, actor, Request(scope, receive))
                response.raw_headers.extend(SAFETY)
                await response(scope, receive, send)
                return
            headers = caller.headers
            incoming = Incoming(row.method, headers, path_params, scope["query_string"], await _body(headers, receive))
            message = surface.read(row.message, incoming)
            body = await self._answer(surface, row, actor, message)
        except Exception as error:
            await send_bytes(send, *refusal(surface, error))
        else:
            status = None if isinstance(row, Log) else row.status
            await send_bytes(send, status or surface.statuses.get(row.method, 200), body)

    async def _answer(
        self, surface: Surface, row: Read[Any] | Write[Any] | Log[Any] | Steps[Any], actor: Actor, message: BaseModel
    ) -> bytes:
        if isinstance(row, Log):
            await self._writer.log(row.handler(actor, message))
            return b"{}"
        if isinstance(row, Steps):
            return surface.render(await row.handler(self, actor, message))
        handler = row.handler
        if isinstance(row, Write):
            return surface.render(await self._writer.write(lambda conn: handler(conn, actor, message)))
        return await self.read(lambda conn: surface.render(handler(conn, actor, message)))


def refusal(surface: Surface, error: Exception) -> Refusal:
    """The surface's words for what went wrong. What nobody expected is logged, and told without details."""
    if isinstance(error, OperationalError | InterfaceError):
        logger.error("The database failed: %s", error)
        error = Unavailable()
    elif not isinstance(error, Problem):
        logger.error("Unexpected error", exc_info=error)
    return surface.refuse(error)


async def _body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit() or len(announced) > 18 or int(announced) > MAX_BODY:
        raise TooLarge(f"The body may have at most {MAX_BODY} bytes")
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Invalid("The request broke off")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            raise TooLarge(f"The body may have at most {MAX_BODY} bytes")
        more = message.get("more_body", False)
    return b"".join(parts)


async def send_bytes(send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """One whole JSON answer; 204 has no content."""
    length = (b"content-length", str(len(body)).encode())
    content, body = ([], b"") if status == 204 else ([_JSON, length], body)
    await send({"type": "http.response.start", "status": status, "headers": [*content, *SAFETY, *headers]})
    await send({"type": "http.response.body", "body": body})
