"""The runs that searches look through: the same for every server, through its door or past it."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks import wire
from benchmarks.databases import Rows

METRICS, PARAMS, TAGS = 20, 20, 10
CLIENTS = 32
START = 1_700_000_000_000
STRIDE = 7919


class Run(NamedTuple):
    """A run with METRICS metrics of one point each; the greatest `accuracy` and the greatest `loss` are far apart."""

    name: str
    start: int
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


def runs(count: int) -> list[Run]:
    """As many runs, no two with the same accuracy or the same loss (`count` must not be a multiple of STRIDE)."""
    return [_run(index, index * STRIDE % count / count) for index in range(count)]


def _run(index: int, accuracy: float) -> Run:
    others = {f"metric-{n}": float((index + 1) * (n + 1) % 1009) for n in range(METRICS - 2)}
    return Run(
        name=f"run-{index}",
        start=START + index,
        metrics={"accuracy": accuracy, "loss": 1 - accuracy} | others,
        params={f"param-{n}": f"{(index + n) % 97}" for n in range(PARAMS)},
        tags={f"tag-{n}": f"value {(index * n) % 89}" for n in range(TAGS)},
    )


def log(port: int, sample: Sequence[Run]) -> None:
    """Bring the runs in through the server's door."""
    lanes = [sample[n::CLIENTS] for n in range(CLIENTS)]
    created = wire.exchange(port, [map(_create, lane) for lane in lanes])
    ids = [[answer.message()["run"]["info"]["run_id"] for answer in answers] for answers in created.lanes]
    for answer in wire.exchange(port, [map(_values, *pair) for pair in zip(lanes, ids, strict=True)]).answers:
        answer.message()


def _create(run: Run) -> bytes:
    message = {"experiment_id": "0", "run_name": run.name, "start_time": run.start, "tags": _pairs(run.tags)}
    return wire.post("runs/create", message)


def _values(run: Run, run_id: str) -> bytes:
    metrics = [{"key": key, "value": value, "timestamp": run.start, "step": 1} for key, value in run.metrics.items()]
    return wire.post("runs/log-batch", {"run_id": run_id, "metrics": metrics, "params": _pairs(run.params)})


def _pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def mlflow_rows(sample: Sequence[Run]) -> Rows:
    """The runs as rows of MLflow's own tables: through its door they would take minutes."""
    ids = [(run, uuid.uuid4().hex) for run in sample]
    latest = [dict(row) for run, run_id in ids for row in _metric_rows(run, run_id)]
    return {
        "runs": [_run_row(run, run_id) for run, run_id in ids],
        "metrics": latest,
        "latest_metrics": latest,
        "params": [{"run_uuid": run_id, "key": k, "value": v} for run, run_id in ids for k, v in run.params.items()],
        "tags": [
            {"run_uuid": run_id, "key": k, "value": v}
            for run, run_id in ids
            for k, v in (run.tags | {"mlflow.runName": run.name}).items()
        ],
    }


def _run_row(run: Run, run_id: str) -> dict[str, object]:
    return {
        "run_uuid": run_id,
        "experiment_id": 0,
        "name": run.name,
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
        "user_id": "",
        "status": "RUNNING",
        "start_time": run.start,
        "lifecycle_stage": "active",
        "artifact_uri": f"mlflow-artifacts:/0/{run_id}/artifacts",
    }


def _metric_rows(run: Run, run_id: str) -> Iterator[dict[str, object]]:
    for key, value in run.metrics.items():
        yield {"run_uuid": run_id, "key": key, "value": value, "timestamp": run.start, "step": 1, "is_nan": False}


def seen(message: dict[str, Any]) -> Run:
    """A run as a server shows it, without the tags that it gives by itself."""
    info, data = message["info"], message["data"]
    metrics, params, tags = (
        {item["key"]: item["value"] for item in data[kind]} for kind in ("metrics", "params", "tags")
    )
    own = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
    return Run(info["run_name"], info["start_time"], metrics, params, own)
