"""Files that have arrived, recorded in groups: what waits while one group is written makes the next."""

from __future__ import annotations

import asyncio

from native_api.core import artifacts
from native_api.core.artifacts import Arrival
from native_api.web.endpoint import Door

MAX_GROUP = 512


class Arrivals:
    """The one queue of arrivals of a server."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Arrival, asyncio.Future[None]]] = []
        self._recording: asyncio.Task[None] | None = None

    async def record(self, door: Door, arrival: Arrival) -> None:
        """Returns once it is committed. Raises what `artifacts.record` does, or Busy."""
        recorded = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, recorded))
        if self._recording is None:
            self._recording = asyncio.create_task(self._record_all(door))
        await recorded

    async def _record_all(self, door: Door) -> None:
        while group := self._waiting[:MAX_GROUP]:
            del self._waiting[:MAX_GROUP]
            error = await _write(door, [arrival for arrival, _ in group])
            for arrival, recorded in group:
                if error and len(group) > 1:  # what fails, fails alone
                    _settle(recorded, await _write(door, [arrival]))
                else:
                    _settle(recorded, error)
        self._recording = None


async def _write(door: Door, arrivals: list[Arrival]) -> Exception | None:
    try:
        await door.write(lambda conn: artifacts.record_all(conn, arrivals))
    except Exception as error:
        return error
    return None


def _settle(recorded: asyncio.Future[None], error: Exception | None) -> None:
    if recorded.cancelled():  # whoever waited for it has gone
        return
    if error is None:
        recorded.set_result(None)
    else:
        recorded.set_exception(error)
