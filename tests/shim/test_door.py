"""Every endpoint on both databases: what is wrong is refused in the shape of its surface, and writes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.routing import compile_path
from starlette.types import Message

from native_api.core import db, writer
from native_api.core import tables as t
from native_api.core.access import Scope
from native_api.core.access_tokens import Keys
from native_api.settings import Settings
from native_api.web import endpoint
from native_api.web.auth import Guard
from native_api.web.endpoint import Read, Row, Steps, Stream
from shim.app import create_app, surfaces
from tests.asgi import JSON, Caller
from tests.shim.doors import NOTHING, TRACKING, Door, check, make_target, valid
from tests.shim.test_wire import MALFORMED, QUERIES, VALUES

pytestmark = pytest.mark.anyio

T = TypeVar("T", str, bytes)

PROXY = "/api/2.0/mlflow-artifacts/artifacts"

some = bounded(max_examples=25, deadline=None)


# The application, its endpoints, and what is in its database and folder


@pytest.fixture(scope="module")
async def call(settings: Settings) -> AsyncIterator[Caller]:
    app = create_app(settings)
    async with app.lifespan():
        yield Caller(app)


@pytest.fixture(scope="module")
def every_door(settings: Settings) -> list[Door]:
    listed = surfaces(settings, Guard(Keys(["k" * 32]), is_open=True))
    return [
        Door(surface, prefix, row) for surface in listed for prefix in surface.prefixes for row in surface.endpoints
    ]


@pytest.fixture(scope="module")
def doors(every_door: list[Door]) -> list[Door]:
    """Those of MLflow's surface that take a message, each under its first prefix."""
    taking = [door for door in every_door if not isinstance(door.row, Stream) and door.surface.name != "native"]
    return list({(door.surface.name, door.row): door for door in reversed(taking)}.values())[::-1]


Contents = Callable[[], object]


@pytest.fixture(scope="module")
def contents(settings: Settings) -> Iterator[Contents]:
    """What the tables and the folder of artifacts hold."""
    engine = db.create_reader(db.parse_url(settings.database_url), 1)

    def read() -> object:
        with engine.connect() as conn:
            rows = {
                name: conn.execute(select(table).order_by(*table.primary_key)).all()
                for name, table in t.metadata.tables.items()
            }
        files = [path for path in Path(settings.artifacts_destination).rglob("*") if path.is_file()]
        return rows, sorted((path, path.stat().st_size) for path in files)

    yield read
    engine.dispose()


# The lists


def test_no_two_rows_have_the_same_method_and_path(every_door: list[Door]) -> None:
    named = [(door.row.method, door.prefix + door.row.path) for door in every_door]
    assert len(set(named)) == len(named)


def test_only_what_the_server_says_of_itself_and_coming_in_need_no_caller(every_door: list[Door]) -> None:
    public = {(door.row.method, door.path) for door in every_door if door.row.needs is Scope.PUBLIC}
    of_itself = {"/", "/health", "/ready", "/version", "/api/3.0/mlflow/server-info", "/api/openapi.json"}
    docs = {f"/api/docs{page}" for page in ("", "/page.css", "/page.js")}
    ui = {"/login", "/static-files/a.txt", "/ajax-api/2.0/mlflow/users/current"}
    coming_in = {"/login", "/logout", *(f"/api/auth/{way}" for way in ("register", "login", "token"))}
    assert public == {("GET", path) for path in of_itself | docs | ui} | {("POST", path) for path in coming_in}


def test_whatever_changes_something_needs_the_scope_to_write(every_door: list[Door]) -> None:
    about_oneself = {"/login", "/logout", "/users/update-password"}
    for door in every_door:
        if "/auth/" in door.path or door.row.path in about_oneself:
            continue
        if door.row.path.endswith("/presigned-download-url"):  # a POST that only reads
            continue
        has_steps = isinstance(door.row, Stream | Steps)
        changes = door.row.method != "GET" if has_steps else not isinstance(door.row, Read)
        assert (door.row.needs >= Scope.WRITE) is changes, door


# One wrong thing at a time

Schema = dict[str, Any]

LENIENT = {"status", "run_view_type", "view_type"}
"""Enums, whose unknown values count as absent."""


