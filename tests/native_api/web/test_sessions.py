"""The cookies of a browser's session."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from starlette.requests import Request
from starlette.responses import Response

from native_api.web.sessions import Sessions, abandoned_in, token_in


def begun(sessions: Sessions, origin: str) -> SimpleCookie:
    request = Request({"type": "http", "method": "POST", "path": "/login", "headers": [(b"origin", origin.encode())]})
    response = Response()
    sessions.begin(response, request, "a.b.c", "ada@example.org")
    return SimpleCookie("\r\n".join(value.decode() for name, value in response.raw_headers if name == b"set-cookie"))


@pytest.mark.parametrize(("path", "origin"), [("/", "http://a.example"), ("/mlflow", "https://a.example")])
def test_a_session_is_for_its_path_and_over_https_for_https(path: str, origin: str) -> None:
    cookies = begun(Sessions(30, path), origin)
    session, companion = cookies["mlflow_shim_session"], cookies["mlflow_user"]
    assert (session.value, companion.value) == ("a.b.c", "ada%40example.org")
    assert (session["path"], companion["path"]) == (path, "/")
    assert (session["httponly"], companion["httponly"]) == (True, "")
    for cookie in (session, companion):
        assert (cookie["max-age"], cookie["samesite"]) == ("1800", "lax")
        assert bool(cookie["secure"]) is origin.startswith("https")


def test_the_end_of_a_session_is_for_the_same_paths() -> None:
    response = Response()
    Sessions(30, "/mlflow").end(response)
    session, companion = (value for name, value in response.raw_headers if name == b"set-cookie")
    assert session.startswith(b'mlflow_shim_session="";')
    assert b"Path=/mlflow;" in session
    assert companion.startswith(b'mlflow_user="";')
    assert b"Path=/;" in companion


@pytest.mark.parametrize(
    ("cookies", "token", "abandoned"),
    [
        (None, "", ""),
        (b"", "", ""),
        (b"other=1", "", ""),
        (b"mlflow_shim_session=t", "", "t"),
        (b"mlflow_shim_session=t; mlflow_user=", "", "t"),
        (b"mlflow_shim_session=t; mlflow_user=ada", "t", ""),
        (b"mlflow_user=ada; other=1; mlflow_shim_session=t", "t", ""),
        (b"mlflow_user=ada", "", ""),
        (b"\xff; mlflow_shim_session", "", ""),
    ],
)
def test_a_session_counts_only_beside_its_companion(cookies: bytes | None, token: str, abandoned: str) -> None:
    headers = {} if cookies is None else {b"cookie": cookies}
    assert (token_in(headers), abandoned_in(headers)) == (token, abandoned)
