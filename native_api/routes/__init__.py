"""The native surface: its API as one list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from native_api.core.access import Actor, Scope
from native_api.core.errors import Invalid
from native_api.routes import runs
from native_api.routes.errors import refuse
from native_api.web.endpoint import Incoming, Read, Row, Surface

READ = Scope.READ

PREFIXES = ("/api",)
STATUSES = {"POST": 201, "DELETE": 204}

ENDPOINTS: Sequence[Row] = [
    Read("GET", "/runs/{run_id}", runs.OfRun, runs.get, READ),
]


def surface(identify: Callable[[Mapping[bytes, bytes]], Actor]) -> Surface:
    """The native API, for callers that are known in this way."""
    return Surface("native", PREFIXES, ENDPOINTS, read, render, refuse, STATUSES, identify)


def read(kind: type[BaseModel], incoming: Incoming) -> BaseModel:
    """The message in a request: its path, query and JSON body, merged; the path counts first."""
    try:
        body: Any = from_json(incoming.body) if incoming.body.strip() else {}
        query = dict(parse_qsl(incoming.query.decode("ascii"), keep_blank_values=True, errors="strict"))
    except ValueError:
        raise Invalid("The request is not readable: the body must be JSON, the query UTF-8") from None
    if not isinstance(body, dict):
        raise Invalid("The body must be a JSON object")
    try:
        return kind.model_validate(body | query | dict(incoming.path_params))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise Invalid(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def render(answer: object) -> bytes:
    """An answer as JSON."""
    assert isinstance(answer, BaseModel)
    return answer.model_dump_json().encode()
