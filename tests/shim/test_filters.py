"""MLflow's filters and orders, as text, against what they mean."""

from __future__ import annotations

import contextlib
import math
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from native_api.core.errors import Invalid
from native_api.core.search import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    All,
    Attribute,
    Comparison,
    Condition,
    Field,
    Input,
    Metric,
    Not,
    Op,
    Param,
    Some,
    SortKey,
    Tag,
    Value,
)
from shim import metric_names, reserved_tags
from shim.filters import (
    parse_experiment_filter,
    parse_experiment_order,
    parse_model_filter,
    parse_model_order,
    parse_run_filter,
    parse_run_order,
)
from shim.grammar import MAX_PATTERN, MAX_TEXT

A = Comparison(Metric(0, "a"), Op.GT, 1.0)
B = Comparison(Metric(0, "b"), Op.LT, 2.0)
C = Comparison(Tag("c"), Op.IS_NULL)


def of(field: Field, op: Op, value: Value = None) -> Comparison:
    return Comparison(field, op, value)


COMPARISONS = [
    # identifiers
    ("metrics.a > 1", A),
    ("metric.a > 1", A),
    ("metrics.`a` > 1", A),
    ('metrics."a" > 1', A),
    ("metrics.'a' > 1", A),
    ("`metrics`.a > 1", A),
    ("metrics.A > 1", of(Metric(0, "A"), Op.GT, 1.0)),
    ("metrics.1a > 1", of(Metric(0, "1a"), Op.GT, 1.0)),
    ("metrics.`a b/c-d` > 1", of(Metric(0, "a b/c-d"), Op.GT, 1.0)),
    ("metrics.`val/acc` > 1", of(Metric(2, "acc"), Op.GT, 1.0)),
    ("metrics.`val/` > 1", of(Metric(0, "val/"), Op.GT, 1.0)),
    ("metrics.key > 1", of(Metric(0, "key"), Op.GT, 1.0)),
    ("params.a.b = 'x'", of(Param("a.b"), Op.EQ, "x")),
    ("params.`a.b` = 'x'", of(Param("a.b"), Op.EQ, "x")),
    ("param.a = 'x'", of(Param("a"), Op.EQ, "x")),
    ("parameter.a = 'x'", of(Param("a"), Op.EQ, "x")),
    ("parameters.a = 'x'", of(Param("a"), Op.EQ, "x")),
    ("params.ü = 'x'", of(Param("ü"), Op.EQ, "x")),
    ("tag.a = 'x'", of(Tag("a"), Op.EQ, "x")),
    ("tags.mlflow.user = 'x'", of(Tag("mlflow.user"), Op.EQ, "x")),
    ("tags.order = 'x'", of(Tag("order"), Op.EQ, "x")),
    ("tags.and = 'x'", of(Tag("and"), Op.EQ, "x")),
    ("tags.in = 'x'", of(Tag("in"), Op.EQ, "x")),
    # tags that are columns
    ("tags.mlflow.runName = 'x'", of(Attribute("run_name"), Op.EQ, "x")),
    ("tags.`mlflow.note.content` LIKE '%x%'", of(Attribute("notes"), Op.LIKE, "%x%")),
    ("tags.mlflow.source.git.commit IS NULL", of(Attribute("git_commit"), Op.IS_NULL)),
    # attributes
    ("run_id = 'x'", of(Attribute("run_id"), Op.EQ, "x")),
    ("attributes.run_id = 'x'", of(Attribute("run_id"), Op.EQ, "x")),
    ("attribute.`run_id` = 'x'", of(Attribute("run_id"), Op.EQ, "x")),
    ("attr.run_name = 'x'", of(Attribute("run_name"), Op.EQ, "x")),
    ("run.artifact_uri LIKE 'x'", of(Attribute("artifact_uri"), Op.LIKE, "x")),
    ("`run name` = 'x'", of(Attribute("run_name"), Op.EQ, "x")),
    ("\"Run name\" = 'x'", of(Attribute("run_name"), Op.EQ, "x")),
    ("attributes.`Run Name` = 'x'", of(Attribute("run_name"), Op.EQ, "x")),
    ("user_id != 'x'", of(Attribute("user_name"), Op.NE, "x")),
    ("start_time > 1", of(Attribute("started_at"), Op.GT, 1)),
    ("created <= 1", of(Attribute("started_at"), Op.LE, 1)),
    ("attribute.Created >= 1", of(Attribute("started_at"), Op.GE, 1)),
    ("end_time < -5", of(Attribute("finished_at"), Op.LT, -5)),
    ("start_time > 1.5", of(Attribute("started_at"), Op.GT, 1.5)),
    ("start_time = 1e3", of(Attribute("started_at"), Op.EQ, 1000.0)),
    ("start_time > 1e400", of(Attribute("started_at"), Op.GT, math.inf)),
    ("start_time > " + "9" * 5000, of(Attribute("started_at"), Op.GT, int("9" * 4000))),
    # datasets
    ("dataset.name = 'x'", of(Input("name"), Op.EQ, "x")),
    ("datasets.digest != 'x'", of(Input("digest"), Op.NE, "x")),
    ("datasets.context ilike 'x'", of(Input("context"), Op.ILIKE, "x")),
    ("dataset.name NOT IN ('x', 'y')", of(Input("name"), Op.NOT_IN, ("x", "y"))),
    # comparators
    ("metrics.a >= 1", of(Metric(0, "a"), Op.GE, 1.0)),
    ("metrics.a = 1", of(Metric(0, "a"), Op.EQ, 1.0)),
    ("metrics.a != 1", of(Metric(0, "a"), Op.NE, 1.0)),
    ("metrics.a <= 1", of(Metric(0, "a"), Op.LE, 1.0)),
    ("metrics.a IS NULL", of(Metric(0, "a"), Op.IS_NULL)),
    ("metrics.a is not null", of(Metric(0, "a"), Op.NOT_NULL)),
    ("params.a IS  NOT\nNULL", of(Param("a"), Op.NOT_NULL)),
    ("tags.c Is Null", C),
    ("tags.a like 'x'", of(Tag("a"), Op.LIKE, "x")),
    ("tags.a ILIKE 'x'", of(Tag("a"), Op.ILIKE, "x")),
    ("run_id in ('x')", of(Attribute("run_id"), Op.IN, ("x",))),
    ("run_id IN(\"x\", 'y',)", of(Attribute("run_id"), Op.IN, ("x", "y"))),
    ("run_id Not In ('x')", of(Attribute("run_id"), Op.NOT_IN, ("x",))),
    # numbers
    ("metrics.a>-1", of(Metric(0, "a"), Op.GT, -1.0)),
    ("metrics.a > .5", of(Metric(0, "a"), Op.GT, 0.5)),
    ("metrics.a > 5.", of(Metric(0, "a"), Op.GT, 5.0)),
    ("metrics.a > -1.5E+3", of(Metric(0, "a"), Op.GT, -1500.0)),
    ("metrics.a > 1e400", of(Metric(0, "a"), Op.GT, math.inf)),
    ("metrics.a > " + "9" * 5000, of(Metric(0, "a"), Op.GT, math.inf)),
    # strings
    ("tags.a=''", of(Tag("a"), Op.EQ, "")),
    ('tags.a = "it\'s"', of(Tag("a"), Op.EQ, "it's")),
    ("tags.a = 'say \"x\"'", of(Tag("a"), Op.EQ, 'say "x"')),
    ("tags.a = 'it''s'", of(Tag("a"), Op.EQ, "it''s")),
    (r"tags.a = 'it\'s'", of(Tag("a"), Op.EQ, r"it\'s")),
    ("tags.a = 'C:\\'", of(Tag("a"), Op.EQ, "C:\\")),
    ("tags.a = 'a\nb;--'", of(Tag("a"), Op.EQ, "a\nb;--")),
    ("tags.a = 'x and b'", of(Tag("a"), Op.EQ, "x and b")),
    # statuses, by MLflow's names
    ("status = 'FINISHED'", of(Attribute("status"), Op.IN, ("finished",))),
    ("status = 'SCHEDULED'", of(Attribute("status"), Op.IN, ("queued",))),
    ("status = 'finished'", of(Attribute("status"), Op.IN, ())),
    ("status != 'RUNNING'", of(Attribute("status"), Op.IN, ("queued", "finished", "failed", "killed"))),
    ("attributes.status LIKE 'F%'", of(Attribute("status"), Op.IN, ("finished", "failed"))),
    ("status LIKE 'f%'", of(Attribute("status"), Op.IN, ())),
    ("status ILIKE '%_led'", of(Attribute("status"), Op.IN, ("queued", "failed", "killed"))),
    (
        "status LIKE '" + "%" * MAX_PATTERN + "'",
        of(Attribute("status"), Op.IN, ("running", "queued", "finished", "failed", "killed")),
    ),
    ("status LIKE 'FAIL'", of(Attribute("status"), Op.IN, ())),
]


