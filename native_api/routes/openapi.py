"""The OpenAPI document of the native surface, made from its list, and the page that shows it and tries it out."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

from anyio.to_thread import run_sync
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from native_api.core.access import Actor, Scope
from native_api.routes import PREFIXES, STATUSES
from native_api.routes.messages import Error, Form
from native_api.web.endpoint import Door, Row, Stream

Json = dict[str, Any]

DESCRIPTION = """\
Experiments, runs, metrics and what belongs to them, in the projects of organizations.

Times are ISO 8601 in UTC, ids are UUIDs. A list answers one page: `items`, and the `next_cursor` to ask for more with.
A `PUT` changes only the fields that are sent. What a caller may not see does not exist: 404. On a server in access mode
*open*, a caller without credentials acts as its local owner.
"""

# The document


def document(rows: Sequence[Row]) -> Json:
    """The OpenAPI 3.1 document of these rows."""
    schemas = _Schemas(rows)
    paths: dict[str, Json] = {}
    for row in rows:
        paths.setdefault(PREFIXES[0] + row.path, {})[row.method.lower()] = _operation(row, rows, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "mlflow-shim", "version": version("mlflow-shim"), "description": DESCRIPTION},
        "tags": [{"name": name} for name in dict.fromkeys(map(_tag, rows))],
        "paths": paths,
        "components": {
            "schemas": schemas.shared,
            "responses": {str(status.value): _refusal(status, words) for status, words in REFUSALS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An access token or an API token"},
                "basic": {"type": "http", "scheme": "basic", "description": "Email, and password or API token"},
            },
        },
    }


def _operation(row: Row, rows: Sequence[Row], schemas: _Schemas) -> Json:
    handler = _handler(row)
    summary, _, rest = (inspect.getdoc(handler) or "").partition("\n")
    operation: Json = {
        "operationId": _id(row),
        "tags": [_tag(row)],
        "summary": summary.removesuffix("."),
        "parameters": [],
        "responses": {},
        "security": [] if row.needs is Scope.PUBLIC else [{"bearer": []}, {"basic": []}],
    }
    if rest.strip():
        operation["description"] = rest.strip()
    message = _message(row)
    if message is not None:
        operation |= _request(row, message, schemas.requests[message])
    answer = _answer(row)
    status = HTTPStatus(_status(row, answer))
    operation["responses"][str(status.value)] = {"description": status.phrase}
    if answer:
        content = {"application/json": {"schema": schemas.answers[answer]}}
        operation["responses"][str(status.value)]["content"] = content
        if status is HTTPStatus.CREATED and (links := _links(answer, rows)):
            operation["responses"][str(status.value)]["links"] = links
    for refusal in _refusals(row, operation):
        operation["responses"][str(refusal.value)] = {"$ref": f"#/components/responses/{refusal.value}"}
    return operation


def _handler(row: Row) -> Callable[..., object]:
    """The function that tells of the handler, of which some arguments may be given already."""
    return row.handler.func if isinstance(row.handler, partial) else row.handler


def _id(row: Row) -> str:
    handler = _handler(row)
    return f"{handler.__module__.rpartition('.')[2]}_{handler.__name__}"


def _tag(row: Row) -> str:
    return row.path.split("/")[1]


def _message(row: Row) -> type[BaseModel] | None:
    return row.form if isinstance(row, Stream) else row.message


def _answer(row: Row) -> type[BaseModel] | None:
    """What the row answers with; None for no content."""
    if isinstance(row, Stream):
        return row.answers
    answer: type[BaseModel] | type[None] = get_type_hints(_handler(row))["return"]
    if issubclass(answer, BaseModel):
        return answer
    assert answer is type(None), f"{row.method} {row.path} does not say what it answers"
    return None


def _status(row: Row, answer: type[BaseModel] | None) -> int:
    if answer is None:
        return 204
    return getattr(row, "status", None) or STATUSES.get(row.method, 200)


def _links(made: type[BaseModel], rows: Sequence[Row]) -> Json:
    """What can be asked about a thing once it is made: by its id, which is its first field."""
    key = next(iter(made.model_fields))
    parameters = {key: f"$response.body#/{key}"}
    return {_id(row): {"operationId": _id(row), "parameters": parameters} for row in rows if f"{{{key}}}" in row.path}


# Requests


def _request(row: Row, message: type[BaseModel], schema: Json) -> Json:
    """Where the fields of a message stand: in the path, the query, or the body."""
    fields, required = schema.get("properties", {}), schema.get("required", [])
    in_path = [name for name in fields if f"{{{name}}}" in row.path]
    parameters = [_parameter("path", name, fields[name], True) for name in in_path]
    others = [name for name in fields if name not in in_path]
    if row.method in ("GET", "DELETE"):
        parameters += [_parameter("query", name, fields[name], name in required) for name in others]
        return {"parameters": parameters}
    if not others:
        return {"parameters": parameters}
    needed = [name for name in others if name in required]
    if row.method == "PUT":  # what is not sent stays as it is
        fields = {name: {key: value for key, value in fields[name].items() if key != "default"} for name in fields}
    whole: str | None = getattr(message, "body", None)
    body = (
        fields[whole]
        if whole
        else {key: value for key, value in schema.items() if key not in ("properties", "required")}
        | {"properties": {name: fields[name] for name in others}}
        | ({"required": needed} if needed else {})
    )
    if isinstance(row, Stream):
        kind = "multipart/form-data"
    else:
        kind = "application/x-www-form-urlencoded" if issubclass(message, Form) else "application/json"
    return {"parameters": parameters, "requestBody": {"required": bool(needed), "content": {kind: {"schema": body}}}}


def _parameter(where: str, name: str, schema: Json, required: bool) -> Json:
    """A parameter; being text, it may be left out but cannot be null."""
    shown = dict(schema)
    choices = [choice for choice in shown.pop("anyOf", []) if choice != {"type": "null"}]
    shown |= choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {}
    if shown.get("default", 0) is None:
        del shown["default"]
    parameter: Json = {"name": name, "in": where, "required": required, "schema": shown}
    if "description" in shown:
        parameter["description"] = shown.pop("description")
    return parameter


# Refusals

REFUSALS = {
    HTTPStatus.UNAUTHORIZED: "The credentials are missing, unknown, or no longer good",
    HTTPStatus.FORBIDDEN: "The caller may not do this",
    HTTPStatus.NOT_FOUND: "Something named here does not exist, or the caller may not see it",
    HTTPStatus.CONFLICT: "A unique name is taken, or the state of the thing does not allow this",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request is larger than this server takes",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Something in the request is wrong; the message says what and where",
    HTTPStatus.TOO_MANY_REQUESTS: "The server is busy, or there were too many failed logins; nothing was done",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database cannot be reached just now; nothing was done",
}


def _refusal(status: HTTPStatus, words: str) -> Json:
    headers = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
    return {
        "description": words,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        **({"headers": headers} if status is HTTPStatus.TOO_MANY_REQUESTS else {}),
    }


def _refusals(row: Row, operation: Json) -> Iterator[HTTPStatus]:
    """What the row can answer instead. (405 and 500 belong to no operation.)"""
    changes = row.method != "GET"
    if row.needs is not Scope.PUBLIC or changes:  # those that need nobody and change something take credentials
        yield HTTPStatus.UNAUTHORIZED
        yield HTTPStatus.FORBIDDEN
    if '"format": "uuid"' in json.dumps([operation["parameters"], operation.get("requestBody")]):
        yield HTTPStatus.NOT_FOUND
    if changes:
        yield HTTPStatus.CONFLICT
    if "requestBody" in operation:
        yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    yield HTTPStatus.UNPROCESSABLE_ENTITY
    yield HTTPStatus.TOO_MANY_REQUESTS
    yield HTTPStatus.SERVICE_UNAVAILABLE


# Schemas


class _Generator(GenerateJsonSchema):
    """Schemas without titles, which would only repeat names; a `Page[Run]` is named PageOfRun."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def normalize_name(self, name: str) -> str:
        return super().normalize_name(name.replace("[", "Of").replace("]", ""))


