"""The one writer of a process: group commit.

A commit costs an fsync and clients send many small writes, so whatever waits is run in one transaction, committed once,
and only then acknowledged. From outside it is one transaction per request: what fails, fails alone.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from native_api.core import audit, db
from native_api.core.errors import Busy, Problem
from native_api.core.runs import LogEntry, log

T = TypeVar("T")
Call = Callable[[Connection], Any]
Outcome = tuple["_Work", Any, BaseException | None]

MAX_WAITING = 4096
MAX_WAITING_ROWS = 400_000
MAX_GROUP = 512
MAX_GROUP_ROWS = 50_000
MAX_TRIES = 6

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Work:
    """A write that waits: a call of its own, or an entry for the bulk function."""

    job: Call | LogEntry
    rows: int
    future: asyncio.Future[Any]


class Writer:
    """Runs every write of this process on `threads` connections of its engine (SQLite: one).

    `committed` is called after each commit, by the thread that made it.
    """

    def __init__(self, engine: Engine, threads: int = 1, committed: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._committed = committed
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._waiting = 0
        self._waiting_rows = 0
        self._closed = False
        self._threads = [threading.Thread(target=self._run, name=f"writer-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    async def write(self, call: Callable[[Connection], T]) -> T:
        """Run the call in a transaction; its result, once committed. Raises what it raised, or Busy."""
        result: T = await self._submit(call, 1)
        return result

    async def log(self, entry: LogEntry) -> None:
        """Add to a run, together with whatever else waits; returns once committed. Raises its Problem, or Busy."""
        await self._submit(entry, entry.rows)

    async def close(self) -> None:
        """Finish what waits, then stop. Nothing is accepted any more."""
        self._closed = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        await asyncio.sleep(0)  # lets the last acknowledgements through

    def _submit(self, job: Call | LogEntry, rows: int) -> asyncio.Future[Any]:
        if self._closed or self._waiting >= MAX_WAITING or self._waiting_rows >= MAX_WAITING_ROWS:
            raise Busy
        work = _Work(job, rows, self._loop.create_future())
        self._waiting += 1
        self._waiting_rows += rows
        self._queue.put(work)
        return work.future

    def _acknowledge(self, outcomes: Sequence[Outcome]) -> None:
        """On the event loop: hand each its result. A caller that hung up meanwhile has a cancelled future."""
        for work, result, error in outcomes:
            self._waiting -= 1
            self._waiting_rows -= work.rows
            if work.future.cancelled():
                continue
            if error is None:
                work.future.set_result(result)
            else:
                work.future.set_exception(error)

    def _run(self) -> None:
        with self._engine.connect() as conn:
            while group := self._take():
                outcomes = self._commit(conn, group)
                self._loop.call_soon_threadsafe(self._acknowledge, outcomes)

    def _take(self) -> list[_Work]:
        """What waits now, at least one, up to a bound; empty at the end. Never waits to fill a group."""
        work = self._queue.get()
        group: list[_Work] = []
        rows = 0
        while work is not None:
            group.append(work)
            rows += work.rows
            if len(group) >= MAX_GROUP or rows >= MAX_GROUP_ROWS:
                return group
            try:
                work = self._queue.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._queue.put(None)  # the sign to stop, seen too early: keep it for the next turn
        return group

    def _commit(self, conn: Connection, group: list[_Work], tries: int = 1) -> list[Outcome]:
        """Run the group in one transaction. If a statement that it shares fails, each is replayed alone."""
        try:
            conn.begin()
            outcomes = self._apply(conn, group)
            audit.write(conn)
        except Exception as error:
            _abandon(conn)
            if len(group) > 1:
                return [outcome for work in group for outcome in self._commit(conn, [work])]
            if db.is_retryable(error) and tries < MAX_TRIES:
                return self._commit(conn, group, tries + 1)
            if not isinstance(error, Problem):
                logger.exception("A write failed", exc_info=error)
            return [(group[0], None, error)]
        try:
            conn.commit()
        except Exception as error:  # it may or may not be stored: no replay, and nobody is told it is
            _drop(conn)
            logger.exception("A commit failed", exc_info=error)
            return [(work, None, error) for work in group]
        db.run_after_commit(conn)
        self._committed()
        return outcomes

    def _apply(self, conn: Connection, group: Sequence[_Work]) -> list[Outcome]:
        """First the log entries, in one call of the bulk function, then the calls, each in its savepoint."""
        alone = len(group) == 1
        outcomes: list[Outcome] = []
        calls: list[tuple[_Work, Call]] = []
        logs: list[tuple[_Work, LogEntry]] = []
        for work in group:
            job = work.job
            if isinstance(job, LogEntry):
                logs.append((work, job))
            else:
                calls.append((work, job))
        if logs:
            problems = log(conn, [entry for _, entry in logs])
            outcomes += [(work, None, problem) for (work, _), problem in zip(logs, problems, strict=True)]
        for work, call in calls:
            if alone:
                return [(work, call(conn), None)]
            try:
                with db.savepoint(conn):
                    outcomes.append((work, call(conn), None))
            except Problem as problem:
                outcomes.append((work, None, problem))
        return outcomes


def _abandon(conn: Connection) -> None:
    """Roll back; a connection that cannot even do that is dropped."""
    try:
        conn.rollback()
    except Exception:
        _drop(conn)


def _drop(conn: Connection) -> None:
    """Close what is below the connection, whatever its state; the next transaction opens another."""
    conn.invalidate()
    conn.rollback()
