"""Metrics of logged models: the points of runs that tell of a model, each maybe as measured on a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from native_api.core import db, metrics
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import NotFound
from native_api.core.metrics import Name

_c = t.logged_model_metrics.c

# Writing


class ModelPoint(NamedTuple):
    """A point of a run that tells of a model. A NaN is value 0.0 with is_nan 1; no dataset is two empty texts."""

    model_id: str
    name: Name
    step: int
    recorded_at: int
    value: float
    is_nan: int = 0
    dataset_name: str = ""
    dataset_digest: str = ""


class Model(NamedTuple):
    """A model that points may be added to. `id` is internal."""

    id: int
    project_id: str


def find_models(conn: Connection, model_ids: Iterable[str]) -> dict[str, Model]:
    """Those of the models that exist, deleted or not, by model_id. They stay where they are, so none is held."""
    return {model_id: Model(number, project_id) for model_id, number, project_id in _models.rows(conn, [*model_ids])}


_models = db.Prepared(
    lambda among: (
        select(t.logged_models.c.model_id, t.logged_models.c.id, t.experiments.c.project_id)
        .join(t.experiments, t.experiments.c.id == t.logged_models.c.experiment_id)
        .where(among(t.logged_models.c.model_id))
    )
)


def permit(models: Mapping[str, Model], actor: Actor, points: Sequence[ModelPoint]) -> None:
    """Raise NotFound for a point of a model that is not among these or not in view, Forbidden without the scope."""
    for model_id in {point.model_id for point in points}:
        if model_id not in models:
            raise NotFound("logged model", model_id)
        actor.require(models[model_id].project_id, Scope.WRITE, "logged model", model_id)


def append(conn: Connection, models: Mapping[str, Model], logged: Sequence[tuple[int, Sequence[ModelPoint]]]) -> None:
    """Add the points that runs, by internal id, have logged of these models. What is there already is dropped."""
    ids = metrics.intern(conn, {point.name.key for _, points in logged for point in points})
    _add(
        conn,
        sorted(
            (models[model_id].id, ids[key], scope, recorded_at, step, run, value, is_nan, dataset, digest)
            for run, points in logged
            for model_id, (scope, key), step, recorded_at, value, is_nan, dataset, digest in points
        ),
    )


_add = db.BulkInsert(t.logged_model_metrics, [column.name for column in _c], "ON CONFLICT DO NOTHING")


# Reading


class Measured(NamedTuple):
    """A point as it is shown with the model that has this internal id."""

    model: int
    scope: int
    key: str
    step: int
    recorded_at: int
    value: float
    is_nan: int
    run_id: str
    dataset_name: str
    dataset_digest: str


SHOWN_OF_METRIC = 1_000
"""How many points of one metric of a model are shown, the newest ones."""
SHOWN = 100_000
"""How many points of several models are shown at once. Where there are more, the oldest of each metric are left out."""


def of_models(conn: Connection, models: Sequence[int]) -> list[Measured]:
    """The points of these models, by internal id: those of a metric in order of time, then of step."""
    age = func.row_number().over(
        partition_by=[_c.logged_model_id, _c.metric_id, _c.scope], order_by=[_c.recorded_at.desc(), _c.step.desc()]
    )
    aged = select(*_c, age.label("age")).where(db.among(conn, _c.logged_model_id, models)).subquery()
    n, k, r = aged.c, t.metric_keys.c, t.runs.c
    shown = (
        select(n.logged_model_id, n.scope, k.key, n.step, n.recorded_at, n.value, n.is_nan, r.run_id)
        .add_columns(n.dataset_name, n.dataset_digest)
        .join(t.runs, r.id == n.run_id)
        .join(t.metric_keys, k.id == n.metric_id)  # what `metrics` remembers is committed; these may not be yet
        .where(n.age <= SHOWN_OF_METRIC)
        .order_by(n.age)
        .limit(SHOWN)
    )
    points = map(Measured._make, conn.execute(shown))
    return sorted(points, key=lambda point: (point.model, point.key, point.scope, point.recorded_at, point.step))
