"""Problem -> the native surface's status and body: `{"error": {"kind", "message"}}`."""

from __future__ import annotations

import msgspec

from native_api.core import errors as e
from native_api.web.endpoint import Refusal

STATUSES: dict[type[e.Problem], int] = {
    e.NotFound: 404,
    e.NoSuchEndpoint: 404,
    e.Invalid: 422,
    e.Exists: 409,
    e.Conflict: 409,
    e.Unauthenticated: 401,
    e.Forbidden: 403,
    e.TooLarge: 413,
    e.Busy: 429,
    e.Unavailable: 503,
    e.Unsupported: 501,
}


def refuse(error: Exception) -> Refusal:
    """The native answer that tells of this error."""
    if not isinstance(error, e.Problem):
        return Refusal(500, _body("Unexpected", "Something unexpected went wrong; the server's log tells what."))
    headers = [(b"retry-after", str(error.retry_after).encode())] if isinstance(error, e.Busy) else []
    return Refusal(STATUSES[type(error)], _body(type(error).__name__, error.message), headers)


def _body(kind: str, message: str) -> bytes:
    return msgspec.json.encode({"error": {"kind": kind, "message": message}})
