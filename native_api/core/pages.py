"""One page of a list: its order, its limit, and the token that says where the next one begins."""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, false, or_, select, union_all

from native_api.core.errors import Invalid

T = TypeVar("T")

Value = str | int | float | None
"""One sort value of the last row of a page."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some items, and the token of the next page (None when there is none)."""

    items: Sequence[T]
    next_token: str | None


# Tokens


class _Token(msgspec.Struct, array_like=True):
    query: str
    values: list[Value]


def fingerprint(*parts: object) -> str:
    """What a token is bound to: the query it continues. A token of another query is refused."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def encode(query: str, values: Sequence[Value]) -> str:
    """An opaque token for the row with these sort values."""
    body = msgspec.msgpack.encode(_Token(query, list(values)))
    return base64.urlsafe_b64encode(body).decode()


def decode(query: str, token: str) -> list[Value]:
    """The sort values in a token of this query; Invalid if it is not one.

    Values are only ever bound as parameters of a comparison, so a forged token can show nothing but another page.
    """
    try:
        body = msgspec.msgpack.decode(base64.b64decode(token, altchars=b"-_", validate=True), type=_Token)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        raise Invalid("Invalid page token") from None
    if body.query != query:
        raise Invalid("Invalid page token: it belongs to another query")
    return body.values


# Orders


@dataclass(frozen=True)
class Column:
    """One column of an order. Nulls come last in both directions."""

    expression: ColumnElement[Any]
    kind: type[str] | type[int] | type[float]
    descending: bool = False
    nullable: bool = False

    def order(self) -> ColumnElement[Any]:
        directed = self.expression.desc() if self.descending else self.expression.asc()
        return directed.nulls_last() if self.nullable else directed

    def takes(self, value: Value) -> bool:
        """Whether a row may have this value, which may come from a forged token, and a database may be asked for it."""
        if value is None:
            return self.nullable
        if isinstance(value, str):
            return self.kind is str and "\0" not in value
        if isinstance(value, int):
            return self.kind is int and -(2**63) <= value < 2**63
        return self.kind is float and not math.isnan(value)

    def equals(self, value: Value) -> ColumnElement[bool]:
        return self.expression.is_(None) if value is None else self.expression == value

    def beyond(self, value: Value) -> ColumnElement[bool]:
        """The rows that this column alone puts after one with the value."""
        if value is None:
            return false()
        further = self.expression < value if self.descending else self.expression > value
        return or_(further, self.expression.is_(None)) if self.nullable else further


Statement: TypeAlias = Select[*tuple[Any, ...]]
Found: TypeAlias = Row[*tuple[Any, ...]]


@dataclass(frozen=True)
class Part:
    """A stretch of a list: a statement that selects its items, and their order, which ends in a unique column.

    `others` select more of its items, each by another range of an index: of every statement no more is read than the
    page takes, and then they are merged.
    """

    statement: Statement
    columns: Sequence[Column]
    others: Sequence[Statement] = ()

    def starts(self, values: Sequence[Value] | None) -> list[list[ColumnElement[bool]]]:
        """Which rows come after the one with these values (all, if None), as one or two ranges of an index."""
        if values is None:
            return [[]]
        first, value = self.columns[0], values[0]
        if value is None:
            return [[_after(self.columns, values)]]
        bound = first.expression <= value if first.descending else first.expression >= value
        whole = replace(first, nullable=False)
        rest = [bound, _after([whole, *self.columns[1:]], values)]
        return [rest, [first.expression.is_(None)]] if first.nullable else [rest]

    def rows(self, where: Sequence[ColumnElement[bool]], limit: int) -> Statement:
        """The first rows that satisfy the clauses: what the statement selects, then the columns of the order."""
        named = [column.expression.label(f"sort_{place}") for place, column in enumerate(self.columns)]
        order = [column.order() for column in self.columns]
        found = [
            statement.add_columns(*named).where(*where).order_by(*order).limit(limit)
            for statement in (self.statement, *self.others)
        ]
        if not self.others:
            return found[0]
        merged = union_all(*(select(one.subquery()) for one in found)).subquery()
        outer = [
            replace(column, expression=merged.c[name.name]) for column, name in zip(self.columns, named, strict=True)
        ]
        return select(merged).order_by(*(column.order() for column in outer)).limit(limit)


def _after(columns: Sequence[Column], values: Sequence[Value]) -> ColumnElement[bool]:
    """Equal in some columns and beyond in the next, for each of them: flat, as SQLite's parser takes little nesting."""
    cases = []
    equal: list[ColumnElement[bool]] = []
    for column, value in zip(columns, values, strict=True):
        cases.append(and_(*equal, column.beyond(value)))
        equal.append(column.equals(value))
    return or_(*cases)


def read(conn: Connection, parts: Sequence[Part], query: str, limit: int, token: str | None) -> Page[Found]:
    """One page of a list that is read part after part. Its rows begin with what the statements select.

    A token holds the number of the part and the sort values of the last row, so that a deep page costs as much as the
    first, and what is added or removed meanwhile neither repeats nor hides anything else.
    """
    at, values = _place(parts, query, token) if token else (0, None)
    rows: list[Found] = []
    places: list[int] = []
    for number, part in enumerate(parts[at:], at):
        for where in part.starts(values):
            found = conn.execute(part.rows(where, limit + 1 - len(rows))).all()
            rows += found
            places += [number] * len(found)
            if len(rows) > limit:
                place = places[limit - 1]
                last = rows[limit - 1][-len(parts[place].columns) :]
                return Page(rows[:limit], encode(query, [place, *last]))
        values = None
    return Page(rows, None)


def _place(parts: Sequence[Part], query: str, token: str) -> tuple[int, list[Value]]:
    at, *values = decode(query, token) or [None]
    if not isinstance(at, int) or not 0 <= at < len(parts):
        raise Invalid("Invalid page token")
    columns = parts[at].columns
    if len(values) != len(columns) or not all(c.takes(v) for c, v in zip(columns, values, strict=True)):
        raise Invalid("Invalid page token")
    return at, values
