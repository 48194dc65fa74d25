"""Columns of values in the binary form that PostgreSQL takes arrays in.

psycopg writes a list value by value as text, in the smallest type that holds them all, and the database reads and casts
them one by one. Packed here, a thousand points cost us an eighth of that; and a statement always has the same types, so
that it stays prepared.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from psycopg.abc import AdaptContext, Dumper


class Array(bytes):
    """The binary form of an array of one dimension; its class tells the type."""

    oid: ClassVar[int]


class TextArray(Array):
    oid = 1009


class SmallintArray(Array):
    oid = 1005


class BigintArray(Array):
    oid = 1016


class DoubleArray(Array):
    oid = 1022


class Kind(NamedTuple):
    """A type of elements: its oid, the class of its arrays, the binary form of an element, and its length if fixed."""

    oid: int
    array: type[Array]
    encode: Callable[[Any], bytes]
    size: int | None = None

    def pack(self, values: Sequence[Any]) -> Array:
        """The array of these values; None becomes null."""
        count, encode = len(values), self.encode
        has_nulls = None in values
        if has_nulls or self.size is None:
            elements = [None if value is None else encode(value) for value in values]
            body = b"".join([_NULL if data is None else _length(len(data)) + data for data in elements])
        else:
            length, first = _length(self.size), values[0] if values else None
            if type(first) is int and values.count(first) == count:  # such as the scope: mostly the same all along
                body = (length + encode(first)) * count
            else:
                body = length.join((b"", *map(encode, values)))
        # One dimension (none, if there is no element), whether there are nulls, the type; how many, from which index.
        head = _head(1, has_nulls, self.oid) + _dimension(count, 1) if count else _head(0, 0, self.oid)
        return self.array(head + body)


_head = struct.Struct("!iiI").pack
_dimension = struct.Struct("!ii").pack
_length = struct.Struct("!i").pack
_NULL = _length(-1)


TEXT = Kind(25, TextArray, str.encode)
SMALLINT = Kind(21, SmallintArray, struct.Struct("!h").pack, 2)
BIGINT = Kind(20, BigintArray, struct.Struct("!q").pack, 8)
DOUBLE = Kind(701, DoubleArray, struct.Struct("!d").pack, 8)


@cache
def dumper() -> type[Dumper]:
    """What hands an Array to psycopg, which a server on SQLite does without."""
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class ArrayDumper(Dumper):
        format = Format.BINARY

        def __init__(self, cls: type[Array], context: AdaptContext | None = None) -> None:
            super().__init__(cls, context)
            self.oid = cls.oid

        def dump(self, obj: Array) -> bytes:
            return obj

    return ArrayDumper
