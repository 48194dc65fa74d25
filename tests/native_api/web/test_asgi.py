"""Surfaces as one application: which endpoint a request finds, who answers where none is, and start and stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from native_api.core.access import Actor, Scope
from native_api.settings import LOOPBACK
from native_api.web.asgi import App, Opened, is_foreign
from native_api.web.endpoint import Door, Read, Row, Stream, Write
from tests.native_api.web.conftest import Serve, Text, anyone, surface

pytestmark = pytest.mark.anyio


def hello(conn: Connection, actor: Actor, msg: Text) -> str:
    return "hello"


async def shout(door: Door, actor: Actor, request: Request) -> Response:
    return PlainTextResponse(repr(request.path_params))


def where(conn: Connection, actor: Actor, msg: Text) -> str:
    return f"{actor.workspace!r} from {actor.address}"


ROWS: list[Row] = [
    Read("GET", "/hello", Text, hello, Scope.READ),
    Write("POST", "/hello/there", Text, hello, Scope.WRITE),
    Stream("GET", "/files/{path:path}", shout, Scope.READ),
    Stream("DELETE", "/files/{path:path}", shout, Scope.WRITE),
    Stream("GET", "/things/{thing}", shout, Scope.READ),
    Read("GET", "/open", Text, hello, Scope.PUBLIC),
    Read("GET", "/where", Text, where, Scope.READ),
]
LISTED = [
    surface(name="root", identify=anyone),
    surface(*ROWS, name="old", prefix="/api", identify=anyone),
    surface(*ROWS, name="new", prefix="/api/2", identify=anyone),
]


async def test_an_endpoint_is_found_by_its_method_and_whole_path(serve: Serve) -> None:
    async with serve(*LISTED) as call:
        for prefix in ("/api", "/api/2"):
            assert (await call("GET", f"{prefix}/hello")).body == b"hello"
            assert (await call("POST", f"{prefix}/hello/there")).body == b"hello"
            assert (await call("GET", f"{prefix}/files/a/b c/é")).body == "{'path': 'a/b c/é'}".encode()
            assert (await call("DELETE", f"{prefix}/files/")).body == b"{'path': ''}"
            assert (await call("GET", f"{prefix}/things/1")).body == b"{'thing': '1'}"


@pytest.mark.parametrize(
    ("method", "path", "by"),
    [
        *(
            ("GET", "/api/hello/", "old"),
            ("GET", "/api", "old"),
            ("GET", "/apix", "old"),
        ),
        *(("GET", "/api/2/nothing", "new"), ("GET", "/api/2/things/a/b", "new")),
        *(("GET", "/", "root"), ("GET", "/hello", "root"), ("GET", "", "root"), ("OPTIONS", "*", "root")),
        *(("GET", "//api/hello", "root"), ("GET", "/API/hello", "root"), ("GET", "/workspaces/a", "root")),
    ],
)
async def test_what_no_list_names_is_refused_by_the_surface_it_would_belong_to(
    serve: Serve, method: str, path: str, by: str
) -> None:
    async with serve(*LISTED) as call:
        answer = await call(method, path)
        assert (answer.status, answer.body) == (404, f'"{by}: NoSuchEndpoint"'.encode())


@pytest.mark.parametrize(
    ("method", "path", "by"),
    [
        *(("POST", "/api/hello", "old"), ("get", "/api/hello", "old"), ("DELETE", "/workspaces/a/api/hello", "old")),
        *(("PUT", "/api/2/files/a", "new"), ("POST", "/api/2/things/a", "new")),
    ],
)
async def test_a_path_that_is_there_with_other_methods_says_so(serve: Serve, method: str, path: str, by: str) -> None:
    async with serve(*LISTED) as call:
        answer = await call(method, path)
        assert (answer.status, answer.body) == (405, f'"{by}: WrongMethod"'.encode())


async def test_every_path_is_served_below_a_workspace_too(serve: Serve) -> None:
    async with serve(*LISTED) as call:
        for prefix in ("/api", "/api/2"):
            assert (await call("GET", f"{prefix}/where")).body == b"'' from 127.0.0.1"
            for name in ("team", "a b", "é", ""):
                answer = await call("GET", f"/workspaces/{name}{prefix}/where")
                assert answer.body == f"{name!r} from 127.0.0.1".encode()
        assert (await call("GET", "/workspaces/team/api/files/a/b")).body == b"{'path': 'a/b'}"
        assert (await call("GET", "/workspaces/a/workspaces/b/api/where")).status == 404


async def test_head_asks_for_what_get_would_say(serve: Serve) -> None:
    """Servers leave out the body of an answer to HEAD themselves."""
    async with serve(*LISTED) as call:
        for path in ("/api/hello", "/api/files/a", "/api/nothing"):
            asked, got = await call("HEAD", path), await call("GET", path)
            assert (asked.status, asked.headers) == (got.status, got.headers)


async def test_requests_from_elsewhere_reach_only_what_is_public(serve: Serve) -> None:
    async with serve(*LISTED) as call:
        foreign = [(b"host", b"evil.example")]
        assert (await call("GET", "/api/open", headers=foreign)).status == 200
        for method, path in (("GET", "/api/hello"), ("HEAD", "/api/hello"), ("DELETE", "/api/files/a")):
            assert (await call(method, path, headers=foreign)).status == 403
        page = [(b"origin", b"https://evil.example")]
        assert (await call("GET", "/api/hello", headers=page)).status == 200  # which the page cannot read
        assert (await call("POST", "/api/hello/there", headers=page)).status == 403


HERE = ["localhost", "localhost:5000", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:5000"]
ELSEWHERE = [
    "example.org",
    "localhost.example.org",
    "127.0.0.1.example.org:80",
    "notlocalhost",
    "127.0.0.2",
    "a@localhost",
]
ELSEWHERE += ["localhost:5000/", "localhost:", "localhost:x", "localhost example.org", "", "null", "0.0.0.0", "[::2]"]


@pytest.mark.parametrize("host", HERE)
def test_this_machine_has_these_names(host: str) -> None:
    for headers in ({}, {b"origin": f"http://{host}".encode()}, {b"origin": f"https://{host}".encode()}):
        assert not is_foreign({b"host": host.encode()} | headers, "POST", LOOPBACK)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_everything_else_is_elsewhere(host: str) -> None:
    assert is_foreign({b"host": host.encode()}, "GET", LOOPBACK)
    assert is_foreign({b"host": b"localhost", b"origin": f"http://{host}".encode()}, "POST", LOOPBACK)
    assert not is_foreign({b"host": b"localhost", b"origin": f"http://{host}".encode()}, "GET", LOOPBACK)


@pytest.mark.parametrize("host", ["tracking.example.org", "tracking.example.org:5000", "10.0.0.1:80", "localhost:5000"])
def test_a_server_for_others_has_the_name_it_is_called_by(host: str) -> None:
    called = {b"host": host.encode()}
    for method in ("GET", "POST"):
        assert not is_foreign(called, method, ())
        assert not is_foreign(called | {b"origin": f"https://{host}".encode()}, method, ())
    for origin in (b"https://evil.example", b"null", b"", f"https://{host}.evil.example".encode(), host.encode()):
        assert is_foreign(called | {b"origin": origin}, "POST", ())
        assert not is_foreign(called | {b"origin": origin}, "GET", ())


def test_a_server_for_others_may_answer_to_some_names_only() -> None:
    allowed = ("tracking.example.org", "10.0.0.1", "fd00::1")
    for host in ("tracking.example.org", "Tracking.Example.org:443", "10.0.0.1:5000", "[fd00::1]:80"):
        assert not is_foreign({b"host": host.encode()}, "GET", allowed)
    for host in ("localhost", "evil.example", "tracking.example.org.evil.example", "10.0.0.2", "[fd00::2]"):
        assert is_foreign({b"host": host.encode()}, "GET", allowed)


def test_a_session_changes_nothing_without_an_origin() -> None:
    """Browsers always name it when they change something."""
    session = {b"host": b"a.example", b"cookie": b"mlflow_shim_session=x; mlflow_user=y"}
    assert not is_foreign(session, "GET", ())
    assert is_foreign(session, "POST", ())
    assert is_foreign(session | {b"origin": b"http://b.example"}, "POST", ())
    assert is_foreign(session | {b"origin": b"http://a.example:3000"}, "POST", ())
    assert not is_foreign(session | {b"origin": b"https://a.example"}, "POST", ())
    local = {b"host": b"localhost:5000", b"origin": b"http://localhost:3000"}
    assert not is_foreign(local, "POST", LOOPBACK)
    assert is_foreign(session | local, "POST", LOOPBACK)


async def test_everything_is_served_below_a_prefix_too(serve: Serve) -> None:
    async with serve(*LISTED, prefix="/ml/flow") as call:
        for prefix in ("", "/ml/flow", "/workspaces/team", "/ml/flow/workspaces/team"):
            answer = await call("GET", f"{prefix}/api/where")
            assert answer.body == f"{'team' if 'team' in prefix else ''!r} from 127.0.0.1".encode()
        assert (await call("GET", "/ml/flow/ml/flow/api/where")).status == 404
        assert (await call("GET", "/ml/flowers/api/where")).status == 404


# Start and stop


async def lifespan(app: App) -> list[Any]:
    """What the application answers to start and stop."""
    asked = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": next(asked)}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    return sent


async def test_what_it_needs_is_opened_at_the_start_and_closed_at_the_end() -> None:
    seen = []

    @asynccontextmanager
    async def open_() -> AsyncIterator[Opened]:
        seen.append("open")
        yield Opened(None, LISTED, True)  # type: ignore[arg-type]
        seen.append("closed")

    assert [message["type"] for message in await lifespan(App(open_))] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert seen == ["open", "closed"]


async def test_what_fails_at_the_start_is_told() -> None:
    @asynccontextmanager
    async def open_() -> AsyncIterator[Opened]:
        raise OSError("no database")
        yield

    app = App(open_)
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(OSError, match="no database"):
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
