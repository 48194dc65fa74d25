"""Files of rows: what is read from them, in which chunks, and what is told of the rest."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping

import pytest
from pydantic import BaseModel, ConfigDict

from native_api.core.errors import Invalid
from native_api.routes import import_files
from native_api.routes.import_files import RowFile, Unreadable


class Pair(BaseModel):
    model_config = ConfigDict(extra="forbid")

    a: str
    b: int | None = None


def read(
    content: str | bytes, form: str, at_once: int = 100
) -> tuple[list[int], dict[int, Pair], dict[int, str], bool]:
    """How many rows each chunk has, the good rows, the reasons for the others, and whether it was read to the end."""
    encoded = content.encode() if isinstance(content, str) else content
    rows: dict[int, Pair] = {}
    refused: dict[int, str] = {}
    sizes: list[int] = []
    file = RowFile(io.BytesIO(encoded), form, ["a", "b"], ["a"])
    try:
        for chunk in file.chunks(Pair.model_validate, at_once):
            sizes.append(len(chunk.sources))
            rows |= chunk.rows
            refused |= chunk.refused
    except Unreadable:
        return sizes, rows, refused, False
    return sizes, rows, refused, True


SAME = {1: Pair(a="x", b=1), 2: Pair(a="y, z"), 3: Pair(a='"q"\nr', b=-3)}


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("csv", 'a,b\nx,1\n"y, z",\n"""q""\nr",-3\n'),
        ("csv", 'a,b\r\nx,1\r\n"y, z",\r\n"""q""\nr",-3'),
        ("csv", '\ufeffb,a\n1,x\n\n,"y, z"\n-3,"""q""\nr"\n\n'),
        ("json", json.dumps([row.model_dump() for row in SAME.values()])),
        ("json", json.dumps([row.model_dump() for row in SAME.values()], indent=3) + "\n\n"),
        ("json", "\ufeff \n" + "\n \n".join(row.model_dump_json() for row in SAME.values())),
        ("json", "".join(row.model_dump_json(exclude_none=True) + "\r\n" for row in SAME.values())),
    ],
)
def test_the_same_rows_come_from_each_form(form: str, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(content, form) == ([3], SAME, {}, True)
    assert read(content, form, at_once=2) == ([2, 1], SAME, {}, True)
    monkeypatch.setattr(import_files, "BLOCK", 7)
    assert read(content, form, at_once=1) == ([1, 1, 1], SAME, {}, True)


@pytest.mark.parametrize("content", ["", "a,b\n", "b,a", "\ufeff"])
def test_a_csv_may_have_no_rows(content: str) -> None:
    assert read(content, "csv") == ([], {}, {}, True)


@pytest.mark.parametrize("content", ["", " \n\n", "[]", "\n [ \n ] \n"])
def test_json_may_have_no_rows(content: str) -> None:
    assert read(content, "json") == ([], {}, {}, True)


@pytest.mark.parametrize(
    ("form", "content", "words"),
    [
        ("csv", "a,c\nx,1\n", "the unknown column 'c'"),
        ("csv", "b\n1\n", "no column 'a'"),
        ("csv", "a,b,a\nx,1,x\n", "the column 'a' twice"),
        ("csv", '"a\n', "The header of the file"),
        ("csv", "a,b\nx,1\n".encode("utf-16"), "unknown column"),
        ("csv", "a" * 2_000_000, "more than 1048576 characters"),
        ("json", "a,b\nx,1\n", "neither a JSON array"),
        ("json", '"text"', "neither a JSON array"),
    ],
)
def test_a_file_of_another_kind_is_refused_as_a_whole(form: str, content: str | bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        read(content, form)


@pytest.mark.parametrize(
    ("form", "content", "reasons"),
    [
        ("csv", "a,b\nx,1\nx\nx,1,2\ny,2\n", {2: "has 1 values, the header has 2", 3: "has 3 values"}),
        ("csv", 'a,b\n"x"y,1\nx,1\n', {1: "no CSV"}),
        ("csv", 'a,b\nx,1\n"y,2\n', {2: "no CSV: unexpected end of data"}),
        ("csv", f"a,b\n{'x' * 200_000},1\nx,1\n", {1: "field larger than field limit"}),
        ("csv", b"a,b\n\xff,1\nx,1\n", {1: "no Unicode"}),
        ("csv", "a,b\n,1\nx,one\n", {1: "a: Field required", 2: "b: Input should be a valid integer"}),
        (
            "json",
            '[{"a": "x"}, 3, {"a": 4, "c": 5}, null]',
            {2: "no JSON object", 3: "a: .*; c: Extra", 4: "no JSON obj"},
        ),
        (
            "json",
            '{"a": "x"}\n{"a": \n[1]\n{"a": "y"}{"a": "z"}\n{"a": "y"}',
            {2: "no JSON", 3: "no JSON object", 4: "no JSON"},
        ),
        ("json", '[{"a": "\\ud800"}, {"a": "\\u00e4"}]', {1: "no Unicode"}),
        ("json", '{"a": "x", "b": ' + "[" * 100_000 + "\n{}", {1: "no JSON", 2: "a: Field required"}),
    ],
)
def test_a_bad_row_is_refused_alone(form: str, content: str | bytes, reasons: Mapping[int, str]) -> None:
    _, _, refused, whole = read(content, form)
    assert whole
    assert refused.keys() == reasons.keys()
    for number, reason in reasons.items():
        assert re.search(reason, refused[number])


@pytest.mark.parametrize(
    "content",
    ['[{"a": "x"}, ', '[{"a": "x"}, {"a": }]', '[{"a": "x"}] more', '[{"a": "x"}]\n' + " " * 300_000 + "x"],
)
def test_what_follows_where_an_array_breaks_off_is_one_last_error(content: str) -> None:
    sizes, rows, refused, whole = read(content, "json")
    assert (sizes, rows, list(refused), whole) == ([2], {1: Pair(a="x")}, [2], False)


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("csv", "a,b\nx,\n" + "," * 1_100_000),
        ("csv", 'a,b\nx,\n"' + '\n","' * 600_000),
        ("json", '{"a": "x"}\n{"a": "' + "y" * 1_100_000),
        ("json", '[{"a": "x"},\n{"a": "' + "y" * 2_100_000),
    ],
)
def test_a_row_without_end_is_not_read_to_its_end(form: str, content: str) -> None:
    sizes, rows, refused, whole = read(content, form)
    assert (sizes, rows, list(refused), whole) == ([2], {1: Pair(a="x")}, [2], False)


def test_a_chunk_has_a_bound_in_characters_too() -> None:
    rows = "".join(f'{{"a": "{"x" * 500_000}"}}\n' for _ in range(20))
    sizes, good, _, _ = read(rows, "json")
    assert len(good) == 20
    assert max(sizes) <= 9


def test_the_text_of_a_row_is_that_of_the_file() -> None:
    content = b'a,b\nx,\xff\n"y\n z","1"\n'
    (chunk,) = RowFile(io.BytesIO(content), "csv", ["a", "b"], ["a"]).chunks(dict, 10)
    assert chunk.sources == {1: "x,\udcff\n", 2: '"y\n z","1"\n'}
