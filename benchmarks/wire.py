"""A lean HTTP client, so that what is measured is the server: connections are kept, answers hardly parsed."""

import asyncio
import json
import math
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

import uvloop

API = "/api/2.0/mlflow/"
PATIENCE_SECONDS = 600
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Answer(NamedTuple):
    """What came back, and when it was asked for and complete (seconds of time.perf_counter)."""

    sent: float
    received: float
    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return self.status == 200

    def message(self) -> Any:
        """The JSON of a 200; raises RuntimeError for anything else."""
        if not self.ok:
            raise RuntimeError(f"answered {self.status}: {self.body[:1000]!r}")
        return json.loads(self.body)


class Exchange(NamedTuple):
    """The answers of each client, in the order of its requests, and the processor time that asking took."""

    lanes: list[list[Answer]]
    deadline: float
    cpu: float

    @property
    def answers(self) -> list[Answer]:
        return [answer for lane in self.lanes for answer in lane]

    @property
    def failed(self) -> int:
        return sum(not answer.ok for answer in self.answers)

    @property
    def seconds(self) -> float:
        return max(answer.received for answer in self.answers) - min(answer.sent for answer in self.answers)

    @property
    def rate(self) -> float:
        """Good answers per second until the deadline or the last one, whichever is more: stragglers cost nobody."""
        start = min(answer.sent for answer in self.answers)
        times = [answer.received for answer in self.answers if answer.ok]
        in_time = [time for time in times if time <= self.deadline]
        return max(len(in_time) / (self.deadline - start), len(times) / self.seconds)


def post(path: str, message: object) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    head = f"POST {API}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(path: str, **query: str) -> bytes:
    return f"GET {API}{path}?{urlencode(query)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def ask(port: int, *requests: bytes) -> list[Any]:
    """What one client is told, one request after the other, each of which must succeed."""
    return [answer.message() for answer in exchange(port, [requests]).answers]


def exchange(port: int, lanes: Sequence[Iterable[bytes]], seconds: float = math.inf) -> Exchange:
    """Send each client's requests on its own connection, the next once the last is answered; none after `seconds`.

    Raises ConnectionError when an answer does not come, TimeoutError when they take ten minutes.
    """
    return uvloop.run(asyncio.wait_for(_exchange(port, lanes, seconds), PATIENCE_SECONDS))


async def _exchange(port: int, lanes: Sequence[Iterable[bytes]], seconds: float) -> Exchange:
    loop = asyncio.get_running_loop()
    deadline, cpu = time.perf_counter() + seconds, time.process_time()
    connections = [loop.create_connection(partial(_Client, iter(lane), deadline), "127.0.0.1", port) for lane in lanes]
    clients = [client for _, client in await asyncio.gather(*connections)]
    await asyncio.gather(*[client.done for client in clients])
    return Exchange([client.answers for client in clients], deadline, time.process_time() - cpu)


class _Client(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], deadline: float) -> None:
        self.answers: list[Answer] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests, self._deadline = requests, deadline
        self._buffer, self._due = bytearray(), math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def _next(self) -> None:
        self._sent = time.perf_counter()
        request = next(self._requests, None) if self._sent < self._deadline else None
        if request is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._due == math.inf and (head := self._buffer.find(b"\r\n\r\n")) > 0:
            length = LENGTH.search(self._buffer, 0, head + 2)
            self._body = head + 4
            self._due = self._body + (int(length[1]) if length else 0)
        if len(self._buffer) >= self._due:
            received, status, body = time.perf_counter(), int(self._buffer[9:12]), bytes(self._buffer[self._body :])
            self.answers.append(Answer(self._sent, received, status, body))
            self._buffer.clear()
            self._due = math.inf
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("closed without an answer"))
