"""Searching registered models and their versions: which are found, in what order, a page at a time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection, event

from native_api.core import clock, model_search, model_versions, registered_models
from native_api.core.access import Actor
from native_api.core.errors import Invalid
from native_api.core.model_versions import Origin
from native_api.core.registered_models import IS_PROMPT
from native_api.core.search import All, Attribute, Comparison, Condition, Metric, Not, Op, Some, SortKey, Tag
from tests.conftest import make_actor

NAME, VERSION = Attribute("name"), Attribute("version")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a second later."""
    seconds = count(1_000, 1_000)
    monkeypatch.setattr(clock, "now", lambda: next(seconds))


@pytest.fixture
def models(conn: Connection, actor: Actor) -> Actor:
    """Three models and a prompt: `b` has two versions, the others one each. Another project has one as well."""
    other = make_actor(conn, "two")
    registered_models.create(conn, other, other.project_id, "b")
    model_versions.create(conn, other, other.project_id, "b", Origin("s3://theirs/x", "s3://theirs/x", "r1"))
    p = actor.project_id
    for name, tags in (("b", {"team": "red"}), ("A", {"team": "blue", "k": "v"}), ("ä", {})):
        registered_models.create(conn, actor, p, name, tags=tags)
    registered_models.create(conn, actor, p, "hello", tags={IS_PROMPT: "true"})
    for name, source, run_id, tags in (
        ("b", "s3://one/x", "r1", {"k": "1"}),
        ("A", "s3://two/x", "r2", {"k": "2", "l": "1"}),
        ("b", "gs://Three/x", "", {}),
        ("ä", "s3://one/y", "r1", {}),
        ("hello", "dummy-source", "", {IS_PROMPT: "true"}),
    ):
        model_versions.create(conn, actor, p, name, Origin(source, source, run_id), tags=tags)
    return actor


def compare(field: Attribute | Tag, op: Op, value: str | int | tuple[str, ...]) -> Comparison:
    return Comparison(field, op, value)


TEAM, K = Tag("team"), Tag("k")
PROMPT = Tag(IS_PROMPT)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (None, "A b ä"),
        (compare(NAME, Op.EQ, "b"), "b"),
        (compare(NAME, Op.EQ, "a"), ""),
        (compare(NAME, Op.NE, "b"), "A ä"),
        (compare(NAME, Op.LIKE, "a%"), ""),
        (compare(NAME, Op.ILIKE, "a%"), "A"),
        (compare(NAME, Op.ILIKE, "Ä"), "ä"),
        (compare(NAME, Op.IN, ("b", "A", "never")), "A b"),
        (compare(NAME, Op.NOT_IN, ("b", "A")), "ä"),
        (compare(TEAM, Op.EQ, "red"), "b"),
        (compare(TEAM, Op.NE, "red"), "A"),
        (compare(TEAM, Op.LIKE, "%e%"), "A b"),
        (All((compare(TEAM, Op.NE, "red"), compare(K, Op.EQ, "v"))), "A"),
        (Some((compare(TEAM, Op.EQ, "red"), compare(NAME, Op.EQ, "ä"))), "b ä"),
        (Not(compare(TEAM, Op.EQ, "red")), "A ä"),
        (compare(NAME, Op.EQ, "hello"), ""),
    ],
)
def test_the_models_that_satisfy_a_condition(
    conn: Connection, models: Actor, condition: Condition | None, found: str
) -> None:
    page = model_search.find_models(conn, models, condition, [], 10, None)
    assert " ".join(model.name for model in page.items) == found
    assert all(model == registered_models.get(conn, models, model.project_id, model.name) for model in page.items)


