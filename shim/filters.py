"""Text of MLflow's `filter` and `order_by` -> conditions and sort keys.

MLflow's grammar (its `mlflow/utils/search_utils.py`), and beyond it OR, NOT, parentheses, IS [NOT] NULL on metrics, and
keywords in any case everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from native_api.core.errors import Invalid
from native_api.core.search import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    All,
    Attribute,
    Comparison,
    Condition,
    Field,
    Input,
    Metric,
    Not,
    Op,
    Param,
    Some,
    SortKey,
    Tag,
    Value,
)
from shim import metric_names, reserved_tags
from shim.logged_model_messages import STATUS_NAMES as MODEL_STATUS_NAMES
from shim.messages import STATUSES

MAX_TEXT = 200_000
MAX_PATTERN = 2_000
"""Matching takes time in proportion to the pattern and to the value; and SQLite refuses patterns above 50,000 bytes."""


def parse_run_filter(text: str) -> Condition | None:
    """The condition that a filter of runs states, if any. Invalid says what is wrong, and where."""
    return _Parser(text, _run_term, "Invalid clause(s) in filter string").condition()


def parse_experiment_filter(text: str) -> Condition | None:
    """The condition that a filter of experiments states, if any. Invalid says what is wrong, and where."""
    return _Parser(text, _experiment_term, "Invalid clause(s) in filter string").condition()


def parse_registered_model_filter(text: str) -> Condition | None:
    """The condition that a filter of registered models states, if any. Invalid says what is wrong, and where."""
    return _Parser(text, _registered_model_term, "Invalid clause(s) in filter string").condition()


def parse_model_version_filter(text: str) -> Condition | None:
    """The condition that a filter of versions of models states, if any. Invalid says what is wrong, and where."""
    return _Parser(text, _model_version_term, "Invalid clause(s) in filter string").condition()


def parse_model_filter(text: str) -> Condition | None:
    """The condition that a filter of logged models states, if any. Invalid says what is wrong, and where."""
    return _Parser(text, _model_term, "Invalid clause(s) in filter string", _MODEL_WORDS).condition()


def parse_run_order(texts: Sequence[str]) -> tuple[SortKey, ...]:
    """The sort keys of runs, one from each text. Invalid for a field named twice."""
    return _different(texts, _run_term)


def parse_experiment_order(texts: Sequence[str]) -> tuple[SortKey, ...]:
    """The sort keys of experiments, one from each text."""
    return tuple(_Parser(text, _experiment_term, "Invalid order_by clause").sort_key() for text in texts)


def parse_registered_model_order(texts: Sequence[str]) -> tuple[SortKey, ...]:
    """The sort keys of registered models, one from each text. Invalid for a field named twice."""
    return _different(texts, _registered_model_sort_term)


def parse_model_version_order(texts: Sequence[str]) -> tuple[SortKey, ...]:
    """The sort keys of versions of models, one from each text. Invalid for a field named twice."""
    return _different(texts, _model_version_sort_term)


def _different(texts: Sequence[str], term_of: Callable[[str, str], _Term]) -> tuple[SortKey, ...]:
    keys = tuple(_Parser(text, term_of, "Invalid order_by clause").sort_key() for text in texts)
    if len({key.field for key in keys}) < len(keys):
        raise Invalid(f"`order_by` contains duplicate fields: {_shown(', '.join(texts))}")
    return keys


def parse_model_order(name: str) -> Attribute | Metric:
    """What logged models are sorted by: the name of an attribute, or `metrics.` and a key as it is, without quotes."""
    entity, dot, key = name.partition(".")
    field = _model_term(entity, key).field if dot else _model_term("attributes", entity).field
    if not isinstance(field, Attribute | Metric) or entity == "attributes":
        raise Invalid(f"Invalid order by field name: {_shown(name)}. Only attributes and metrics are supported")
    return field


# Words


class _Token(NamedTuple):
    kind: str  # number, name, string, operator, mark, keyword or end
    text: str
    position: int


# A doubled quote, or one after a backslash, does not end what is quoted; it stays there as it is written.
_QUOTED = r"""(?:`(?:``|[^`])*`|"(?:""|\\"|[^"])*")"""
_STRING = r"'(?:''|\\'|[^'])*'"


class _Words(NamedTuple):
    """What words look like."""

    token: re.Pattern[str]
    name: re.Pattern[str]


def _words(key: str) -> _Words:
    """`key` is what a key looks like where it is not quoted."""
    name = rf"(?P<head>[^\W\d]\w*|{_QUOTED})(?:\.(?P<key>{key}|{_QUOTED}|{_STRING}))?"
    token = rf"""(?P<space>\s+)
        | (?P<number>-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
        | (?P<name>{name})
        | (?P<string>{_STRING})
        | (?P<operator>[=<>!~]+)
        | (?P<mark>[(),])"""
    return _Words(re.compile(token, re.VERBOSE), re.compile(name))


_PLAIN_WORDS = _words(r"[\w.]+")
_MODEL_WORDS = _words(r"[\w.][\w./-]*")
"""MLflow reads filters of logged models in another way, which takes `metrics.val/acc` and `tags.a-b` without quotes."""

_KEYWORDS = {"AND", "OR", "NOT", "LIKE", "ILIKE", "IN", "IS", "NULL"}


def _tokens(text: str, subject: str, words: _Words) -> Iterator[_Token]:
    if len(text) > MAX_TEXT:
        raise Invalid(f"{subject}: longer than {MAX_TEXT} characters")
    if re.search("[\0\ud800-\udfff]", text):
        raise Invalid(f"{subject}: it holds a character that no value can have")
    position = 0
    while position < len(text):
        match = words.token.match(text, position)
        if match is None:
            raise Invalid(
                f"{subject}: unexpected {text[position]!r} at character {position + 1}. "
                "Keys with characters other than letters, digits, _ and . belong in backticks"
            )
        word = match.group()
        if word.upper() in _KEYWORDS:
            yield _Token("keyword", word.upper(), position)
        elif match["space"] is None:
            kind = next(kind for kind in ("number", "name", "string", "operator", "mark") if match[kind] is not None)
            yield _Token(kind, word, position)
        position = match.end()
    yield _Token("end", "", position)


def _unquoted(word: str) -> str:
    return word[1:-1] if word[0] in "`\"'" else word


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


