"""A file is sent in whole or in the ranges that are asked for, wherever it comes from."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from native_api.core.blobs import Found
from shim.download import Download, Range, ranges_in

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(100))


@pytest.mark.parametrize(
    ("header", "ranges"),
    [
        ("bytes=0-9", [(0, 10)]),
        ("bytes=90-", [(90, 100)]),
        ("bytes=-5", [(95, 100)]),
        ("bytes=-500", [(0, 100)]),
        ("bytes=99-500", [(99, 100)]),
        ("Bytes = 0-0", [(0, 1)]),
        ("bytes=5-6,0-1", [(0, 2), (5, 7)]),
        ("bytes=0-5, 3-9, 10-11", [(0, 12)]),
        ("bytes=0-1,200-", [(0, 2)]),
        ("bytes=100-", []),
        ("bytes=-0", []),
        ("", None),
        ("bytes", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=x-y", None),
        ("bytes=1", None),
        ("bytes=9-1", None),
        ("bytes=0-1,x", None),
        ("bytes=1-2-3", None),
        ("bytes=\u0661-\u0662", None),
        ("lines=0-9", None),
        ("bytes=" + "0-1," * 100 + "0-1", None),
    ],
)
def test_a_header_asks_for_ranges(header: str, ranges: list[Range] | None) -> None:
    assert ranges_in(header, 100) == ranges


@given(st.text(st.sampled_from("0123456789-, =")), st.integers(0, 50))
def test_ranges_are_in_order_and_within_the_file(text: str, size: int) -> None:
    found = ranges_in(f"bytes={text}", size) or []
    ends = [end for ranges in found for end in ranges]
    assert ends == sorted(set(ends))
    assert all(0 <= end <= size for end in ends)


def file(content: bytes, *, is_short: bool) -> Found:
    def blocks(start: int, end: int) -> Generator[bytes]:
        for at in range(start, end, 7):
            yield content[at : min(at + 7, end)]

    return Found(len(content), 1.0, "v", content if is_short else None, blocks)


async def answer(found: Found, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return await asyncio.Future()

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await Download(found, "a.bin")({"type": "http", "method": method, "headers": given}, receive, send)
    start, *rest = sent
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], told, b"".join(message["body"] for message in rest)


@pytest.mark.parametrize("is_short", [True, False])
async def test_what_is_sent_is_as_long_as_was_said(is_short: bool) -> None:
    found = file(CONTENT, is_short=is_short)
    for wanted, status, content in (
        ("", 200, CONTENT),
        ("bytes=10-19", 206, CONTENT[10:20]),
        ("bytes=-1", 206, CONTENT[-1:]),
        ("bytes=100-", 416, b""),
        ("bytes=x", 200, CONTENT),
    ):
        got = await answer(found, range=wanted)
        assert (got[0], got[2]) == (status, content)
        assert got[1]["content-length"] == str(len(content))
        head = await answer(found, "HEAD", range=wanted)
        assert head == (status, got[1], b"")
    assert (await answer(found, range="bytes=10-19"))[1]["content-range"] == "bytes 10-19/100"
    assert (await answer(found, range="bytes=100-"))[1]["content-range"] == "bytes */100"


@pytest.mark.parametrize("is_short", [True, False])
async def test_several_ranges_come_as_parts(is_short: bool) -> None:
    status, headers, body = await answer(file(CONTENT, is_short=is_short), range="bytes=0-9,50-59")
    assert (status, headers["content-length"]) == (206, str(len(body)))
    kind, _, boundary = headers["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    first, second, third, last = body.split(f"\r\n--{boundary}".encode())
    assert (first, last) == (b"", b"--\r\n")
    for part, where, content in ((second, b"0-9", CONTENT[:10]), (third, b"50-59", CONTENT[50:60])):
        head, _, rest = part.partition(b"\r\n\r\n")
        assert b"content-range: bytes %b/100" % where in head
        assert b"content-type: application/octet-stream" in head
        assert rest == content


async def test_ranges_are_of_the_version_that_the_client_has() -> None:
    found = file(CONTENT, is_short=True)
    _, headers, _ = await answer(found)
    for version in (headers["etag"], headers["last-modified"]):
        assert (await answer(found, range="bytes=0-1", if_range=version))[0] == 206
    assert (await answer(found, range="bytes=0-1", if_range='"another"'))[0] == 200


async def test_an_empty_file_has_no_ranges() -> None:
    empty = file(b"", is_short=True)
    assert (await answer(empty))[::2] == (200, b"")
    assert (await answer(empty, range="bytes=0-"))[0] == 416


async def test_who_has_left_is_sent_no_more() -> None:
    closed: list[int] = []
    sent = 0

    def blocks(start: int, end: int) -> Generator[bytes]:
        try:
            for _ in range(start, end):
                yield b"x"
        finally:
            closed.append(1)

    async def send(message: Message) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))

    async def receive() -> Message:
        while sent < 10:
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    found = Found(10**12, 1.0, "v", None, blocks)
    await Download(found, "a.bin")({"type": "http", "method": "GET", "headers": []}, receive, send)
    assert 10 <= sent < 1000
    assert closed == [1]
