"""MLflow's JSON on the wire: what is understood, whatever the bytes, and what is written."""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from native_api.core.errors import Invalid
from native_api.web.endpoint import Incoming
from shim import messages as m
from shim.wire import LARGEST, number, read, render
from tests.shim.test_messages import MESSAGES

M = TypeVar("M", bound=BaseModel)

RUN = "a" * 32


def posted(kind: type[M], body: bytes, content_type: bytes = b"application/json") -> M:
    return _read(kind, Incoming("POST", {b"content-type": content_type}, {}, b"", body))


def asked(kind: type[M], query: bytes, body: bytes = b"") -> M:
    return _read(kind, Incoming("GET", {}, {}, query, body))


def _read(kind: type[M], incoming: Incoming) -> M:
    message = read(kind, incoming)
    assert isinstance(message, kind)
    return message


# Bodies


@pytest.mark.parametrize("written", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_a_post_says_that_it_sends_json(written: str) -> None:
    posted(m.Nothing, b"{}", written.encode())


@pytest.mark.parametrize(
    "written", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"]
)
def test_a_post_that_does_not_say_so_is_refused(written: str) -> None:
    """A browser sends these types to other sites without asking them first."""
    with pytest.raises(Invalid, match="Content-Type must be 'application/json'"):
        posted(m.Nothing, b"{}", written.encode())


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}", b'"{}"', b'""'])
def test_an_empty_body_is_an_empty_message(body: bytes) -> None:
    assert posted(m.SearchRuns, body) == m.SearchRuns()


def test_a_body_may_be_json_within_a_json_string() -> None:
    body = json.dumps(json.dumps({"run_id": RUN, "key": "ü", "value": 'quo"ted'}))
    assert posted(m.SetTag, body.encode()) == m.SetTag(run_id=RUN, key="ü", value='quo"ted')


MALFORMED = [
    *(
        b"{",
        b"}",
        b"[]",
        b"5",
        b"null",
        b"true",
        b'"',
        b'"x"',
        b'"\x80"',
        b'"[]"',
        b'"\\"{}\\""',
        b"nul",
        b"{}{}",
        b"{} x",
    ),
    *(b'{"a":', b"{'a':1}", b'{"a":1,}', b'{"a":01}', b'{"a":+1}', b'{"a":.5}', b'{"a":1 "b":2}', b"{a:1}", b"{/**/}"),
    *(b"\xff", b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b"\xef\xbb\xbf{}", b"{}\x00", b'{"a":"\n"}', b'{"a":"\\x"}'),
    *(b'{"a":"\\ud800"}', b'{"a":"\\udc00\\ud800"}', b'"\\ud800"', b"[" * 100_000, b'{"a":' * 100_000),
    b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}",
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:20]))
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    """Also where nothing of it is wanted."""
    with pytest.raises(Invalid, match="the body must be a JSON object"):
        posted(m.Nothing, body)
    with pytest.raises(Invalid, match="the body must be a JSON object"):
        asked(m.Nothing, b"", body)


def test_of_a_field_that_comes_twice_the_last_counts() -> None:
    assert posted(m.GetRun, b'{"run_id":"a","run_id":"b"}').run_id == "b"


@given(st.binary())
def test_any_bytes_make_a_message_or_a_refusal(body: bytes) -> None:
    for kind in (m.LogBatch, m.SearchRuns):
        _message_or_refusal(kind, Incoming("POST", {b"content-type": b"application/json"}, {}, b"", body))


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=9)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@given(st.sampled_from(MESSAGES), st.data())
def test_any_values_make_a_message_or_a_refusal(kind: type[m.Message], data: st.DataObject) -> None:
    """Lone surrogates, infinities and numbers without end among them."""
    fields = data.draw(st.dictionaries(st.sampled_from(["x", *kind.model_fields]), VALUES))
    body = json.dumps(fields).encode()
    _message_or_refusal(kind, Incoming("POST", {b"content-type": b"application/json"}, {}, b"", body))


def _message_or_refusal(kind: type[m.Message], incoming: Incoming) -> None:
    try:
        assert isinstance(read(kind, incoming), kind)
    except Invalid as problem:
        render({"message": problem.message})


@given(
    value=st.floats(),
    timestamp=st.integers(0, 2**63 - 1),
    step=st.integers(-(2**63), 2**63 - 1),
    as_text=st.booleans(),
)
def test_a_metric_arrives_as_it_was_sent(value: float, timestamp: int, step: int, as_text: bool) -> None:
    numbers: dict[str, Any] = {"value": value, "timestamp": timestamp, "step": step}
    sent = {"run_id": RUN, "key": "k"} | ({name: str(n) for name, n in numbers.items()} if as_text else numbers)
    point = posted(m.LogMetric, json.dumps(sent).encode())
    assert (point.timestamp, point.step) == (timestamp, step)
    assert point.value == value or (math.isnan(value) and math.isnan(point.value))


# Queries


def test_a_get_is_read_from_its_query() -> None:
    query = b"max_results=5&order_by=name+DESC&order_by=creation_time&filter=name%20%3D%20%27%C3%BC%27&view_type=ALL"
    assert asked(m.SearchExperiments, query) == m.SearchExperiments(
        max_results=5, order_by=["name DESC", "creation_time"], filter="name = 'ü'", view_type="ALL"
    )


@given(st.text(max_size=20))
def test_a_text_survives_the_query(text: str) -> None:
    query = urlencode({"filter": text, "max_results": "1"}).encode()
    assert asked(m.SearchExperiments, query).filter == text


