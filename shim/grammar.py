"""The language of MLflow's `filter` and `order_by`: words, and the sentences they make, for whatever they are about.

MLflow's grammar (its `mlflow/utils/search_utils.py`), and beyond it OR, NOT, parentheses, IS [NOT] NULL on metrics, and
keywords in any case everywhere. What an identifier stands for, `terms` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from native_api.core.errors import Invalid
from native_api.core.search import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    All,
    Comparison,
    Condition,
    Field,
    Not,
    Op,
    Some,
    SortKey,
    Value,
)

MAX_TEXT = 200_000
MAX_PATTERN = 2_000
"""Matching takes time in proportion to the pattern and to the value; and SQLite refuses patterns above 50,000 bytes."""


# Words


class Token(NamedTuple):
    kind: str  # number, name, string, operator, mark, keyword or end
    text: str
    position: int


# A doubled quote, or one after a backslash, does not end what is quoted; it stays there as it is written.
QUOTED = r"""(?:`(?:``|[^`])*`|"(?:""|\\"|[^"])*")"""
_STRING = r"'(?:''|\\'|[^'])*'"


class Words(NamedTuple):
    """What words look like."""

    token: re.Pattern[str]
    name: re.Pattern[str]


def _words(key: str) -> Words:
    """`key` is what a key looks like where it is not quoted."""
    name = rf"(?P<head>[^\W\d]\w*|{QUOTED})(?:\.(?P<key>{key}|{QUOTED}|{_STRING}))?"
    token = rf"""(?P<space>\s+)
        | (?P<number>-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
        | (?P<name>{name})
        | (?P<string>{_STRING})
        | (?P<operator>[=<>!~]+)
        | (?P<mark>[(),])"""
    return Words(re.compile(token, re.VERBOSE), re.compile(name))


PLAIN_WORDS = _words(r"[\w.]+")
MODEL_WORDS = _words(r"[\w.][\w./-]*")
"""MLflow reads filters of logged models in another way, which takes `metrics.val/acc` and `tags.a-b` without quotes."""

_KEYWORDS = {"AND", "OR", "NOT", "LIKE", "ILIKE", "IN", "IS", "NULL"}


def _tokens(text: str, subject: str, words: Words) -> Iterator[Token]:
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
            yield Token("keyword", word.upper(), position)
        elif match["space"] is None:
            kind = next(kind for kind in ("number", "name", "string", "operator", "mark") if match[kind] is not None)
            yield Token(kind, word, position)
        position = match.end()
    yield Token("end", "", position)


def _unquoted(word: str) -> str:
    return word[1:-1] if word[0] in "`\"'" else word


def shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


# What identifiers stand for


@dataclass(frozen=True)
class Kind:
    """How values of a sort are compared and written."""

    ops: frozenset[Op]
    read: Callable[[Token], str | int | float | None]
    wants: str


class Term(NamedTuple):
    """What an identifier stands for; not everything has an order."""

    field: Field
    kind: Kind
    sorts: bool = True
    names: Mapping[str, str] | None = None
    """MLflow's names of the column's values, where it has names of its own for them."""


# Sentences


class Parser:
    """One text, read from left to right."""

    def __init__(
        self, text: str, term_of: Callable[[str, str], Term], subject: str, words: Words = PLAIN_WORDS
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
            raise Invalid(f"{self._subject}: there is no order by {shown(name.text)}")
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
                f"Invalid comparator '{op}' for {shown(name.text)} at character {place}, not one of "
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

    def _term(self) -> Term:
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
        if (start.kind == "operator" and start.text in ORDERING) or start.text in ("LIKE", "ILIKE", "IN"):
            self._step()
            return Op(start.text)
        self._refuse("a comparator")

    def _value(self, kind: Kind) -> str | int | float:
        value = kind.read(self._next)
        if value is None:
            self._refuse(kind.wants)
        self._step()
        return value

    def _list(self, kind: Kind) -> tuple[str, ...] | tuple[int, ...]:
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
        found = f"found '{shown(self._next.text)}' at character {self._next.position + 1}"
        raise Invalid(f"{self._subject}: expected {expected}, {found if self._next.text else 'but it ends'}")


ORDERING = frozenset({Op.EQ, Op.NE, Op.GT, Op.GE, Op.LT, Op.LE})


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
