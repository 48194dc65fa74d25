"""Registered models: names in a project under which versions of a model are kept. A prompt is one too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.exc import IntegrityError

from native_api.core import audit, clock, db
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Exists, Invalid, NotFound

IS_PROMPT = "mlflow.prompt.is_prompt"
"""The tag that makes a registered model of MLflow's a prompt, where its value is `true`."""

MAX_NAME = 256


class RegisteredModel(NamedTuple):
    """One registered model. Aliases say which version each is of; times are milliseconds, UTC."""

    registered_model_id: str
    project_id: str
    name: str
    description: str | None
    created_by: str | None
    created_at: int
    updated_at: int
    tags: Mapping[str, str] = {}
    aliases: Mapping[str, int] = {}


_c = t.registered_models.c
COLUMNS = (
    *(_c.registered_model_id, _c.project_id, _c.name, _c.description),
    *(_c.created_by, _c.created_at, _c.updated_at),
)
_named = select(*COLUMNS).where(_c.project_id == bindparam("project"), _c.name == bindparam("named"))


def checked_name(name: str) -> str:
    """The name, if a registered model may have it; Invalid otherwise (MLflow's `_validate_model_name`).

    Clients name versions by URIs, `models:/name/1`, so that it may be no path.
    """
    if not name.strip() or "/" in name or ":" in name or name == "." or name.startswith("..") or len(name) > MAX_NAME:
        raise Invalid(
            f"Invalid model name {name[:MAX_NAME]!r}: it must not be empty or '.', begin with '..', hold '/' or ':', "
            f"or exceed {MAX_NAME} characters"
        )
    return name


# Reading


def get(conn: Connection, actor: Actor, project_id: str, name: str) -> RegisteredModel:
    """The registered model of this name in a project in view, with its tags and aliases."""
    actor.require(project_id, Scope.READ, "registered model", name)
    row = conn.execute(_named, {"project": project_id, "named": name}).one_or_none()
    if row is None:
        raise NotFound("registered model", name)
    (found,) = with_labels(conn, [RegisteredModel(*row)])
    return found


def find_project(conn: Connection, actor: Actor, name: str) -> str:
    """The project in view that has a model of this name. NotFound if none has one, Invalid if several have."""
    found = conn.scalars(select(_c.project_id).where(_c.project_id.in_(list(actor.projects)), _c.name == name)).all()
    if not found:
        raise NotFound("registered model", name)
    if len(found) > 1:
        raise Invalid(f"Several projects have a registered model {name!r}: say which one with project_id")
    return found[0]


def with_labels(conn: Connection, models: Sequence[RegisteredModel]) -> list[RegisteredModel]:
    """The models with their tags and aliases."""
    tags: dict[str, dict[str, str]] = {}
    aliases: dict[str, dict[str, int]] = {}
    ids = [model.registered_model_id for model in models]
    for model_id, key, value in _tags.rows(conn, ids):
        tags.setdefault(model_id, {})[key] = value
    for model_id, alias, version in _aliases.rows(conn, ids):
        aliases.setdefault(model_id, {})[alias] = version
    return [
        m._replace(tags=tags.get(m.registered_model_id, {}), aliases=aliases.get(m.registered_model_id, {}))
        for m in models
    ]


_tags = db.Prepared(
    lambda among: (
        select(*t.registered_model_tags.c["registered_model_id", "key", "value"])
        .where(among(t.registered_model_tags.c.registered_model_id))
        .order_by(t.registered_model_tags.c.key)
    )
)
_aliases = db.Prepared(
    lambda among: (
        select(*t.registered_model_aliases.c["registered_model_id", "alias", "version"])
        .where(among(t.registered_model_aliases.c.registered_model_id))
        .order_by(t.registered_model_aliases.c.alias)
    )
)


# Changing