class _Schemas:
    """The schemas of all messages and answers. What any of them names stands in `shared`, once."""

    def __init__(self, rows: Sequence[Row]) -> None:
        messages = _distinct(_message(row) for row in rows)
        answers = _distinct([Error, *(_answer(row) for row in rows)])
        wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
            *((message, "validation") for message in messages),
            *((answer, "serialization") for answer in answers),
        ]
        named, definitions = models_json_schema(
            wanted, ref_template="#/components/schemas/{model}", schema_generator=_Generator
        )
        shared: Json = definitions["$defs"]
        self.answers: Mapping[type[BaseModel], Json] = {answer: named[answer, "serialization"] for answer in answers}
        self.requests: dict[type[BaseModel], Json] = {}
        for message in messages:
            # A request belongs to one operation, which takes it apart into parameters and body.
            name = named[message, "validation"]["$ref"].rpartition("/")[2]
            self.requests[message] = shared.pop(name)
            del self.requests[message]["title"]
        for schema in shared.values():
            schema.pop("title", None)
        self.shared = shared


def _distinct(models: Iterable[type[BaseModel] | None]) -> list[type[BaseModel]]:
    return [model for model in dict.fromkeys(models) if model is not None]


# The pages

FILES = Path(__file__).parent / "docs"
POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("connect", "img", "script", "style")),
        *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
    ]
)


def pages(rows: Sequence[Row]) -> list[Row]:
    """The document of these rows, and an interactive page that shows it and asks no other server for anything."""
    return [
        Stream("GET", "/openapi.json", _give_document(rows), Scope.PUBLIC),
        Stream("GET", "/docs", _give((FILES / "index.html").read_bytes(), "text/html"), Scope.PUBLIC),
        Stream("GET", "/docs/page.js", _give((FILES / "page.js").read_bytes(), "text/javascript"), Scope.PUBLIC),
        Stream("GET", "/docs/page.css", _give((FILES / "page.css").read_bytes(), "text/css"), Scope.PUBLIC),
    ]


def _give_document(rows: Sequence[Row]) -> Callable[[Door, Actor, Request], Any]:
    """It takes a tenth of a second to make, which is for the first who asks, and holds up nobody else."""

    @cache
    def text() -> bytes:
        return json.dumps(document(rows), ensure_ascii=False, separators=(",", ":")).encode()

    async def give(_: Door, __: Actor, request: Request) -> Response:
        return _response(await run_sync(text), "application/json")

    return give


def _give(content: bytes, media_type: str) -> Callable[[Door, Actor, Request], Any]:
    async def give(_: Door, __: Actor, request: Request) -> Response:
        return _response(content, media_type)

    return give


def _response(content: bytes, media_type: str) -> Response:
    headers = {"content-security-policy": POLICY, "cache-control": "no-cache"}
    return Response(content, media_type=media_type, headers=headers)
