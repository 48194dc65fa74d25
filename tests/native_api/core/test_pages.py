"""Tokens, and pages over any order."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from functools import cmp_to_key
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Connection, Double, Engine, Integer, MetaData, Table, Text, insert, select
from sqlalchemy import Column as TableColumn

from native_api.core import db, pages
from native_api.core.errors import Invalid
from native_api.core.pages import Column, Part, Value

things = Table(
    "things",
    MetaData(),
    TableColumn("id", Integer, primary_key=True),
    TableColumn("word", Text),
    TableColumn("number", BigInteger),
    TableColumn("measure", Double),
)
KINDS: dict[str, type[str] | type[int] | type[float]] = {"word": str, "number": int, "measure": float}

# Tokens

values = st.lists(st.none() | st.text(max_size=5) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False))


@given(st.text(max_size=12), values)
def test_a_token_holds_what_it_was_made_of(query: str, given_: list[Value]) -> None:
    token = pages.encode(query, given_)
    assert pages.decode(query, token) == given_
    assert token.isascii()


@given(st.text() | st.binary().map(lambda body: base64.urlsafe_b64encode(body).decode()))
@example("")
@example("é")
@example(base64.b64encode(b'{"offset": 3}').decode())
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Invalid, match="Invalid page token"):
        pages.decode("query", token)


@pytest.mark.parametrize(
    "body", [["query", [[1]]], ["query", [True]], ["query", 1], ["query"], [1, []], ["query", [2**64 - 1, b""]]]
)
def test_a_token_of_other_things_is_refused(body: object) -> None:
    with pytest.raises(Invalid, match="Invalid page token"):
        pages.decode("query", base64.urlsafe_b64encode(msgspec.msgpack.encode(body)).decode())


def test_a_token_of_another_query_is_refused() -> None:
    token = pages.encode(pages.fingerprint("things", [1]), [1])
    with pytest.raises(Invalid, match="another query"):
        pages.decode(pages.fingerprint("things", [2]), token)


@pytest.mark.parametrize(
    ("column", "taken", "refused"),
    [
        (Column(things.c.word, str), ["", "a"], [None, 1, 1.0, "\0", "a\0"]),
        (Column(things.c.number, int, nullable=True), [None, 0, -(2**63), 2**63 - 1], ["1", 1.0, 2**63, -(2**63) - 1]),
        (Column(things.c.measure, float), [0.0, math.inf, -math.inf], [None, "1", 1, math.nan]),
    ],
)
def test_a_column_takes_what_a_row_may_have(column: Column, taken: list[Value], refused: list[Value]) -> None:
    assert all(column.takes(value) for value in taken)
    assert not any(column.takes(value) for value in refused)


# Pages

rows = st.fixed_dictionaries(
    {
        "word": st.none() | st.sampled_from(["", "a", "B", "b", "é", "日", "😀"]),
        "number": st.none() | st.sampled_from([-(2**63), 0, 1, 2**63 - 1]),
        "measure": st.none() | st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 0.1, math.inf]),
    }
)
orders = st.lists(st.tuples(st.sampled_from(sorted(KINDS)), st.booleans()), max_size=3, unique_by=lambda key: key[0])


@settings(max_examples=60, deadline=None)
@given(stored=st.lists(rows, max_size=12), order=orders, split=st.booleans())
def test_pages_go_through_everything_once_and_in_order(
    engine: Engine, stored: list[dict[str, Any]], order: list[tuple[str, bool]], split: bool
) -> None:
    with engine.connect() as conn, conn.begin() as transaction:
        things.create(conn)
        if stored:
            conn.execute(insert(things), [{"id": id_, **row} for id_, row in enumerate(stored)])
        columns = [column(conn, name, descending) for name, descending in order]
        columns.append(Column(things.c.id, int))
        where = [things.c.id % 2 == 1, things.c.id % 2 == 0] if split else [things.c.id >= 0]
        parts = [Part(select(things.c.id).where(clause), columns) for clause in where]
        ids = range(len(stored))
        stretches = [[id_ for id_ in ids if id_ % 2 == odd] for odd in (1, 0)] if split else [list(ids)]
        expected = [id_ for stretch in stretches for id_ in in_order(stretch, stored, order)]
        for limit in range(1, len(stored) + 2):
            found: list[int] = []
            token = None
            while True:
                page = pages.read(conn, parts, "query", limit, token)
                found += [row[0] for row in page.items]
                token = page.next_token
                assert len(page.items) == limit or token is None
                if token is None:
                    break
            assert found == expected
        transaction.rollback()


def column(conn: Connection, name: str, descending: bool) -> Column:
    expression = db.bytewise(conn, things.c.word) if name == "word" else things.c[name]
    return Column(expression, KINDS[name], descending, nullable=True)


def in_order(ids: Sequence[int], stored: Sequence[dict[str, Any]], order: Sequence[tuple[str, bool]]) -> list[int]:
    def compare(one: int, other: int) -> int:
        for name, descending in order:
            a, b = stored[one][name], stored[other][name]
            if a is None or b is None:
                if a is not b:
                    return 1 if a is None else -1
            elif a != b:
                return 1 if (a > b) != descending else -1
        return one - other

    return sorted(ids, key=cmp_to_key(compare))


@pytest.mark.parametrize("place", [-1, 1, 2**40, "0", None, 0.0])
def test_a_token_of_no_part_is_refused(conn: Connection, place: Value) -> None:
    part = Part(select(things.c.id), [Column(things.c.id, int)])
    with pytest.raises(Invalid, match="Invalid page token"):
        pages.read(conn, [part], "query", 1, pages.encode("query", [place, 1]))


@pytest.mark.parametrize("values", [[], [1, 1], ["1"], [None], [2**63]])
def test_a_token_of_another_order_is_refused(conn: Connection, values: list[Value]) -> None:
    part = Part(select(things.c.id), [Column(things.c.id, int)])
    with pytest.raises(Invalid, match="Invalid page token"):
        pages.read(conn, [part], "query", 1, pages.encode("query", [0, *values]))
    with pytest.raises(Invalid, match="Invalid page token"):
        pages.read(conn, [part], "query", 1, pages.encode("query", []))
