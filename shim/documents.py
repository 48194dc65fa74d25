"""What MLflow clients see of a run and an experiment, ready for the wire."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

import msgspec
from sqlalchemy import Connection

from native_api.core import datasets, db, run_views
from native_api.core.experiments import Experiment
from native_api.core.params import text_of
from shim import reserved_tags
from shim.messages import STATUSES
from shim.metric_names import full_name
from shim.wire import LARGEST, Pair, Point, number

_STATUS_NAMES = {status: name for name, status in STATUSES.items()}


def of_experiment(experiment: Experiment, workspace: str) -> dict[str, Any]:
    """MLflow's Experiment."""
    tags = {**experiment.tags, **reserved_tags.of_experiment(experiment.objective)}
    document = {
        "experiment_id": str(experiment.id),
        "name": experiment.name,
        "artifact_location": experiment.artifact_location,
        "lifecycle_stage": _stage(experiment.deleted_at),
        "last_update_time": experiment.updated_at,
        "creation_time": experiment.created_at,
        "workspace": workspace,
    }
    return document | ({"tags": _pairs(tags)} if tags else {})


def of_info(info: run_views.RunInfo) -> dict[str, Any]:
    """MLflow's RunInfo."""
    document = {
        "run_id": info.run_id,
        "run_uuid": info.run_id,
        "run_name": info.run_name or "",
        "experiment_id": str(info.experiment_id),
        "user_id": info.user_name,
        "status": _STATUS_NAMES[info.status],
        "start_time": info.started_at or 0,
        "artifact_uri": info.artifact_uri,
        "lifecycle_stage": _stage(info.deleted_at),
    }
    return document | ({"end_time": info.finished_at} if info.finished_at else {})


def of_run(run: run_views.Run) -> dict[str, Any]:
    """MLflow's Run. Lists without an element are left out, as protobuf's JSON does."""
    info = run.info
    tags = {**run.tags, **reserved_tags.of_run(info.run_name, info.notes, info.git_commit)}
    data: dict[str, Any] = {
        "metrics": [
            Point(
                full_name(scope, key) if scope else key,
                number(value, is_nan) if is_nan or abs(value) > LARGEST else value,
                recorded_at,
                step,
            )
            for _, scope, key, step, recorded_at, value, is_nan in run.latest
        ],
        "params": [Pair(key, value if isinstance(value, str) else text_of(value)) for key, value in run.params.items()],
        "tags": _pairs(tags),
    }
    inputs = {
        "dataset_inputs": [_input(used) for used in run.inputs],
        "model_inputs": [{"model_id": link.model_id} for link in run.models if link.direction == "input"],
    }
    made = [{"model_id": link.model_id, "step": link.step} for link in run.models if link.direction == "output"]
    return {
        "info": of_info(info),
        "data": {name: part for name, part in data.items() if part},
        "inputs": {name: part for name, part in inputs.items() if part},
        "outputs": {"model_outputs": made} if made else {},
    }


def _input(used: datasets.RunInput) -> dict[str, Any]:
    tags = {**used.tags, **({} if used.context is None else {reserved_tags.CONTEXT: used.context})}
    dataset = {"name": used.name, "digest": used.digest, "source_type": used.source_type, "source": used.source}
    dataset |= {"schema": used.schema, "profile": used.profile}
    document: dict[str, Any] = {"tags": _pairs(tags)} if tags else {}
    return document | {"dataset": {name: value for name, value in dataset.items() if value is not None}}


def _pairs(values: dict[str, str]) -> list[Pair]:
    return [Pair(key, value) for key, value in values.items()]


def _stage(deleted_at: int | None) -> str:
    return "active" if deleted_at is None else "deleted"


class RunDocuments:
    """The documents of runs as JSON, kept by (run, revision) within a bound of bytes.

    The revision makes it exact with any number of processes: a run that changed since has another revision, so a kept
    document of it is never asked for again.
    """

    LIMIT = 64 * 1024 * 1024

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[int, bytes]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, conn: Connection, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """The documents of these (run, revision), in order. What is not kept is built in one bulk read."""
        found: dict[int, bytes] = {}
        with self._lock:
            for run, revision in wanted:
                kept = self._kept.get(run)
                if kept is not None and kept[0] == revision:
                    self._kept.move_to_end(run)
                    found[run] = kept[1]
        missing = [run for run, _ in wanted if run not in found]
        for loaded in run_views.load(conn, missing):
            document = msgspec.json.encode(of_run(loaded))
            found[loaded.info.id] = document
            self._keep(loaded.info.id, loaded.info.revision, document)
        return [found[run] for run, _ in wanted]

    def _keep(self, run: int, revision: int, document: bytes) -> None:
        with self._lock:
            old = self._kept.pop(run, None)
            self._kept[run] = revision, document
            self._bytes += len(document) - (len(old[1]) if old else 0)
            while self._bytes > self.LIMIT:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._bytes -= len(dropped)


def run_documents(conn: Connection, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
    """The documents of these (run, revision), from this process's store for the database."""
    return db.memory(conn, RunDocuments).get(conn, wanted)
