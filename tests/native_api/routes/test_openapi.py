"""The OpenAPI document tells of every endpoint, and its page needs nothing but this server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest

from native_api.core.access import Scope
from native_api.core.access_tokens import Keys
from native_api.routes import openapi
from native_api.routes.auth import Accounts
from native_api.routes.endpoints import endpoints
from native_api.web.auth import Guard
from native_api.web.endpoint import Row
from tests.native_api.routes.conftest import Api

PAGES = ("/openapi.json", "/docs", "/docs/page.js", "/docs/page.css")


@cache
def rows() -> list[Row]:
    """The list, without the document and its page."""
    listed = endpoints(Accounts(Guard(Keys(["k" * 64]), is_open=True), 60, True), "mlflow-artifacts:/")
    return [row for row in listed if row.path not in PAGES]


@cache
def document() -> Any:
    return openapi.document(rows())


def operation(method: str, path: str) -> Any:
    return document()["paths"][f"/api{path}"][method]


def operations() -> Iterator[tuple[str, str, Any]]:
    for path, methods in document()["paths"].items():
        for method, found in methods.items():
            yield method, path, found


def parameters(found: Any, where: str) -> dict[str, Any]:
    return {parameter["name"]: parameter for parameter in found["parameters"] if parameter["in"] == where}


# The document


def test_every_row_is_an_operation() -> None:
    told = sorted((method.upper(), path) for method, path, _ in operations())
    assert told == sorted((row.method, f"/api{row.path}") for row in rows())


def test_every_operation_has_a_name_of_its_own_and_a_summary() -> None:
    names = [found["operationId"] for _, _, found in operations()]
    assert len(set(names)) == len(names) == len(rows())
    assert [found["operationId"] for _, _, found in operations() if not found["summary"]] == []


def test_every_path_parameter_is_told_of() -> None:
    for _, path, found in operations():
        assert list(parameters(found, "path")) == re.findall(r"{(\w+)}", path)
        assert all(parameter["required"] for parameter in parameters(found, "path").values())


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "$ref")
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_what_is_referred_to_is_there_and_nothing_else() -> None:
    named = {
        f"#/components/{kind}/{name}"
        for kind, things in document()["components"].items()
        if kind != "securitySchemes"
        for name in things
    }
    assert set(references(document())) == named


def test_no_two_schemas_want_the_same_name() -> None:
    assert [name for name in document()["components"]["schemas"] if not re.fullmatch(r"[A-Za-z]+", name)] == []


def test_every_request_body_says_that_nothing_else_is_taken() -> None:
    for _, path, found in operations():
        for kind, content in found.get("requestBody", {}).get("content", {}).items():
            schema = content["schema"]
            is_open = kind == "application/x-www-form-urlencoded" or schema["type"] == "array"
            assert is_open or schema["additionalProperties"] is False, path


def test_a_refusal_is_told_of_where_it_can_happen() -> None:
    for row in rows():
        found = operation(row.method.lower(), row.path)
        told = set(found["responses"])
        assert told >= {"422", "429", "503"}
        assert row.needs is Scope.PUBLIC or told >= {"401", "403"}
        assert bool(found["security"]) == (row.needs is not Scope.PUBLIC)
        assert ("413" in told) == ("requestBody" in found)
        assert "{" not in row.path or "404" in told


def test_the_fields_of_a_get_stand_in_the_query() -> None:
    found = operation("get", "/reports/experiments/{experiment_id}/leaderboard")
    query = parameters(found, "query")
    assert {name: parameter["required"] for name, parameter in query.items()} == {
        **{"metric_key": True, "scope": False, "limit": False, "cursor": False}
    }
    assert query["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert query["scope"]["schema"] == {"type": "string", "enum": ["train", "val", "test"]}
    assert query["scope"]["description"]
    answer = found["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/PageOfStanding"}


def test_the_fields_of_a_post_stand_in_the_body() -> None:
    found = operation("post", "/experiments")
    assert found["parameters"] == []
    body = found["requestBody"]
    assert body["required"]
    assert set(body["content"]["application/json"]["schema"]["required"]) == {"project_id", "name"}
    links = found["responses"]["201"]["links"]
    assert links["experiments_get"]["parameters"] == {"experiment_id": "$response.body#/experiment_id"}


def test_a_put_asks_for_nothing_and_has_no_defaults() -> None:
    body = operation("put", "/experiments/{experiment_id}")["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert not body["required"]
    assert "required" not in schema
    assert "experiment_id" not in schema["properties"]
    assert all("default" not in field for field in schema["properties"].values())


def test_a_body_may_be_a_list_or_a_form() -> None:
    points = operation("post", "/runs/{run_id}/metrics")["requestBody"]["content"]
    assert points["application/json"]["schema"]["type"] == "array"
    assert list(operation("post", "/auth/token")["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]
    assert list(operation("post", "/batch-import")["requestBody"]["content"]) == ["multipart/form-data"]


def test_a_delete_answers_without_content() -> None:
    assert operation("delete", "/runs/{run_id}")["responses"]["204"] == {"description": "No Content"}


# The pages


@pytest.mark.anyio
@pytest.mark.parametrize("path", PAGES)
async def test_the_pages_are_served_to_everybody(native_http: httpx.AsyncClient, path: str) -> None:
    answer = await native_http.get(f"/api{path}", headers={"Authorization": "Bearer unknown"})
    assert answer.status_code == 200
    kind = {"json": "application/json", "docs": "text/html", "js": "text/javascript", "css": "text/css"}
    assert answer.headers["content-type"].startswith(kind[path.rpartition(".")[2].rpartition("/")[2]])
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.anyio
async def test_the_document_is_the_one_of_the_list(api: Api) -> None:
    assert await api.get("/openapi.json") == document()


def test_the_page_asks_nobody_else_for_anything() -> None:
    files = {path.name: path.read_text() for path in openapi.FILES.iterdir()}
    assert {f"/docs/{name}" for name in files} - {"/docs/index.html"} == set(PAGES[2:])
    assert [name for name, text in files.items() if "://" in text or "@import" in text] == []
    assert re.findall(r'(?:src|href)="([^"]+)"', files["index.html"]) == [
        *("docs/page.css", "docs/page.js", "openapi.json", "openapi.json")
    ]


def test_the_page_takes_no_text_for_markup() -> None:
    script = (openapi.FILES / "page.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)
