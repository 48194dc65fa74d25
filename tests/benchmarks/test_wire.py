"""The client of the benchmark, against a server that says what it is told to say."""

from __future__ import annotations

import itertools
import socketserver
import threading
from collections.abc import Callable, Generator, Iterator

import pytest

from benchmarks import wire

Serve = Callable[[list[bytes]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server whose every connection is given these answers, one a request, and then closed; its port."""
    servers = []

    def start(answers: list[bytes]) -> int:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for answer in answers:
                    while (line := self.rfile.readline()) != b"\r\n":
                        if not line:
                            return
                    self.wfile.write(answer)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def plain(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nc\r\ndefghijklmno\r\n0\r\n\r\n"
ASK = wire.get("runs/get", run_id="1")


@pytest.mark.parametrize(
    ("answer", "body"), [(plain(b"abc"), b"abc"), (plain(b""), b""), (CHUNKED, b"abcdefghijklmno")]
)
def test_the_body_of_an_answer_is_read_whole(serve: Serve, answer: bytes, body: bytes) -> None:
    done = wire.exchange(serve([answer, answer]), [[ASK, ASK]])
    assert [answer.content() for answer in done.answers] == [body, body]


def test_a_request_may_be_made_of_the_last_answer(serve: Serve) -> None:
    told = []

    def lane() -> Generator[bytes, wire.Answer | None, None]:
        for _ in range(2):
            answer = yield ASK
            told.append(answer.body if answer else None)

    wire.exchange(serve([plain(b"one"), plain(b"two")]), [lane()])
    assert told == [b"one", b"two"]


def test_clients_keep_their_pace(serve: Serve) -> None:
    done = wire.exchange(serve([plain(b"")] * 4), [[ASK] * 3, [ASK] * 3], pace=0.1)
    first, second = ([answer.sent for answer in lane] for lane in done.lanes)
    assert [later - sooner > 0.05 for sooner, later in itertools.pairwise(first)] == [True, True]
    assert second[0] - first[0] > 0.02  # the clients begin in turn


def test_an_answer_other_than_200_is_refused_when_it_is_read(serve: Serve) -> None:
    done = wire.exchange(serve([plain(b"no such thing", 404)]), [[ASK]])
    assert done.failed == 1
    with pytest.raises(wire.Refused, match="answered 404: no such thing"):
        done.answers[0].message()


def test_a_refusal_met_by_a_client_reaches_who_waits_for_it(serve: Serve) -> None:
    def lane() -> Generator[bytes, wire.Answer | None, None]:
        answer = yield ASK
        if answer:
            answer.message()

    with pytest.raises(wire.Refused, match="answered 500"):
        wire.exchange(serve([plain(b"", 500)]), [lane()])


def test_a_lost_connection_is_an_error_though_others_are_busy(serve: Serve) -> None:
    with pytest.raises(ConnectionError):
        wire.exchange(serve([plain(b"")]), [[ASK, ASK], [ASK] * 3], pace=0.1)
