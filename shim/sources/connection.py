"""A connection to a running MLflow server: its REST API with patience, and with the credentials of MLflow's clients."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import msgspec

from native_api.core.errors import Invalid, NotFound, Unavailable

THREADS = 8
"""How many requests may be on their way at once."""

WAITS = (0.5, 1, 2, 4, 8)
"""How long to wait, in seconds, before asking again a server that is busy or away."""

BLOCK = 1024 * 1024
TRANSIENT = {429, 500, 502, 503, 504}

T = TypeVar("T")


class Connection:
    """To the server at this URL. Any number of threads may use it.

    Every call raises Unavailable where the server does not answer even after a while, NotFound where it does not know
    what is asked for, and Invalid where it refuses, or is none of MLflow's.
    """

    def __init__(self, url: str, workspace: str | None = None, transport: httpx.BaseTransport | None = None) -> None:
        parsed = _parse(url)
        self.location = str(parsed.copy_with(username=None, password=None)).rstrip("/")
        headers = {"X-MLFLOW-WORKSPACE": workspace} if workspace else {}
        auth: httpx.Auth | None = None
        if os.environ.get("MLFLOW_TRACKING_USERNAME"):
            password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
            auth = httpx.BasicAuth(os.environ["MLFLOW_TRACKING_USERNAME"], password)
        elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        elif parsed.username:
            auth = httpx.BasicAuth(parsed.username, parsed.password)
        self._http = httpx.Client(
            base_url=self.location,
            headers=headers,
            auth=auth,
            timeout=httpx.Timeout(120, connect=10),
            limits=httpx.Limits(max_connections=THREADS, max_keepalive_connections=THREADS),
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, kind: type[T], /, **params: str | int | None) -> T:
        """What the server answers to a GET below /api/2.0. Parameters that are None are not sent."""
        given = {key: value for key, value in params.items() if value is not None}
        return _decode(self._patiently("GET", path, params=given), kind)

    def post(self, path: str, kind: type[T], **fields: Any) -> T:
        """The same of a POST that only reads."""
        return _decode(self._patiently("POST", path, json=fields), kind)

    def write(self, method: str, path: str, kind: type[T], *, once: bool = False, **fields: Any) -> T:
        """What the server answers to a change. One that must not be made twice, `once`, is tried again only where the
        server has surely not made it; otherwise it is made again until there is an answer.
        """
        return _decode(self._patiently(method, path, once=once, json=fields), kind)

    def upload(self, path: str, blocks: Callable[[], Iterator[bytes]]) -> None:
        """Have the server keep a file; `blocks` gives what is in it, each time from its beginning."""
        self._patiently("PUT", path, blocks=blocks)

    def _patiently(
        self,
        method: str,
        path: str,
        *,
        once: bool = False,
        blocks: Callable[[], Iterator[bytes]] | None = None,
        **content: Any,
    ) -> bytes:
        again = {429, 503} if once else TRANSIENT
        for wait in (*WAITS, None):
            try:
                if blocks is not None:
                    content["content"] = blocks()
                answer = self._http.request(method, f"/api/2.0/{path}", **content)
                if answer.status_code not in again:
                    self._check(answer, path)
                    return answer.content
            except httpx.RequestError as problem:
                if once and not isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout):
                    break
            if wait is not None:
                time.sleep(wait)
        raise Unavailable(f"The server at {self.location} is")

    def _check(self, answer: httpx.Response, path: str) -> None:
        status = answer.status_code
        if status == 404:
            raise NotFound("answer", path)
        if status in (401, 403):
            names = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            raise Invalid(f"The server at {self.location} does not let you use {path}: set {names}")
        if status != 200:
            raise Invalid(f"The server at {self.location} answers {path} with status {status}{_reason(answer)}")

    def stream(self, path: str) -> Iterator[bytes]:
        """A file that the server keeps, block by block. It is asked for again only where nothing has come yet."""
        for wait in (*WAITS, None):
            has_come = False
            try:
                with self._opened(path) as answer:
                    if answer is not None:
                        for block in answer.iter_bytes(BLOCK):
                            has_come = True
                            yield block
                        return
            except httpx.RequestError:
                if has_come:
                    break
            if wait is not None:
                time.sleep(wait)
        raise Unavailable(f"The server at {self.location} is")

    @contextmanager
    def _opened(self, path: str) -> Iterator[httpx.Response | None]:
        """The answer to a GET as it comes; None where the server should be asked again."""
        with self._http.stream("GET", f"/api/2.0/{path}") as answer:
            if answer.status_code in TRANSIENT:
                yield None
            else:
                self._check(answer, path)
                yield answer


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise Invalid("The URL of the server is not one: use http://host:port") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Invalid("The URL of the server must be http://host:port or https://host")
    return parsed.copy_with(query=None, fragment=None)


class _Refusal(msgspec.Struct):
    message: str = ""


def _reason(answer: httpx.Response) -> str:
    """The first line of what the server says to its refusal, if it is anything that can be read."""
    if not answer.is_closed:
        return ""
    try:
        said = msgspec.json.decode(answer.content, type=_Refusal).message.splitlines()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return f": {said[0][:300]}" if said else ""


def _decode(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("What answers at that URL is no MLflow server: it speaks otherwise") from None
