"""Filters and orders of the model registry, as text, against what they mean; and the rule of prompts in them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from native_api.core.errors import Invalid
from native_api.core.search import All, Attribute, Comparison, Condition, Field, Not, Op, Some, SortKey, Tag, Value
from shim.filters import (
    parse_model_version_filter,
    parse_model_version_order,
    parse_registered_model_filter,
    parse_registered_model_order,
)
from shim.registry_filters import of_models, of_versions

PROMPT = "tags.`mlflow.prompt.is_prompt`"
NAME, IS_PROMPT = Attribute("name"), Tag("mlflow.prompt.is_prompt")


def of(field: Field, op: Op, value: Value) -> Comparison:
    return Comparison(field, op, value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("name = 'a'", of(NAME, Op.EQ, "a")),
        ("attribute.name ilike 'A%'", of(NAME, Op.ILIKE, "A%")),
        ("name NOT IN ('a', 'b',)", of(NAME, Op.NOT_IN, ("a", "b"))),
        ("tag.`a b` != 'x'", of(Tag("a b"), Op.NE, "x")),
        ("tags.a.b LIKE '_'", of(Tag("a.b"), Op.LIKE, "_")),
        ("name = 'a' AND tags.k = 'v'", All((of(NAME, Op.EQ, "a"), of(Tag("k"), Op.EQ, "v")))),
        ("NOT (name = 'a' OR name = 'b')", Not(Some((of(NAME, Op.EQ, "a"), of(NAME, Op.EQ, "b"))))),
    ],
)
def test_a_filter_of_registered_models(text: str, expected: Condition | None) -> None:
    assert parse_registered_model_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version_number = 1", of(Attribute("version"), Op.EQ, 1)),
        ("version_number >= '12'", of(Attribute("version"), Op.GE, 12)),
        ("version_number != -3", of(Attribute("version"), Op.NE, -3)),
        ("run_id IN ('r')", of(Attribute("run_id"), Op.IN, ("r",))),
        ("source_path LIKE 's3://%'", of(Attribute("source"), Op.LIKE, "s3://%")),
        ("name = 'a'", of(NAME, Op.EQ, "a")),
        ("tags.k ILIKE 'v'", of(Tag("k"), Op.ILIKE, "v")),
    ],
)
def test_a_filter_of_versions(text: str, expected: Condition | None) -> None:
    assert parse_model_version_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name > 'a'", "Invalid comparator '>'"),
        ("name IS NULL", "Invalid comparator 'IS NULL'"),
        ("name = 5", "expected a quoted string value"),
        ("tags.a IS NOT NULL", "Invalid comparator 'IS NOT NULL'"),
        ("tags.a IN ('x')", "Invalid comparator 'IN'"),
        ("attributes.name = 'a'", "Invalid entity type 'attributes'"),
        ("params.a = 'x'", "Invalid entity type 'params'"),
        ("description = 'x'", "Invalid attribute key 'description'"),
        ("aliases = 'x'", "Invalid attribute key 'aliases'"),
    ],
)
def test_what_is_wrong_in_either_is_told(text: str, message: str) -> None:
    for parse in (parse_registered_model_filter, parse_model_version_filter):
        with pytest.raises(Invalid, match=message):
            parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version_number = 1.5", "expected a whole number"),
        ("version_number = 'one'", "expected a whole number"),
        ("version_number LIKE '1'", "Invalid comparator 'LIKE'"),
        ("source_path IN ('a')", "Invalid comparator 'IN'"),
        ("current_stage = 'None'", "Invalid attribute key"),
        ("creation_timestamp > 1", "Invalid attribute key"),
    ],
)
def test_what_is_wrong_about_versions_is_told(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_model_version_filter(text)
    with pytest.raises(Invalid):
        parse_registered_model_filter(text)


# Prompts


@pytest.mark.parametrize(
    ("text", "condition", "prompts"),
    [
        ("", None, False),
        ("name = 'a'", of(NAME, Op.EQ, "a"), False),
        (f"{PROMPT} != 'true'", All(()), False),
        (f"{PROMPT} = 'false'", All(()), False),
        (f"{PROMPT} LIKE '%' AND name = 'a'", All((of(NAME, Op.EQ, "a"),)), False),
        (f"name = 'a' AND {PROMPT} != 'TRUE'", All((of(NAME, Op.EQ, "a"),)), False),
        (f"{PROMPT} = 'true'", of(IS_PROMPT, Op.EQ, "true"), True),
        (f"{PROMPT} = 'True'", of(IS_PROMPT, Op.EQ, "True"), True),
        (f"{PROMPT} != 'false'", of(IS_PROMPT, Op.NE, "false"), True),
        (
            f"({PROMPT} = 'true') AND (name = 'a')",
            All((of(IS_PROMPT, Op.EQ, "true"), of(NAME, Op.EQ, "a"))),
            True,
        ),
        (f"{PROMPT} != 'true' AND {PROMPT} = 'true'", All(()), False),
        (
            f"{PROMPT} = 'true' AND {PROMPT} != 'true'",
            All((of(IS_PROMPT, Op.EQ, "true"), of(IS_PROMPT, Op.NE, "true"))),
            True,
        ),
    ],
)
def test_prompts_are_looked_for_where_the_filter_says_so(text: str, condition: Condition | None, prompts: bool) -> None:
    assert of_models(text) == of_versions(text) == (condition, prompts)


# Orders


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name", SortKey(NAME)),
        ("name DESC", SortKey(NAME, descending=True)),
        ("last_updated_timestamp asc", SortKey(Attribute("updated_at"))),
    ],
)
def test_an_order_of_either(text: str, expected: SortKey) -> None:
    assert parse_registered_model_order([text]) == parse_model_version_order([text]) == (expected,)


def test_the_orders_that_only_one_of_them_has() -> None:
    assert parse_registered_model_order(["timestamp"]) == (SortKey(Attribute("updated_at")),)
    assert parse_model_version_order(["creation_timestamp", "version_number DESC"]) == (
        SortKey(Attribute("created_at")),
        SortKey(Attribute("version"), descending=True),
    )
    for text in ("timestamp", "run_id", "source_path"):
        with pytest.raises(Invalid, match="Invalid attribute key"):
            parse_model_version_order([text])
    for text in ("creation_timestamp", "version_number"):
        with pytest.raises(Invalid, match="Invalid attribute key"):
            parse_registered_model_order([text])


def test_nothing_is_ordered_by_tags_or_twice_by_one_thing() -> None:
    for parse in (parse_registered_model_order, parse_model_version_order):
        with pytest.raises(Invalid, match="no order by"):
            parse(["tags.a"])
        with pytest.raises(Invalid, match="duplicate fields"):
            parse(["name", "name DESC"])
    with pytest.raises(Invalid, match="duplicate fields"):
        parse_registered_model_order(["timestamp", "last_updated_timestamp"])


PIECES = [
    "name",
    "version_number",
    "run_id",
    "tags.a",
    PROMPT,
    "=",
    "!=",
    "LIKE",
    "IN",
    "NOT",
    "(",
    ")",
    ",",
    "'x'",
    "1",
]


@settings(max_examples=300)
@given(
    st.text(max_size=40) | st.lists(st.sampled_from([*PIECES, "AND", "OR", "IS", "NULL"]), max_size=20).map(" ".join)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (of_models, of_versions):
        with contextlib.suppress(Invalid):
            read(text)
    for parse in (parse_registered_model_order, parse_model_version_order):
        with contextlib.suppress(Invalid):
            parse([text])
