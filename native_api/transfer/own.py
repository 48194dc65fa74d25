"""What this server has of one project, as a source: to be taken elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection, Engine, func, select, tuple_

from native_api.core import blobs, metrics, rows
from native_api.core import tables as t
from native_api.core.blobs import Store
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import AnyPoint, Name
from native_api.core.places import proxied_key
from native_api.transfer import stored
from native_api.transfer.records import (
    Counts,
    Experiment,
    File,
    LoggedModel,
    ModelPoints,
    RegisteredModel,
    Run,
    RunPoints,
)

BATCH = 200
"""How many runs or models are read at once."""
CHUNK = 50_000
"""How many points are."""

_e, _r, _m, _v = t.experiments.c, t.runs.c, t.logged_models.c, t.run_metric_values.c


class Own:
    """A `Source` over one project of a database of ours. Each page of it is read as it is then: it may be in use."""

    def __init__(self, engine: Engine, project_id: str) -> None:
        self._engine = engine
        self._project_id = project_id
        self.location = f"project {project_id}"

    def counts(self) -> Counts:
        """How much there is."""
        of_project = _e.project_id == self._project_id
        versions = t.model_versions.c
        with self._engine.connect() as conn:
            experiments = select(func.count()).select_from(t.experiments).where(of_project)
            in_experiments = select(_e.id).where(of_project)
            latest = t.run_metric_latest.c
            points = select(func.coalesce(func.sum(latest.count), 0))
            statements = (
                experiments,
                select(func.count()).where(_r.experiment_id.in_(in_experiments)),
                points.where(latest.experiment_id.in_(in_experiments)),
                select(func.count()).where(_m.experiment_id.in_(in_experiments)),
                select(func.count()).where(t.registered_models.c.project_id == self._project_id),
                select(func.count()).where(versions.project_id == self._project_id),
            )
            return Counts(*(int(conn.scalars(statement).one()) for statement in statements))

    def experiments(self) -> Sequence[Experiment]:
        """All of them, deleted ones included; the key of each is its short id."""
        with self._engine.connect() as conn:
            found = conn.execute(select(*_e).where(_e.project_id == self._project_id).order_by(_e.id)).all()
            g = t.experiment_tags.c
            labels: dict[int, dict[str, str]] = {}
            of_project = select(g.experiment_id, g.key, g.value).join(t.experiments, _e.id == g.experiment_id)
            for number, key, value in conn.execute(
                of_project.where(_e.project_id == self._project_id).order_by(g.experiment_id, g.key)
            ):
                labels.setdefault(number, {})[key] = value
        same = ("name", "objective", "artifact_location", "created_at", "updated_at", "deleted_at")
        return [
            Experiment(
                key=str(row.id),
                number=row.id,
                tags=labels.get(row.id, {}),
                **{name: getattr(row, name) for name in same},
            )
            for row in found
        ]

    # Runs

    def runs(self) -> Iterator[Sequence[Run]]:
        """All runs, deleted ones included, experiment by experiment."""
        for experiment in self.experiments():
            after = -1
            while True:
                with self._engine.connect() as conn:
                    number = int(experiment.key)
                    page = select(_r.id).where(_r.experiment_id == number, _r.id > after).order_by(_r.id).limit(BATCH)
                    ids = conn.scalars(page).all()
                    if not ids:
                        break
                    found = stored.runs(conn, ids, {number: experiment.key})
                after = ids[-1]
                yield list(found.values())

    def points(self, runs: Sequence[Run]) -> Iterator[Sequence[RunPoints]]:
        """The points of these runs, metric by metric of run by run."""
        for run in runs:
            after: tuple[int, ...] | None = None
            while True:
                with self._engine.connect() as conn:
                    page = self._page_of_points(conn, run.run_id, after)
                    names = metrics.names_of(conn, {row[0] for row in page})
                if not page:
                    break
                after = page[-1]
                yield [
                    (run.run_id, {Name(scope, names[metric]): [_point(row) for row in some]})
                    for (metric, scope), some in groupby(page, itemgetter(0, 1))
                ]
                if len(page) < CHUNK:
                    break

    def _page_of_points(self, conn: Connection, run_id: str, after: tuple[int, ...] | None) -> list[tuple[int, ...]]:
        number = conn.scalars(select(_r.id).where(_r.run_id == run_id)).one_or_none()
        order = [_v[name] for name in ("metric_id", "scope", "is_final", "step", "recorded_at", "value", "is_nan")]
        statement = select(*order).where(_v.run_id == number).order_by(*order).limit(CHUNK)
        if after is not None:
            statement = statement.where(tuple_(*order) > tuple_(*after))
        return rows.plain(conn.execute(statement))

    # Models

    def logged_models(self) -> Iterator[Sequence[LoggedModel]]:
        """All logged models, deleted ones included."""
        after = -1
        while True:
            with self._engine.connect() as conn:
                found = conn.execute(
                    select(_m.id, _m.model_id, _m.experiment_id)
                    .join(t.experiments, _e.id == _m.experiment_id)
                    .where(_e.project_id == self._project_id, _m.id > after)
                    .order_by(_m.id)
                    .limit(BATCH)
                ).all()
                if not found:
                    return
                keys = {row.experiment_id: str(row.experiment_id) for row in found}
                here = stored.logged_models_of(conn, [row.model_id for row in found], keys)
            after = found[-1].id
            yield list(here.values())

    def model_points(self, models: Sequence[LoggedModel]) -> Iterator[Sequence[ModelPoints]]:
        """The points that tell of these models."""
        c, k = t.logged_model_metrics.c, t.metric_keys.c
        measured = (
            select(_r.run_id, c.scope, k.key, c.step, c.recorded_at, c.value, c.is_nan)
            .add_columns(c.dataset_name, c.dataset_digest)
            .join(t.logged_models, _m.id == c.logged_model_id)
            .join(t.runs, _r.id == c.run_id)
            .join(t.metric_keys, k.id == c.metric_id)
            .order_by(*t.logged_model_metrics.primary_key)
        )
        for model in models:
            with self._engine.connect() as conn:
                found = conn.execution_options(yield_per=CHUNK).execute(measured.where(_m.model_id == model.model_id))
                for some in found.partitions():
                    yield [
                        (run_id, [ModelPoint(model.model_id, Name(scope, key), *rest)])
                        for run_id, scope, key, *rest in some
                    ]

    def registered_models(self) -> Iterator[RegisteredModel]:
        """All registered models, by name."""
        c = t.registered_models.c
        after = ""
        while True:
            with self._engine.connect() as conn:
                names = conn.scalars(
                    select(c.name).where(c.project_id == self._project_id, c.name > after).order_by(c.name).limit(BATCH)
                ).all()
                found = [stored.registered_model(conn, self._project_id, name) for name in names]
            yield from (model for model in found if model is not None)
            if not names:
                return
            after = names[-1]

    def close(self) -> None:
        """The engine is its owner's."""


def _point(row: tuple[int, ...]) -> AnyPoint:
    _, _, is_final, step, recorded_at, value, is_nan = row
    return step, recorded_at, value, is_nan, is_final


@dataclass(frozen=True)
class StoreFiles:
    """The `Files` of what is kept in this server's own store; of other places it has none."""

    store: Store

    def below(self, root: str) -> Sequence[File]:
        """All files below a root."""
        key = proxied_key(root)
        if key is None:
            return []
        return [File(found.key.removeprefix(f"{key}/"), found.size) for found in blobs.walk(self.store, key)]

    def read(self, root: str, path: str) -> Iterator[bytes]:
        """What is in one of them."""
        found = self.store.read(f"{proxied_key(root)}/{path}", 0)
        return found.blocks(0, found.size)