@pytest.mark.parametrize(("text", "expected"), COMPARISONS, ids=[text[:40] for text, _ in COMPARISONS])
def test_a_comparison_of_runs(text: str, expected: Condition) -> None:
    assert parse_run_filter(text) == expected


SENTENCES = [
    ("", None),
    (" \n ", None),
    ("AND", None),
    ("metrics.a > 1 AND metrics.b < 2", All((A, B))),
    ("metrics.a > 1 and\nmetrics.b < 2 And tags.c is null", All((A, B, C))),
    ("metrics.a>1 metrics.b<2", All((A, B))),
    ("AND metrics.a > 1 AND AND metrics.b < 2 AND", All((A, B))),
    ("tags.a='x'AND tags.b='y'", All((of(Tag("a"), Op.EQ, "x"), of(Tag("b"), Op.EQ, "y")))),
    ("metrics.a > 1 OR metrics.b < 2", Some((A, B))),
    ("metrics.a > 1 or metrics.b < 2 AND tags.c IS NULL", Some((A, All((B, C))))),
    ("(metrics.a > 1 OR metrics.b < 2) AND tags.c IS NULL", All((Some((A, B)), C))),
    ("((metrics.a > 1))", A),
    ("NOT metrics.a > 1", Not(A)),
    ("not not (metrics.a > 1)", Not(Not(A))),
    ("NOT metrics.a > 1 AND metrics.b < 2", All((Not(A), B))),
    ("NOT (metrics.a > 1 AND metrics.b < 2)", Not(All((A, B)))),
    ("metrics.a > 1 AND NOT tags.c IS NULL", All((A, Not(C)))),
]


