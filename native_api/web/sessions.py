"""Sessions of browsers: an access token in a cookie that no script can read.

A second cookie, which scripts may read and delete, stands beside it, and without it the first does not count: that is
how MLflow's UI logs out. Both are sent only with requests that begin on a page of ours (SameSite=Lax).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import Request, cookie_parser
from starlette.responses import Response

SESSION = "mlflow_shim_session"
COMPANION = "mlflow_user"
"""The name is MLflow's: its UI deletes this cookie when its user logs out."""


def token_in(headers: Mapping[bytes, bytes]) -> str:
    """The access token of the session that a request belongs to; empty if it belongs to none."""
    found = _cookies(headers)
    return found.get(SESSION, "") if found.get(COMPANION) else ""


def abandoned_in(headers: Mapping[bytes, bytes]) -> str:
    """The access token of a session that the UI has left: its companion is gone. Empty if there is none."""
    found = _cookies(headers)
    return "" if found.get(COMPANION) else found.get(SESSION, "")


def _cookies(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    header = headers.get(b"cookie")
    return cookie_parser(header.decode("latin-1")) if header else {}


def begin(response: Response, request: Request, token: str, name: str, minutes: int) -> None:
    """Let the answer begin a session. Over HTTPS, as the browser sees it, it is for HTTPS only."""
    secure = request.headers.get("origin", "").startswith("https://")
    seconds = 60 * minutes
    response.set_cookie(SESSION, token, seconds, httponly=True, samesite="lax", secure=secure)
    response.set_cookie(COMPANION, quote(name), seconds, samesite="lax", secure=secure)


def end(response: Response) -> None:
    """Let the answer end the browser's session."""
    response.delete_cookie(SESSION, httponly=True, samesite="lax")
    response.delete_cookie(COMPANION, samesite="lax")
