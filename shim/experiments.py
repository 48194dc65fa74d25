"""Experiments: MLflow's calls translated to the core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from native_api.core import datasets, experiments
from native_api.core.access import Actor
from native_api.core.errors import Invalid
from native_api.core.search import Condition, SortKey, View
from shim import documents, reserved_tags
from shim import messages as m
from shim.filters import parse_experiment_filter, parse_experiment_order

MAX_DATASETS = 1000
MAX_LISTED = 50000

MAX_LOCATION_BYTES = 2048
"""MLflow's limit, which counts characters; locations are indexed, and PostgreSQL refuses index rows above 2.7 kB."""

Answer = dict[str, Any]


@dataclass(frozen=True)
class Create:
    """The handler of experiments/create, which knows where the artifacts of new experiments go."""

    artifact_root: str

    def __call__(self, conn: Connection, actor: Actor, msg: m.CreateExperiment) -> Answer:
        changes, plain = reserved_tags.split_experiment_tags(m.tag_map(msg.tags or ()))
        number = experiments.create(
            conn,
            actor,
            actor.project_id,
            msg.name,
            artifact_root=self.artifact_root,
            artifact_location=_location(msg.artifact_location),
            objective=changes.get("objective"),
            tags_=plain,
        )
        return {"experiment_id": str(number)}


def _location(given: str | None) -> str | None:
    """A caller's artifact location. MLflow takes no fragment, parameters or `runs:`, and makes local paths absolute."""
    if not given:
        return None
    try:
        parts = urlsplit(given)
    except ValueError:
        raise Invalid(f"Invalid artifact location: {given!r}") from None
    if len(given.encode()) > MAX_LOCATION_BYTES:
        raise Invalid(f"Invalid artifact location: more than {MAX_LOCATION_BYTES} bytes")
    if parts.fragment or ";" in given.partition("?")[0] or parts.scheme == "runs":
        raise Invalid(
            f"Invalid artifact location: {given!r}: it may hold no fragment, no parameters and not be of a run"
        )
    if not parts.scheme and not given.startswith("/"):
        return str(Path.cwd() / given)
    return given


def get(conn: Connection, actor: Actor, msg: m.GetExperiment) -> Answer:
    return {"experiment": documents.of_experiment(experiments.get(conn, actor, msg.experiment_id), actor.workspace)}


def get_by_name(conn: Connection, actor: Actor, msg: m.GetExperimentByName) -> Answer:
    return {
        "experiment": documents.of_experiment(
            experiments.get_by_name(conn, actor, msg.experiment_name), actor.workspace
        )
    }


def search(conn: Connection, actor: Actor, msg: m.SearchExperiments) -> Answer:
    condition, order = parse_experiment_filter(msg.filter or ""), parse_experiment_order(msg.order_by or [])
    return _page(conn, actor, msg, condition, order, msg.max_results)


def list_all(conn: Connection, actor: Actor, msg: m.ListExperiments) -> Answer:
    """What clients before 2.0 ask instead of searching: oldest first, and as many as may be unless they want fewer."""
    return _page(conn, actor, msg, None, parse_experiment_order(["experiment_id"]), msg.max_results or MAX_LISTED)


def _page(
    conn: Connection,
    actor: Actor,
    msg: m.SearchExperiments | m.ListExperiments,
    condition: Condition | None,
    order: Sequence[SortKey],
    limit: int,
) -> Answer:
    view = View(msg.view_type or "active")
    page = experiments.find_page(conn, actor, view, condition, order, limit, msg.page_token or None)
    answer: Answer = {}
    if page.items:
        answer["experiments"] = [documents.of_experiment(experiment, actor.workspace) for experiment in page.items]
    return answer | ({"next_page_token": page.next_token} if page.next_token else {})


def update(conn: Connection, actor: Actor, msg: m.UpdateExperiment) -> Answer:
    experiments.change(conn, actor, msg.experiment_id, {"name": msg.new_name})
    return {}


def delete(conn: Connection, actor: Actor, msg: m.GetExperiment) -> Answer:
    experiments.delete(conn, actor, msg.experiment_id)
    return {}


def restore(conn: Connection, actor: Actor, msg: m.GetExperiment) -> Answer:
    experiments.restore(conn, actor, msg.experiment_id)
    return {}


def set_tag(conn: Connection, actor: Actor, msg: m.SetExperimentTag) -> Answer:
    m.check_key(msg.key, "key")
    changes, plain = reserved_tags.split_experiment_tags({msg.key: msg.value or ""})
    experiments.put_tags(conn, actor, msg.experiment_id, changes, plain)
    return {}


def delete_tag(conn: Connection, actor: Actor, msg: m.DeleteExperimentTag) -> Answer:
    column = reserved_tags.EXPERIMENT_COLUMNS.get(msg.key)
    if column is None:
        experiments.delete_tag(conn, actor, msg.experiment_id, msg.key)
    else:
        experiments.clear(conn, actor, msg.experiment_id, column, msg.key)
    return {}


def search_datasets(conn: Connection, actor: Actor, msg: m.SearchDatasets) -> Answer:
    found = datasets.used_in(conn, actor, msg.experiment_ids, MAX_DATASETS)
    summaries = [
        {"experiment_id": str(used.experiment_id), "name": used.name, "digest": used.digest}
        | ({} if used.context is None else {"context": used.context})
        for used in found
    ]
    return {"dataset_summaries": summaries} if summaries else {}
