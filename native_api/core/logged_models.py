"""Logged models: made by runs or brought in, finished, labelled, deleted softly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, insert, select, update
from sqlalchemy import delete as delete_from

from native_api.core import audit, clock, db, experiments, logged_model_metrics
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Invalid, NotFound
from native_api.core.logged_model_metrics import Measured
from native_api.core.runs import below

_c = t.logged_models.c


class ModelInfo(NamedTuple):
    """A logged model without its parts. `id` is internal, `experiment_id` the short one; times are milliseconds, UTC.

    status: pending until its files are there, then ready or failed; or unspecified.
    """

    id: int
    model_id: str
    experiment_id: int
    project_id: str
    name: str
    model_type: str
    source_run_id: str
    artifact_uri: str
    status: str
    status_message: str | None
    created_by: str | None
    created_at: int
    updated_at: int
    deleted_at: int | None


@dataclass(frozen=True)
class LoggedModel:
    """A logged model with its params, its tags, and the newest points of its metrics."""

    info: ModelInfo
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Measured] = ()


INFO = [(t.experiments if name == "project_id" else t.logged_models).c[name] for name in ModelInfo._fields]


# Creating


@dataclass(frozen=True)
class NewModel:
    """What a new model starts with. `experiment` is the short id."""

    experiment: int
    name: str
    model_type: str = ""
    source_run_id: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def create(conn: Connection, actor: Actor, new: NewModel) -> LoggedModel:
    """A new model, pending, in an active experiment; its files go to `<experiment's location>/models/<id>/artifacts`.

    Raises NotFound for an experiment out of view, Conflict for one that is deleted.
    """
    experiment = experiments.active(conn, actor, new.experiment, shared=True)
    model_id, now = f"m-{clock.new_id()}", clock.now()
    row = {
        "model_id": model_id,
        "name": new.name,
        "model_type": new.model_type,
        "source_run_id": new.source_run_id,
        "artifact_uri": below(experiment.artifact_location, f"models/{model_id}/artifacts"),
        "status": "pending",
        "created_by": actor.user_id,
        "created_at": now,
        "updated_at": now,
    }
    added = insert(t.logged_models).values(row | {"experiment_id": experiment.id}).returning(_c.id)
    number = conn.execute(added).scalar_one()
    _add_params(conn, _rows(number, new.params))
    _put_tags(conn, _rows(number, new.tags))
    project_id = experiment.project_id
    audit.inserted(
        conn, actor, "logged_models", model_id, row | {"experiment_id": experiment.experiment_id}, project_id=project_id
    )
    stored: dict[str, Any] = row | {"id": number, "experiment_id": experiment.id, "project_id": project_id}
    info = ModelInfo(**stored, status_message=None, deleted_at=None)
    return LoggedModel(info, new.params, new.tags)


_add_params = db.BulkInsert(t.logged_model_params, ["logged_model_id", "key", "value"], "ON CONFLICT DO NOTHING")
_put_tags = db.BulkInsert(
    t.logged_model_tags,
    ["logged_model_id", "key", "value"],
    "ON CONFLICT (logged_model_id, key) DO UPDATE SET value = excluded.value",
)


def _rows(number: int, pairs: Mapping[str, str]) -> list[tuple[int, str, str]]:
    return sorted((number, key, value) for key, value in pairs.items())


# Reading


def get(conn: Connection, actor: Actor, model_id: str, *, include_deleted: bool = False) -> LoggedModel:
    """A model in view; one that is deleted only where those are asked for."""
    for row in _found.rows(conn, [model_id]):
        info = ModelInfo._make(row)
        if info.project_id in actor.projects and (include_deleted or info.deleted_at is None):
            return load(conn, [info])[0]
    raise NotFound("logged model", model_id)


def _by_model_id(among: db.Among) -> Any:
    found = select(*INFO).join(t.experiments, t.experiments.c.id == _c.experiment_id)
    return found.where(among(_c.model_id))


_found = db.Prepared(_by_model_id)


def load(conn: Connection, infos: Sequence[ModelInfo]) -> list[LoggedModel]:
    """These models with all their parts. The caller has seen to their visibility."""
    numbers = [info.id for info in infos]
    if not numbers:
        return []
    params, tags = (_pairs(conn, table, numbers) for table in (t.logged_model_params, t.logged_model_tags))
    measured = logged_model_metrics.of_models(conn, numbers)
    points = {model: list(some) for model, some in groupby(measured, lambda point: point.model)}
    return [
        LoggedModel(info, params.get(info.id, {}), tags.get(info.id, {}), points.get(info.id, ())) for info in infos
    ]


def _pairs(conn: Connection, pairs: Table, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
    c = pairs.c
    found: dict[int, dict[str, str]] = {}
    for number, key, value in conn.execute(
        select(c.logged_model_id, c.key, c.value).where(db.among(conn, c.logged_model_id, numbers)).order_by(c.key)
    ):
        found.setdefault(number, {})[key] = value
    return found


# Changing: as in MLflow also one that is deleted


def set_status(conn: Connection, actor: Actor, model_id: str, status: str) -> LoggedModel:
    """Say how far it is; the model as it is now."""
    held = _hold(conn, actor, model_id)
    return load(conn, [_set(conn, actor, held, {"status": status})])[0]


def delete(conn: Connection, actor: Actor, model_id: str) -> None:
    """Delete it softly. Doing it again changes nothing."""
    held = _hold(conn, actor, model_id)
    if held.deleted_at is None:
        _set(conn, actor, held, {"deleted_at": clock.now()})


def add_params(conn: Connection, actor: Actor, model_id: str, params: Mapping[str, str]) -> None:
    """Add params. Invalid, and none of them added, if one has another value already."""
    held = _hold(conn, actor, model_id)
    known = _pairs(conn, t.logged_model_params, [held.id]).get(held.id, {})
    for key, value in params.items():
        if known.get(key, value) != value:
            raise Invalid(
                f"Changing param values is not allowed. Param with key={key!r} was already logged with another value "
                f"for the model {model_id}."
            )
    _add_params(conn, _rows(held.id, params))


def put_tags(conn: Connection, actor: Actor, model_id: str, tags: Mapping[str, str]) -> None:
    """Set tags, replacing what was there."""
    held = _hold(conn, actor, model_id)
    _put_tags(conn, _rows(held.id, tags))


def delete_tag(conn: Connection, actor: Actor, model_id: str, key: str) -> None:
    """NotFound if there is no such tag."""
    held = _hold(conn, actor, model_id)
    c = t.logged_model_tags.c
    if not conn.execute(delete_from(t.logged_model_tags).where(c.logged_model_id == held.id, c.key == key)).rowcount:
        raise NotFound("tag", key)


def _hold(conn: Connection, actor: Actor, model_id: str) -> ModelInfo:
    """A model that the actor may write to, held until the transaction ends."""
    rows = _held.rows(conn, [model_id])
    if not rows:
        raise NotFound("logged model", model_id)
    held = ModelInfo._make(rows[0])
    actor.require(held.project_id, Scope.WRITE, "logged model", model_id)
    return held


_held = db.Prepared(_by_model_id, holds=t.logged_models)


def _set(conn: Connection, actor: Actor, held: ModelInfo, changes: Mapping[str, Any]) -> ModelInfo:
    now = clock.now()
    conn.execute(update(t.logged_models).where(_c.id == held.id).values(**changes, updated_at=now))
    audit.updated(conn, actor, "logged_models", held.model_id, held._asdict(), changes, project_id=held.project_id)
    return held._replace(**changes, updated_at=now)
