"""Rows of imports: what each kind takes, as text or with types, and that the quick way reads what the message reads."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from native_api.core.import_runs import PointRow
from native_api.core.metrics import MetricScope, Name, Point
from native_api.routes.import_rows import MetricReader, number, read_artifact, read_dataset, read_run, whole
from native_api.routes.messages import iso

ID = "0a" * 16
UUID = "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a"
BIG = 2**63


@pytest.mark.parametrize(
    ("given", "meant"),
    [("0", 0), ("-7", -7), ("3.0", 3), ("3.", 3), (3.0, 3), (4, 4), (str(BIG - 1), BIG - 1), (-BIG, -BIG), ("007", 7)],
)
def test_a_whole_number_may_be_text(given: object, meant: int) -> None:
    assert whole(given) == meant


@pytest.mark.parametrize(
    "given", ["", "x", "1.5", 1.5, True, None, "1_0", " 1", str(BIG), BIG, -BIG - 1, 1e300, math.nan]
)
def test_what_is_no_whole_number_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="whole"):
        whole(given)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("1", 1),
        ("-1.5e3", -1500),
        (2, 2),
        (0.1, 0.1),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        ("inf", math.inf),
    ],
)
def test_a_number_may_be_text(given: object, meant: float) -> None:
    assert number(given) == meant


def test_a_zero_has_no_sign_and_a_nan_is_one() -> None:
    assert math.copysign(1, number("-0.0")) == 1
    assert math.isnan(number("NaN"))


@pytest.mark.parametrize("given", ["", "x", "1e999", True, None, "1_0", math.nan, math.inf, 10**400, [1]])
def test_what_is_no_number_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="number"):
        number(given)


def refusal(read: Any, fields: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        read(fields)
    return str(caught.value)


def test_a_metric_row_becomes_a_point() -> None:
    read = MetricReader()
    row = {"run_id": UUID, "metric_key": "loss", "scope": "val", "step": "3", "value": "0.5"}
    name = Name(MetricScope.VAL, "loss")
    assert read(row) == PointRow(ID, name, Point(3, 0, 0.5), False)
    assert read(row | {"recorded_at": iso(12)}) == PointRow(ID, name, Point(3, 12, 0.5), True)
    del row["step"]
    assert read(row | {"value": "NaN"}) == PointRow(ID, name, Point(0, 0, 0.0, 1, 1), False)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"run_id": "x"}, "run_id"),
        ({"metric_key": "val/loss"}, "give the scope apart"),
        ({"metric_key": "a\0b"}, "metric_key"),
        ({"metric_key": "k" * 251}, "metric_key"),
        ({"scope": "none"}, "scope"),
        ({"step": "1.5"}, "step"),
        ({"value": "much"}, "value"),
        ({"recorded_at": "yesterday"}, "recorded_at"),
        ({"recorded_at": 5}, "recorded_at"),
        ({"more": 1}, "more"),
    ],
)
def test_a_bad_metric_row_is_refused_whether_its_run_was_met_or_not(wrong: dict[str, Any], words: str) -> None:
    row = {"run_id": UUID, "metric_key": "loss", "step": 1, "value": 1.0}
    read = MetricReader()
    assert words in refusal(read, row | wrong)
    read(row)
    assert words in refusal(read, row | wrong)


texts = st.text("0123456789+-.:TZWeEinf_ NaN", max_size=30)
DAY = r"[0-9]{4}-[01][0-9]-[0-3][0-9]"
TIME = r"[0-2][0-9]:[0-5][0-9](:[0-6][0-9])?([.,][0-9]{1,9})?(Z|[+-][0-2][0-9]:?[0-9]{2})?"
times = st.one_of(
    texts,
    st.datetimes(timezones=st.none() | st.timezones()).map(lambda moment: moment.isoformat()),
    st.from_regex(rf"\A{DAY}[T ]{TIME}\Z"),
)
values = st.one_of(texts, st.floats(), st.integers(), st.booleans(), st.none())
rows = st.fixed_dictionaries(
    {"run_id": st.just(UUID), "metric_key": st.just("loss"), "value": values},
    optional={"scope": st.sampled_from(["val", "", None]), "step": values, "recorded_at": times | values},
)


@given(fields=rows)
def test_the_quick_way_reads_what_the_message_reads(fields: dict[str, Any]) -> None:
    afresh, warm = MetricReader(), MetricReader()
    for scope in ("val", None):
        warm({"run_id": UUID, "metric_key": "loss", "value": 1, "scope": scope})
    try:
        expected = afresh(fields)
    except ValidationError:
        refusal(warm, fields)
    else:
        assert warm(fields) == expected


def test_a_reader_forgets_rather_than_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MetricReader, "LIMIT", 2)
    read = MetricReader()
    keys = [read({"run_id": UUID, "metric_key": f"m{n % 4}", "value": n}).name.key for n in range(8)]
    assert keys == ["m0", "m1", "m2", "m3"] * 2


def test_a_run_row_names_its_experiment_by_either_id() -> None:
    assert read_run({"experiment_id": "12"}).experiment_id == 12
    assert read_run({"experiment_id": 12}).experiment_id == 12
    assert read_run({"experiment_id": UUID}).experiment_id == ID
    assert read_run({"experiment_id": "1" * 32}).experiment_id == "1" * 32
    assert "neither a UUID nor" in refusal(read_run, {"experiment_id": "zebra"})
    assert "neither a UUID nor" in refusal(read_run, {"experiment_id": "z" * 32})


def test_the_params_of_a_run_row_are_an_object_or_its_text() -> None:
    typed = read_run({"experiment_id": 1, "params_json": {"lr": 0.1, "n": 3}})
    assert typed == read_run({"experiment_id": "1", "params_json": '{"lr": 0.1, "n": 3}'})
    assert typed.params_json == {"lr": 0.1, "n": 3}
    for wrong in ("[]", "{", '{"a": NaN}', '{"a": "\\u0000"}'):
        assert "params_json" in refusal(read_run, {"experiment_id": 1, "params_json": wrong})


def test_an_artifact_row_without_a_type_is_what_its_uri_names() -> None:
    row = {"project_id": UUID, "uri": "s3://b/net.onnx", "size_bytes": "12"}
    assert read_artifact(row)[:5] == (ID, "model", "s3://b/net.onnx", None, 12)
    assert "size_bytes" in refusal(read_artifact, row | {"size_bytes": "-1"})
    assert "names no run" in refusal(read_artifact, row | {"alias": "best"})


def test_a_dataset_row_is_what_the_native_api_takes() -> None:
    assert read_dataset({"project_id": UUID, "name": "d"}) == (ID, "d", "other", None)
    assert "task_type" in refusal(read_dataset, {"project_id": UUID, "name": "d", "task_type": "x"})