@pytest.mark.parametrize(("text", "expected"), SENTENCES)
def test_comparisons_are_joined(text: str, expected: Condition | None) -> None:
    assert parse_run_filter(text) == expected


REFUSED = [
    ("a > 1", "Invalid attribute key 'a' specified. Valid keys are run_id, run_name, status"),
    ("experiment_id = '1'", "Invalid attribute key"),
    ("lifecycle_stage = 'x'", "Invalid attribute key"),
    ("Metrics.a > 1", "Invalid entity type 'Metrics'. Valid values are metric, parameter, tag, attribute, dataset"),
    ("nothing.a > 1", "Invalid entity type"),
    ("dataset.size = 'x'", "Invalid dataset key 'size' specified. Valid keys are name, digest, context"),
    ("params.a-b = 'x'", "expected a comparator, found '-b|unexpected '-' at character 9"),
    ("params.a/b = 'x'", "unexpected '/' at character 9.*backticks"),
    ("metrics.val/acc > 1", "unexpected '/' at character 12"),
    ("metrics. > 1", "unexpected"),
    (".a > 1", "unexpected '.' at character 1"),
    ("tags.`a`.b = 'x'", "unexpected"),
    ("tags .a = 'x'", "unexpected"),
    ("1 < metrics.a", "expected 'Identifier', found '1' at character 1"),
    ("'x' = tags.a", "expected 'Identifier'"),
    ("metrics.a", "expected a comparator, but it ends"),
    ("metrics.a >", "expected a numeric value for a metric, but it ends"),
    ("metrics.a > '1'", "expected a numeric value for a metric, found ''1'' at character 13"),
    ("metrics.a > inf", "expected a numeric value"),
    ("metrics.a > nan", "expected a numeric value"),
    ("metrics.a > - 1", "unexpected '-'"),
    ("metrics.a > +1", "unexpected"),
    ("metrics.a > 0x10", "unexpected"),
    ("metrics.a > 1_000", "unexpected"),
    ("metrics.a > 1.2.3", "unexpected"),
    ("metrics.a > 1AND metrics.b > 2", "unexpected"),
    ("metrics.a > \u0661", "unexpected"),
    ("metrics.a LIKE '1'", "Invalid comparator 'LIKE' for metrics.a at character 11, not one of"),
    ("metrics.a IN (1)", "Invalid comparator 'IN'"),
    ("metrics.a == 1", "expected a comparator, found '=='"),
    ("tags.a <> 'x'", "expected a comparator, found '<>'"),
    ("tags.a > 'x'", "Invalid comparator '>'"),
    ("tags.a = x", "expected a quoted string value, found 'x'"),
    ("tags.a = `x`", "expected a quoted string value"),
    ("tags.a = 1", "expected a quoted string value, found '1'"),
    ("tags.a IN ('x')", "Invalid comparator 'IN'"),
    ("tags.a NOT LIKE 'x'", "expected IN, found 'LIKE'"),
    ("tags.a IS 'x'", "expected NULL"),
    ("tags.a = 'x", "unexpected"),
    ("params.\"a = 'x'", "unexpected"),
    ("status IN ('FINISHED')", "Invalid comparator 'IN'"),
    ("status IS NULL", "Invalid comparator 'IS NULL'"),
    ("dataset.name IS NULL", "Invalid comparator 'IS NULL'"),
    ("run_name > 'x'", "Invalid comparator '>'"),
    ("start_time = '1'", "expected a numeric value"),
    ("start_time LIKE '1'", "Invalid comparator 'LIKE'"),
    ("run_id IN ()", "expected a quoted string value, found '\\)'"),
    ("run_id IN (1)", "expected a quoted string value"),
    ("run_id IN ('a' 'b')", "expected ',' or '\\)'"),
    ("run_id IN ('a',,)", "expected a quoted string value"),
    ("run_id IN 'a'", "expected a list in parentheses"),
    ("run_id = ('a')", "expected a quoted string value"),
    ("metrics.a > 1;", "unexpected ';' at character 14"),
    ("metrics.a > 1; metrics.b > 2", "unexpected ';'"),
    ("metrics.a > 1 -- c", "unexpected"),
    ("metrics.a /* x */ > 1", "unexpected"),
    ("metrics.a > 1, metrics.b > 2", "expected AND or OR, found ',' at character 14"),
    ("metrics.a BETWEEN 1 AND 2", "expected a comparator, found 'BETWEEN'"),
    ("run name = 'x'", "Invalid attribute key 'run'"),
    ("OR", "expected a comparison on both sides of OR"),
    ("metrics.a > 1 OR", "expected a comparison on both sides of OR"),
    ("OR metrics.a > 1", "expected a comparison on both sides of OR|both sides"),
    ("NOT", "expected 'Identifier', but it ends"),
    ("()", "expected a comparison"),
    ("(metrics.a > 1", "expected '\\)', but it ends"),
    ("metrics.a > 1)", "expected AND or OR, found '\\)'"),
    ("NOT AND metrics.a > 1", "expected 'Identifier', found 'AND'"),
    ("tags.a = '\0'", "a character that no value can have"),
    ("tags.a = '\ud800'", "a character that no value can have"),
    ("tags.a LIKE '" + "x" * (MAX_PATTERN + 1) + "'", "the pattern at character 8 has more than"),
    ("NOT " * MAX_DEPTH + "metrics.a > 1", "nested more than"),
    ("(" * 100_000, "nested more than"),
    (" AND ".join(["metrics.a > 1"] * (MAX_COMPARISONS + 1)), "more than 500 comparisons"),
    (" " * (MAX_TEXT + 1), "longer than"),
    ("'" * (MAX_TEXT - 1), "expected 'Identifier'|unexpected"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text[:30] for text, _ in REFUSED])
