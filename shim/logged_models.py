"""Logged models: MLflow's calls translated to the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from native_api.core import logged_models
from native_api.core.access import Actor
from native_api.core.errors import Invalid
from native_api.core.logged_model_metrics import Measured
from native_api.core.logged_model_search import Dataset, ModelSortKey, page_of_models
from native_api.core.logged_models import LoggedModel, NewModel
from shim import logged_model_messages as m
from shim import run_names
from shim.filters import parse_model_filter, parse_model_order
from shim.metric_names import full_name
from shim.wire import Pair, Point, number

DEFAULT_PAGE = 50
PAGE_OF_ZERO = 100
"""MLflow's page where the request says 0."""
LARGEST_PAGE = 1000
"""Who asks for more gets so many, and a token for the rest. MLflow has no limit."""

_STATUS_NAMES = {status: name for name, status in m.STATUSES.items()}

Answer = dict[str, Any]


# One model


def create(conn: Connection, actor: Actor, msg: m.CreateModel) -> Answer:
    new = NewModel(
        experiment=msg.experiment_id,
        name=msg.name or run_names.make(),
        model_type=msg.model_type or "",
        source_run_id=msg.source_run_id or "",
        params=_distinct(msg.params, "parameter"),
        tags=_distinct(msg.tags, "tag"),
    )
    return {"model": _document(logged_models.create(conn, actor, new))}


def get(conn: Connection, actor: Actor, msg: m.GetModel) -> Answer:
    return {"model": _document(logged_models.get(conn, actor, msg.model_id, include_deleted=msg.allow_deleted))}


def finalize(conn: Connection, actor: Actor, msg: m.FinalizeModel) -> Answer:
    return {"model": _document(logged_models.set_status(conn, actor, msg.model_id, msg.status))}


def delete(conn: Connection, actor: Actor, msg: m.OneModel) -> Answer:
    logged_models.delete(conn, actor, msg.model_id)
    return {}


def put_tags(conn: Connection, actor: Actor, msg: m.PutModelTags) -> Answer:
    logged_models.put_tags(conn, actor, msg.model_id, _map(msg.tags))
    return {}


def delete_tag(conn: Connection, actor: Actor, msg: m.DeleteModelTag) -> Answer:
    logged_models.delete_tag(conn, actor, msg.model_id, msg.tag_key)
    return {}


def add_params(conn: Connection, actor: Actor, msg: m.AddModelParams) -> Answer:
    logged_models.add_params(conn, actor, msg.model_id, _distinct(msg.params, "parameter"))
    return {}


def _distinct(pairs: Sequence[m.Pair] | None, noun: str) -> dict[str, str]:
    """By key; Invalid for one that comes twice."""
    found = _map(pairs)
    if len(found) < len(pairs or ()):
        raise Invalid(f"Duplicate {noun} keys have been submitted")
    return found


def _map(pairs: Sequence[m.Pair] | None) -> dict[str, str]:
    """By key; of one that comes twice the last."""
    return {pair["key"]: pair.get("value") or "" for pair in pairs or ()}


# Many models


def search(conn: Connection, actor: Actor, msg: m.SearchModels) -> Answer:
    asked = DEFAULT_PAGE if msg.max_results is None else msg.max_results or PAGE_OF_ZERO
    page = page_of_models(
        conn,
        actor,
        msg.experiment_ids,
        parse_model_filter(msg.filter or ""),
        [Dataset(given.dataset_name, given.dataset_digest or None) for given in msg.datasets or ()],
        [_sort_key(order) for order in msg.order_by or ()],
        min(asked, LARGEST_PAGE),
        msg.page_token or None,
    )
    answer: Answer = {"models": [_document(model) for model in page.items]} if page.items else {}
    return answer | ({"next_page_token": page.next_token} if page.next_token else {})


def _sort_key(order: m.ModelOrder) -> ModelSortKey:
    measured_on = Dataset(order.dataset_name or None, order.dataset_digest or None)
    return ModelSortKey(parse_model_order(order.field_name), order.ascending is False, measured_on)


# What clients see


class _ModelPoint(Point, gc=False, omit_defaults=True):
    model_id: str
    run_id: str
    dataset_name: str = ""
    dataset_digest: str = ""


def _document(model: LoggedModel) -> Answer:
    """MLflow's LoggedModel. Lists without an element are left out, as protobuf's JSON does."""
    info = model.info
    shown = {
        "model_id": info.model_id,
        "experiment_id": str(info.experiment_id),
        "name": info.name,
        "creation_timestamp_ms": info.created_at,
        "last_updated_timestamp_ms": info.updated_at,
        "artifact_uri": info.artifact_uri,
        "status": _STATUS_NAMES[info.status],
        "model_type": info.model_type,
        "source_run_id": info.source_run_id,
        "status_message": info.status_message,
        "tags": _pairs(model.tags),
    }
    data = {"params": _pairs(model.params), "metrics": [_point(info.model_id, point) for point in model.points]}
    return {
        "info": {name: value for name, value in shown.items() if value is not None and value != []},
        "data": {name: part for name, part in data.items() if part},
    }


def _pairs(values: Mapping[str, str]) -> list[Pair]:
    return [Pair(key, value) for key, value in values.items()]


def _point(model_id: str, point: Measured) -> _ModelPoint:
    return _ModelPoint(
        full_name(point.scope, point.key),
        number(point.value, point.is_nan),
        point.recorded_at,
        point.step,
        model_id,
        point.run_id,
        point.dataset_name,
        point.dataset_digest,
    )