def test_prompts_are_found_where_they_are_asked_for(conn: Connection, models: Actor) -> None:
    condition = compare(PROMPT, Op.EQ, "true")
    page = model_search.find_models(conn, models, condition, [], 10, None, prompts=True)
    assert [model.name for model in page.items] == ["hello"]
    versions = model_search.find_versions(conn, models, condition, [], 10, None, prompts=True)
    assert [version.name for version in versions.items] == ["hello"]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (None, "ä1 b2 A1 b1"),
        (compare(NAME, Op.EQ, "b"), "b2 b1"),
        (compare(NAME, Op.IN, ("A", "ä")), "ä1 A1"),
        (compare(VERSION, Op.EQ, 2), "b2"),
        (compare(VERSION, Op.LT, 2), "ä1 A1 b1"),
        (compare(VERSION, Op.LT, 10**30), "ä1 b2 A1 b1"),
        (compare(VERSION, Op.GE, 3), ""),
        (compare(Attribute("run_id"), Op.EQ, "r1"), "ä1 b1"),
        (compare(Attribute("run_id"), Op.NE, "r1"), "b2 A1"),
        (compare(Attribute("run_id"), Op.IN, ("r2", "r3")), "A1"),
        (compare(Attribute("source"), Op.LIKE, "s3://one/%"), "ä1 b1"),
        (compare(Attribute("source"), Op.ILIKE, "GS://three/_"), "b2"),
        (compare(K, Op.GE, "1"), "A1 b1"),
        (All((compare(K, Op.NE, "1"), compare(Tag("l"), Op.EQ, "1"))), "A1"),
        (Not(compare(K, Op.EQ, "1")), "ä1 b2 A1"),
    ],
)
def test_the_versions_that_satisfy_a_condition(
    conn: Connection, models: Actor, condition: Condition | None, found: str
) -> None:
    page = model_search.find_versions(conn, models, condition, [], 10, None)
    assert " ".join(f"{version.name}{version.version}" for version in page.items) == found
    assert all(
        version == model_versions.get(conn, models, version.project_id, version.name, version.version)
        for version in page.items
    )


def by(*names: str) -> list[SortKey]:
    return [SortKey(Attribute(name.lstrip("-")), name.startswith("-")) for name in names]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["name"], "A b ä"),
        (["-name"], "ä b A"),
        (["updated_at"], "A b ä"),
        (["-updated_at"], "ä b A"),
        (["created_at"], "b A ä"),
        (["-created_at", "name"], "ä A b"),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 10])
def test_models_in_order_a_page_at_a_time(
    conn: Connection, models: Actor, names: list[str], found: str, limit: int
) -> None:
    assert " ".join(everything(lambda token: find_model_names(conn, models, names, limit, token))) == found


def find_model_names(
    conn: Connection, actor: Actor, names: list[str], limit: int, token: str | None
) -> tuple[list[str], str | None]:
    page = model_search.find_models(conn, actor, None, by(*names), limit, token)
    assert len(page.items) <= limit
    return [model.name for model in page.items], page.next_token


def everything(find: Callable[[str | None], tuple[list[str], str | None]]) -> list[str]:
    found, token = find(None)
    while token:
        more, token = find(token)
        assert more
        found += more
    return found


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], "ä1 b2 A1 b1"),
        (["name"], "A1 b2 b1 ä1"),
        (["-name", "version"], "ä1 b1 b2 A1"),
        (["-version"], "b2 A1 b1 ä1"),
        (["version"], "A1 b1 ä1 b2"),
        (["created_at"], "b1 A1 b2 ä1"),
        (["updated_at"], "b1 A1 b2 ä1"),
    ],
)
@pytest.mark.parametrize("limit", [1, 3, 10])
def test_versions_in_order_a_page_at_a_time(
    conn: Connection, models: Actor, names: list[str], found: str, limit: int
) -> None:
    def find(token: str | None) -> tuple[list[str], str | None]:
        page = model_search.find_versions(conn, models, None, by(*names), limit, token)
        return [f"{version.name}{version.version}" for version in page.items], page.next_token

    assert " ".join(everything(find)) == found


