"""The columns of an export's files in Arrow: their schemas, and whether what stands in a file may stand there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import String

from native_api.core.errors import Invalid
from native_api.transfer import kept as k
from native_api.transfer.kept import Kept, Rule

BATCH = 50_000
"""How many rows are read at a time."""


def schema_of(kept: Kept) -> pa.Schema:
    """The schema of the file of a table."""
    return pa.schema([pa.field(name, _type(name, column), _is_nullable(kept, name)) for name, column in kept.fields])


def _is_nullable(kept: Kept, name: str) -> bool:
    return next(bool(part.column.nullable) for part in kept.parts if name in part.names)


def _type(name: str, column: Any) -> pa.DataType:
    rule_is_text = isinstance(column.type, String) or name == "scope" or name.endswith("_json")
    if rule_is_text:
        return pa.string()
    if k.is_float(column):
        return pa.float64()
    return pa.bool_() if k.is_flag(column) else pa.int64()


FILES_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)
"""The list of the artifacts' files."""


def check(path: Path, kept: Kept) -> None:
    """Raise Invalid unless each value in the file is one that the table may have."""
    rules = {name: k.rule_of(kept, name, column) for name, column in kept.fields}
    for batch in batches(path):
        for name, rule in rules.items():
            if wrong := _wrong(batch.column(name), rule):
                raise Invalid(f"{path.name}: the column {name} has a value that is {wrong}")


def batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a file, some at a time. Invalid if it is damaged."""
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH, use_threads=False):
                batch.validate(full=True)  # also that all text is UTF-8
                yield batch
    except (pa.ArrowException, OSError) as error:
        raise Invalid(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from None


def _wrong(values: pa.Array, rule: Rule) -> str | None:
    """What is wrong with one of the values, if anything."""
    if values.null_count and not rule.nullable:
        return "missing"
    if pa.types.is_string(values.type):
        if _any(pc.match_substring(values, "\0")):
            return "text with a NUL in it"
        if rule.most_bytes is not None and _any(pc.greater(pc.binary_length(values), rule.most_bytes)):
            return f"longer than {rule.most_bytes} bytes"
    if rule.pattern and not _all(pc.match_substring_regex(values, rf"\A(?:{k.PATTERNS[rule.pattern].pattern})\z")):
        return f"no {rule.pattern}"
    if rule.words and not _all(pc.or_kleene(pc.is_in(values, pa.array(rule.words)), pc.is_null(values))):
        return f"none of {', '.join(rule.words)}"
    if rule.least is not None and _any(pc.less(values, rule.least)):
        return f"below {rule.least}"
    if rule.is_json and not all(text is None or _is_json_object(text) for text in values.to_pylist()):
        return "no JSON object"
    return None


def _any(found: pa.Array) -> bool:
    return bool(pc.any(found, min_count=0).as_py())


def _all(found: pa.Array) -> bool:
    return bool(pc.all(found, min_count=0).as_py())


def _is_json_object(text: str) -> bool:
    try:
        return "\\u0000" not in text and isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError):
        return False
