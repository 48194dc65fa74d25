"""Problem -> (status, error_code); Pydantic error type -> MLflow's sentence."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from pydantic import ValidationError

from native_api.core import errors as e
from native_api.web.endpoint import Refusal

CODES: dict[type[e.Problem], tuple[int, str]] = {
    e.NotFound: (404, "RESOURCE_DOES_NOT_EXIST"),
    e.UnknownAlias: (400, "INVALID_PARAMETER_VALUE"),
    e.Invalid: (400, "INVALID_PARAMETER_VALUE"),
    e.Exists: (400, "RESOURCE_ALREADY_EXISTS"),
    e.Conflict: (400, "INVALID_PARAMETER_VALUE"),
    e.Unauthenticated: (401, "CUSTOMER_UNAUTHORIZED"),  # UNAUTHENTICATED makes clients before 2.9 fall over
    e.Forbidden: (403, "PERMISSION_DENIED"),
    e.TooLarge: (413, "INVALID_PARAMETER_VALUE"),
    e.Busy: (429, "RESOURCE_EXHAUSTED"),
    e.Unavailable: (503, "TEMPORARILY_UNAVAILABLE"),
    e.Unsupported: (501, "NOT_IMPLEMENTED"),
    e.NoSuchEndpoint: (404, "ENDPOINT_NOT_FOUND"),
    e.WrongMethod: (404, "ENDPOINT_NOT_FOUND"),
    e.TooManyAttempts: (401, "CUSTOMER_UNAUTHORIZED"),
}
"""Clients go by the code's name, and try again at 5xx or 429. MLflow's statuses are in its `exceptions.py`."""

UNEXPECTED = Refusal(
    500, b'{"error_code":"INTERNAL_ERROR","message":"Something unexpected went wrong; the server\'s log tells what."}'
)

MAX_SHOWN = 200


def refuse(error: Exception) -> Refusal:
    """The answer that tells an MLflow client of this error."""
    if not isinstance(error, e.Problem):
        return UNEXPECTED
    status, code = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
    headers = []
    if isinstance(error, e.Busy):
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if isinstance(error, e.Unauthenticated):
        headers.append((b"www-authenticate", b'Basic realm="mlflow"'))
    return Refusal(status, msgspec.json.encode({"error_code": code, "message": error.message}), headers)


def refuse_ui(error: Exception) -> Refusal:
    """The same for MLflow's UI, without the challenge at which a browser would ask for a password in its own way."""
    refusal = refuse(error)
    return refusal._replace(headers=[header for header in refusal.headers if header[0] != b"www-authenticate"])


def sentence(error: ValidationError) -> str:
    """The first thing that is wrong with a message, as MLflow words it."""
    found: Any = error.errors(include_url=False, include_context=True)[0]
    kind, value, where = found["type"], found["input"], _path(found["loc"])
    if not where:
        return "Invalid request: the body must be a JSON object."
    if kind == "missing" or value is None or (kind == "string_too_short" and value == ""):
        return (
            f"Missing value for required parameter '{where}'. "
            "See the API docs for more information about request parameters."
        )
    shown = _shown(value)
    limit = found.get("ctx", {})
    if kind == "string_too_long":
        return f"'{where}' exceeds the maximum length of {limit['max_length']} characters: {shown}"
    if kind in ("too_long", "too_short"):
        bound = f"most {limit['max_length']}" if kind == "too_long" else f"least {limit['min_length']}"
        return f"Invalid value for parameter '{where}' supplied: it must hold at {bound} items."
    return f"Invalid value {shown} for parameter '{where}' supplied: {found['msg']}."


def _path(loc: tuple[str | int, ...]) -> str:
    """`metrics[3].timestamp`; the branches of a union, which Pydantic names in it, are left out."""
    path = ""
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step.replace("_", "a").isalnum() and step not in ("int", "str"):
            path += f".{step}" if path else step
    return path


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
