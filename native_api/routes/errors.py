"""Problem -> the native surface's status and body: `{"error_code", "message"}`, fields as on the MLflow surface."""

from __future__ import annotations

import msgspec

from native_api.core import errors as e
from native_api.web.endpoint import Refusal

CODES: dict[type[e.Problem], tuple[int, str]] = {
    e.NotFound: (404, "NOT_FOUND"),
    e.UnknownAlias: (404, "NOT_FOUND"),
    e.NoSuchEndpoint: (404, "ENDPOINT_NOT_FOUND"),
    e.WrongMethod: (405, "METHOD_NOT_ALLOWED"),
    e.Invalid: (422, "INVALID"),
    e.Exists: (409, "ALREADY_EXISTS"),
    e.Conflict: (409, "CONFLICT"),
    e.Unauthenticated: (401, "UNAUTHENTICATED"),
    e.Forbidden: (403, "FORBIDDEN"),
    e.TooLarge: (413, "TOO_LARGE"),
    e.Busy: (429, "BUSY"),
    e.TooManyAttempts: (429, "TOO_MANY_ATTEMPTS"),
    e.Unavailable: (503, "UNAVAILABLE"),
    e.Unsupported: (501, "UNSUPPORTED"),
}
"""ENDPOINT_NOT_FOUND is what an MLflow client understands that asks at an unknown version of its own API."""


def refuse(error: Exception) -> Refusal:
    """The native answer that tells of this error."""
    if not isinstance(error, e.Problem):
        return Refusal(500, _body("INTERNAL_ERROR", "Something unexpected went wrong; the server's log tells what."))
    status, code = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
    headers = []
    if isinstance(error, e.Busy | e.TooManyAttempts):
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if isinstance(error, e.Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    if isinstance(error, e.WrongMethod):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    return Refusal(status, _body(code, error.message), headers)


def _body(code: str, message: str) -> bytes:
    return msgspec.json.encode({"error_code": code, "message": message})
