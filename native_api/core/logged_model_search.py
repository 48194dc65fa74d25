"""Lists of logged models: which, in what order, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, case, exists, func, or_, select, true, type_coerce

from native_api.core import db, metrics, search
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import Invalid
from native_api.core.listings import MAX_SORT_KEYS, MERGED, visible_experiments
from native_api.core.logged_models import INFO, LoggedModel, ModelInfo, load
from native_api.core.pages import Column, Page, Part, fingerprint, read
from native_api.core.search import Attribute, Comparison, Condition, Metric, Op, Param, Tag

_c = t.logged_models.c
_points = t.logged_model_metrics


@dataclass(frozen=True)
class Dataset:
    """What points may have been measured on; without a digest, any data of that name, and the other way round."""

    name: str | None = None
    digest: str | None = None


ANY = Dataset()


@dataclass(frozen=True)
class ModelSortKey:
    """One order of models: by a column, or by the newest point of a metric, maybe of those on a dataset.

    Missing values come last in both directions, a metric's NaN before them.
    """

    field: Attribute | Metric
    descending: bool = False
    dataset: Dataset = ANY


def page_of_models(
    conn: Connection,
    actor: Actor,
    experiment_ids: Sequence[int],
    condition: Condition | None,
    datasets: Sequence[Dataset],
    sort_keys: Sequence[ModelSortKey],
    limit: int,
    token: str | None,
) -> Page[LoggedModel]:
    """One page of the visible models of the experiments that are not deleted, whose experiments may be.

    They come by the sort keys, then newest first, then by model_id. With datasets only the points measured on one of
    them satisfy a comparison, and where no metric is compared, a model has to have such a point.
    """
    asked = sorted(set(experiment_ids))
    experiments = visible_experiments(conn, actor, asked)
    if not experiments:
        return Page([], None)
    wanted = select(*INFO).join(t.experiments, t.experiments.c.id == _c.experiment_id).where(_c.deleted_at.is_(None))
    if condition is not None:
        wanted = wanted.where(search.clause(condition, partial(_comparison, conn, datasets)))
    if datasets and not _names_metric(condition):
        wanted = wanted.where(exists().where(_points.c.logged_model_id == _c.id, _on_any(datasets)))
    if len(experiments) <= MERGED:  # each in the order of an index
        first, *others = (wanted.where(_c.experiment_id == experiment) for experiment in experiments)
    else:
        first, others = wanted.where(db.among(conn, _c.experiment_id, experiments)), []
    newest_first = ModelSortKey(Attribute("created_at"), descending=True)
    keys = _distinct([*sort_keys, newest_first, ModelSortKey(Attribute("model_id"))])
    order = [column for key in keys for column in _columns(conn, key)]
    query = fingerprint("logged models", asked, condition, datasets, sort_keys)
    page = read(conn, [Part(first, order, others)], query, limit, token)
    return Page(load(conn, [ModelInfo._make(row[: len(INFO)]) for row in page.items]), page.next_token)


# Conditions


def _names_metric(condition: Condition | None) -> bool:
    match condition:
        case None:
            return False
        case search.All(parts) | search.Some(parts):
            return any(map(_names_metric, parts))
        case search.Not(inner):
            return _names_metric(inner)
        case Comparison():
            return isinstance(condition.field, Metric)


def _comparison(conn: Connection, datasets: Sequence[Dataset], comparison: Comparison) -> ColumnElement[bool]:
    match comparison.field:
        case Attribute(name):
            return search.compare(conn, _c[name], comparison.op, comparison.value)
        case Metric() as metric:
            return _compare_metric(metric, comparison, datasets)
        case Param(key):
            params = t.logged_model_params
            return search.compare_pair(conn, comparison, _c.id, params, params.c.logged_model_id, key)
        case Tag(key):
            tags = t.logged_model_tags
            return search.compare_pair(conn, comparison, _c.id, tags, tags.c.logged_model_id, key)
    raise Invalid(f"Logged models have no {type(comparison.field).__name__.lower()}s")


def _compare_metric(metric: Metric, comparison: Comparison, datasets: Sequence[Dataset]) -> ColumnElement[bool]:
    """Whether one of the points satisfies it."""
    of_metric = and_(_points.c.logged_model_id == _c.id, search.is_metric(_points, metric))
    found = exists().where(of_metric, _on_any(datasets) if datasets else true())
    if comparison.op is Op.IS_NULL:
        return ~found
    if comparison.op is Op.NOT_NULL:
        return found
    return found.where(search.compare_point(_points.c.value, _points.c.is_nan, comparison.op, comparison.value))


def _on_any(datasets: Sequence[Dataset]) -> ColumnElement[bool]:
    return or_(*map(_on, datasets))


def _on(dataset: Dataset) -> ColumnElement[bool]:
    """The points measured on the dataset."""
    wanted = {_points.c.dataset_name: dataset.name, _points.c.dataset_digest: dataset.digest}
    return and_(true(), *(column == value for column, value in wanted.items() if value is not None))


# Orders


def _distinct(keys: Sequence[ModelSortKey]) -> list[ModelSortKey]:
    """The keys without those that would not change the order any more."""
    firsts: dict[object, ModelSortKey] = {}
    for key in keys:
        firsts.setdefault((key.field, key.dataset), key)
    if len(firsts) > MAX_SORT_KEYS:
        raise Invalid(f"There are more than {MAX_SORT_KEYS} fields to sort by")
    return list(firsts.values())


_STATUSES = ("unspecified", "pending", "ready", "failed")
"""In the order of MLflow's numbers."""


def _columns(conn: Connection, key: ModelSortKey) -> list[Column]:
    if isinstance(key.field, Metric):
        return _columns_of_metric(conn, key.field, key)
    column = _c[key.field.name]
    if key.field.name == "status":
        rank = case({status: place for place, status in enumerate(_STATUSES)}, value=column)
        return [Column(type_coerce(rank, BigInteger), int, key.descending)]
    if column.type.python_type is int:
        return [Column(column, int, key.descending)]
    plain = key.field.name == "model_id"  # compares bytewise by itself, and its index is made for that
    ordered = column if plain else db.bytewise(conn, column)
    return [Column(ordered, str, key.descending, bool(column.nullable))]


def _columns_of_metric(conn: Connection, metric: Metric, key: ModelSortKey) -> list[Column]:
    """First whether the newest point is a number, a NaN or missing, then its value."""
    number = metrics.find_id(conn, metric.key)
    if number is None:  # nobody has such a metric
        return []
    p = _points.c
    of_metric = and_(p.logged_model_id == _c.id, p.metric_id == number, p.scope == metric.scope)
    newest = (p.recorded_at.desc(), p.step.desc(), p.run_id, p.value.desc(), p.is_nan.desc())
    is_nan, value = (
        select(column).where(of_metric, _on(key.dataset)).order_by(*newest).limit(1).scalar_subquery()
        for column in (p.is_nan, p.value)
    )
    rank = type_coerce(func.coalesce(is_nan, 2), BigInteger)
    return [Column(rank, int), Column(value, float, key.descending, nullable=True)]