def bodies(door: Door, good: dict[str, Any]) -> Iterator[Any]:
    """Bodies like the good one, but for one thing that its message does not allow. The path is not in the body."""
    assert not isinstance(door.row, Stream)
    schema = door.row.message.model_json_schema()
    in_path = re.findall("{([a-z_]+)[:}]", door.row.path)
    fields = {name: inner for name, inner in schema.get("properties", {}).items() if name not in in_path}
    required = [name for name in schema.get("required", ()) if name not in in_path]
    return spoiled(schema | {"properties": fields, "required": required}, good, schema.get("$defs", {}))


def spoiled(schema: Schema, good: Any, named: dict[str, Schema]) -> Iterator[Any]:
    """Values like the good one, but for one thing that the schema does not allow."""
    kinds = {kind["type"]: kind for kind in _kinds(schema, named)}
    if kind := kinds.get("object"):
        yield from (5, True, "text", [])
        required, good = kind.get("required", ()), good or {}
        for name, inner in kind.get("properties", {}).items():
            others = {other: value for other, value in good.items() if other != name}
            if name in required:
                yield from (others, others | {name: None})
            if name not in LENIENT:
                yield from (others | {name: bad} for bad in spoiled(inner, good.get(name), named))
    elif kind := kinds.get("array"):
        yield from (5, True, "text", {}, [None])
        yield from ([*good, bad] for bad in spoiled(kind["items"], good[0], named))
        if "maxItems" in kind:
            yield good * (kind["maxItems"] // len(good) + 1)
        if "minItems" in kind:
            yield []
    elif kind := kinds.get("integer"):
        yield from ("text", "", "1.5", 1.5, "a\0", [], [1], {}, float("nan"), float("inf"), 10**400)
        yield from (f"{kind['minimum'] - 1}", kind["minimum"] - 1, kind["maximum"] + 1, f"{kind['maximum'] + 1}")
    elif "number" in kinds:
        yield from ("text", "", "1,5", [], [1], {})
    elif kind := kinds.get("string"):
        yield from (5, 1.5, True, [], ["text"], {}, "a\0b")
        if "maxLength" in kind:
            yield "x" * (kind["maxLength"] + 1)
        if "minLength" in kind:
            yield ""


def _kinds(schema: Schema, named: dict[str, Schema]) -> Iterator[Schema]:
    if "$ref" in schema:
        yield from _kinds(named[schema["$ref"].rpartition("/")[2]], named)
    elif "anyOf" in schema:
        bounds = {"minimum": schema["ge"], "maximum": schema.get("le", 2**31 - 1)} if "ge" in schema else {}
        for option in schema["anyOf"]:
            yield from (kind | bounds for kind in _kinds(option, named))
    else:
        yield schema


BEFORE = {"/experiments/restore": "/experiments/delete", "/runs/restore": "/runs/delete"}


async def test_a_request_with_one_wrong_thing_is_refused_and_writes_nothing(
    call: Caller, doors: list[Door], contents: Contents, subtests: pytest.Subtests
) -> None:
    for door in doors:
        with subtests.test(door=door):
            target = await make_target(call)
            good = valid(target)[door.row.path]
            if door.row.path in BEFORE:
                await call("POST", TRACKING + BEFORE[door.row.path], json.dumps(good).encode())
            before = contents()
            for bad in bodies(door, good):
                answer = await call(door.row.method, door.of(target), json.dumps(bad).encode())
                check(answer, door, 400)
                assert answer.json["error_code"] == "INVALID_PARAMETER_VALUE", (bad, answer)
            assert contents() == before
            answer = await call(door.row.method, door.of(target), json.dumps(good).encode())
            check(answer, door, door.status)  # it was the one thing that was wrong


async def test_what_is_no_json_object_is_refused(
    call: Caller, doors: list[Door], contents: Contents, subtests: pytest.Subtests
) -> None:
    before = contents()
    for door in doors:
        with subtests.test(door=door):
            for body in MALFORMED:
                check(await call(door.row.method, door.path, body), door, 400)
    assert contents() == before


async def test_a_post_that_does_not_say_it_sends_json_is_refused(
    call: Caller, doors: list[Door], contents: Contents
) -> None:
    body = b'{"experiment_ids": ["0"], "max_results": 1}'
    before = contents()
    for door in doors:
        for kind in ([], [(b"content-type", b"text/plain")], [(b"content-type", b"multipart/form-data; boundary=x")]):
            if door.row.method == "POST":
                check(await call("POST", door.path, body, headers=kind), door, 400)
    assert contents() == before


NAMED = {"run_id", "run_ids", "experiment_id", "experiment_ids"}
"""Fields that name what may not be there."""


def names_something(door: Door, good: dict[str, Any]) -> bool:
    """Whether the request is about a thing that has to be there."""
    if door.surface.name == "model registry":
        return "name" in good and door.row.path != "/registered-models/create"
    return bool(good.keys() & NAMED) or "{model_id}" in door.row.path


async def test_an_unknown_run_experiment_or_model_is_not_there(
    call: Caller, doors: list[Door], contents: Contents, subtests: pytest.Subtests
) -> None:
    """Searches and histories of what is not there are empty."""
    before = contents()
    for door in doors:
        good = valid(NOTHING)[door.row.path]
        if names_something(door, good):
            with subtests.test(door=door):
                answer = await call(door.row.method, door.path, json.dumps(good).encode())
                if re.search("search|history", door.row.path):
                    assert answer.status == 200
                    assert answer.json in ({}, {"metrics": []})
                else:
                    check(answer, door, 404)
                    assert answer.json["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert contents() == before


# Anything at all


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An endpoint, and fields of its good request with anything in their place."""
    path, good = draw(st.sampled_from(list(valid(NOTHING._replace(experiment="0")).items())))
    names = st.sampled_from([*good, "page_token", "runUuid"])
    return path, draw(st.dictionaries(names, VALUES, max_size=2))


CUTS = st.tuples(st.integers(0, 999), st.integers(0, 999))


def cut(text: T, places: tuple[int, int], between: T) -> T:
    """The text with something else between two places, given in thousandths of its length."""
    start, end = sorted(place * len(text) // 1000 for place in places)
    return text[:start] + between + text[end:]


@given(st.lists(changes(), min_size=1, max_size=6))
@some
async def test_whatever_is_sent_is_answered(
    call: Caller, doors: list[Door], contents: Contents, sent: list[tuple[str, dict[str, Any]]]
) -> None:
    """Good requests with some fields replaced by anything, one after another: those refused change nothing."""
    target = await make_target(call)
    before = contents()
    for path, changed in sent:
        door = next(door for door in doors if door.row.path == path)
        answer = await call(door.row.method, door.of(target), json.dumps(valid(target)[path] | changed).encode())
        check(answer, door)
        after = contents()
        assert answer.status == door.status or after == before
        before = after


@given(st.integers(0, 999), CUTS, st.binary(max_size=5))
@some
async def test_whatever_happened_to_a_body_on_its_way_it_is_answered(
    call: Caller, doors: list[Door], contents: Contents, number: int, places: tuple[int, int], between: bytes
) -> None:
    door = doors[number % len(doors)]
    target = await make_target(call)
    body = json.dumps(valid(target)[door.row.path]).encode()
    before = contents()
    answer = await call(door.row.method, door.of(target), cut(body, places, between))
    check(answer, door)
    assert answer.status == door.status or contents() == before


@given(st.lists(QUERIES, min_size=1, max_size=3))
@some
async def test_whatever_the_query_is_it_is_answered(
    call: Caller, every_door: list[Door], contents: Contents, queries: list[bytes]
) -> None:
    before = contents()
    for door in every_door:
        for query in queries:
            if door.row.method == "GET" and door.prefix == door.surface.prefixes[0]:
                check(await call("GET", door.path, query=query), door)
    assert contents() == before


KEYS = [
    *("metrics.m", "metrics.`val/m`", "params.p", 'tags."k"', "status", "start_time", "run_id", "run_name"),
    *("dataset.name", "attributes.end_time", "tags.`mlflow.note.content`"),
    *("name", "experiment_id", "creation_time", "last_update_time", "metrics.val/m", "model_id"),
]
WORDS = [
    *("=<>(),%_'\"`\\;\0é"),
    *("!=", ">=", "LIKE", "ILIKE", "IN", "NOT", "AND", "OR", "IS", "NULL", "IS NOT NULL", "DESC", "--", "/*"),
    *("0", "1.5", "-1e308", "1e999", "9" * 25, "NaN", "'v'", "'%v_'", "''", "'RUNNING'", "('a', 'b')", "(1,2)"),
]
COMPARISONS = st.tuples(st.sampled_from(KEYS), st.sampled_from(["=", "!=", ">", "<=", "LIKE", "ILIKE", "IN"]))
GRAMMAR = st.lists(
    st.sampled_from([*KEYS, *WORDS])
    | st.tuples(COMPARISONS, st.sampled_from(WORDS)).map(lambda parts: " ".join([*parts[0], parts[1]])),
    max_size=6,
).map(" ".join)


SEARCHES = ["/runs/search", "/experiments/search", "/logged-models/search"]


@given(st.sampled_from(SEARCHES), GRAMMAR, st.lists(GRAMMAR, max_size=2))
@some
async def test_whatever_a_filter_and_an_order_say_they_are_answered(
    call: Caller, doors: list[Door], path: str, text: str, order: list[str]
) -> None:
    door = next(door for door in doors if door.row.path == path)
    order_by = [{"field_name": name} for name in order] if path == "/logged-models/search" else order
    body = {"experiment_ids": ["0"], "max_results": 2, "filter": text, "order_by": order_by}
    check(await call("POST", TRACKING + path, json.dumps(body).encode()), door, 200, 400)


# Page tokens


Pages = dict[str, tuple[dict[str, Any], str]]


@pytest.fixture(scope="module")
async def pages(call: Caller) -> Pages:
    """A request to every list that has pages, and the token of its second page."""
    target = await make_target(call)
    for step in range(3):
        point = {"run_id": target.run, "key": "m", "value": step, "timestamp": step}
        await call("POST", TRACKING + "/runs/log-metric", json.dumps(point).encode())
        await call("POST", TRACKING + "/runs/create", json.dumps({"experiment_id": target.experiment}).encode())
    lists: dict[str, dict[str, Any]] = {
        "/runs/search": {"experiment_ids": [target.experiment], "order_by": ["metrics.m", "tags.k", "status"]},
        "/experiments/search": {"order_by": ["name"]},
        "/metrics/get-history": {"run_id": target.run, "metric_key": "m"},
    }
    found = {}
    for path, fields in lists.items():
        request = fields | {"max_results": 1}
        method = "GET" if "history" in path else "POST"
        found[path] = (
            request,
            (await call(method, TRACKING + path, json.dumps(request).encode())).json["next_page_token"],
        )
    return found


@given(st.lists(st.tuples(CUTS, st.text(st.sampled_from("ABab01-_=+/%\0é"), max_size=4)), min_size=1, max_size=5))
@some
async def test_a_token_that_was_tampered_with_is_refused_or_shows_a_page(
    call: Caller, doors: list[Door], pages: Pages, cuts: list[tuple[tuple[int, int], str]]
) -> None:
    for path, (request, token) in pages.items():
        door = next(door for door in doors if door.row.path == path)
        for places, between in cuts:
            body = request | {"page_token": cut(token, places, between)}
            check(await call(door.row.method, door.path, json.dumps(body).encode()), door, 200, 400)


async def test_a_token_of_one_list_is_refused_by_another(call: Caller, doors: list[Door], pages: Pages) -> None:
    for path, (request, own) in pages.items():
        door = next(door for door in doors if door.row.path == path)
        for token in {token for _, token in pages.values()} - {own} | {"x", "AAAA", "e30=", own[:-4]}:
            body = json.dumps(request | {"page_token": token}).encode()
            check(await call(door.row.method, door.path, body), door, 400)


# Size


async def test_a_body_that_is_announced_as_too_large_is_refused_unread(
    call: Caller, doors: list[Door], contents: Contents
) -> None:
    before = contents()
    for door in doors:
        for length in (b"%d" % (endpoint.MAX_BODY + 1), b"9" * 30, b"9" * 5000, b"-1", b"x", b""):
            answer = await call(door.row.method, door.path, b"{}", headers=[JSON, (b"content-length", length)])
            check(answer, door, 413)
    assert contents() == before


async def test_a_body_without_a_length_is_read_to_its_end_or_to_the_limit(
    call: Caller, doors: list[Door], contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "MAX_BODY", 10_000)
    for door in doors:
        target = await make_target(call)
        good = json.dumps(valid(target)[door.row.path]).encode()
        if door.row.path in BEFORE:
            await call("POST", TRACKING + BEFORE[door.row.path], good)
        before = contents()
        for parts in ([good, b" " * 10_000], [b" " * 10_001], [b" " * 100] * 101):
            check(await call(door.row.method, door.of(target), parts), door, 413)
        assert contents() == before
        check(await call(door.row.method, door.of(target), [good[:5], b"", good[5:], b" " * 5000]), door, door.status)


async def test_a_body_that_breaks_off_does_nothing(call: Caller, doors: list[Door], contents: Contents) -> None:
    """Least of all what an empty one asks for: a run in the experiment Default."""
    before = contents()
    for door in doors:
        for parts in ([], [b""], [b" "]):
            arriving: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
            arriving.append({"type": "http.disconnect"})
            check(await call.send(door.row.method, door.path, arriving), door, 400)
    assert contents() == before


async def test_when_there_is_too_much_to_do_the_caller_is_told_when_to_come_again(
    call: Caller, doors: list[Door], contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "MAX_READS_WAITING", 0)
    monkeypatch.setattr(writer, "MAX_WAITING", 0)
    before = contents()
    for door in doors:
        if door.row.needs is Scope.PUBLIC or door.status == 403:  # which asks nothing of the database
            continue
        body = json.dumps(valid(NOTHING._replace(experiment="0"))[door.row.path]).encode()
        answer = await call(door.row.method, door.path, body)
        check(answer, door, 429)
        assert (answer.json["error_code"], answer.headers[b"retry-after"]) == ("RESOURCE_EXHAUSTED", b"1")
    assert contents() == before


# Who asks, and from where


async def test_what_no_list_names_is_an_unknown_endpoint(
    call: Caller, every_door: list[Door], contents: Contents
) -> None:
    """Other methods too, and in JSON: clients go back to older endpoints only at this code. Natively they are 405."""
    known = [(door.row.method, compile_path(door.prefix + door.row.path)[0]) for door in every_door]
    before = contents()
    for door in every_door:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "NONSENSE"):
            others = [] if "{" in door.row.path else [door.path + "x", door.path.upper(), "/" + door.path]
            for path in (door.path, *others):
                if not any(method == its_method and pattern.match(path) for its_method, pattern in known):
                    is_native = door.surface.name == "native" and path == door.path
                    answer = await call(method, path)
                    check(answer, door, 405 if is_native else 404)
                    code = "METHOD_NOT_ALLOWED" if is_native else "ENDPOINT_NOT_FOUND"
                    assert answer.json["error_code"] == code
    assert contents() == before


@given(st.text(max_size=20), st.sampled_from(["", "/", "/api", TRACKING, TRACKING + "/runs", PROXY + "x", "/api/2.0"]))
@some
async def test_any_other_path_is_an_unknown_endpoint(call: Caller, rest: str, start: str) -> None:
    answer = await call("POST", start + rest)
    assert answer.status == 404
    assert answer.json["error_code"] == "ENDPOINT_NOT_FOUND"


async def test_a_request_to_a_foreign_host_is_refused(call: Caller, every_door: list[Door], contents: Contents) -> None:
    """A browser's, led here by a name that somebody points at this machine."""
    before = contents()
    for door in every_door:
        for host in (
            b"evil.example",
            b"localhost.evil.example",
            b"127.0.0.1.evil.example:5000",
            b"evil@localhost",
            b"",
        ):
            answer = await call(door.row.method, door.path, headers=[(b"host", host), JSON])
            check(answer, door, door.status if door.row.needs is Scope.PUBLIC and door.row.method == "GET" else 403)
    assert contents() == before


async def test_a_write_from_a_page_of_another_site_is_refused(
    call: Caller, every_door: list[Door], contents: Contents
) -> None:
    before = contents()
    for door in every_door:
        for origin in (b"https://evil.example", b"null", b"http://localhost.evil.example", b"file://"):
            if door.row.method != "GET":
                check(await call(door.row.method, door.path, headers=[(b"origin", origin), JSON]), door, 403)
    assert contents() == before


async def test_credentials_that_are_presented_count_and_none_are_known(
    call: Caller, every_door: list[Door], contents: Contents
) -> None:
    before = contents()
    for door in every_door:
        for value in (b"Basic YTpi", b"Basic YQ==", b"Basic", b"Bearer x", b"Bearer mls_x", b"Negotiate x", b" "):
            answer = await call(door.row.method, door.path, headers=[(b"authorization", value), JSON])
            many = [429] if value == b"Basic YTpi" and door.surface.name == "native" else []
            check(answer, door, *([door.status, 422] if door.row.needs is Scope.PUBLIC else [401, *many]))
    assert contents() == before


async def test_an_unknown_workspace_is_not_there(call: Caller, every_door: list[Door], contents: Contents) -> None:
    """Calls to the native surface, of the UI about all workspaces and to the workspaces themselves are made in none."""
    before = contents()
    for door in every_door:
        if door.surface.name in ("native", "workspaces", "UI 2.0", "UI 3.0"):
            continue
        statuses = [door.status if door.row.needs is Scope.PUBLIC else 404]
        statuses += [429] if door.status == 401 else []  # who logs in wrongly so often has to wait
        for name in ("other", "default2", "ÿþ", "d" * 5000):
            headers = [(b"x-mlflow-workspace", name.encode("latin-1")), JSON]
            check(await call(door.row.method, door.path, headers=headers), door, *statuses)
            check(await call(door.row.method, f"/workspaces/{name}{door.path}"), door, *statuses)
        for name in ("a\0b", " ", "..", "é", "€"):
            check(await call(door.row.method, f"/workspaces/{name}{door.path}"), door, *statuses)
    assert contents() == before
    for value in (b"default", b" ", b""):
        headers = [(b"x-mlflow-workspace", value)]
        assert (await call("GET", TRACKING + "/experiments/get", b"", b"experiment_id=0", headers)).status == 200


async def test_every_prefix_of_a_surface_gives_the_same(call: Caller, every_door: list[Door]) -> None:
    """The UI's too, which is a surface of its own only for how it refuses callers whom nobody knows."""
    firsts: dict[tuple[str, Row], Door] = {}
    for door in every_door:
        first = firsts.setdefault((door.surface.name, door.row), door)
        if door.prefix != first.prefix and door.row.method == "GET":
            query = b"run_id=" + b"e" * 32 + b"&experiment_id=0&metric_key=m&path=a&run_ids=a&max_results=1"
            answers = [await call("GET", path, query=query) for path in (door.path, first.path)]
            assert answers[0] == answers[1]


# Files

BAD_KEYS = [
    *("..", "../a", "a/../b", "a/..", "/etc/passwd", "C:/a", "a\\b", "a\0b", "a#b", "x" * 300, "x/" * 2000),
    *("%2e%2e/a", "%252e%252e/a", "..%2fa", "a/%00", "%5c"),
]


KEYED = ("/artifacts", "/artifacts/list", "/get-artifact")


async def test_a_key_that_is_not_safe_is_refused_and_nothing_is_stored(
    call: Caller, every_door: list[Door], contents: Contents
) -> None:
    run = (await make_target(call)).run
    before = contents()
    for door in every_door:
        for key in BAD_KEYS:
            if "{path" in door.row.path:
                check(await call(door.row.method, f"{door.prefix}/artifacts/{key}", b"bytes"), door, 400, 404)
            elif door.surface.name != "native" and door.row.path in KEYED:
                query = f"run_id={run}&path={quote(key)}".encode()
                check(await call(door.row.method, door.path, query=query), door, 400, 404)
    assert contents() == before


async def test_the_files_of_an_unknown_run_are_not_there(
    call: Caller, every_door: list[Door], contents: Contents
) -> None:
    before = contents()
    for door in every_door:
        if door.row.path in ("/artifacts/list", "/get-artifact"):
            check(await call("GET", door.path, query=b"path=a&run_id=" + b"f" * 32), door, 404)
            for query in (b"", b"path=a", b"path=a&run_id=", b"path=a&run_id=%00", b"run_id=a&path=%ff"):
                check(await call("GET", door.path, query=query), door, 400)
    assert contents() == before


NAMES = st.sampled_from([".", "..", "", "a", "a.txt", "é", "%41", "a b", "f" * 32, "artifacts"]) | st.text(max_size=5)


@given(st.booleans(), st.lists(NAMES, min_size=1, max_size=4).map("/".join))
@some
async def test_whatever_the_key_of_a_file_is_it_is_answered(
    call: Caller, every_door: list[Door], contents: Contents, in_run: bool, key: str
) -> None:
    target = await make_target(call)
    root = f"{target.experiment}/{target.run}/artifacts/" if in_run else ""
    before = contents()
    answers = []
    for method in ("PUT", "GET", "DELETE"):
        door = next(door for door in every_door if door.row.method == method and "{path" in door.row.path)
        answers.append(await call(method, f"{PROXY}/{root}{key}", b"bytes"))
        check(answers[-1], door)
    assert any(answer.status == 200 for answer in answers) or contents() == before
