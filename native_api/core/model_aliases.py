"""Aliases: names for one version of a registered model each, which may move to another."""

from __future__ import annotations

import re

from sqlalchemy import Connection, func, select

from native_api.core import audit, db, model_versions, registered_models
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import Invalid, NotFound, UnknownAlias
from native_api.core.model_versions import ModelVersion

MAX_ALIAS = 255
LATEST = "latest"
"""In any case, stands for the version with the highest number. Not an alias that could be given."""

_c = t.registered_model_aliases.c


def checked(alias: str) -> str:
    """The text, if it may be an alias; Invalid otherwise (MLflow's `_validate_model_alias_name`)."""
    if not re.fullmatch(r"[\w-]+", alias) or len(alias) > MAX_ALIAS:
        raise Invalid(
            f"Invalid alias name: '{alias[:MAX_ALIAS]}'. Names may only contain alphanumerics, underscores (_), and "
            f"dashes (-), and have at most {MAX_ALIAS} characters."
        )
    return alias


def checked_to_give(alias: str) -> str:
    """The text, if it may be given as an alias: one that is not reserved."""
    if checked(alias).lower() == LATEST or re.fullmatch(r"[vV]\d+", alias):
        raise Invalid(f"The alias name '{alias}' is reserved.")
    return alias


def get(conn: Connection, actor: Actor, project_id: str, name: str, alias: str) -> ModelVersion:
    """The version that the alias is of. Raises UnknownAlias if the model has no such alias."""
    model = registered_models.get(conn, actor, project_id, name)
    number = model.aliases.get(alias)
    if alias.lower() == LATEST:
        versions = t.model_versions.c
        highest = select(func.max(versions.version))
        number = conn.scalar(highest.where(versions.registered_model_id == model.registered_model_id))
        if number is None:
            raise NotFound("model version", f"{name}@{alias}")
    if number is None:
        raise UnknownAlias(alias)
    return model_versions.get(conn, actor, project_id, name, number)


def put(conn: Connection, actor: Actor, project_id: str, name: str, alias: str, version: int) -> None:
    """Make it the alias of this version, and of no other any more."""
    held = registered_models.hold(conn, actor, project_id, name)
    model_versions.get(conn, actor, project_id, name, version)
    own = _c.registered_model_id == held.registered_model_id
    old = conn.execute(select(_c.version).where(own, _c.alias == alias)).one_or_none()
    new = {"version": version}
    row = {"registered_model_id": held.registered_model_id, "alias": alias} | new
    insert = db.insert(conn, t.registered_model_aliases)
    columns = ["registered_model_id", "alias"]
    conn.execute(insert.on_conflict_do_update(index_elements=columns, set_=new), row)
    pk = f"{held.registered_model_id}/{alias}"
    if old is None:
        audit.inserted(conn, actor, "registered_model_aliases", pk, row, project_id=project_id)
    else:
        audit.updated(conn, actor, "registered_model_aliases", pk, old._asdict(), new, project_id=project_id)


def delete(conn: Connection, actor: Actor, project_id: str, name: str, alias: str) -> None:
    """Take the alias away; one that is not there is no mistake."""
    held = registered_models.hold(conn, actor, project_id, name)
    registered_models.drop_aliases(conn, actor, held, _c.alias == alias)