def create(
    conn: Connection,
    actor: Actor,
    project_id: str,
    name: str,
    *,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> RegisteredModel:
    """A new registered model, without versions. Raises Exists if the project has one of this name."""
    actor.require(project_id, Scope.WRITE, "project", project_id)
    now = clock.now()
    row = {
        "registered_model_id": clock.new_id(),
        "project_id": project_id,
        "name": name,
        "description": description,
        "last_version": 0,
        "created_by": actor.user_id,
        "created_at": now,
        "updated_at": now,
    }
    added = db.insert(conn, t.registered_models).on_conflict_do_nothing().returning(*COLUMNS)
    made = conn.execute(added, row).one_or_none()
    if made is None:
        raise Exists(f"Registered Model (name={name}) already exists.")
    model = RegisteredModel(*made, tags=dict(sorted((tags or {}).items())))
    audit.inserted(conn, actor, "registered_models", model.registered_model_id, row, project_id=project_id)
    _put_tags(conn, [(model.registered_model_id, *tag) for tag in model.tags.items()])
    return model


def change(conn: Connection, actor: Actor, project_id: str, name: str, changes: Mapping[str, Any]) -> RegisteredModel:
    """Set its name and description; the model as it is now. Raises Exists if the new name is taken.

    A new name counts as a change of each of its versions.
    """
    held = hold(conn, actor, project_id, name)
    now = clock.now()
    which = _c.registered_model_id == held.registered_model_id
    try:
        with conn.begin_nested():
            conn.execute(update(t.registered_models).where(which).values(**changes, updated_at=now))
    except IntegrityError:
        raise Exists(f"Registered Model (name={changes['name']}) already exists.") from None
    audit.updated(
        conn, actor, "registered_models", held.registered_model_id, held._asdict(), changes, project_id=project_id
    )
    if "name" in changes:
        of_model = t.model_versions.c.registered_model_id == held.registered_model_id
        conn.execute(update(t.model_versions).where(of_model).values(updated_at=now))
    (found,) = with_labels(conn, [held._replace(**changes, updated_at=now)])
    return found


def delete(conn: Connection, actor: Actor, project_id: str, name: str) -> None:
    """Delete it for good, with its versions, tags and aliases."""
    held = hold(conn, actor, project_id, name)
    own = held.registered_model_id
    v = t.model_versions.c
    drop_aliases(conn, actor, held)
    of_versions = t.model_version_tags.c.model_version_id.in_(select(v.id).where(v.registered_model_id == own))
    conn.execute(delete_from(t.model_version_tags).where(of_versions))
    versions = conn.execute(delete_from(t.model_versions).where(v.registered_model_id == own).returning(*v))
    for version in versions.all():
        pk = f"{own}/{version.version}"
        audit.deleted(conn, actor, "model_versions", pk, version._asdict(), project_id=project_id)
    of_model = t.registered_model_tags.c.registered_model_id == own
    conn.execute(delete_from(t.registered_model_tags).where(of_model))
    conn.execute(delete_from(t.registered_models).where(_c.registered_model_id == own))
    row = {column.name: getattr(held, column.name) for column in COLUMNS}
    audit.deleted(conn, actor, "registered_models", own, row, project_id=project_id)


def drop_aliases(conn: Connection, actor: Actor, model: RegisteredModel, *which: ColumnElement[bool]) -> None:
    """Take those aliases of a held model away that satisfy the clauses."""
    a = t.registered_model_aliases.c
    own = a.registered_model_id == model.registered_model_id
    gone = delete_from(t.registered_model_aliases).where(own, *which).returning(a.alias, a.version)
    for row in conn.execute(gone).all():
        pk = f"{model.registered_model_id}/{row.alias}"
        audit.deleted(conn, actor, "registered_model_aliases", pk, row._asdict(), project_id=model.project_id)


def put_tag(conn: Connection, actor: Actor, project_id: str, name: str, key: str, value: str) -> None:
    """Set a tag, replacing what was there. It does not count as an update of the model."""
    held = hold(conn, actor, project_id, name)
    _put_tags(conn, [(held.registered_model_id, key, value)])


def delete_tag(conn: Connection, actor: Actor, project_id: str, name: str, key: str) -> None:
    """Take a tag away; one that is not there is no mistake."""
    held = hold(conn, actor, project_id, name)
    c = t.registered_model_tags.c
    which = c.registered_model_id == held.registered_model_id, c.key == key
    conn.execute(delete_from(t.registered_model_tags).where(*which))


_put_tags = db.BulkInsert(
    t.registered_model_tags,
    ["registered_model_id", "key", "value"],
    "ON CONFLICT (registered_model_id, key) DO UPDATE SET value = excluded.value",
)


def hold(conn: Connection, actor: Actor, project_id: str, name: str) -> RegisteredModel:
    """A model that the actor may change, without its labels: held, so that nobody else changes anything of it."""
    actor.require(project_id, Scope.WRITE, "registered model", name)
    held = db.hold(conn, _named, t.registered_models)
    row = conn.execute(held, {"project": project_id, "named": name}).one_or_none()
    if row is None:
        raise NotFound("registered model", name)
    return RegisteredModel(*row)


def touch(conn: Connection, model: RegisteredModel, now: int) -> None:
    """Note that something of it has changed."""
    which = _c.registered_model_id == model.registered_model_id
    conn.execute(update(t.registered_models).where(which).values(updated_at=now))