def test_what_is_wrong_is_told(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as refusal:
        parse_run_filter(text)
    assert len(refusal.value.message) < 400


EXPERIMENTS = [
    ("name = 'x'", of(Attribute("name"), Op.EQ, "x")),
    ("attribute.name like 'x%'", of(Attribute("name"), Op.LIKE, "x%")),
    ("name ILIKE 'x%'", of(Attribute("name"), Op.ILIKE, "x%")),
    ("experiment_id = '1'", of(Attribute("id"), Op.EQ, 1)),
    ("experiment_id != '007'", of(Attribute("id"), Op.NE, 7)),
    ("experiment_id IN ('1', '2')", of(Attribute("id"), Op.IN, (1, 2))),
    ("experiment_id NOT IN ('1')", of(Attribute("id"), Op.NOT_IN, (1,))),
    ("experiment_id = '" + "9" * 5000 + "'", of(Attribute("id"), Op.EQ, int("9" * 4000))),
    ("creation_time > 5", of(Attribute("created_at"), Op.GT, 5)),
    ("last_update_time <= -5", of(Attribute("updated_at"), Op.LE, -5)),
    ("tags.a = 'x'", of(Tag("a"), Op.EQ, "x")),
    ("tag.a IS NULL", of(Tag("a"), Op.IS_NULL)),
    ("tags.mlflow.note.content != 'x'", of(Attribute("objective"), Op.NE, "x")),
    ("tags.mlflow.runName = 'x'", of(Tag("mlflow.runName"), Op.EQ, "x")),
    ("name = 'x' OR tag.a IS NULL", Some((of(Attribute("name"), Op.EQ, "x"), of(Tag("a"), Op.IS_NULL)))),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), EXPERIMENTS, ids=[text[:40] for text, _ in EXPERIMENTS])
