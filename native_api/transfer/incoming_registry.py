"""Registered models on their way in, with their versions, tags and aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from native_api.core import audit, clock, db
from native_api.core import tables as t
from native_api.core.errors import Invalid
from native_api.core.registered_models import checked_name
from native_api.transfer.incoming_logged_models import drop_others
from native_api.transfer.intake import REGISTERED_MODEL, Intake
from native_api.transfer.records import RegisteredModel
from native_api.transfer.roots import moved

REGISTERED, VERSIONS = "registered models", "model versions"

_SET = "DO UPDATE SET value = excluded.value"

_r, _v = t.registered_models.c, t.model_versions.c
_OF_REGISTERED = ("description", "created_at", "updated_at")
_OF_VERSION = (
    *("description", "source", "run_id", "run_link", "model_id"),
    *("stage", "status", "status_message", "created_at", "updated_at"),
)
_put_model_tags = db.BulkInsert(
    t.registered_model_tags, ["registered_model_id", "key", "value"], f"ON CONFLICT (registered_model_id, key) {_SET}"
)
_put_version_tags = db.BulkInsert(
    t.model_version_tags, ["model_version_id", "key", "value"], f"ON CONFLICT (model_version_id, key) {_SET}"
)
_put_aliases = db.BulkInsert(
    t.registered_model_aliases,
    ["registered_model_id", "alias", "version"],
    "ON CONFLICT (registered_model_id, alias) DO UPDATE SET version = excluded.version",
)


def bring_in(intake: Intake, model: RegisteredModel, places: Mapping[str, str]) -> None:
    """Add or change a registered model with its versions, in one transaction.

    `places` says what the artifact roots of the source's runs and logged models are called here.
    """
    with intake.transaction() as conn:
        fresh, known = intake.changed(conn, REGISTERED_MODEL, REGISTERED, [model])
        if not fresh:
            return
        mark = known.get(model.name)
        own = None
        if mark is not None:
            own = conn.execute(select(*_r).where(_r.registered_model_id == mark.own_key)).one_or_none()
        if own is None:
            named = _r.project_id == intake.project_id, _r.name == model.name
            own = conn.execute(select(*_r).where(*named)).one_or_none()
        try:
            own_id = _put_registered(conn, intake, model, own)
        except Invalid as error:
            intake.problems.append(str(error))
            return
        _put_versions(conn, intake, model, own_id, places)
        if not intake.dry_run:
            intake.mark(conn, REGISTERED_MODEL, [(model, own_id)])


def _put_registered(conn: Connection, intake: Intake, model: RegisteredModel, own: Any) -> str:
    """Its id here; in a dry run nothing for a new one."""
    count = intake.count(REGISTERED)
    wanted = {name: getattr(model, name) for name in _OF_REGISTERED}
    if own is None:
        row = wanted | {
            "registered_model_id": clock.new_id(),
            "project_id": intake.project_id,
            "name": checked_name(model.name),
            "last_version": 0,
        }
        count.created += 1
        if intake.dry_run:
            return ""
        conn.execute(insert(t.registered_models), [row])
        audit.inserted(
            conn, intake.actor, "registered_models", row["registered_model_id"], row, project_id=intake.project_id
        )
        own_id: str = row["registered_model_id"]
        _put_model_tags(conn, [(own_id, *tag) for tag in sorted(model.tags.items())])
        return own_id
    own_id = own.registered_model_id
    changes = {name: value for name, value in wanted.items() if value != getattr(own, name)}
    g = t.registered_model_tags.c
    rows = conn.execute(select(g.key, g.value).where(g.registered_model_id == own_id))
    is_other = bool(changes) or {row.key: row.value for row in rows} != model.tags
    count.updated += is_other
    count.unchanged += not is_other
    if is_other and not intake.dry_run:
        if changes:
            conn.execute(update(t.registered_models).where(_r.registered_model_id == own_id).values(changes))
        audit.updated(
            conn,
            intake.actor,
            "registered_models",
            own_id,
            own._asdict(),
            changes,
            project_id=intake.project_id,
        )
        drop_others(conn, t.registered_model_tags, own_id, model.tags)
        _put_model_tags(conn, [(own_id, *tag) for tag in sorted(model.tags.items())])
    return own_id


def _put_versions(
    conn: Connection, intake: Intake, model: RegisteredModel, own_id: str, places: Mapping[str, str]
) -> None:
    rows = conn.execute(select(*_v).where(_v.registered_model_id == own_id))
    own = {row.version: row for row in rows}
    tags: dict[int, dict[str, str]] = {}
    g = t.model_version_tags.c
    for number, key, value in conn.execute(
        select(g.model_version_id, g.key, g.value).where(
            db.among(conn, g.model_version_id, [row.id for row in own.values()])
        )
    ):
        tags.setdefault(number, {})[key] = value
    count = intake.count(VERSIONS)
    for version in model.versions:
        known = own.get(version.version)
        values = {name: getattr(version, name) for name in _OF_VERSION}
        changes = {name: value for name, value in values.items() if known is None or value != getattr(known, name)}
        is_other = known is None or bool(changes) or tags.get(known.id, {}) != version.tags
        count.created += known is None
        count.updated += known is not None and is_other
        count.unchanged += not is_other
        if intake.dry_run or not is_other:
            continue
        if known is None:
            row = values | {
                "registered_model_id": own_id,
                "project_id": intake.project_id,
                "version": version.version,
                "storage_uri": moved(version.storage_uri, places) or version.storage_uri,
            }
            number = conn.scalars(insert(t.model_versions).returning(_v.id), [row]).one()
            pk = f"{own_id}/{version.version}"
            audit.inserted(conn, intake.actor, "model_versions", pk, row, project_id=intake.project_id)
        else:
            number = known.id
            if changes:
                conn.execute(update(t.model_versions).where(_v.id == number).values(changes))
            pk, old = f"{own_id}/{version.version}", known._asdict()
            audit.updated(conn, intake.actor, "model_versions", pk, old, changes, project_id=intake.project_id)
            drop_others(conn, t.model_version_tags, number, version.tags)
        _put_version_tags(conn, [(number, *tag) for tag in sorted(version.tags.items())])
    if not intake.dry_run:
        _put_aliases_and_last(conn, model, own_id)


def _put_aliases_and_last(conn: Connection, model: RegisteredModel, own_id: str) -> None:
    last = max([model.last_version, *(version.version for version in model.versions)])
    behind = _r.registered_model_id == own_id, _r.last_version < last
    conn.execute(update(t.registered_models).where(*behind).values(last_version=last))
    there = {version.version for version in model.versions}
    aliases = {alias: number for alias, number in sorted(model.aliases.items()) if number in there}
    drop_others(conn, t.registered_model_aliases, own_id, aliases)
    _put_aliases(conn, [(own_id, *alias) for alias in aliases.items()])
