"""The native surface: how its requests are read and its answers written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from native_api.core.access import Actor
from native_api.core.errors import Invalid
from native_api.routes.errors import refuse
from native_api.routes.messages import Form
from native_api.web.endpoint import Caller, Door, Incoming, Row, Surface

M = TypeVar("M", bound=BaseModel)

PREFIXES = ("/api",)
STATUSES = {"POST": 201, "DELETE": 204}
MAX_FIELDS = 1000


def surface(endpoints: Sequence[Row], identify: Callable[[Door, Caller], Awaitable[Actor]]) -> Surface:
    """The native API, for callers that are known in this way."""
    return Surface("native", PREFIXES, endpoints, read, render, refuse, STATUSES, identify)


def read(kind: type[BaseModel], incoming: Incoming) -> BaseModel:
    """The message in a request: its path, and the query of a GET or DELETE, the body of anything else."""
    try:
        fields = _query(incoming.query)
    except ValueError:
        raise Invalid("The query cannot be read: it must be UTF-8") from None
    if incoming.method not in ("GET", "DELETE"):
        if fields:
            raise Invalid(f"{next(iter(fields))}: this takes no query parameters")
        fields = _form(kind, incoming) if issubclass(kind, Form) else _body(kind, incoming)
    doubled = next((name for name in incoming.path_params if name in fields), None)
    if doubled:
        raise Invalid(f"{doubled}: stands in the path already")
    return validated(kind, fields | dict(incoming.path_params))


def validated(kind: type[M], fields: Mapping[str, Any]) -> M:
    """The message with these fields. Raises Invalid with the first that is wrong."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Invalid(f"{where}: {first['msg']}" if where else first["msg"]) from None


def _query(query: bytes, known: Container[str] | None = None) -> dict[str, Any]:
    """The parameters in a query; what is not among the known ones counts for nothing."""
    pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    if known is not None:
        pairs = [(name, value) for name, value in pairs if name in known]
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Invalid("The query gives a parameter twice")
    return fields


def _form(kind: type[Form], incoming: Incoming) -> dict[str, Any]:
    if _content_type(incoming) != b"application/x-www-form-urlencoded":
        raise Invalid("The content type must be application/x-www-form-urlencoded")
    try:
        return _query(incoming.body, kind.model_fields)
    except ValueError:
        raise Invalid("The form cannot be read") from None


def _body(kind: type[BaseModel], incoming: Incoming) -> dict[str, Any]:
    """The fields in a JSON body. One that says so takes the whole body, a list, as one field."""
    if not incoming.body.strip():
        return {}
    if _content_type(incoming) != b"application/json":
        raise Invalid("The content type must be application/json")
    try:
        body: Any = from_json(incoming.body, allow_inf_nan=False)
    except ValueError:
        raise Invalid("The body is no JSON") from None
    whole = _whole_body(kind)
    if whole:
        return {whole: body}
    if not isinstance(body, dict):
        raise Invalid("The body must be a JSON object")
    return body


@cache
def _whole_body(kind: type[BaseModel]) -> str | None:
    return getattr(kind, "body", None)


def _content_type(incoming: Incoming) -> bytes:
    return incoming.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def render(answer: object) -> bytes:
    """An answer as JSON; None is no content."""
    if answer is None:
        return b""
    assert isinstance(answer, BaseModel)
    return answer.model_dump_json().encode()
