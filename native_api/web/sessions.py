"""Sessions of browsers: an access token in a cookie that no script can read.

A second cookie, which scripts may read and delete, stands beside it, and without it the first does not count: that is
how MLflow's UI logs out. Both are sent only with requests that begin on a page of ours (SameSite=Lax).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Sessions:
    """The sessions of a server: so many minutes long, and sent to what is below `path` alone.

    The companion is for the whole host, as the UI deletes it there.
    """

    minutes: int
    path: str = "/"

    def begin(self, response: Response, request: Request, token: str, name: str) -> None:
        """Let the answer begin a session. Over HTTPS, as the browser sees it, it is for HTTPS only."""
        secure = request.headers.get("origin", "").startswith("https://")
        seconds = 60 * self.minutes
        response.set_cookie(SESSION, token, seconds, path=self.path, httponly=True, samesite="lax", secure=secure)
        response.set_cookie(COMPANION, quote(name), seconds, samesite="lax", secure=secure)

    def end(self, response: Response) -> None:
        """Let the answer end the browser's session."""
        response.delete_cookie(SESSION, self.path, httponly=True, samesite="lax")
        response.delete_cookie(COMPANION, samesite="lax")