def test_a_token_is_of_one_query_of_one_project(conn: Connection, models: Actor) -> None:
    token = model_search.find_models(conn, models, None, [], 1, None).next_token
    assert token
    for condition, order, prompts in (
        (compare(NAME, Op.NE, "x"), [], False),
        (None, by("-name"), False),
        (None, [], True),
    ):
        with pytest.raises(Invalid, match="token"):
            model_search.find_models(conn, models, condition, order, 1, token, prompts=prompts)
    with pytest.raises(Invalid, match="token"):
        model_search.find_models(conn, make_actor(conn, "three"), None, [], 1, token)
    with pytest.raises(Invalid, match="token"):
        model_search.find_versions(conn, models, None, [], 1, token)


def test_there_is_no_order_by_anything_else(conn: Connection, models: Actor) -> None:
    for key in (SortKey(Tag("k")), SortKey(Attribute("source")), SortKey(Metric(0, "m"))):
        with pytest.raises(Invalid, match="order"):
            model_search.find_models(conn, models, None, [key], 1, None)
        with pytest.raises(Invalid, match="order"):
            model_search.find_versions(conn, models, None, [key], 1, None)
    with pytest.raises(Invalid, match="metrics"):
        model_search.find_models(conn, models, Comparison(Metric(0, "m"), Op.EQ, 1), [], 1, None)
    with pytest.raises(Invalid, match="metrics"):
        model_search.find_versions(conn, models, Comparison(Metric(0, "m"), Op.EQ, 1), [], 1, None)


def test_several_projects_in_view_are_one_list(conn: Connection, models: Actor) -> None:
    other = make_actor(conn, "four")
    registered_models.create(conn, other, other.project_id, "b")
    both = Actor(models.user_id, "", {**models.projects, **other.projects}, models.scope)

    def find(token: str | None) -> tuple[list[str], str | None]:
        page = model_search.find_models(conn, both, None, [], 1, token)
        return [model.name for model in page.items], page.next_token

    assert everything(find) == ["A", "b", "b", "ä"]


# How they are found


def statements(conn: Connection, ask: Callable[[], object]) -> list[tuple[str, Any]]:
    """What SQLAlchemy sends to the database meanwhile, with what is bound to it."""
    sent: list[tuple[str, Any]] = []

    def note(_conn: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        sent.append((statement, parameters))

    event.listen(conn, "before_cursor_execute", note)
    try:
        ask()
    finally:
        event.remove(conn, "before_cursor_execute", note)
    return sent


R1, R2 = compare(Attribute("run_id"), Op.EQ, "r1"), compare(Attribute("run_id"), Op.IN, ("r1", "r2"))


@pytest.mark.parametrize(
    ("condition", "names", "index"),
    [
        (None, [], "model_versions USING INDEX ix_model_versions_project_id_updated_at"),
        (compare(NAME, Op.EQ, "b"), [], "registered_models USING INDEX sqlite_autoindex_registered_models_2"),
        (compare(NAME, Op.IN, ("b", "A")), [], "registered_models USING INDEX sqlite_autoindex_registered_models_2"),
        (None, ["name"], "registered_models USING INDEX sqlite_autoindex_registered_models_2"),
        (R1, [], "model_versions USING INDEX ix_model_versions_run_id"),
        (All((R2, compare(NAME, Op.NE, "A"))), [], "model_versions USING INDEX ix_model_versions_run_id"),
        (
            compare(Attribute("run_id"), Op.EQ, ""),
            [],
            "model_versions USING INDEX ix_model_versions_project_id_updated_at",
        ),
    ],
)
def test_sqlite_begins_with_the_index_that_gives_the_fewest(
    conn: Connection, models: Actor, condition: Condition | None, names: list[str], index: str
) -> None:
    if conn.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has statistics to go by")
    (sent,) = statements(conn, lambda: model_search.find_versions(conn, models, condition, by(*names), 10, None))
    plan = [row[-1] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sent[0]}", sent[1])]
    assert next(line for line in plan if line.startswith("SEARCH")).startswith(f"SEARCH {index}")
    assert not [line for line in plan if line.startswith(("SCAN model", "SCAN registered"))]
