"""Runs: MLflow's calls translated to the core."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from native_api.core import listings, runs
from native_api.core.access import Actor
from native_api.core.datasets import NewInput
from native_api.core.errors import Invalid
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import AnyPoint, Points
from native_api.core.pages import Page
from native_api.core.runs import LogEntry
from native_api.core.search import View
from shim import documents, reserved_tags, run_names
from shim import messages as m
from shim.filters import parse_run_filter, parse_run_order
from shim.metric_names import split

PARAM_LENGTH = 6000
TAG_LENGTH = 8000
"""Longer values are cut, as the stock server does: clients rely on a 200."""

DEFAULT_PAGE = 1000

Answer = dict[str, Any]


# One run


def create(conn: Connection, actor: Actor, msg: m.CreateRun) -> Answer:
    """MLflow's name rule: the argument, else the tag, else one is made up; both must agree."""
    changes, plain = reserved_tags.split_run_tags(_cut(m.tag_map(msg.tags or (), checked=False)))
    tagged = changes.get("run_name")
    if msg.run_name and tagged and msg.run_name != tagged:
        raise Invalid(
            f"Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{msg.run_name}', mlflow.runName='{tagged}')."
        )
    new = runs.NewRun(
        experiment=msg.experiment_id or 0,
        run_name=msg.run_name or tagged or run_names.make(),
        user_name=msg.user_id or "",
        started_at=msg.start_time or 0,
        git_commit=changes.get("git_commit"),
        notes=changes.get("notes"),
        tags=plain,
    )
    document = documents.of_run(runs.create(conn, actor, new))
    del document["outputs"]  # MLflow leaves it out here, and here only
    return {"run": document}


def get(conn: Connection, actor: Actor, msg: m.GetRun) -> bytes:
    (document,) = documents.run_documents(conn, [runs.find(conn, actor, msg.run_id)])
    return b'{"run":' + document + b"}"


def update(conn: Connection, actor: Actor, msg: m.UpdateRun) -> Answer:
    given = {"status": msg.status, "finished_at": msg.end_time, "run_name": msg.run_name or None}
    changes = {column: value for column, value in given.items() if value is not None}
    return {"run_info": documents.of_info(runs.change(conn, actor, msg.run_id, changes))}


def delete(conn: Connection, actor: Actor, msg: m.OneRun) -> Answer:
    runs.delete(conn, actor, msg.run_id)
    return {}


def restore(conn: Connection, actor: Actor, msg: m.OneRun) -> Answer:
    runs.restore(conn, actor, msg.run_id)
    return {}


def delete_tag(conn: Connection, actor: Actor, msg: m.DeleteTag) -> Answer:
    column = reserved_tags.RUN_COLUMNS.get(msg.key)
    if column is None:
        runs.delete_tag(conn, actor, msg.run_id, msg.key)
    else:
        runs.clear(conn, actor, msg.run_id, column, msg.key)
    return {}


# Many runs


def search(conn: Connection, actor: Actor, msg: m.SearchRuns) -> bytes:
    page = find_page(conn, actor, msg)
    if not page.items:
        return b"{}"
    token = b',"next_page_token":"' + page.next_token.encode() + b'"' if page.next_token else b""
    return b'{"runs":[' + b",".join(documents.run_documents(conn, page.items)) + b"]" + token + b"}"


def find_page(conn: Connection, actor: Actor, msg: m.SearchRuns) -> Page[tuple[int, int]]:
    """One page of what a search finds: each run's (id, revision)."""
    return listings.page_of_runs(
        conn,
        actor,
        msg.experiment_ids or [],
        View(msg.run_view_type or "active"),
        parse_run_filter(msg.filter or ""),
        parse_run_order(msg.order_by or []),
        msg.max_results or DEFAULT_PAGE,
        msg.page_token or None,
    )


# Adding to a run


def log_metric(actor: Actor, msg: m.LogMetric) -> LogEntry:
    m.check_key(msg.key, "key")
    dataset = msg.dataset_name, msg.dataset_digest
    metric = m.Metric(msg.key, msg.value, msg.timestamp, msg.step, msg.model_id, *dataset)
    _require_whole_dataset(metric)
    return LogEntry(actor, msg.run_id, _points([metric]), model_points=_model_points([metric]))


def log_parameter(actor: Actor, msg: m.LogParam) -> LogEntry:
    m.check_key(msg.key, "key")
    return LogEntry(actor, msg.run_id, params={msg.key: (msg.value or "")[:PARAM_LENGTH]})