# Sentences


class _Parser:
    """One text, read from left to right."""

    def __init__(
        self, text: str, term_of: Callable[[str, str], _Term], subject: str, words: _Words = _PLAIN_WORDS
    ) -> None:
        self._tokens = _tokens(text, subject, words)
        self._words = words
        self._next = next(self._tokens)
        self._term_of = term_of
        self._subject = subject
        self._depth = self._comparisons = 0

    def condition(self) -> Condition | None:
        found = self._some()
        if self._next.kind != "end":
            self._refuse("AND or OR")
        return found

    def sort_key(self) -> SortKey:
        name, term = self._next, self._term()
        descending = self._takes("DESC")
        if not descending:
            self._takes("ASC")
        if self._next.kind != "end":
            self._refuse("ASC or DESC, and nothing after it")
        if not term.sorts:
            raise Invalid(f"{self._subject}: there is no order by {_shown(name.text)}")
        return SortKey(term.field, descending)

    def _some(self) -> Condition | None:
        parts = [self._all()]
        while self._takes("OR"):
            parts.append(self._all())
        if len(parts) == 1:
            return parts[0]
        conditions = tuple(part for part in parts if part is not None)
        if len(conditions) < len(parts):
            self._refuse("a comparison on both sides of OR")
        return Some(conditions)

    def _all(self) -> Condition | None:
        """As in MLflow, there may be an AND too many or too few, also at either end."""
        parts: list[Condition] = []
        while True:
            if self._takes("AND"):
                continue
            if self._next.kind not in ("name", "string", "number") and self._next.text not in ("NOT", "("):
                break
            parts.append(self._operand())
        return All(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None

    def _operand(self) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Invalid(f"{self._subject}: nested more than {MAX_DEPTH} deep")
        if self._takes("NOT"):
            found: Condition = Not(self._operand())
        elif self._takes("("):
            found = self._some() or self._refuse("a comparison")
            if not self._takes(")"):
                self._refuse("')'")
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Comparison:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise Invalid(f"{self._subject}: more than {MAX_COMPARISONS} comparisons")
        name, term = self._next, self._term()
        place, op = self._next.position + 1, self._op()
        if op not in term.kind.ops:
            raise Invalid(
                f"Invalid comparator '{op}' for {_shown(name.text)} at character {place}, not one of "
                f"{', '.join(sorted(term.kind.ops))}"
            )
        if op in (Op.IS_NULL, Op.NOT_NULL):
            return Comparison(term.field, op)
        value = self._list(term.kind) if op in (Op.IN, Op.NOT_IN) else self._value(term.kind)
        if op in (Op.LIKE, Op.ILIKE) and isinstance(value, str) and len(value) > MAX_PATTERN:
            raise Invalid(f"{self._subject}: the pattern at character {place} has more than {MAX_PATTERN} characters")
        if term.names:
            return _named(term.field, term.names, op, value)
        return Comparison(term.field, op, value)

    def _term(self) -> _Term:
        """The next token as an identifier: `entity.key`, split at the first dot, or the key of an attribute."""
        match = self._words.name.fullmatch(self._next.text)
        if self._next.kind != "name" or match is None:
            self._refuse("'Identifier'")
        self._step()
        entity, key = _unquoted(match["head"]), match["key"]
        if key is not None:
            return self._term_of(entity, _unquoted(key))
        entity, dot, key = entity.partition(".")  # quoted as a whole
        return self._term_of(entity, key) if dot else self._term_of("attribute", entity)

    def _op(self) -> Op:
        start = self._next
        if self._takes("IS"):
            negated = self._takes("NOT")
            if self._takes("NULL"):
                return Op.NOT_NULL if negated else Op.IS_NULL
            self._refuse("NULL")
        if self._takes("NOT"):
            if self._takes("IN"):
                return Op.NOT_IN
            self._refuse("IN")
        if (start.kind == "operator" and start.text in _OPERATORS) or start.text in ("LIKE", "ILIKE", "IN"):
            self._step()
            return Op(start.text)
        self._refuse("a comparator")

    def _value(self, kind: _Kind) -> str | int | float:
        value = kind.read(self._next)
        if value is None:
            self._refuse(kind.wants)
        self._step()
        return value

    def _list(self, kind: _Kind) -> tuple[str, ...] | tuple[int, ...]:
        """At least one value; a comma after the last does no harm."""
        if not self._takes("("):
            self._refuse("a list in parentheses")
        values = [self._value(kind)]
        while self._takes(","):
            if self._next.text == ")":
                break
            values.append(self._value(kind))
        if not self._takes(")"):
            self._refuse("',' or ')'")
        texts = tuple(value for value in values if isinstance(value, str))
        return texts or tuple(int(value) for value in values)

    def _takes(self, word: str) -> bool:
        """Step over the next token if it is this word."""
        taken = self._next.text.upper() == word
        if taken:
            self._step()
        return taken

    def _step(self) -> None:
        self._next = next(self._tokens)

    def _refuse(self, expected: str) -> NoReturn:
        found = f"found '{_shown(self._next.text)}' at character {self._next.position + 1}"
        raise Invalid(f"{self._subject}: expected {expected}, {found if self._next.text else 'but it ends'}")


_OPERATORS = {Op.EQ, Op.NE, Op.GT, Op.GE, Op.LT, Op.LE}


# Terms: what an identifier stands for


def _text(token: _Token) -> str | None:
    if token.kind == "string" or (token.kind == "name" and re.fullmatch(_QUOTED, token.text) and token.text[0] == '"'):
        return token.text[1:-1]
    return None


def _text_or_number(token: _Token) -> str | None:
    return token.text if token.kind == "number" else _text(token)


def _number(token: _Token) -> float | None:
    return float(token.text) if token.kind == "number" else None


_DIGITS = 4_000
"""Python reads no more at once. Far fewer are too many for a column, and the others make no difference then."""


def _whole(token: _Token) -> int | None:
    return int(token.text[:_DIGITS]) if token.kind == "number" and token.text.lstrip("-").isdigit() else None


def _time(token: _Token) -> int | float | None:
    whole = _whole(token)
    return _number(token) if whole is None else whole


def _id(token: _Token) -> int | None:
    return _whole_of(_text(token))


def _id_or_number(token: _Token) -> int | None:
    return _whole_of(_text_or_number(token))


def _whole_of(text: str | None) -> int | None:
    return int(text[:_DIGITS]) if text is not None and re.fullmatch("-?[0-9]+", text) else None


def _number_of_version(token: _Token) -> int | None:
    return _whole(token) if token.kind == "number" else _id(token)


@dataclass(frozen=True)
class _Kind:
    """How values of a sort are compared and written."""

    ops: frozenset[Op]
    read: Callable[[_Token], str | int | float | None]
    wants: str


_ORDERED = frozenset(_OPERATORS)
_ALIKE = frozenset({Op.EQ, Op.NE, Op.LIKE, Op.ILIKE})
_LISTED = frozenset({Op.IN, Op.NOT_IN})
_NULL = frozenset({Op.IS_NULL, Op.NOT_NULL})

_METRIC = _Kind(_ORDERED | _NULL, _number, "a numeric value for a metric")
_PARAM = _Kind(_ALIKE | _NULL, _text, "a quoted string value")
_STRING_ATTRIBUTE = _Kind(_ALIKE, _text, "a quoted string value")
_LISTED_STRING = _Kind(_ALIKE | _LISTED, _text, "a quoted string value")
_TIME = _Kind(_ORDERED, _time, "a numeric value")
_WHOLE_TIME = _Kind(_ORDERED, _whole, "a whole number")
_ID = _Kind(frozenset({Op.EQ, Op.NE}) | _LISTED, _id, "a quoted whole number")
_REGISTRY_TAG = _Kind(_ALIKE, _text, "a quoted string value")
_VERSION_NUMBER = _Kind(_ORDERED, _number_of_version, "a whole number")
_LISTED_TEXT = _Kind(_ALIKE | _LISTED, _text_or_number, "a quoted string value")
_LISTED_PAIR = _Kind(_ALIKE | _LISTED | _NULL, _text_or_number, "a quoted string value")
_LISTED_ID = _Kind(frozenset({Op.EQ, Op.NE}) | _LISTED, _id_or_number, "a whole number")


class _Term(NamedTuple):
    field: Field
    kind: _Kind
    sorts: bool = True
    names: Mapping[str, str] | None = None
    """MLflow's names of the column's values, where it has names of its own for them."""


_STARTED_AT = _Term(Attribute("started_at"), _TIME)
_RUN_NAME = _Term(Attribute("run_name"), _STRING_ATTRIBUTE)
_RUN_ATTRIBUTES = {
    "run_id": _Term(Attribute("run_id"), _LISTED_STRING),
    "run_name": _RUN_NAME,
    "status": _Term(Attribute("status"), _STRING_ATTRIBUTE, names=STATUSES),
    "artifact_uri": _Term(Attribute("artifact_uri"), _STRING_ATTRIBUTE),
    "user_id": _Term(Attribute("user_name"), _STRING_ATTRIBUTE),
    "start_time": _STARTED_AT,
    "end_time": _Term(Attribute("finished_at"), _TIME),
    "created": _STARTED_AT,
    "Created": _STARTED_AT,
    "run name": _RUN_NAME,
    "Run name": _RUN_NAME,
    "Run Name": _RUN_NAME,
}
_DATASET_ATTRIBUTES = {key: _Term(Input(key), _LISTED_STRING, sorts=False) for key in ("name", "digest", "context")}
_EXPERIMENT_ATTRIBUTES = {
    "name": _Term(Attribute("name"), _STRING_ATTRIBUTE),
    "experiment_id": _Term(Attribute("id"), _ID),
    "creation_time": _Term(Attribute("created_at"), _WHOLE_TIME),
    "last_update_time": _Term(Attribute("updated_at"), _WHOLE_TIME),
}
_NAME_OF_MODEL = _Term(Attribute("name"), _LISTED_STRING)
_REGISTERED_MODEL_ATTRIBUTES = {"name": _NAME_OF_MODEL}
_REGISTERED_MODEL_SORTS = {
    "name": _NAME_OF_MODEL,
    "timestamp": _Term(Attribute("updated_at"), _WHOLE_TIME),
    "last_updated_timestamp": _Term(Attribute("updated_at"), _WHOLE_TIME),
}
_VERSION_OF_MODEL = _Term(Attribute("version"), _VERSION_NUMBER)
_MODEL_VERSION_ATTRIBUTES = {
    "name": _NAME_OF_MODEL,
    "version_number": _VERSION_OF_MODEL,
    "run_id": _Term(Attribute("run_id"), _LISTED_STRING),
    "source_path": _Term(Attribute("source"), _STRING_ATTRIBUTE),
}
_MODEL_VERSION_SORTS = {
    "name": _NAME_OF_MODEL,
    "version_number": _VERSION_OF_MODEL,
    "creation_timestamp": _Term(Attribute("created_at"), _WHOLE_TIME),
    "last_updated_timestamp": _Term(Attribute("updated_at"), _WHOLE_TIME),
}

_MODEL_CREATED_AT = _Term(Attribute("created_at"), _TIME)
_MODEL_UPDATED_AT = _Term(Attribute("updated_at"), _TIME)
_MODEL_ARTIFACT_URI = _Term(Attribute("artifact_uri"), _LISTED_TEXT)
_MODEL_ATTRIBUTES = {
    **{
        name: _Term(Attribute(name), _LISTED_TEXT)
        for name in ("model_id", "name", "model_type", "source_run_id", "status_message")
    },
    "experiment_id": _Term(Attribute("experiment_id"), _LISTED_ID),
    "status": _Term(Attribute("status"), _LISTED_TEXT, names=MODEL_STATUS_NAMES),
    "artifact_location": _MODEL_ARTIFACT_URI,
    "artifact_uri": _MODEL_ARTIFACT_URI,
    "creation_timestamp_ms": _MODEL_CREATED_AT,
    "creation_timestamp": _MODEL_CREATED_AT,
    "creation_time": _MODEL_CREATED_AT,
    "last_updated_timestamp_ms": _MODEL_UPDATED_AT,
    "last_updated_timestamp": _MODEL_UPDATED_AT,
}


def _run_term(entity: str, key: str) -> _Term:
    match entity:
        case "metric" | "metrics":
            return _Term(Metric(*metric_names.split(key)), _METRIC)
        case "parameter" | "parameters" | "param" | "params":
            return _Term(Param(key), _PARAM)
        case "tag" | "tags":
            column = reserved_tags.RUN_COLUMNS.get(key)
            return _Term(Attribute(column) if column else Tag(key), _PARAM)
        case "attribute" | "attributes" | "attr" | "run":
            return _known(_RUN_ATTRIBUTES, "attribute", key)
        case "dataset" | "datasets":
            return _known(_DATASET_ATTRIBUTES, "dataset", key)
    raise Invalid(
        f"Invalid entity type '{_shown(entity)}'. Valid values are metric, parameter, tag, attribute, dataset"
    )


def _experiment_term(entity: str, key: str) -> _Term:
    match entity:
        case "tag" | "tags":
            column = reserved_tags.EXPERIMENT_COLUMNS.get(key)
            return _Term(Attribute(column) if column else Tag(key), _PARAM, sorts=False)
        case "attribute":
            return _known(_EXPERIMENT_ATTRIBUTES, "attribute", key)
    raise Invalid(f"Invalid entity type '{_shown(entity)}'. Valid entity types are attribute, tag, tags")


def _registered_model_term(entity: str, key: str) -> _Term:
    return _registry_term(_REGISTERED_MODEL_ATTRIBUTES, entity, key)


def _registered_model_sort_term(entity: str, key: str) -> _Term:
    return _registry_term(_REGISTERED_MODEL_SORTS, entity, key)


def _model_version_term(entity: str, key: str) -> _Term:
    return _registry_term(_MODEL_VERSION_ATTRIBUTES, entity, key)


def _model_version_sort_term(entity: str, key: str) -> _Term:
    return _registry_term(_MODEL_VERSION_SORTS, entity, key)


def _registry_term(attributes: Mapping[str, _Term], entity: str, key: str) -> _Term:
    match entity:
        case "tag" | "tags":
            return _Term(Tag(key), _REGISTRY_TAG, sorts=False)
        case "attribute":
            return _known(attributes, "attribute", key)
    raise Invalid(f"Invalid entity type '{_shown(entity)}'. Valid entity types are attribute, tag, tags")


def _model_term(entity: str, key: str) -> _Term:
    match entity:
        case "metrics":
            return _Term(Metric(*metric_names.split(key)), _METRIC)
        case "params":
            return _Term(Param(key), _LISTED_PAIR)
        case "tags":
            return _Term(Tag(key), _LISTED_PAIR)
        case "attribute" | "attributes":
            return _known(_MODEL_ATTRIBUTES, "attribute", key)
    raise Invalid(f"Invalid entity type '{_shown(entity)}'. Expected one of attributes, metrics, params, tags")


def _known(terms: Mapping[str, _Term], noun: str, key: str) -> _Term:
    if key not in terms:
        raise Invalid(f"Invalid {noun} key '{_shown(key)}' specified. Valid keys are {', '.join(terms)}")
    return terms[key]


# Values that MLflow has names for


def _named(field: Field, names: Mapping[str, str], op: Op, value: Value) -> Comparison:
    """MLflow compares its names as texts: the values that have a name which satisfies it; for a negation, none else."""
    given = [str(one) for one in (value if isinstance(value, tuple) else (value,))]
    satisfied: Callable[[str], bool] = {
        Op.LIKE: lambda name: _like(name, given[0]),
        Op.ILIKE: lambda name: _like(name, given[0].upper()),
    }.get(op, lambda name: name in given)
    chosen = {meant for name, meant in names.items() if satisfied(name)}
    if op in (Op.NE, Op.NOT_IN):
        chosen = {*names.values()} - chosen
    return Comparison(field, Op.IN, tuple(meant for meant in dict.fromkeys(names.values()) if meant in chosen))


def _like(text: str, pattern: str) -> bool:
    """SQL's LIKE, in time proportional to the pattern: `reached` are the places in the text it has matched up to."""
    reached = {0}
    for c in pattern:
        if c == "%":
            reached = set(range(min(reached, default=len(text) + 1), len(text) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(text) and c in ("_", text[at])}
    return len(text) in reached
