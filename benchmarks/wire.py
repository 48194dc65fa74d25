"""A lean HTTP client, so that what is measured is the server: connections are kept, answers hardly parsed."""

import asyncio
import json
import math
import re
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

import uvloop

API = "/api/2.0/mlflow/"
AJAX_API = "/ajax-api/2.0/mlflow/"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"
PATIENCE_SECONDS = 600
BLOCK = 1 << 20
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"answered {status}: {body[:300].decode(errors='replace')}")
        self.unknown = status in (404, 405, 501) or b"ENDPOINT_NOT_FOUND" in body


class Answer(NamedTuple):
    """What came back, and when it was asked for and complete (seconds of time.perf_counter)."""

    sent: float
    received: float
    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def seconds(self) -> float:
        return self.received - self.sent

    def content(self) -> bytes:
        """The body of a 200; raises Refused for anything else."""
        if not self.ok:
            raise Refused(self.status, self.body)
        return self.body

    def message(self) -> Any:
        return json.loads(self.content())


# A client's requests, one after the other. A generator is sent each answer, and may make its next request of it.
Lane = Iterable[bytes] | Generator[bytes, Answer | None, None]


class Exchange(NamedTuple):
    """The answers of each client, in the order of its requests."""

    lanes: list[list[Answer]]
    deadline: float

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
    return request("POST", API + path, json.dumps(message, separators=(",", ":")).encode(), "application/json")


def get(path: str, api: str = API, **query: str | Sequence[str]) -> bytes:
    return request("GET", f"{api}{path}?{urlencode(query, doseq=True)}")


def request(method: str, path: str, body: bytes = b"", content_type: str = "application/octet-stream") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if method != "GET":
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


def ask(port: int, *requests: bytes) -> list[Any]:
    """What one client is told, one request after the other, each of which must succeed."""
    return [answer.message() for answer in exchange(port, [requests]).answers]


def exchange(port: int, lanes: Sequence[Lane], seconds: float = math.inf, pace: float = 0) -> Exchange:
    """Send each client's requests on its own connection, the next once the last is answered; none after `seconds`.

    With a `pace`, a client begins requests that many seconds apart, as far as the answers let it, and the clients
    begin in turn. Raises ConnectionError when an answer does not come, TimeoutError when they take ten minutes.
    """
    return uvloop.run(asyncio.wait_for(_exchange(port, lanes, seconds, pace), PATIENCE_SECONDS))


async def _exchange(port: int, lanes: Sequence[Lane], seconds: float, pace: float) -> Exchange:
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    deadline = start + seconds
    clients = [_Client(lane, start + number * pace / len(lanes), deadline, pace) for number, lane in enumerate(lanes)]
    await asyncio.gather(*[loop.create_connection(partial(_itself, client), "127.0.0.1", port) for client in clients])
    try:
        await asyncio.gather(*[client.done for client in clients])
    finally:
        for client in clients:
            client.leave()
        await asyncio.sleep(0)  # for a loop with open connections does not close
    return Exchange([client.answers for client in clients], deadline)


class _Client(asyncio.Protocol):
    def __init__(self, requests: Lane, start: float, deadline: float, pace: float) -> None:
        self.answers: list[Answer] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests if isinstance(requests, Generator) else iter(requests)
        self._due, self._deadline, self._pace = start, deadline, pace
        self._buffer, self._end = bytearray(), math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next(None)

    def _next(self, answer: Answer | None) -> None:
        delay = self._due - time.perf_counter() if self._pace else 0
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: Answer | None) -> None:
        self._sent = time.perf_counter()
        self._due = max(self._due + self._pace, self._sent)
        if self.done.done():  # the connection was lost while this client paused
            return
        request = self._request(answer) if self._sent < self._deadline else None
        if request is not None:
            self._transport.write(request)
            return
        if not self.done.done():
            self.done.set_result(None)
        self._transport.close()

    def _request(self, answer: Answer | None) -> bytes | None:
        try:
            return self._requests.send(answer) if isinstance(self._requests, Generator) else next(self._requests)
        except StopIteration:
            return None
        except Refused as error:  # raised here, it would not reach who waits for this client
            self.done.set_exception(error)
            return None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._end == math.inf and (head := self._buffer.find(b"\r\n\r\n")) > 0:
            length = LENGTH.search(self._buffer, 0, head + 2)
            self._body, self._chunked = head + 4, length is None and CHUNKED.search(self._buffer, 0, head + 2)
            self._end = self._body + (int(length[1]) if length else 0)
        if len(self._buffer) >= self._end and (not self._chunked or self._buffer.endswith(b"\r\n0\r\n\r\n")):
            received, status, body = time.perf_counter(), int(self._buffer[9:12]), bytes(self._buffer[self._body :])
            answer = Answer(self._sent, received, status, _joined(body) if self._chunked else body)
            self.answers.append(answer)
            self._buffer.clear()
            self._end = math.inf
            self._next(answer)

    def leave(self) -> None:
        self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("closed without an answer"))


def _itself(client: _Client) -> _Client:
    return client


def _joined(body: bytes) -> bytes:
    """The content of a body in chunks."""
    parts, start = [], 0
    while (length := int(body[start : (end := body.index(b"\r\n", start))], 16)) > 0:
        parts.append(body[end + 2 : end + 2 + length])
        start = end + 2 + length + 2
    return b"".join(parts)


def upload(port: int, path: str, file: Path) -> None:
    """PUT a file by a plain copy from the file to the socket; raises Refused."""
    with closing(HTTPConnection("127.0.0.1", port)) as connection, file.open("rb") as content:
        connection.putrequest("PUT", path)
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", str(file.stat().st_size))
        connection.endheaders()
        connection.sock.sendfile(content)
        _accepted(connection).read()


def download(port: int, path: str, take: Callable[[memoryview], object]) -> None:
    """GET a file of any size, block by block; raises Refused."""
    with closing(HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", path)
        response, block = _accepted(connection), memoryview(bytearray(BLOCK))
        while count := response.readinto(block):
            take(block[:count])


def _accepted(connection: HTTPConnection) -> HTTPResponse:
    response = connection.getresponse()
    if response.status != 200:
        raise Refused(response.status, response.read())
    return response