def set_tag(actor: Actor, msg: m.SetTag) -> LogEntry:
    m.check_key(msg.key, "key")
    return _with_tags(actor, msg.run_id, {msg.key: msg.value or ""})


def log_batch(actor: Actor, msg: m.LogBatch) -> LogEntry:
    params = {param["key"]: (param.get("value") or "")[:PARAM_LENGTH] for param in msg.params or ()}
    tags = {tag["key"]: tag.get("value") or "" for tag in msg.tags or ()}
    metrics = msg.metrics or ()
    return _with_tags(actor, msg.run_id, tags, _points(metrics), params, _model_points(metrics))


def _points(metrics: Sequence[m.Metric]) -> Points:
    points: defaultdict[str, list[AnyPoint]] = defaultdict(list)
    for metric in metrics:
        value, step = metric.value, metric.step or 0
        # Adding 0.0 makes -0.0 the plain 0.0 that SQLite would make it. A NaN is unlike itself.
        point = (step, metric.timestamp, value + 0.0, 0, 0) if value == value else (step, metric.timestamp, 0.0, 1, 0)
        points[metric.key].append(point)
    return {split(key): some for key, some in points.items()}


def _model_points(metrics: Sequence[m.Metric]) -> list[ModelPoint]:
    """The points that tell of a logged model: nearly always none of them."""
    return [_model_point(metric) for metric in metrics if metric.model_id]


def _model_point(metric: m.Metric) -> ModelPoint:
    _require_whole_dataset(metric)
    value, is_nan = (metric.value + 0.0, 0) if metric.value == metric.value else (0.0, 1)
    dataset = metric.dataset_name or "", metric.dataset_digest or ""
    name, model_id = split(metric.key), metric.model_id or ""
    return ModelPoint(model_id, name, metric.step or 0, metric.timestamp, value, is_nan, *dataset)


def _require_whole_dataset(metric: m.Metric) -> None:
    if bool(metric.dataset_name) != bool(metric.dataset_digest):
        raise Invalid("Both dataset_name and dataset_digest must be provided if one is provided")


def _with_tags(
    actor: Actor,
    run_id: str,
    tags: Mapping[str, str],
    points: Points | None = None,
    params: Mapping[str, str] | None = None,
    model_points: Sequence[ModelPoint] = (),
) -> LogEntry:
    changes, plain = reserved_tags.split_run_tags(_cut(tags))
    if not changes.get("run_name"):
        changes.pop("run_name", None)  # a run keeps its name rather than have none, as in MLflow
    return LogEntry(actor, run_id, points or {}, params or {}, plain, changes, model_points)


def _cut(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value[:TAG_LENGTH] for key, value in tags.items()}


def log_inputs(conn: Connection, actor: Actor, msg: m.LogInputs) -> Answer:
    used = [_input(given) for given in msg.datasets or ()]
    runs.add_inputs(conn, actor, msg.run_id, used, [model.model_id for model in msg.models or ()])
    return {}


def _input(given: m.DatasetInput) -> NewInput:
    tags = {tag["key"]: tag.get("value") or "" for tag in given.tags or ()}
    context = tags.pop(reserved_tags.CONTEXT, None)
    data = given.dataset
    return NewInput(
        data.name, data.digest, data.source_type, data.source, data.schema_, data.profile, context=context, tags=tags
    )


def log_outputs(conn: Connection, actor: Actor, msg: m.LogOutputs) -> Answer:
    runs.add_outputs(conn, actor, msg.run_id, [(model.model_id, model.step or 0) for model in msg.models])
    return {}


# Models of 2.x clients

HISTORY_TAG = "mlflow.log-model.history"
_SUMMARY = ("artifact_path", "flavors", "utc_time_created", "run_id")


def log_model(conn: Connection, actor: Actor, msg: m.LogModel) -> Answer:
    """Append a model's summary to the run's tag `mlflow.log-model.history`, a JSON array."""
    model = _json_object(msg.model_json)
    missing = [field for field in _SUMMARY if field not in model]
    if missing:
        raise Invalid(f"Model json is missing mandatory fields: {', '.join(missing)}")
    history = _history(runs.find_tag(conn, actor, msg.run_id, HISTORY_TAG))
    history.append({field: model[field] for field in (*_SUMMARY, "model_uuid") if field in model})
    runs.put_tag(conn, actor, msg.run_id, HISTORY_TAG, json.dumps(history))
    return {}


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Invalid(f"Malformed model info. \n {text[:200]} \n is not valid JSON.")
    return value


def _history(text: str | None) -> list[Any]:
    try:
        value = json.loads(text or "[]")
    except ValueError:
        return []
    return value if isinstance(value, list) else []