def test_one_value_is_a_list_too_and_of_several_for_one_field_the_first_counts() -> None:
    assert asked(m.GetHistoryBulk, b"metric_key=k&run_id=a").run_id == ["a"]
    assert asked(m.GetHistoryBulk, b"metric_key=k&metric_key=l&run_id=a&run_id=b").metric_key == "k"


def test_a_query_knows_the_old_name_of_a_run_but_no_camel_case() -> None:
    assert asked(m.GetRun, b"run_uuid=a").run_id == "a"
    assert asked(m.GetHistory, b"run_id=a&metric_key=k&maxResults=nonsense&x=y").max_results is None
    with pytest.raises(Invalid, match="Missing value for required parameter"):
        asked(m.GetRun, b"runId=a")


def test_a_get_without_a_query_may_have_a_body() -> None:
    assert asked(m.GetRun, b"", b'{"runId":"a"}').run_id == "a"
    assert asked(m.GetRun, b"run_id=b", b'{"run_id":"a"}').run_id == "b"


@pytest.mark.parametrize("query", [b"run_id=%ff", b"run_id=%C3", b"run_id=\xc3\xbc", b"run_id=\xff", b"%ed%a0%80=a"])
def test_a_query_that_is_no_utf_8_is_refused(query: bytes) -> None:
    with pytest.raises(Invalid, match="the query string cannot be read"):
        asked(m.GetRun, query)


def test_a_query_without_end_is_refused() -> None:
    with pytest.raises(Invalid):
        asked(m.GetRun, b"&".join([b"run_id=a"] * 10_001))


QUERIES = st.lists(
    st.sampled_from(
        [b"run_id", b"metric_key", b"filter", b"max_results", b"=", b"&", b"%", b"%00", b"%C3", b"%zz", b";"]
    )
    | st.binary(max_size=4)
).map(b"".join)


@given(st.sampled_from([m.GetHistory, m.SearchExperiments, m.GetHistoryInterval]), QUERIES)
def test_any_query_makes_a_message_or_a_refusal(kind: type[m.Message], query: bytes) -> None:
    _message_or_refusal(kind, Incoming("GET", {}, {}, query, b""))


# Answers


def test_an_answer_that_is_bytes_is_sent_as_it_is() -> None:
    assert render(b'{"run": {}}') == b'{"run": {}}'
    assert json.loads(render({"name": "ü", "step": 2**63 - 1})) == {"name": "ü", "step": 2**63 - 1}


@given(st.floats(allow_nan=False))
def test_a_number_is_finite_on_the_wire_and_exact_where_it_can_be(value: float) -> None:
    written = json.loads(render(number(value, 0)))
    assert written == (value if math.isfinite(value) else math.copysign(LARGEST, value))


def test_nan_is_written_as_text() -> None:
    assert number(0.0, 1) == "NaN"


# The quick way of reading a batch


POINTS = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["loss", "val/loss", "a" * 250, "a" * 251, "é", "", "a\0", "../a"]) | SCALARS,
        "value": st.floats() | st.integers() | st.sampled_from(["NaN", "Infinity", "-Infinity", "1e400"]) | SCALARS,
        "timestamp": st.sampled_from([0, -1, 2**63 - 1, 2**63, "7", 7.0, 7.5]) | SCALARS,
    },
    optional={
        "step": st.sampled_from([0, -(2**63), 2**63, "-3", 3.0]) | SCALARS,
        "model_id": st.sampled_from(["m-1", "", "a\0"]) | SCALARS,
        "dataset_name": st.sampled_from(["d", "d" * 500, "d" * 501, "a\0"]) | SCALARS,
        "dataset_digest": st.sampled_from(["1", "d" * 37]) | SCALARS,
    },
)


@given(
    st.sampled_from(["a" * 32, "a\n", "", "-a", "a" * 257, 5]),
    st.lists(POINTS, max_size=3) | SCALARS,
    st.sampled_from([{}, {"params": []}, {"tags": None}, {"tags": [{"key": "k"}]}, {"runId": "b"}]),
)
@example("a", [{"key": "k", "value": 1, "timestamp": 1}] * 1001, {})
def test_a_batch_read_quickly_is_what_the_slow_reading_makes_of_it(run_id: object, metrics: object, more: Any) -> None:
    body = json.dumps({"run_id": run_id, "metrics": metrics} | more).encode()
    try:
        quick = m.LogBatch.read_quickly(body)
    except Invalid as problem:
        with pytest.raises(Invalid, match=f"^{re.escape(problem.message)}$"):
            m.LogBatch.model_validate_json(body)
        return
    if quick is not None:
        slow = m.LogBatch.model_validate_json(body)
        assert quick.run_id == slow.run_id
        assert [msgspec.structs.astuple(metric) for metric in quick.metrics or ()] == [
            msgspec.structs.astuple(metric) for metric in slow.metrics or ()
        ]


def test_a_usual_batch_is_read_quickly_and_one_with_params_or_words_for_numbers_is_not() -> None:
    point = {"key": "loss", "value": 1, "timestamp": 1, "step": 1}
    assert m.LogBatch.read_quickly(json.dumps({"run_id": "a", "metrics": [point], "params": []}).encode())
    for other in ({"metrics": [point | {"value": "NaN"}]}, {"metrics": [], "params": [{"key": "p", "value": "1"}]}):
        assert m.LogBatch.read_quickly(json.dumps({"run_id": "a"} | other).encode()) is None
    assert m.LogBatch.read_quickly(b'{"run_id":"a","metrics":[],"x":' + b"[" * 100_000) is None