def test_a_filter_of_experiments(text: str, expected: Condition | None) -> None:
    assert parse_experiment_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attributes.name = 'x'", "Invalid entity type 'attributes'. Valid entity types are attribute, tag, tags"),
        ("attr.name = 'x'", "Invalid entity type"),
        ("metrics.a > 1", "Invalid entity type"),
        ("run_id = 'x'", "Invalid attribute key 'run_id' specified. Valid keys are name, experiment_id"),
        ("name > 'x'", "Invalid comparator '>'"),
        ("name IN ('x')", "Invalid comparator 'IN'"),
        ("experiment_id = 1", "expected a quoted whole number"),
        ("experiment_id = 'a'", "expected a quoted whole number"),
        ("experiment_id = '\u0661'", "expected a quoted whole number"),
        ("experiment_id IN ('1', 'a')", "expected a quoted whole number"),
        ("experiment_id > '1'", "Invalid comparator '>'"),
        ("experiment_id LIKE '1'", "Invalid comparator 'LIKE'"),
        ("creation_time > 1.5", "expected a whole number, found '1.5'"),
        ("creation_time > 1e3", "expected a whole number"),
        ("last_update_time = '1'", "expected a whole number"),
    ],
)
def test_what_is_wrong_about_experiments_is_told(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_experiment_filter(text)


# Orders


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics.a", SortKey(Metric(0, "a"))),
        ("metrics.a ASC", SortKey(Metric(0, "a"))),
        ("metrics.a\tdesc", SortKey(Metric(0, "a"), descending=True)),
        (" metrics.a DESC ", SortKey(Metric(0, "a"), descending=True)),
        ("metrics.`val/a b` Desc", SortKey(Metric(2, "a b"), descending=True)),
        ('metrics."a b" asc', SortKey(Metric(0, "a b"))),
        ("`metrics.a` desc", SortKey(Metric(0, "a"), descending=True)),
        ("`metrics`.`a b` desc", SortKey(Metric(0, "a b"), descending=True)),
        ("params.`a/b`", SortKey(Param("a/b"))),
        ('params."it\'s"', SortKey(Param("it's"))),
        ("tag.mlflow.runName", SortKey(Attribute("run_name"))),
        ("tags.x desc", SortKey(Tag("x"), descending=True)),
        ("start_time", SortKey(Attribute("started_at"))),
        ("Created DESC", SortKey(Attribute("started_at"), descending=True)),
        ("attribute.end_time", SortKey(Attribute("finished_at"))),
        ("user_id", SortKey(Attribute("user_name"))),
        ("status", SortKey(Attribute("status"))),
        ("metrics.desc desc", SortKey(Metric(0, "desc"), descending=True)),
    ],
)
def test_an_order_of_runs(text: str, expected: SortKey) -> None:
    assert parse_run_order([text]) == (expected,)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "  ",
            "a",
            "metrics.a down",
            "metrics.a desc nulls last",
            "metrics.a, metrics.b",
            "metrics.a;",
            "metrics.a/b",
        ),
        *(
            "'metrics.a'",
            "desc",
            "metrics.a asc desc",
            "dataset.name",
            "Run Name",
            "experiment_id",
            "metrics.a > 1",
            "1",
        ),
    ],
)
def test_an_order_that_is_none(text: str) -> None:
    with pytest.raises(Invalid, match="Invalid"):
        parse_run_order([text])


