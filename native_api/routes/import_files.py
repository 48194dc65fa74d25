"""A file of rows, CSV or JSON, read piece by piece: its size does not matter."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import IO, Any, TypeVar

from pydantic import ValidationError

from native_api.core.errors import Invalid
from native_api.core.imports import Chunk

R = TypeVar("R")
Fields = Mapping[str, Any]
Row = tuple[Fields | str, str]
"""The fields of a row, or what is wrong with it; and the row as it stands in the file."""

MAX_ROW = 1024 * 1024
"""How many characters a row may have."""
TOO_LONG = f"The row has more than {MAX_ROW} characters: nothing from here on was read"
MAX_CHUNK = 4 * 1024 * 1024
"""About how many characters a chunk of rows has at most."""
BLOCK = 256 * 1024
"""How many characters of a JSON array are read at once."""


class Unreadable(Invalid):
    """From here on nothing can be read."""


class RowFile:
    """A file of rows with these columns. Raises Invalid if it is none, as far as its first line tells."""

    def __init__(self, file: IO[bytes], source_format: str, known: Collection[str], needed: Collection[str]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._taken = self._row_start = 0
        self._row: list[str] = []
        self._rows = self._csv(known, needed) if source_format == "csv" else self._json()

    def chunks(self, read: Callable[[Fields], R], rows_at_once: int) -> Iterator[Chunk[R]]:
        """The rows, numbered from 1, as what `read` makes of them. Raises Unreadable at the end if it breaks off."""
        number = start = 0
        good: dict[int, R] = {}
        refused: dict[int, str] = {}
        sources: dict[int, str] = {}
        broken: Unreadable | None = None
        try:
            for fields, source in self._rows:
                number += 1
                sources[number] = source
                if isinstance(fields, str):
                    refused[number] = fields
                else:
                    try:
                        good[number] = read(fields)
                    except ValidationError as error:
                        refused[number] = _words(error)
                if len(sources) == rows_at_once or self._taken - start > MAX_CHUNK:
                    yield Chunk(good, refused, sources)
                    good, refused, sources, start = {}, {}, {}, self._taken
        except Unreadable as error:
            broken = error
            number += 1
            sources[number] = ""
            refused[number] = error.message
        if sources:
            yield Chunk(good, refused, sources)
        if broken:
            raise broken

    def _lines(self) -> Iterator[str]:
        while line := self._text.readline(MAX_ROW + 1):
            self._taken += len(line)
            if self._taken - self._row_start > MAX_ROW:
                raise Unreadable(TOO_LONG)
            self._row.append(line)
            yield line

    # CSV

    def _csv(self, known: Collection[str], needed: Collection[str]) -> Iterator[Row]:
        reader = csv.reader(self._lines(), strict=True)
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise Invalid(f"The header of the file cannot be read: {error}") from None
        problem = (
            next((f"has the unknown column {name!r}" for name in header if name not in known), None)
            or next((f"has no column {name!r}" for name in needed if name not in header), None)
            or next((f"has the column {name!r} twice" for name in header if header.count(name) > 1), None)
        )
        if header and problem:
            raise Invalid(f"The header of the file {problem}; its columns are {', '.join(known)}")
        self._source()
        return self._csv_rows(reader, header)

    def _csv_rows(self, reader: Iterator[list[str]], header: Sequence[str]) -> Iterator[Row]:
        """An empty value is as good as none."""
        width = len(header)
        while True:
            try:
                for values in reader:
                    source = self._source()
                    if not source.isascii() and not _is_unicode(source):
                        yield NO_UNICODE, source
                    elif len(values) == width:
                        fields = dict(zip(header, values, strict=True))
                        if "" in values:
                            fields = {name: value for name, value in fields.items() if value}
                        yield fields, source
                    elif values:
                        yield f"The row has {len(values)} values, the header has {width}", source
                return
            except csv.Error as error:
                yield f"The row is no CSV: {error}", self._source()

    def _source(self) -> str:
        """The lines since the row before."""
        source = "".join(self._row)
        self._row.clear()
        self._row_start = self._taken
        return source

    # JSON

    def _json(self) -> Iterator[Row]:
        first = self._text.readline(BLOCK)
        while first.isspace():
            first = self._text.readline(BLOCK)
        if first.lstrip().startswith("["):
            return self._json_array(first.lstrip()[1:])
        if first and not first.lstrip().startswith("{"):
            raise Invalid("The file is neither a JSON array of objects nor one JSON object per line")
        rest = "" if first.endswith("\n") else next(self._lines(), "")
        return self._json_lines(chain([first + rest], self._lines()))

    def _json_lines(self, lines: Iterator[str]) -> Iterator[Row]:
        for line in lines:
            self._source()
            if line and not line.isspace():
                try:
                    yield _object(_DECODER.decode(line), line), line
                except (ValueError, RecursionError) as error:
                    yield f"The line is no JSON: {error}", line

    def _json_array(self, buffer: str) -> Iterator[Row]:
        """What follows the opening bracket. An element counts once the comma or bracket after it is there."""
        decode, at, is_first = _DECODER.raw_decode, 0, True
        while True:
            try:
                value, end = decode(buffer, at)
                mark = _MARK.match(buffer, end)
            except (ValueError, RecursionError):
                mark = None
            if mark is None:
                block = self._text.read(BLOCK)
                if is_first and not block and buffer.strip() == "]":
                    return
                if not block or len(buffer) - at > MAX_ROW:
                    raise Unreadable("The JSON array breaks off or is no JSON: nothing from here on was read")
                buffer, at = (buffer[at:] + block).lstrip(), 0
                self._taken += len(block)
                continue
            source = buffer[at:end]
            yield _object(value, source), source
            at, is_first = mark.end(), False
            if mark[1] == "]":
                break
        rest = buffer[at:]
        while not rest or rest.isspace():
            rest = self._text.read(BLOCK)
            if not rest:
                return
        raise Unreadable("Something follows the JSON array")


_DECODER = json.JSONDecoder(parse_constant=str)
_MARK = re.compile(r"[ \t\r\n]*([,\]])[ \t\r\n]*")


def _object(value: object, source: str) -> Fields | str:
    if not isinstance(value, dict):
        return "The row is no JSON object"
    if (not source.isascii() or "\\u" in source) and not _is_unicode(json.dumps(value, ensure_ascii=False)):
        return NO_UNICODE
    return value


NO_UNICODE = "The row is no Unicode: it has bytes that are no UTF-8, or half of a character"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# What is told of a row


def _words(error: ValidationError) -> str:
    """Each field and what is wrong with it, as the native API tells it."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(": ".join(filter(None, (".".join(map(str, one["loc"])), one["msg"]))) for one in found)
