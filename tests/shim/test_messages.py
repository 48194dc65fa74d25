"""MLflow's requests as messages: numbers, enums, keys, limits, spellings."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from native_api.core.errors import Invalid
from shim import messages as m

RUN = "a" * 32
LEAST, GREATEST = -(2**63), 2**63 - 1


def messages(kind: type[m.Message] = m.Message) -> Iterator[type[m.Message]]:
    for below in kind.__subclasses__():
        yield below
        yield from messages(below)


MESSAGES = sorted(set(messages()), key=lambda kind: kind.__name__)


def step_of(written: str) -> int | None:
    return m.LogMetric.model_validate_json(
        f'{{"run_id": "{RUN}", "key": "k", "value": 1, "timestamp": 1, "step": {written}}}'
    ).step


def value_of(written: str) -> float:
    return m.LogMetric.model_validate_json(
        f'{{"run_id": "{RUN}", "key": "k", "value": {written}, "timestamp": 1}}'
    ).value


# Numbers


@given(st.integers(LEAST, GREATEST))
@example(LEAST)
@example(GREATEST)
def test_every_64_bit_integer_is_exact_as_a_number_and_as_text(number: int) -> None:
    assert step_of(f"{number}") == step_of(f'"{number}"') == number


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("5.0", 5),
        ("1.5e3", 1500),
        ('"1.7e+12"', 1_700_000_000_000),
        ('"5.0"', 5),
        ('" 5 "', 5),
        (f'"{GREATEST}.0"', GREATEST),
        ("null", None),
    ],
)
def test_whole_numbers_may_be_written_as_floats(written: str, number: int | None) -> None:
    assert step_of(written) == number


@pytest.mark.parametrize(
    "written",
    [
        *("1.5", '"1.5"', '"abc"', '""', "[]", "{}", "[1]", "NaN", "Infinity", "1e400"),
        *('"NaN"', '"Infinity"', '"1e400"', '"0x10"'),
        *(f"{GREATEST + 1}", f'"{GREATEST + 1}"', f"{LEAST - 1}", f'"{LEAST - 1}"'),
        *("9" * 400, f'"{"9" * 400}"', f'"{"9" * 5000}"', '"1e999999999"', '"1e-999999999"'),
    ],
)  # fmt: skip
def test_what_is_no_64_bit_integer_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        step_of(written)


@given(st.floats(allow_nan=False))
def test_every_float_is_exact_as_a_number_and_as_text(number: float) -> None:
    assert value_of(json.dumps(number)) == value_of(json.dumps(str(number))) == number


@pytest.mark.parametrize("written", ["NaN", '"NaN"', '"nan"'])
def test_nan_comes_bare_and_as_text(written: str) -> None:
    assert value_of(written) != value_of(written)


@pytest.mark.parametrize(
    ("written", "number"), [("1e400", float("inf")), ('"-Infinity"', float("-inf")), ("true", 1.0)]
)
def test_odd_floats_have_a_meaning(written: str, number: float) -> None:
    assert value_of(written) == number


@pytest.mark.parametrize("written", ['"abc"', '""', "[]", "{}", "null", '"0x1"'])
def test_what_is_no_float_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        value_of(written)


def test_a_time_is_not_negative() -> None:
    point = {"run_id": RUN, "key": "k", "value": 1}
    assert m.LogMetric.model_validate(point | {"timestamp": 0}).timestamp == 0
    for bad in (-1, "-1", "-1e3"):
        with pytest.raises(ValidationError):
            m.LogMetric.model_validate(point | {"timestamp": bad})


@pytest.mark.parametrize(("written", "number"), [("0", 0), (8, 8), ("8", 8), (str(GREATEST), GREATEST)])
def test_an_experiment_id_is_a_number_or_its_text(written: str | int, number: int) -> None:
    assert m.GetExperiment.model_validate({"experiment_id": written}).experiment_id == number


@pytest.mark.parametrize("bad", ["abc", "", "1.5", 1.5, True, [1], {}, "9" * 30, GREATEST + 1])
def test_what_is_no_experiment_id_is_refused(bad: object) -> None:
    with pytest.raises(ValidationError):
        m.GetExperiment.model_validate({"experiment_id": bad})


# Enums


@pytest.mark.parametrize(("number", "name"), list(enumerate(m.STATUSES, start=1)))
def test_a_status_comes_by_name_or_number(number: int, name: str) -> None:
    for written in (name, number):
        assert m.UpdateRun.model_validate({"run_id": RUN, "status": written}).status == m.STATUSES[name]


@pytest.mark.parametrize("unknown", ["NO SUCH", "running", "", 0, 99, None, 1.5, [], {}])
def test_an_unknown_enum_value_counts_as_absent(unknown: object) -> None:
    assert m.UpdateRun.model_validate({"run_id": RUN, "status": unknown}).status is None
    assert m.SearchRuns.model_validate({"run_view_type": unknown}).run_view_type is None


# Keys


@given(st.text(alphabet=st.sampled_from("abé९_-. /:@*\n\0") | st.characters(), max_size=8).filter(bool))
@example("..")
@example(".")
@example("a/")
@example("//a")
@example("..a")
@example("a/../b")
@example("\n")
@example("key\n")
def test_a_key_is_what_mlflow_takes_for_one(key: str) -> None:
    """As in MLflow's `validation.py`: a pattern of characters, and a path that is its own normal form."""
    normal = posixpath.normpath(key)
    unique = normal == key and normal != "." and not normal.startswith(("..", "/"))
    if unique and re.fullmatch(r"[/\w.\- :]*", key):
        m.check_key(key, "place")
    else:
        with pytest.raises(Invalid, match="'place'"):
            m.check_key(key, "place")


