"""Lists of registered models and of their versions: which, in what order, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import ColumnElement, Connection, exists, select

from native_api.core import model_versions, registered_models
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import Invalid
from native_api.core.model_versions import ModelVersion
from native_api.core.pages import Column, Page, Part, Statement, fingerprint, read
from native_api.core.registered_models import IS_PROMPT, RegisteredModel
from native_api.core.search import (
    Attribute,
    Comparison,
    Condition,
    Op,
    SortKey,
    Tag,
    clause,
    compare,
    compare_pair,
    conjuncts,
)

_m, _v = t.registered_models.c, t.model_versions.c

_MODEL_COLUMNS: Mapping[str, ColumnElement[str] | ColumnElement[int]] = {
    "name": _m.name,
    "created_at": _m.created_at,
    "updated_at": _m.updated_at,
}
_VERSION_COLUMNS: Mapping[str, ColumnElement[str] | ColumnElement[int]] = {
    "name": _m.name,
    "version": _v.version,
    "created_at": _v.created_at,
    "updated_at": _v.updated_at,
}
_NAME = Attribute("name")
_BY_NAME = SortKey(_NAME)
NEWEST_FIRST = SortKey(Attribute("version"), descending=True)
_LAST_CHANGED_FIRST = SortKey(Attribute("updated_at"), descending=True)


def find_models(
    conn: Connection,
    actor: Actor,
    condition: Condition | None,
    sort_keys: Sequence[SortKey],
    limit: int,
    token: str | None,
    *,
    prompts: bool = False,
) -> Page[RegisteredModel]:
    """One page of the registered models in view that satisfy the condition: by the sort keys, then by name.

    Prompts are among them only with `prompts`.
    """
    statement = select(*registered_models.COLUMNS).where(_m.project_id.in_(list(actor.projects)))
    if condition is not None:
        statement = statement.where(clause(condition, partial(_model_comparison, conn)))
    order = [*_columns(_MODEL_COLUMNS, [*sort_keys, _BY_NAME]), Column(_m.registered_model_id, str)]
    query = fingerprint("registered models", sorted(actor.projects), condition, sort_keys, prompts)
    page = read(conn, [Part(_chosen(statement, prompts), order)], query, limit, token)
    width = len(registered_models.COLUMNS)
    found = [RegisteredModel(*row[:width]) for row in page.items]
    return Page(registered_models.with_labels(conn, found), page.next_token)


def find_versions(
    conn: Connection,
    actor: Actor,
    condition: Condition | None,
    sort_keys: Sequence[SortKey],
    limit: int,
    token: str | None,
    *,
    prompts: bool = False,
) -> Page[ModelVersion]:
    """One page of the versions in view that satisfy the condition, without their aliases.

    They come by the sort keys, or those that changed last first; then by name, those of one model newest first. Those
    of prompts are among them only with `prompts`.
    """
    keys = [*(sort_keys or [_LAST_CHANGED_FIRST]), _BY_NAME, NEWEST_FIRST]
    of_projects = _project(conjuncts(condition), keys[0]).in_(list(actor.projects))
    statement = select(*model_versions.COLUMNS).select_from(model_versions.JOINED).where(of_projects)
    if condition is not None:
        statement = statement.where(clause(condition, partial(_version_comparison, conn)))
    order = [*_columns(_VERSION_COLUMNS, keys), Column(_v.id, int)]
    query = fingerprint("model versions", sorted(actor.projects), condition, sort_keys, prompts)
    page = read(conn, [Part(_chosen(statement, prompts), order)], query, limit, token)
    width = len(model_versions.COLUMNS)
    found = [ModelVersion(*row[:width]) for row in page.items]
    return Page(model_versions.with_tags(conn, found), page.next_token)


def _project(conditions: Sequence[Condition], first: SortKey) -> ColumnElement[str]:
    """The project of a version, by the column that tells SQLite which index to begin with.

    It has no statistics, and would rather go through all versions in order than sort those of a run.
    """
    equal = [one for one in conditions if isinstance(one, Comparison) and one.op in (Op.EQ, Op.IN)]
    named = {comparison.field for comparison in equal if comparison.value}  # many are of the run ''
    if Attribute("run_id") in named:
        return _v.project_id.concat("")  # of which there is no index that could be taken instead
    return _m.project_id if _NAME in named or first.field == _NAME else _v.project_id


def _model_comparison(conn: Connection, comparison: Comparison) -> ColumnElement[bool]:
    match comparison.field:
        case Attribute(name):
            return compare(conn, _m[name], comparison.op, comparison.value)
        case Tag(key):
            tags = t.registered_model_tags
            return compare_pair(conn, comparison, _m.registered_model_id, tags, tags.c.registered_model_id, key)
    raise Invalid(f"Registered models have no {type(comparison.field).__name__.lower()}s")


def _version_comparison(conn: Connection, comparison: Comparison) -> ColumnElement[bool]:
    match comparison.field:
        case Attribute(name):
            column = _m.name if name == "name" else _v[name]
            return compare(conn, column, comparison.op, comparison.value)
        case Tag(key):
            tags = t.model_version_tags
            return compare_pair(conn, comparison, _v.id, tags, tags.c.model_version_id, key)
    raise Invalid(f"Versions of models have no {type(comparison.field).__name__.lower()}s")


def _chosen(statement: Statement, prompts: bool) -> Statement:
    tags = t.registered_model_tags.c
    is_prompt = exists().where(
        tags.registered_model_id == _m.registered_model_id, tags.key == IS_PROMPT, tags.value == "true"
    )
    return statement if prompts else statement.where(~is_prompt)


def _columns(known: Mapping[str, ColumnElement[str] | ColumnElement[int]], keys: Sequence[SortKey]) -> list[Column]:
    """The columns of the order, without those that came before: they would not change it."""
    firsts: dict[str, Column] = {}
    for key in keys:
        if not isinstance(key.field, Attribute) or key.field.name not in known:
            raise Invalid(f"There is no order by this; known are {', '.join(known)}")
        column = known[key.field.name]
        firsts.setdefault(key.field.name, Column(column, column.type.python_type, key.descending))
    return list(firsts.values())