@pytest.mark.parametrize("order", [["metrics.a", "metrics.a DESC"], ["start_time", "tags.a", "created desc"]])
def test_runs_are_ordered_once_by_a_field(order: list[str]) -> None:
    with pytest.raises(Invalid, match="duplicate fields"):
        parse_run_order(order)


def test_orders_of_experiments() -> None:
    assert parse_experiment_order(
        ["name", "attribute.experiment_id desc", "creation_time", "last_update_time", "name"]
    ) == (
        SortKey(Attribute("name")),
        SortKey(Attribute("id"), descending=True),
        SortKey(Attribute("created_at")),
        SortKey(Attribute("updated_at")),
        SortKey(Attribute("name")),
    )
    for text in ("tags.a", "tags.mlflow.note.content", "metrics.a", "start_time", "attributes.name", ""):
        with pytest.raises(Invalid):
            parse_experiment_order([text])


# Whatever comes

PIECES = [
    *(
        "metrics.",
        "params.",
        "tags.a",
        "run_id",
        "status",
        "dataset.name",
        "start_time",
        "experiment_id",
        "`",
        '"',
        "'",
        "x",
    ),
    *(
        " ",
        ">",
        "=",
        "!=",
        "LIKE",
        "in",
        "NOT",
        "and",
        "or",
        "IS",
        "NULL",
        "(",
        ")",
        ",",
        "1",
        "-1.5e3",
        ".",
        "\\",
        "ü",
        "\0",
    ),
]
scraps = st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join)
scraps |= st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@settings(max_examples=500)
@given(scraps)
@example("tags.a LIKE '" + "\\'" * 1000)
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_run_filter, parse_experiment_filter):
        with contextlib.suppress(Invalid):
            parse(text)
    for parse_order in (parse_run_order, parse_experiment_order):
        with contextlib.suppress(Invalid):
            parse_order([text])


def show(condition: Condition) -> str:
    """The text that says it, as MLflow's clients would write it."""
    match condition:
        case All(parts):
            return " AND ".join(f"({show(part)})" for part in parts)
        case Some(parts):
            return " OR ".join(f"({show(part)})" for part in parts)
        case Not(inner):
            return f"NOT ({show(inner)})"
        case Comparison(field, op, None):
            return f"{show_field(field)} {op}"
        case Comparison(field, op, tuple() as values):
            return f"{show_field(field)} {op} ({', '.join(map(show_value, values))})"
        case Comparison(field, op, value):
            return f"{show_field(field)} {op} {show_value(value)}"


def show_field(field: Field) -> str:
    match field:
        case Attribute(name):
            return {"user_name": "user_id", "started_at": "start_time", "finished_at": "end_time"}.get(name, name)
        case Metric(scope, key):
            return f"metrics.`{metric_names.full_name(scope, key)}`"
        case Param(key):
            return f"params.`{key}`"
        case Tag(key):
            return f"tags.`{key}`"
        case Input(name):
            return f"datasets.{name}"


def show_value(value: Value) -> str:
    if not isinstance(value, str):
        return repr(value)
    return f'"{value}"' if "'" in value else f"'{value}'"


