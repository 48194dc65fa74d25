"""Text of MLflow's `filter` and `order_by` -> conditions and sort keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from native_api.core.errors import Invalid
from native_api.core.search import Attribute, Condition, Metric, SortKey
from shim import terms
from shim.grammar import MODEL_WORDS, Parser, Term, shown


def parse_run_filter(text: str) -> Condition | None:
    """The condition that a filter of runs states, if any. Invalid says what is wrong, and where."""
    return Parser(text, terms.run_term, "Invalid clause(s) in filter string").condition()


def parse_experiment_filter(text: str) -> Condition | None:
    """The condition that a filter of experiments states, if any. Invalid says what is wrong, and where."""
    return Parser(text, terms.experiment_term, "Invalid clause(s) in filter string").condition()


def parse_registered_model_filter(text: str) -> Condition | None:
    """The condition that a filter of registered models states, if any. Invalid says what is wrong, and where."""
    return Parser(text, terms.registered_model_term, "Invalid clause(s) in filter string").condition()


def parse_model_version_filter(text: str) -> Condition | None:
    """The condition that a filter of versions of models states, if any. Invalid says what is wrong, and where."""
    return Parser(text, terms.model_version_term, "Invalid clause(s) in filter string").condition()


def parse_model_filter(text: str) -> Condition | None:
    """The condition that a filter of logged models states, if any. Invalid says what is wrong, and where."""
    return Parser(text, terms.logged_model_term, "Invalid clause(s) in filter string", MODEL_WORDS).condition()


def parse_run_order(texts: Sequence[str]) -> tuple[SortKey, ...]:
    """The sort keys of runs, one from each text. Invalid for a field named twice."""
    return _different(texts, terms.run_term)


def parse_experiment_order(texts: Sequence[str]) -> tuple[SortKey, ...]:
    """The sort keys of experiments, one from each text."""
    return tuple(Parser(text, terms.experiment_term, "Invalid order_by clause").sort_key() for text in texts)


def parse_registered_model_order(texts: Sequence[str]) -> tuple[SortKey, ...]:
    """The sort keys of registered models, one from each text. Invalid for a field named twice."""
    return _different(texts, terms.registered_model_sort_term)


def parse_model_version_order(texts: Sequence[str]) -> tuple[SortKey, ...]:
    """The sort keys of versions of models, one from each text. Invalid for a field named twice."""
    return _different(texts, terms.model_version_sort_term)


def _different(texts: Sequence[str], term_of: Callable[[str, str], Term]) -> tuple[SortKey, ...]:
    keys = tuple(Parser(text, term_of, "Invalid order_by clause").sort_key() for text in texts)
    if len({key.field for key in keys}) < len(keys):
        raise Invalid(f"`order_by` contains duplicate fields: {shown(', '.join(texts))}")
    return keys


def parse_model_order(name: str) -> Attribute | Metric:
    """What logged models are sorted by: the name of an attribute, or `metrics.` and a key as it is, without quotes."""
    entity, dot, key = name.partition(".")
    field = terms.logged_model_term(entity, key).field if dot else terms.logged_model_term("attributes", entity).field
    if not isinstance(field, Attribute | Metric) or entity == "attributes":
        raise Invalid(f"Invalid order by field name: {shown(name)}. Only attributes and metrics are supported")
    return field