@pytest.mark.parametrize("noun", ["metrics", "params", "tags"])
def test_a_bad_key_in_a_batch_is_told_by_its_place(noun: str) -> None:
    def item(key: str) -> dict[str, Any]:
        return {"key": key, "value": 1, "timestamp": 1} if noun == "metrics" else {"key": key, "value": "v"}

    with pytest.raises(Invalid, match=rf"'{noun}\[2\]\.key'"):
        m.LogBatch.model_validate({"run_id": RUN, noun: [item("a"), item("b"), item("c@")]})


def test_a_key_comes_once_among_params_and_among_the_tags_of_something_new() -> None:
    twice = [{"key": "k", "value": "v"}] * 2
    with pytest.raises(Invalid, match="Duplicate parameter keys"):
        m.LogBatch.model_validate({"run_id": RUN, "params": twice})
    with pytest.raises(Invalid, match="Duplicate tag keys"):
        m.tag_map(m.CreateRun.model_validate({"tags": twice}).tags or ())
    assert m.LogBatch.model_validate({"run_id": RUN, "tags": twice, "metrics": []}).tags == twice


# Limits

LIMITS: list[tuple[type[m.Message], dict[str, Any], str, int]] = [
    (m.CreateExperiment, {}, "name", 500),
    (m.CreateExperiment, {"name": "n"}, "artifact_location", 2048),
    (m.UpdateExperiment, {"experiment_id": "1"}, "new_name", 500),
    (m.SetExperimentTag, {"experiment_id": "1"}, "key", 250),
    (m.SetExperimentTag, {"experiment_id": "1", "key": "k"}, "value", 20000),
    (m.LogMetric, {"run_id": RUN, "value": 1, "timestamp": 1}, "key", 250),
    (m.LogParam, {"run_id": RUN, "value": "v"}, "key", 250),
    (m.SetTag, {"run_id": RUN, "value": "v"}, "key", 250),
    (m.LogBatch, {}, "run_id", 256),
    (m.Dataset, {"digest": "d"}, "name", 500),
    (m.Dataset, {"name": "n"}, "digest", 36),
    (m.Dataset, {"name": "n", "digest": "d"}, "source", 65535),
    (m.Dataset, {"name": "n", "digest": "d"}, "schema", 1048575),
    (m.Dataset, {"name": "n", "digest": "d"}, "profile", 16777215),
]


@pytest.mark.parametrize(("kind", "rest", "name", "limit"), LIMITS)
def test_a_text_may_be_so_long_and_no_longer(
    kind: type[m.Message], rest: dict[str, Any], name: str, limit: int
) -> None:
    kind.model_validate(rest | {name: "x" * limit})
    with pytest.raises(ValidationError, match="at most"):
        kind.model_validate(rest | {name: "x" * (limit + 1)})


PAIR = {"key": "k", "value": "v"}
POINT = {"key": "k", "value": 1, "timestamp": 1}
COUNTS: list[tuple[type[m.Message], dict[str, Any], str, object, int]] = [
    (m.LogBatch, {"run_id": RUN}, "metrics", POINT, 1000),
    (m.LogBatch, {"run_id": RUN}, "tags", PAIR, 100),
    (m.SearchDatasets, {}, "experiment_ids", "1", 20),
    (m.GetHistoryBulk, {"metric_key": "k"}, "run_id", RUN, 100),
    (m.GetHistoryInterval, {"metric_key": "k"}, "run_ids", RUN, 100),
]


