"""The sample in a server's database: through the door of ours, past the others', which would take minutes."""

import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from benchmarks import sample, wire
from benchmarks.databases import Databases, Rows
from benchmarks.sample import Run, Sample, Size

CLIENTS = 32
METRICS, PARAMS = 900, 100  # of one request: no more than MLflow takes at once


class Story(NamedTuple):
    """A run to be had, in this experiment; its one metric has `points` points if it has more than one."""

    run: Run
    experiment_id: str
    points: int = 1


def fill(store: str, db: Databases, port: int, size: Size) -> Sample:
    """Fill the empty database `store` of the kind of server that listens on this port."""
    many = sample.runs(size.runs)
    (apart,) = wire.ask(port, wire.post("experiments/create", {"name": "apart"}))
    experiment_id = apart["experiment_id"]
    wide = sample.wide(size)
    stories = [
        Story(wide, experiment_id),
        Story(sample.series("history", size.history), experiment_id, size.history),
        *(Story(sample.series(f"series-{n}", size.points), experiment_id, size.points) for n in range(size.series)),
        *(Story(run, "0") for run in many),
    ]
    ids = add(store, db, port, stories)
    return Sample(many, wide, ids[0], ids[1], ids[2 : 2 + size.series])


def add(store: str, db: Databases, port: int, stories: Sequence[Story]) -> list[str]:
    """Bring the runs into the database `store`, whose server listens on this port; their ids."""
    if store == "ours":
        return log(port, stories)
    ids = [uuid.uuid4().hex for _ in stories]
    tables = ROWS[store](list(zip(stories, ids, strict=True)))
    db.insert(store, {table: rows for table, rows in tables.items() if rows})
    return ids


def log(port: int, stories: Sequence[Story]) -> list[str]:
    """Bring the runs in through the server's door; their ids."""
    created = wire.exchange(port, [map(_create, lane) for lane in _lanes(stories)])
    ids = [[answer.message()["run"]["info"]["run_id"] for answer in answers] for answers in created.lanes]
    lanes = [
        [request for story, run_id in zip(*pair, strict=True) for request in _values(story, run_id)]
        for pair in zip(_lanes(stories), ids, strict=True)
    ]
    for answer in wire.exchange(port, lanes).answers:
        answer.content()
    return [ids[n % CLIENTS][n // CLIENTS] for n in range(len(stories))]


def _lanes(stories: Sequence[Story]) -> list[Sequence[Story]]:
    return [stories[n::CLIENTS] for n in range(CLIENTS)]


def _create(story: Story) -> bytes:
    run = story.run
    tags = sample.pairs(run.tags)
    message = {"experiment_id": story.experiment_id, "run_name": run.name, "start_time": run.start, "tags": tags}
    return wire.post("runs/create", message)


def _values(story: Story, run_id: str) -> Iterator[bytes]:
    metrics, params = _latest(story.run, story.points), sample.pairs(story.run.params)
    for number in range(max(math.ceil(len(metrics) / METRICS), math.ceil(len(params) / PARAMS))):
        some, others = metrics[number * METRICS :][:METRICS], params[number * PARAMS :][:PARAMS]
        yield wire.post("runs/log-batch", {"run_id": run_id, "metrics": some, "params": others})
    for start in range(0, story.points - 1, METRICS):
        steps = range(start, min(start + METRICS, story.points - 1))
        earlier = [sample.point(sample.SERIES, step) for step in steps]
        yield wire.post("runs/log-batch", {"run_id": run_id, "metrics": earlier})


def _latest(run: Run, points: int) -> list[dict[str, object]]:
    time, step = run.start + points - 1, points - 1
    return [{"key": key, "value": value, "timestamp": time, "step": step} for key, value in run.metrics.items()]


Told = Sequence[tuple[Story, str]]


def mlflow_rows(told: Told) -> dict[str, list[dict[str, object]]]:
    """The runs, each under its id, as rows of MLflow's own tables."""
    return {
        "runs": [_run_row(story, run_id) for story, run_id in told],
        "metrics": [row for story, run_id in told for row in _metric_rows(story, run_id)],
        "latest_metrics": [row for story, run_id in told for row in _latest_rows(story, run_id)],
        "params": [
            {"run_uuid": run_id, "key": key, "value": value}
            for story, run_id in told
            for key, value in story.run.params.items()
        ],
        "tags": [
            {"run_uuid": run_id, "key": key, "value": value}
            for story, run_id in told
            for key, value in (story.run.tags | {"mlflow.runName": story.run.name}).items()
        ],
    }


def _run_row(story: Story, run_id: str) -> dict[str, object]:
    return {
        "run_uuid": run_id,
        "experiment_id": int(story.experiment_id),
        "name": story.run.name,
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
        "user_id": "",
        "status": "RUNNING",
        "start_time": story.run.start,
        "lifecycle_stage": "active",
        "artifact_uri": f"mlflow-artifacts:/{story.experiment_id}/{run_id}/artifacts",
    }


def _metric_rows(story: Story, run_id: str) -> Iterator[dict[str, object]]:
    for step in range(story.points - 1):
        yield {"run_uuid": run_id, "is_nan": False, **sample.point(sample.SERIES, step)}
    yield from _latest_rows(story, run_id)


def _latest_rows(story: Story, run_id: str) -> Iterator[dict[str, object]]:
    for row in _latest(story.run, story.points):
        yield {"run_uuid": run_id, "is_nan": False, **row}


def fasttrackml_rows(told: Told) -> Rows:
    """The same as rows of FastTrackML's tables, which have grown out of MLflow's."""
    rows = mlflow_rows(told)
    return {
        "runs": [row | {"row_num": number} for number, row in enumerate(rows["runs"])],
        "metrics": [row | {"iter": _count(row), "context_id": 1} for row in rows["metrics"]],
        "latest_metrics": [row | {"last_iter": _count(row), "context_id": 1} for row in rows["latest_metrics"]],
        "params": [
            {"run_uuid": row["run_uuid"], "key": row["key"], "value_str": row["value"]} for row in rows["params"]
        ],
        "tags": rows["tags"],
    }


def _count(point: Mapping[str, object]) -> int:
    """The how manieth point of its metric it is; the steps of the sample count from 0."""
    return int(str(point["step"])) + 1


ROWS = {"mlflow": mlflow_rows, "fasttrackml": fasttrackml_rows}