keys = st.from_regex(re.compile(r"[\w.\- :/]{1,20}"), fullmatch=True)
metric_fields = keys.map(lambda key: Metric(*metric_names.split(key)))
tag_fields = keys.filter(lambda key: key not in reserved_tags.RUN_COLUMNS).map(Tag)
input_fields = st.sampled_from([Input("name"), Input("digest"), Input("context")])
plain = st.characters(exclude_categories=["Cs"], exclude_characters="\0'\"\\")
words = st.text(plain | st.just("'"), max_size=30) | st.text(plain | st.just('"'), max_size=30)
finite = st.floats(allow_nan=False, allow_infinity=False)
ORDERED = [Op.EQ, Op.NE, Op.GT, Op.GE, Op.LT, Op.LE]
TEXTUAL = [Op.EQ, Op.NE, Op.LIKE, Op.ILIKE]
well_formed = st.recursive(
    st.one_of(
        st.builds(Comparison, metric_fields, st.sampled_from(ORDERED), finite),
        st.builds(
            Comparison,
            st.sampled_from([Attribute("started_at"), Attribute("finished_at")]),
            st.sampled_from(ORDERED),
            finite | st.integers(-(10**40), 10**40),
        ),
        st.builds(
            Comparison,
            st.one_of(keys.map(Param), tag_fields, input_fields, st.just(Attribute("user_name"))),
            st.sampled_from(TEXTUAL),
            words,
        ),
        st.builds(
            Comparison,
            st.just(Attribute("run_id")) | input_fields,
            st.sampled_from([Op.IN, Op.NOT_IN]),
            st.lists(words, min_size=1, max_size=4).map(tuple),
        ),
        st.builds(
            Comparison,
            st.one_of(metric_fields, keys.map(Param), tag_fields),
            st.sampled_from([Op.IS_NULL, Op.NOT_NULL]),
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: All(tuple(parts))),
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: Some(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=8,
)


@given(well_formed)
def test_what_is_shown_is_read_again(condition: Condition) -> None:
    assert parse_run_filter(show(condition)) == condition


# Metric names and reserved tags


@given(keys | st.sampled_from(["train/", "train/x", "val/a/b", "test/x", "Train/x", "trainx", "/x", "train//"]))
def test_a_metric_name_is_put_together_as_it_was(key: str) -> None:
    name = metric_names.split(key)
    assert metric_names.full_name(*name) == key
    assert name.key


@given(st.integers(1, 3), keys)
def test_a_scope_and_key_make_a_name_that_is_split_again(scope: int, key: str) -> None:
    assert metric_names.split(metric_names.full_name(scope, key)) == (scope, key)


@pytest.mark.parametrize(
    ("full", "scope", "key"),
    [
        ("train/x", 1, "x"),
        ("val/x", 2, "x"),
        ("test/x/y", 3, "x/y"),
        ("x", 0, "x"),
        ("train/", 0, "train/"),
        ("dev/x", 0, "dev/x"),
    ],
)
def test_metric_names(full: str, scope: int, key: str) -> None:
    assert metric_names.split(full) == (scope, key)


run_tags = st.dictionaries(st.sampled_from([*reserved_tags.RUN_COLUMNS, "mlflow.user", "x"]), st.text(max_size=5))


@given(run_tags)
def test_a_runs_tags_come_back_from_its_columns(tags: dict[str, str]) -> None:
    columns, plain_tags = reserved_tags.split_run_tags(tags)
    given_back = reserved_tags.of_run(columns.get("run_name"), columns.get("notes"), columns.get("git_commit"))
    assert {**plain_tags, **given_back} == tags
    assert not plain_tags.keys() & reserved_tags.RUN_COLUMNS.keys()


@given(st.dictionaries(st.sampled_from([*reserved_tags.RUN_COLUMNS, "x"]), st.text(max_size=5)))
def test_an_experiments_tags_come_back_from_its_columns(tags: dict[str, str]) -> None:
    columns, plain_tags = reserved_tags.split_experiment_tags(tags)
    assert {**plain_tags, **reserved_tags.of_experiment(columns.get("objective"))} == tags
    assert plain_tags.keys() == tags.keys() - {reserved_tags.NOTE}


# Logged models

MODEL_FILTERS: list[tuple[str, Condition]] = [
    ("name = 'm'", of(Attribute("name"), Op.EQ, "m")),
    ("attributes.name != 'm'", of(Attribute("name"), Op.NE, "m")),
    ("`name` ilike 'm%'", of(Attribute("name"), Op.ILIKE, "m%")),
    ("name IN ('a', 'b',)", of(Attribute("name"), Op.IN, ("a", "b"))),
    ("name not in ('a')", of(Attribute("name"), Op.NOT_IN, ("a",))),
    ("name = 'it''s'", of(Attribute("name"), Op.EQ, "it''s")),
    ("name = 'a%b;c(d)=e'", of(Attribute("name"), Op.EQ, "a%b;c(d)=e")),
    ("name = 5", of(Attribute("name"), Op.EQ, "5")),
    ("model_id = 'm-1'", of(Attribute("model_id"), Op.EQ, "m-1")),
    ("model_type = ''", of(Attribute("model_type"), Op.EQ, "")),
    ("artifact_location LIKE 's3:%'", of(Attribute("artifact_uri"), Op.LIKE, "s3:%")),
    ("experiment_id = '7'", of(Attribute("experiment_id"), Op.EQ, 7)),
    ("experiment_id = 7", of(Attribute("experiment_id"), Op.EQ, 7)),
    ("experiment_id IN ('7', 8)", of(Attribute("experiment_id"), Op.IN, (7, 8))),
    ("creation_time > 5", of(Attribute("created_at"), Op.GT, 5)),
    ("creation_timestamp > 5", of(Attribute("created_at"), Op.GT, 5)),
    ("creation_timestamp_ms > 1.5", of(Attribute("created_at"), Op.GT, 1.5)),
    ("last_updated_timestamp <= 5", of(Attribute("updated_at"), Op.LE, 5)),
    ("metrics.acc > 0.5", of(Metric(0, "acc"), Op.GT, 0.5)),
    ("metrics.val/acc > -1", of(Metric(2, "acc"), Op.GT, -1.0)),
    ("metrics.a-b>-1", of(Metric(0, "a-b"), Op.GT, -1.0)),
    ("metrics.`val/acc` IS NULL", of(Metric(2, "acc"), Op.IS_NULL)),
    ("params.lr = '0.1'", of(Param("lr"), Op.EQ, "0.1")),
    ("params.lr = 0.10", of(Param("lr"), Op.EQ, "0.10")),
    ("params.lr IN ('1', 2)", of(Param("lr"), Op.IN, ("1", "2"))),
    ("tags.`a b` LIKE 'x'", of(Tag("a b"), Op.LIKE, "x")),
    ("tags.mlflow.runName = 'x'", of(Tag("mlflow.runName"), Op.EQ, "x")),
    (
        "name = 'm' AND NOT (metrics.a > 1 OR tags.t = 'x')",
        All(
            (
                of(Attribute("name"), Op.EQ, "m"),
                Not(Some((of(Metric(0, "a"), Op.GT, 1.0), of(Tag("t"), Op.EQ, "x")))),
            )
        ),
    ),
]


@pytest.mark.parametrize(("text", "condition"), MODEL_FILTERS)
def test_filters_of_logged_models(text: str, condition: Condition) -> None:
    assert parse_model_filter(text) == condition


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        ("= 'READY'", ("ready",)),
        ("= 'LOGGED_MODEL_READY'", ("ready",)),
        ("= 2", ("ready",)),
        ("= '2'", ("ready",)),
        ("= 'ready'", ()),
        ("!= 'READY'", ("unspecified", "pending", "failed")),
        ("!= 'no such status'", ("unspecified", "pending", "ready", "failed")),
        ("IN ('PENDING', '3')", ("pending", "failed")),
        ("NOT IN ('PENDING', '3')", ("unspecified", "ready")),
        ("LIKE '%READY'", ("ready",)),
        ("ILIKE '%ed'", ("unspecified", "failed")),
    ],
)
def test_a_status_of_a_model_goes_by_any_of_its_names(text: str, statuses: tuple[str, ...]) -> None:
    assert parse_model_filter(f"status {text}") == of(Attribute("status"), Op.IN, statuses)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metric.a > 1", "Expected one of attributes, metrics, params, tags"),
        ("param.a = 'x'", "Expected one of"),
        ("tag.a = 'x'", "Expected one of"),
        ("dataset.name = 'x'", "Expected one of"),
        ("foo = 'x'", "Invalid attribute key 'foo'"),
        ("name > 'x'", "Invalid comparator '>'"),
        ("name IS NULL", "Invalid comparator 'IS NULL'"),
        ("name = m", "a quoted string value, found 'm'"),
        ("name = 'it's'", "unexpected .'."),
        ("metrics.a > 'x'", "a numeric value"),
        ("metrics.a LIKE 1", "Invalid comparator 'LIKE'"),
        ("creation_time LIKE '1'", "Invalid comparator 'LIKE'"),
        ("experiment_id = 'x'", "a whole number"),
    ],
)
def test_filters_of_logged_models_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_model_filter(text)


@pytest.mark.parametrize(
    ("name", "field_"),
    [
        ("name", Attribute("name")),
        ("creation_time", Attribute("created_at")),
        ("last_updated_timestamp_ms", Attribute("updated_at")),
        ("metrics.acc", Metric(0, "acc")),
        ("metrics.val/a b.c", Metric(2, "a b.c")),
    ],
)
def test_orders_of_logged_models(name: str, field_: Attribute | Metric) -> None:
    assert parse_model_order(name) == field_


@pytest.mark.parametrize("name", ["foo", "", "params.lr", "tags.t", "metric.a", "attributes.name", "Name", "`name`"])
def test_orders_of_logged_models_that_are_refused(name: str) -> None:
    with pytest.raises(Invalid):
        parse_model_order(name)