@pytest.mark.parametrize(("kind", "rest", "name", "item", "limit"), COUNTS)
def test_a_list_may_hold_so_many_and_no_more(
    kind: type[m.Message], rest: dict[str, Any], name: str, item: object, limit: int
) -> None:
    kind.model_validate(rest | {name: [item] * limit})
    with pytest.raises(ValidationError, match="at most"):
        kind.model_validate(rest | {name: [item] * (limit + 1)})


def test_a_batch_holds_a_thousand_things_in_all() -> None:
    params = [{"key": f"p{number}", "value": "v"} for number in range(101)]
    m.LogBatch.model_validate({"run_id": RUN, "metrics": [POINT] * 800, "params": params[:100], "tags": [PAIR] * 100})
    with pytest.raises(Invalid, match="1000"):
        m.LogBatch.model_validate({"run_id": RUN, "metrics": [POINT] * 900, "params": params[:100], "tags": [PAIR]})
    with pytest.raises(ValidationError, match="at most"):
        m.LogBatch.model_validate({"run_id": RUN, "params": params})


def test_the_tags_of_a_new_experiment_have_the_limit_of_those_set_later() -> None:
    m.CreateExperiment.model_validate({"name": "n", "tags": [{"key": "k", "value": "x" * 20000}]})
    with pytest.raises(ValidationError, match="at most"):
        m.CreateExperiment.model_validate({"name": "n", "tags": [{"key": "k", "value": "x" * 20001}]})


@pytest.mark.parametrize("kind", [m.SearchRuns, m.SearchExperiments])
def test_a_page_has_1_to_50000_items(kind: type[m.Message]) -> None:
    for fits in (1, 50000, "50000"):
        kind.model_validate({"max_results": fits})
    for bad in (0, -1, 50001, "0"):
        with pytest.raises(ValidationError):
            kind.model_validate({"max_results": bad})


@pytest.mark.parametrize("kind", [m.DeleteTag, m.DeleteExperimentTag])
def test_a_nul_which_no_database_takes_is_refused_where_keys_are_not_checked(kind: type[m.Message]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate({"run_id": RUN, "experiment_id": "1", "key": "a\0b"})


LISTS = [
    (kind, name) for kind in MESSAGES for name, field in kind.model_fields.items() if "list[" in str(field.annotation)
]


@pytest.mark.parametrize(("kind", "name"), LISTS)
def test_many_wrong_items_cost_no_more_than_a_bounded_number_of_errors(kind: type[m.Message], name: str) -> None:
    """Millions of items fit into a body, and each error takes a kilobyte."""
    with pytest.raises(ValidationError) as refused:
        kind.model_validate({name: [{}] * 5000})
    assert refused.value.error_count() < 5000


# Spellings


@pytest.mark.parametrize("name", ["run_id", "runId", "run_uuid", "runUuid"])
def test_a_run_is_named_in_mlflows_old_and_new_way(name: str) -> None:
    assert m.GetRun.model_validate({name: RUN}).run_id == RUN


def test_the_new_name_of_a_run_counts_before_the_old_one() -> None:
    assert m.GetRun.model_validate({"run_uuid": "b" * 32, "run_id": RUN}).run_id == RUN


@pytest.mark.parametrize("kind", [m.OneRun, m.LogBatch, m.DeleteTag, m.LogInputs])
def test_where_mlflow_has_no_old_name_there_is_none(kind: type[m.Message]) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate({"run_uuid": RUN, "key": "k"})


def test_bodies_may_use_camel_case() -> None:
    assert m.SearchRuns.model_validate({"experimentIds": ["1"], "maxResults": 5}).max_results == 5


@pytest.mark.parametrize("kind", MESSAGES)
def test_null_is_the_same_as_absent_and_unknown_fields_are_ignored(kind: type[m.Message]) -> None:
    """Of every message: a field that need not be there may be null, and one that must be there may not."""
    fields = kind.model_fields.items()
    nulls = {name.rstrip("_"): None for name, _ in fields} | {"no such field": 1}
    try:
        message = kind.model_validate(nulls)
    except ValidationError as error:
        refused = {str(problem["loc"][0]).rstrip("_") for problem in error.errors()}
        assert refused == {name.rstrip("_") for name, field in fields if field.is_required()}
    else:
        assert message == kind.model_validate({})
