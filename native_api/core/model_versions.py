"""Versions of registered models: numbered 1, 2, 3 ...; the number of one that is gone is not given again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    select,
    union_all,
    update,
)
from sqlalchemy import delete as delete_from

from native_api.core import audit, clock, db, registered_models
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Invalid, NotFound
from native_api.core.registered_models import RegisteredModel

STAGES = ("none", "staging", "production", "archived")
ACTIVE_STAGES = ("staging", "production")
"""The stages that mostly hold one version at a time: a new one may archive those that are there."""

MODEL_VERSIONS_TAG = "mlflow.modelVersions"
"""The tag by which a logged model tells of the versions that were made from it: a JSON list."""


@dataclass(frozen=True)
class Origin:
    """Where a new version comes from: `source` in the client's words, `storage_uri` where its files are.

    Made by `model_sources`, which refuses what the client may not name. `run_id` is empty if it is of no run.
    `logged_model` is the internal id of the logged model that the client named, which is told of the version.
    """

    source: str
    storage_uri: str
    run_id: str = ""
    model_id: str | None = None
    logged_model: int | None = None


class ModelVersion(NamedTuple):
    """One version of a registered model. `id` is internal; times are milliseconds, UTC."""

    id: int
    registered_model_id: str
    project_id: str
    name: str
    version: int
    description: str | None
    source: str
    storage_uri: str
    run_id: str
    run_link: str | None
    model_id: str | None
    stage: str
    status: str
    status_message: str | None
    created_by: str | None
    created_at: int
    updated_at: int
    tags: Mapping[str, str] = {}
    aliases: Sequence[str] = ()
    """Read with one version, and with the latest ones; lists leave them out."""


_m, _c = t.registered_models.c, t.model_versions.c
COLUMNS: Sequence[ColumnElement[Any]] = (
    *(_c.id, _c.registered_model_id, _c.project_id, _m.name, _c.version, _c.description, _c.source, _c.storage_uri),
    *(_c.run_id, _c.run_link, _c.model_id, _c.stage, _c.status, _c.status_message),
    *(_c.created_by, _c.created_at, _c.updated_at),
)
JOINED = t.model_versions.join(t.registered_models, _m.registered_model_id == _c.registered_model_id)
_of_models = select(*COLUMNS).select_from(JOINED)
_numbered = _of_models.where(
    _m.project_id == bindparam("project"), _m.name == bindparam("named"), _c.version == bindparam("number")
)


# Reading


def get(conn: Connection, actor: Actor, project_id: str, name: str, version: int) -> ModelVersion:
    """The version of the model with this name in a project in view, with its tags and aliases."""
    actor.require(project_id, Scope.READ, "model version", f"{name}/{version}")
    return _complete(conn, _row(conn, project_id, name, version))


def _row(conn: Connection, project_id: str, name: str, version: int) -> ModelVersion:
    which = {"project": project_id, "named": name, "number": version}
    row = conn.execute(_numbered, which).one_or_none() if version in _NUMBERS else None
    if row is None:
        raise NotFound("model version", f"{name}/{version}")
    return ModelVersion(*row)


_NUMBERS = range(1, 2**63)


def _complete(conn: Connection, version: ModelVersion) -> ModelVersion:
    (found,) = with_aliases(conn, with_tags(conn, [version]))
    return found


def with_tags(conn: Connection, versions: Sequence[ModelVersion]) -> list[ModelVersion]:
    """The versions with their tags."""
    tags: dict[int, dict[str, str]] = {}
    for number, key, value in _tags.rows(conn, [version.id for version in versions]):
        tags.setdefault(number, {})[key] = value
    return [version._replace(tags=tags.get(version.id, {})) for version in versions]


def with_aliases(conn: Connection, versions: Sequence[ModelVersion]) -> list[ModelVersion]:
    """The versions with their aliases."""
    aliases: dict[int, list[str]] = {}
    for number, alias in _aliases.rows(conn, [version.id for version in versions]):
        aliases.setdefault(number, []).append(alias)
    return [version._replace(aliases=tuple(aliases.get(version.id, ()))) for version in versions]


_tags = db.Prepared(
    lambda among: (
        select(*t.model_version_tags.c["model_version_id", "key", "value"])
        .where(among(t.model_version_tags.c.model_version_id))
        .order_by(t.model_version_tags.c.key)
    )
)
_a = t.registered_model_aliases.c
_aliases = db.Prepared(
    lambda among: (
        select(_c.id, _a.alias)
        .where(among(_c.id), _a.registered_model_id == _c.registered_model_id, _a.version == _c.version)
        .order_by(_a.alias)
    )
)


def latest(conn: Connection, models: Sequence[RegisteredModel]) -> dict[str, list[ModelVersion]]:
    """The latest version in each stage that has any, by the id of the model; without aliases.

    As in MLflow, the stages come in the order of the lowest number that each has.
    """
    rows = _latest.rows(conn, [model.registered_model_id for model in models])
    found: dict[str, list[ModelVersion]] = {}
    for version in with_tags(conn, [ModelVersion(*row) for row in rows]):
        found.setdefault(version.registered_model_id, []).append(version)
    return found


def _latest_numbers(among: db.Among) -> Select[*tuple[Any, ...]]:
    """Eight seeks in an index for a model, however many versions it has."""
    stages = union_all(*(select(literal_column(f"'{stage}'").label("stage")) for stage in STAGES)).subquery()
    same = t.model_versions.alias()
    in_stage = same.c.registered_model_id == _m.registered_model_id, same.c.stage == stages.c.stage
    last, first = (
        select(of(same.c.version)).where(*in_stage).correlate(t.registered_models, stages).scalar_subquery()
        for of in (func.max, func.min)
    )
    numbers = select(_m.registered_model_id, last.label("version"), first.label("first")).select_from(stages)
    wanted = numbers.where(among(_m.registered_model_id)).subquery()
    is_wanted = and_(_c.registered_model_id == wanted.c.registered_model_id, _c.version == wanted.c.version)
    return select(*COLUMNS).select_from(JOINED.join(wanted, is_wanted)).order_by(wanted.c.first)


_latest = db.Prepared(_latest_numbers)


# Changing


def create(
    conn: Connection,
    actor: Actor,
    project_id: str,
    name: str,
    origin: Origin,
    *,
    description: str | None = None,
    run_link: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> ModelVersion:
    """The next version of a model. Raises NotFound if there is no model of this name in the project."""
    actor.require(project_id, Scope.WRITE, "registered model", name)
    now = clock.now()
    counted = (
        update(t.registered_models)  # which holds it: two at once get two numbers
        .where(_m.project_id == project_id, _m.name == name)
        .values(last_version=_m.last_version + 1, updated_at=now)
        .returning(_m.registered_model_id, _m.last_version)
    )
    model = conn.execute(counted).one_or_none()
    if model is None:
        raise NotFound("registered model", name)
    row = {
        "registered_model_id": model.registered_model_id,
        "version": model.last_version,
        "project_id": project_id,
        "description": description,
        "source": origin.source,
        "storage_uri": origin.storage_uri,
        "run_id": origin.run_id,
        "run_link": run_link,
        "model_id": origin.model_id,
        "stage": "none",
        "status": "ready",
        "created_by": actor.user_id,
        "created_at": now,
        "updated_at": now,
    }
    number = conn.execute(t.model_versions.insert().returning(_c.id), row).scalar_one()
    version = ModelVersion(id=number, name=name, status_message=None, tags=dict(sorted((tags or {}).items())), **row)
    audit.inserted(conn, actor, "model_versions", _pk(version), row, project_id=project_id)
    _put_tags(conn, [(number, *tag) for tag in version.tags.items()])
    if origin.logged_model is not None:
        _tell_logged_model(conn, origin.logged_model, version)
    return version


def change(
    conn: Connection, actor: Actor, project_id: str, name: str, version: int, changes: Mapping[str, Any]
) -> ModelVersion:
    """Set its description; the version as it is now."""
    _, held = _hold(conn, actor, project_id, name, version)
    return _complete(conn, _set(conn, actor, held, changes, clock.now()))


def move(
    conn: Connection, actor: Actor, project_id: str, name: str, version: int, stage: str, *, archive_others: bool
) -> ModelVersion:
    """Put it in a stage; the version as it is now.

    With `archive_others` what else is in that stage is archived: Invalid unless it is one of ACTIVE_STAGES.
    """
    if archive_others and stage not in ACTIVE_STAGES:
        raise Invalid(f"Existing versions are archived only when one moves to {' or '.join(ACTIVE_STAGES)}")
    model, held = _hold(conn, actor, project_id, name, version)
    now = clock.now()
    if archive_others:
        others = (_c.registered_model_id == model.registered_model_id, _c.stage == stage, _c.version != version)
        for row in conn.execute(_of_models.where(*others)).all():
            _set(conn, actor, ModelVersion(*row), {"stage": "archived"}, now)
    registered_models.touch(conn, model, now)
    return _complete(conn, _set(conn, actor, held, {"stage": stage}, now))


def delete(conn: Connection, actor: Actor, project_id: str, name: str, version: int) -> None:
    """Delete it for good, with its tags and its aliases."""
    model, held = _hold(conn, actor, project_id, name, version)
    registered_models.drop_aliases(conn, actor, model, _a.version == version)
    conn.execute(delete_from(t.model_version_tags).where(t.model_version_tags.c.model_version_id == held.id))
    conn.execute(delete_from(t.model_versions).where(_c.id == held.id))
    row = {column.name: getattr(held, column.name) for column in _c}
    audit.deleted(conn, actor, "model_versions", _pk(held), row, project_id=project_id)
    registered_models.touch(conn, model, clock.now())


def put_tag(conn: Connection, actor: Actor, project_id: str, name: str, version: int, key: str, value: str) -> None:
    """Set a tag, replacing what was there. It does not count as an update of the version."""
    _, held = _hold(conn, actor, project_id, name, version)
    _put_tags(conn, [(held.id, key, value)])


def delete_tag(conn: Connection, actor: Actor, project_id: str, name: str, version: int, key: str) -> None:
    """Take a tag away; one that is not there is no mistake."""
    _, held = _hold(conn, actor, project_id, name, version)
    c = t.model_version_tags.c
    conn.execute(delete_from(t.model_version_tags).where(c.model_version_id == held.id, c.key == key))


_put_tags = db.BulkInsert(
    t.model_version_tags,
    ["model_version_id", "key", "value"],
    "ON CONFLICT (model_version_id, key) DO UPDATE SET value = excluded.value",
)


def _hold(
    conn: Connection, actor: Actor, project_id: str, name: str, version: int
) -> tuple[RegisteredModel, ModelVersion]:
    """The model, held, and the version, which nobody else can change meanwhile."""
    model = registered_models.hold(conn, actor, project_id, name)
    return model, _row(conn, project_id, name, version)


def _set(conn: Connection, actor: Actor, held: ModelVersion, changes: Mapping[str, Any], now: int) -> ModelVersion:
    conn.execute(update(t.model_versions).where(_c.id == held.id).values(**changes, updated_at=now))
    audit.updated(conn, actor, "model_versions", _pk(held), held._asdict(), changes, project_id=held.project_id)
    return held._replace(**changes, updated_at=now)


def _pk(version: ModelVersion) -> str:
    return f"{version.registered_model_id}/{version.version}"


# What logged models are told


def _tell_logged_model(conn: Connection, logged_model: int, version: ModelVersion) -> None:
    """Add the version to the logged model's list of those made from it.

    As text, which is what 3.x clients then add once more; MLflow's server adds a number.
    """
    c, models = t.logged_model_tags.c, t.logged_models.c
    conn.execute(db.hold(conn, select(models.id).where(models.id == logged_model), t.logged_models))
    held = select(c.value).where(c.logged_model_id == logged_model, c.key == MODEL_VERSIONS_TAG)
    entries = _list(conn.scalars(held).one_or_none())
    entry = {"name": version.name, "version": str(version.version)}
    if entry not in entries:
        _put_logged_model_tag(conn, [(logged_model, MODEL_VERSIONS_TAG, json.dumps([*entries, entry]))])


_put_logged_model_tag = db.BulkInsert(
    t.logged_model_tags,
    ["logged_model_id", "key", "value"],
    "ON CONFLICT (logged_model_id, key) DO UPDATE SET value = excluded.value",
)


def _list(text: str | None) -> list[Any]:
    """The list in a tag that anybody may have written."""
    try:
        value = json.loads(text or "[]")
    except ValueError:
        return []
    return value if isinstance(value, list) else []
