"""A small surface of its own, to see the door and the application apart from what they serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine

from native_api.core import errors as e
from native_api.core.access import Actor, Scope
from native_api.core.writer import Writer
from native_api.settings import LOOPBACK
from native_api.web.asgi import App, Opened
from native_api.web.endpoint import Caller, Door, Incoming, Refusal, Row, Surface
from tests import asgi

STATUSES = {
    e.NoSuchEndpoint: 404,
    e.WrongMethod: 405,
    e.NotFound: 404,
    e.Invalid: 400,
    e.Unauthenticated: 401,
    e.Forbidden: 403,
    e.Busy: 429,
    e.Unavailable: 503,
}


class Text(BaseModel):
    """A message."""

    text: str = ""


Identify = Callable[[Door, Caller], Awaitable[Actor]]


def surface(*endpoints: Row, name: str = "small", prefix: str = "", identify: Identify) -> Surface:
    """A surface that takes JSON, and answers and refuses in its own name."""

    def read(kind: type[BaseModel], incoming: Incoming) -> BaseModel:
        return kind.model_validate_json(incoming.body or b"{}")

    def refuse(error: Exception) -> Refusal:
        status = STATUSES[type(error)] if isinstance(error, e.Problem) else 500
        return Refusal(status, f'"{name}: {type(error).__name__}"'.encode(), [(b"x-refused", b"yes")])

    return Surface(name, [prefix], endpoints, read, lambda answer: str(answer).encode(), refuse, {"PUT": 201}, identify)


@dataclass
class Caretaker:
    """Knows every caller by the header `x-scope`: `read`, `write`; without it nobody."""

    seen: list[Actor] = field(default_factory=list)

    async def __call__(self, door: Door, caller: Caller) -> Actor:
        if b"x-scope" not in caller.headers:
            raise e.Unauthenticated("who?")
        scope = Scope[caller.headers[b"x-scope"].decode().upper()]
        actor = Actor("somebody", "one", {"one": scope}, scope, workspace=caller.workspace or "")
        self.seen.append(actor)
        return actor


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


Serve = Callable[..., AbstractAsyncContextManager[asgi.Caller]]


@pytest.fixture
def serve(own_engine: Engine) -> Serve:
    """`async with serve(surface, ...) as call:` runs an application of these surfaces."""

    @asynccontextmanager
    async def running(
        *surfaces: Surface, engine: Engine = own_engine, hosts: Collection[str] = LOOPBACK, prefix: str = ""
    ) -> AsyncIterator[asgi.Caller]:
        @asynccontextmanager
        async def open_() -> AsyncIterator[Opened]:
            door = Door(engine, Writer(engine), 2)
            yield Opened(door, surfaces, hosts)
            await door.close()
            engine.dispose()

        app = App(open_, prefix)
        async with app.lifespan():
            yield asgi.Caller(app)

    return running


async def anyone(door: Door, caller: Caller) -> Actor:
    """Lets everybody do everything."""
    return Actor(
        "anyone", "one", {"one": Scope.ADMIN}, Scope.ADMIN, workspace=caller.workspace or "", address=caller.address
    )
