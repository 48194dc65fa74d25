"""PostgreSQL reads the arrays that are packed here as the values they were made of."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from native_api.core import db
from native_api.core.arrays import BIGINT, DOUBLE, SMALLINT, TEXT, Kind

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = {
    SMALLINT: st.integers(-(2**15), 2**15 - 1),
    BIGINT: st.integers(-(2**63), 2**63 - 1),
    DOUBLE: st.floats(),
    TEXT: texts,
}
TYPES = {SMALLINT: "smallint", BIGINT: "bigint", DOUBLE: "double precision", TEXT: "text"}


@pytest.fixture(scope="module")
def postgres(postgres_url: str) -> Iterator[Connection]:
    engine = db.create_reader(db.parse_url(postgres_url), 1)
    with engine.connect() as conn:
        yield conn
    engine.dispose()


@pytest.mark.parametrize("kind", VALUES, ids=TYPES.get)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(data=st.data())
def test_what_is_packed_is_what_arrives(postgres: Connection, kind: Kind, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | VALUES[kind]))
    type_, found = postgres.exec_driver_sql("SELECT pg_typeof(%s), %s", (kind.pack(values),) * 2).one()
    assert type_ == f"{TYPES[kind]}[]"
    assert [repr(value) for value in found] == [repr(value) for value in values]  # NaN, and the sign of a zero


@pytest.mark.parametrize(
    ("kind", "value"),
    [(SMALLINT, 0), (BIGINT, 2**63 - 1), (DOUBLE, -0.0), (DOUBLE, math.inf), (TEXT, "é"), (TEXT, None)],
)
@pytest.mark.parametrize("count", [1, 1000])
def test_the_same_value_all_along(postgres: Connection, kind: Kind, value: object, count: int) -> None:
    (found,) = postgres.exec_driver_sql("SELECT %s", (kind.pack([value] * count),)).one()
    assert [repr(value) for value in found] == [repr(value)] * count


def test_zeros_keep_their_signs() -> None:
    assert DOUBLE.pack([0.0, -0.0]) != DOUBLE.pack([0.0, 0.0])


def test_no_value_is_cut_to_its_type() -> None:
    with pytest.raises(struct.error):
        SMALLINT.pack([2**15])
