"""MLflow's filters of the model registry, and its rule of prompts in them."""

from __future__ import annotations

from typing import NamedTuple

from native_api.core.registered_models import IS_PROMPT
from native_api.core.search import All, Comparison, Condition, Op, Tag, conjuncts
from shim import filters


class Wanted(NamedTuple):
    """What a search looks for. Prompts are among it only with `prompts`."""

    condition: Condition | None
    prompts: bool


def of_models(text: str) -> Wanted:
    """What a filter of registered models looks for."""
    return _wanted(filters.parse_registered_model_filter(text))


def of_versions(text: str) -> Wanted:
    """What a filter of versions of models looks for."""
    return _wanted(filters.parse_model_version_filter(text))


def _wanted(condition: Condition | None) -> Wanted:
    """Prompts are looked for where the first comparison of their tag says so (MLflow's `_is_querying_prompt`).

    Else such comparisons say nothing more: a model, which has no such tag, would not satisfy `!= 'true'`.
    """
    parts = conjuncts(condition)
    about = [part for part in parts if isinstance(part, Comparison) and part.field == _TAG]
    if not about or _asks(about[0]):
        return Wanted(condition, bool(about))
    return Wanted(All(tuple(part for part in parts if part not in about)), False)


_TAG = Tag(IS_PROMPT)


def _asks(comparison: Comparison) -> bool:
    value = str(comparison.value).lower()
    return (comparison.op, value) in ((Op.EQ, "true"), (Op.NE, "false"))
