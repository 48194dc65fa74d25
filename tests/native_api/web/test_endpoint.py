"""The door: who may pass, and what is answered when a handler, a queue or the database fails."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import MISSING, fields

import pytest
from sqlalchemy import Connection, func, insert, select, text
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from native_api.core import db, writer
from native_api.core import tables as t
from native_api.core.access import NOBODY, Actor, Scope
from native_api.core.errors import Invalid
from native_api.core.runs import LogEntry
from native_api.web import endpoint
from native_api.web.endpoint import SAFETY, Door, Endpoint, Log, Read, Row, Steps, Stream, Write
from tests.conftest import fresh_postgres
from tests.native_api.web.conftest import Caretaker, Serve, Text, anyone, surface

pytestmark = pytest.mark.anyio


# Handlers to try it with


def echo(conn: Connection, actor: Actor, msg: Text) -> str:
    return f"{actor.user_id or 'nobody'} says {msg.text}"


def add(conn: Connection, actor: Actor, msg: Text) -> int:
    """Adds a metric key; how many there are now."""
    conn.execute(insert(t.metric_keys), {"key": msg.text})
    if msg.text == "refused":
        raise Invalid("no")
    if msg.text == "broken":
        raise ZeroDivisionError("secret")
    return count(conn, actor, msg)


def count(conn: Connection, actor: Actor, msg: Text) -> int:
    return conn.execute(select(func.count()).select_from(t.metric_keys)).scalar_one()


def fail(*_: object) -> str:
    raise ZeroDivisionError("secret")


def add_to_run(actor: Actor, msg: Text) -> LogEntry:
    return LogEntry(actor, msg.text)


async def steps(door: Door, actor: Actor, msg: Text) -> int:
    """Reads and writes in two transactions."""
    before = await door.read(lambda conn: count(conn, actor, msg))
    await door.write(lambda conn: add(conn, actor, msg))
    return before


async def stream(door: Door, actor: Actor, request: Request) -> Response:
    return PlainTextResponse(f"{actor.user_id or 'nobody'} sends {len(await request.body())} bytes")


async def stream_refused(door: Door, actor: Actor, request: Request) -> Response:
    raise Invalid("no")


async def steps_broken(door: Door, actor: Actor, msg: Text) -> int:
    raise ZeroDivisionError("secret")


async def stream_broken(door: Door, actor: Actor, request: Request) -> Response:
    raise ZeroDivisionError("secret")


# Rows


@pytest.mark.parametrize("kind", [Read, Write, Log, Steps, Stream])
def test_a_row_that_does_not_say_what_it_needs_cannot_be_made(kind: type[Endpoint]) -> None:
    (needs,) = (field for field in fields(kind) if field.name == "needs")
    assert (needs.default, needs.default_factory) == (MISSING, MISSING)
    given = {field.name: None for field in fields(kind) if field is not needs}
    with pytest.raises(TypeError, match="needs"):
        kind(**given)  # type: ignore[arg-type]


# Who may pass


async def test_what_is_public_needs_no_caller_and_everything_else_does(serve: Serve) -> None:
    identify = Caretaker()
    rows: list[Row] = [
        Read("POST", "/open", Text, echo, Scope.PUBLIC),
        Read("POST", "/read", Text, echo, Scope.READ),
        Write("POST", "/write", Text, add, Scope.WRITE),
        Log("POST", "/log", Text, add_to_run, Scope.WRITE),
        Steps("POST", "/steps", Text, steps, Scope.WRITE),
        Stream("POST", "/stream", stream, Scope.READ),
        Stream("POST", "/open-stream", stream, Scope.PUBLIC),
    ]
    async with serve(surface(*rows, identify=identify)) as call:
        assert (await call("POST", "/open")).body == b"nobody says "
        assert (await call("POST", "/open-stream")).body == b"nobody sends 0 bytes"
        for path in ("/read", "/write", "/log", "/steps", "/stream"):
            assert (await call("POST", path)).status == 401
        assert identify.seen == []
        reader = [(b"x-scope", b"read")]
        assert (await call("POST", "/read", b'{"text": "hello"}', headers=reader)).body == b"somebody says hello"
        assert (await call("POST", "/stream", b"12345", headers=reader)).body == b"somebody sends 5 bytes"
        for path in ("/write", "/log", "/steps"):
            assert (await call("POST", path, headers=reader)).status == 403
        assert (await call("POST", "/write", headers=[(b"x-scope", b"write")])).body == b"1"


def test_nobody_sees_nothing() -> None:
    assert NOBODY.projects == {}
    assert not NOBODY.may(Scope.READ)


# Answers


async def test_an_answer_has_a_length_and_what_keeps_browsers_safe(serve: Serve) -> None:
    rows: list[Row] = [Read("PUT", "/echo", Text, echo, Scope.READ), Stream("GET", "/stream", stream, Scope.READ)]
    async with serve(surface(*rows, identify=anyone)) as call:
        answer = await call("PUT", "/echo", b'{"text": "hi"}')
        assert (answer.status, answer.body, answer.headers[b"content-length"]) == (201, b"anyone says hi", b"14")
        for path in ("/echo", "/stream", "/nowhere"):
            headers = (await call("GET", path)).headers
            assert {name: headers[name] for name, _ in SAFETY} == dict(SAFETY)


async def test_a_row_may_have_a_status_of_its_own(serve: Serve) -> None:
    rows: list[Row] = [
        Read("PUT", "/read", Text, echo, Scope.READ, 202),
        Write("POST", "/write", Text, add, Scope.WRITE, 201),
        Steps("POST", "/steps", Text, steps, Scope.WRITE, 203),
    ]
    async with serve(surface(*rows, identify=anyone)) as call:
        for row, status in zip(rows, (202, 201, 203), strict=True):
            assert (await call(row.method, row.path, b'{"text": "%d"}' % status)).status == status


async def test_no_content_is_none_whatever_the_handler_says(serve: Serve) -> None:
    async with serve(surface(Write("DELETE", "/thing", Text, echo, Scope.WRITE, 204), identify=anyone)) as call:
        answer = await call("DELETE", "/thing")
        assert (answer.status, answer.body, answer.headers) == (204, b"", dict(SAFETY))


async def test_a_handler_of_several_steps_reads_and_writes_through_the_door(serve: Serve) -> None:
    rows: list[Row] = [
        Steps("POST", "/steps", Text, steps, Scope.WRITE),
        Read("GET", "/count", Text, count, Scope.READ),
    ]
    async with serve(surface(*rows, identify=anyone)) as call:
        sent = (b"a", b"b", b"refused", b"broken")
        answers = [await call("POST", "/steps", b'{"text": "%s"}' % word) for word in sent]
        assert [answer.status for answer in answers] == [200, 200, 400, 500]
        assert [answer.body for answer in answers[:2]] == [b"0", b"1"]
        assert (await call("GET", "/count")).body == b"2"


async def test_a_write_that_is_refused_or_fails_leaves_nothing(serve: Serve) -> None:
    rows: list[Row] = [Write("POST", "/add", Text, add, Scope.WRITE), Read("GET", "/count", Text, count, Scope.READ)]
    async with serve(surface(*rows, identify=anyone)) as call:
        added = [call("POST", "/add", b'{"text": "%s"}' % word) for word in (b"a", b"refused", b"broken", b"b")]
        assert [answer.status for answer in await asyncio.gather(*added)] == [200, 400, 500, 200]
        assert (await call("GET", "/count")).body == b"2"


async def test_a_log_entry_is_answered_with_its_own_problem(serve: Serve) -> None:
    async with serve(surface(Log("POST", "/log", Text, add_to_run, Scope.WRITE), identify=anyone)) as call:
        assert (await call("POST", "/log", b'{"text": "unknown"}')).status == 404


async def test_what_nobody_expected_is_logged_and_told_without_details(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    rows: list[Row] = [
        Read("POST", "/read", Text, fail, Scope.READ),
        Write("POST", "/write", Text, fail, Scope.WRITE),
        Log("POST", "/log", Text, fail, Scope.WRITE),  # type: ignore[arg-type]
        Steps("POST", "/steps", Text, steps_broken, Scope.WRITE),
        Stream("POST", "/stream", stream_broken, Scope.READ),
    ]
    async with serve(surface(*rows, identify=anyone)) as call:
        for row in rows:
            caplog.clear()
            answer = await call("POST", row.path)
            assert (answer.status, answer.body) == (500, b'"small: ZeroDivisionError"')
            errors = [record for record in caplog.records if record.levelno == logging.ERROR]
            assert any(record.exc_info and "secret" in str(record.exc_info[1]) for record in errors)
        assert (await call("POST", "/nowhere")).status == 404  # and it goes on


async def test_a_problem_is_not_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    rows: list[Row] = [
        Write("POST", "/add", Text, add, Scope.WRITE),
        Stream("POST", "/stream", stream_refused, Scope.READ),
    ]
    async with serve(surface(*rows, identify=anyone)) as call:
        assert (await call("POST", "/add", b'{"text": "refused"}')).status == 400
        assert (await call("POST", "/stream")).status == 400
    assert caplog.records == []


# Too much at once


async def test_when_the_queue_of_reads_is_full_the_caller_comes_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def wait(conn: Connection, actor: Actor, msg: Text) -> str:
        release.wait(10)
        return "done"

    monkeypatch.setattr(endpoint, "MAX_READS_WAITING", 3)
    async with serve(surface(Read("GET", "/wait", Text, wait, Scope.READ), identify=anyone)) as call:
        waiting = [asyncio.create_task(call("GET", "/wait")) for _ in range(3)]
        await asyncio.sleep(0)
        assert (await call("GET", "/wait")).status == 429
        release.set()
        assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
        assert (await call("GET", "/wait")).status == 200


async def test_when_the_queue_of_writes_is_full_the_caller_comes_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING", 0)
    rows: list[Row] = [
        Write("POST", "/add", Text, add, Scope.WRITE),
        Log("POST", "/log", Text, add_to_run, Scope.WRITE),
        Read("GET", "/count", Text, count, Scope.READ),
    ]
    async with serve(surface(*rows, identify=anyone)) as call:
        for path in ("/add", "/log"):
            assert (await call("POST", path)).status == 429
        assert (await call("GET", "/count")).body == b"0"


# Without a database


async def test_while_the_database_is_away_everything_says_so_and_it_comes_back(
    serve: Serve, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = fresh_postgres(postgres_url, "away")
    engine = db.create_writer(db.parse_url(url), 4)
    t.metadata.create_all(engine)
    admin = db.create_writer(db.parse_url(postgres_url)).execution_options(isolation_level="AUTOCOMMIT")
    rows: list[Row] = [
        Read("POST", "/count", Text, count, Scope.READ),
        Write("POST", "/add", Text, add, Scope.WRITE),
        Log("POST", "/log", Text, add_to_run, Scope.WRITE),
    ]
    async with serve(surface(*rows, identify=anyone), engine=engine) as call:
        assert (await call("POST", "/add", b'{"text": "before"}')).body == b"1"
        with admin.connect() as conn:
            conn.execute(text("ALTER DATABASE away ALLOW_CONNECTIONS false"))
            conn.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'away'"))
            for _ in range(2):
                for row in rows:
                    answer = await asyncio.wait_for(call("POST", row.path), 10)
                    assert (answer.status, answer.body) == (503, b'"small: Unavailable"')
            conn.execute(text("ALTER DATABASE away ALLOW_CONNECTIONS true"))
        assert (await call("POST", "/add", b'{"text": "after"}')).body == b"2"
        assert (await call("POST", "/count")).body == b"2"
    assert "not currently accepting connections" in caplog.text
    admin.dispose()
