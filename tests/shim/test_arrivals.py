"""Files that have arrived are recorded together, and what fails, fails alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, Engine, select

from native_api.core import artifacts, places
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.artifacts import Arrival
from native_api.core.errors import Forbidden
from native_api.core.writer import Writer
from native_api.web.endpoint import Door
from shim.arrivals import Arrivals
from tests.conftest import make_actor
from tests.native_api.core.test_places import RUN, add_experiment

pytestmark = pytest.mark.anyio


@pytest.fixture
async def door(own_engine: Engine) -> AsyncIterator[Door]:
    door = Door(own_engine, Writer(own_engine), 1)
    yield door
    await door.close()
    own_engine.dispose()


def arrival(conn: Connection, actor: Actor, name: str) -> Arrival:
    return Arrival(actor, places.get_place(conn, actor, f"0/{RUN}/artifacts/{name}", Scope.READ), 1, "0" * 64)


def setup(conn: Connection) -> tuple[list[Arrival], Arrival]:
    """Twenty files of somebody who may write, and one of somebody who may only read."""
    actor = make_actor(conn, "one")
    reader = Actor(actor.user_id, actor.project_id, {actor.project_id: Scope.READ}, Scope.READ)
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    return [arrival(conn, actor, f"{number}.txt") for number in range(20)], arrival(conn, reader, "not.txt")


def recorded(conn: Connection) -> set[str | None]:
    return set(conn.scalars(select(t.run_artifacts.c.path)))


async def test_all_that_waits_is_recorded_at_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    good, _ = await door.write(setup)
    sizes: list[int] = []
    record_all = artifacts.record_all

    def counted(conn: Connection, group: list[Arrival]) -> None:
        sizes.append(len(group))
        record_all(conn, group)

    monkeypatch.setattr(artifacts, "record_all", counted)
    arrivals, release = Arrivals(), threading.Event()
    before = asyncio.create_task(door.write(lambda _: release.wait(10)))
    waiting = [asyncio.create_task(arrivals.record(door, one)) for one in good]
    await asyncio.sleep(0.05)
    release.set()
    await asyncio.gather(before, *waiting)
    assert len(sizes) <= 2
    assert sum(sizes) == len(good)
    assert len(await door.read(recorded)) == len(good)


async def test_what_fails_fails_alone(door: Door) -> None:
    good, bad = await door.write(setup)
    arrivals = Arrivals()
    outcomes = await asyncio.gather(
        *(arrivals.record(door, one) for one in (*good[:10], bad, *good[10:])), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [Forbidden]
    assert isinstance(outcomes[10], Forbidden)
    assert await door.read(recorded) == {f"{number}.txt" for number in range(20)}


async def test_one_who_leaves_keeps_nobody_waiting(door: Door) -> None:
    good, _ = await door.write(setup)
    arrivals = Arrivals()
    leaver, *others = (asyncio.create_task(arrivals.record(door, one)) for one in good)
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.gather(*others)
    await arrivals.record(door, good[0])
    assert len(await door.read(recorded)) == len(good)
