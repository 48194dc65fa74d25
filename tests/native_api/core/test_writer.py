"""The writer: what waits together is committed together, and what fails, fails alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import Connection, Engine, event, func, insert, select, text, update

from native_api.core import db, writer
from native_api.core import tables as t
from native_api.core.errors import Busy, Invalid
from native_api.core.writer import Writer
from tests.conftest import fresh_postgres

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def writing(own_engine: Engine) -> AsyncIterator[Writer]:
    writing = Writer(own_engine)
    yield writing
    await writing.close()
    own_engine.dispose()


def add(key: str) -> Callable[[Connection], str]:
    def call(conn: Connection) -> str:
        conn.execute(insert(t.metric_keys), {"key": key})
        return key

    return call


def count(engine: Engine) -> int:
    with engine.connect() as conn:
        return conn.execute(select(func.count()).select_from(t.metric_keys)).scalar_one()


def block(release: threading.Event) -> Callable[[Connection], None]:
    def call(conn: Connection) -> None:
        release.wait(10)

    return call


async def test_what_waits_is_committed_once(writing: Writer, own_engine: Engine) -> None:
    commits: list[object] = []
    event.listen(own_engine, "commit", commits.append)
    release = threading.Event()
    first = asyncio.ensure_future(writing.write(block(release)))
    await asyncio.sleep(0.05)  # the writer has taken it, alone
    rest = [asyncio.ensure_future(writing.write(add(f"k{number}"))) for number in range(50)]
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(first, *rest) == [None, *(f"k{number}" for number in range(50))]
    assert len(commits) == 2
    assert count(own_engine) == 50


async def test_what_fails_fails_alone(writing: Writer, own_engine: Engine) -> None:
    def refuse(conn: Connection) -> None:
        add("half done")(conn)
        raise Invalid("no")

    def break_(conn: Connection) -> None:
        add("half broken")(conn)
        conn.execute(text("SELECT * FROM no_such_table"))

    release = threading.Event()
    calls = [block(release), add("a"), refuse, add("b"), break_, add("c"), add("a")]
    waiting = [asyncio.ensure_future(writing.write(call)) for call in calls]
    await asyncio.sleep(0.05)
    release.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert outcomes[1] == "a"
    assert outcomes[3] == "b"
    assert outcomes[5] == "c"
    assert isinstance(outcomes[2], Invalid)
    assert isinstance(outcomes[4], Exception)
    assert isinstance(outcomes[6], Exception)  # the key `a` twice
    assert count(own_engine) == 3


async def test_nothing_is_acknowledged_before_the_commit(writing: Writer, own_engine: Engine) -> None:
    seen: list[bool] = []
    event.listen(own_engine, "commit", lambda conn: seen.append(waiting.done()))
    waiting = asyncio.ensure_future(writing.write(add("k")))
    await waiting
    assert seen == [False]


async def test_a_commit_that_fails_is_told_to_everybody(writing: Writer, own_engine: Engine) -> None:
    def fail(conn: Connection) -> None:
        event.remove(own_engine, "commit", fail)
        raise OSError("disk full")

    event.listen(own_engine, "commit", fail)
    with pytest.raises(OSError, match="disk full"):
        await writing.write(add("lost"))
    assert await writing.write(add("next")) == "next"
    assert count(own_engine) == 1


async def test_a_full_queue_says_so_and_recovers(writing: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING", 3)
    release = threading.Event()
    waiting = [asyncio.ensure_future(writing.write(block(release))) for _ in range(3)]
    await asyncio.sleep(0.05)
    with pytest.raises(Busy):
        await writing.write(add("k"))
    release.set()
    await asyncio.gather(*waiting)
    assert await writing.write(add("k")) == "k"


async def test_closing_finishes_what_waits_and_takes_nothing_new(own_engine: Engine) -> None:
    writing = Writer(own_engine)
    release = threading.Event()
    waiting = [asyncio.ensure_future(writing.write(call)) for call in (block(release), add("a"), add("b"))]
    await asyncio.sleep(0.05)
    closing = asyncio.ensure_future(writing.close())
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await writing.write(add("late"))
    release.set()
    await closing
    assert await asyncio.gather(*waiting) == [None, "a", "b"]
    assert count(own_engine) == 2


async def test_a_caller_that_hangs_up_disturbs_nobody(writing: Writer, own_engine: Engine) -> None:
    release = threading.Event()
    first = asyncio.ensure_future(writing.write(block(release)))
    await asyncio.sleep(0.05)
    gone, stays = (asyncio.ensure_future(writing.write(add(key))) for key in ("gone", "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    release.set()
    await first
    assert await stays == "stays"
    assert count(own_engine) == 2


async def test_two_that_wait_for_each_other_are_both_written(postgres_url: str) -> None:
    engine = db.create_writer(db.parse_url(fresh_postgres(postgres_url, "deadlock")), 2)
    t.metadata.create_all(engine)
    writing = Writer(engine, 2)
    both = threading.Barrier(2)
    tries: list[tuple[str, ...]] = []

    def hold(*keys: str) -> Callable[[Connection], tuple[str, ...]]:
        def call(conn: Connection) -> tuple[str, ...]:
            is_first = keys not in tries
            tries.append(keys)
            for key in keys:
                conn.execute(update(t.metric_keys).where(t.metric_keys.c.key == key).values(key=key))
                if is_first and key == keys[0]:
                    both.wait(10)
            return keys

        return call

    await asyncio.gather(writing.write(add("a")), writing.write(add("b")))
    one = asyncio.ensure_future(writing.write(hold("a", "b")))
    await asyncio.sleep(0.1)  # one writer has taken it
    first, second = await asyncio.gather(one, writing.write(hold("b", "a")))
    assert (first, second) == (("a", "b"), ("b", "a"))
    assert len(tries) > len(set(tries)) == 2  # who lost has tried again
    await writing.close()
    engine.dispose()
