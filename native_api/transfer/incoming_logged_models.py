"""Logged models on their way in, their points after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from native_api.core import audit, db
from native_api.core import tables as t
from native_api.core.runs import below
from native_api.transfer import stored
from native_api.transfer.incoming_experiments import Home
from native_api.transfer.intake import LOGGED_MODEL, Intake
from native_api.transfer.records import LoggedModel

NOUN = "logged models"

_c = t.logged_models.c
_OF_LOGGED = (
    *("name", "model_type", "source_run_id", "status", "status_message"),
    *("created_at", "updated_at", "deleted_at"),
)
_add_params = db.BulkInsert(t.logged_model_params, ["logged_model_id", "key", "value"], "ON CONFLICT DO NOTHING")
_SET = "DO UPDATE SET value = excluded.value"
_put_tags = db.BulkInsert(
    t.logged_model_tags, ["logged_model_id", "key", "value"], f"ON CONFLICT (logged_model_id, key) {_SET}"
)


def bring_in(intake: Intake, batch: Sequence[LoggedModel], homes: Mapping[str, Home]) -> list[LoggedModel]:
    """Add what is new and change what has changed; the models whose points are to follow, and then `finish`.

    One whose id another project, or another experiment, has here is reported and stays as it is.
    """
    with intake.transaction() as conn:
        fresh, _ = intake.changed(conn, LOGGED_MODEL, NOUN, batch)
        keys = {home.number: key for key, home in homes.items()}
        own = stored.logged_models_of(conn, [model.model_id for model in fresh], keys)
        done = []
        for model in fresh:
            home, known = homes.get(model.experiment), own.get(model.model_id)
            if known is not None and known.experiment != model.experiment:
                intake.problems.append(f"The logged model {model.model_id} is left out: it is elsewhere here")
                continue
            if known is None and home is None and not intake.dry_run:
                continue
            _put(conn, intake, model, known, home)
            done.append(model)
    return done


def _put(conn: Connection, intake: Intake, model: LoggedModel, own: LoggedModel | None, home: Home | None) -> None:
    values = {name: getattr(model, name) for name in _OF_LOGGED}
    changes = {name: value for name, value in values.items() if own is None or value != getattr(own, name)}
    is_other = own is None or bool(changes) or (own.params, own.tags) != (model.params, model.tags)
    count = intake.count(NOUN)
    count.created += own is None
    count.updated += own is not None and is_other
    count.unchanged += not is_other
    if intake.dry_run or not is_other:
        return
    if own is None:
        assert home is not None
        place = below(home.location, f"models/{model.model_id}/artifacts")
        row = values | {
            "model_id": model.model_id,
            "experiment_id": home.number,
            "artifact_uri": model.artifact_uri if intake.artifact_root is None else place,
        }
        number = conn.scalars(insert(t.logged_models).returning(_c.id), [row]).one()
        audit.inserted(conn, intake.actor, "logged_models", model.model_id, row, project_id=intake.project_id)
    else:
        changed = update(t.logged_models).where(_c.model_id == model.model_id).values(changes or {"name": model.name})
        number = conn.scalars(changed.returning(_c.id)).one()
        before = {name: getattr(own, name) for name in changes}
        audit.updated(
            conn, intake.actor, "logged_models", model.model_id, before, changes, project_id=intake.project_id
        )
        drop_others(conn, t.logged_model_tags, number, model.tags)
    _add_params(conn, [(number, *param) for param in model.params.items()])
    _put_tags(conn, [(number, *tag) for tag in model.tags.items()])


def drop_others(conn: Connection, labels: Table, owner: int | str, kept: Mapping[str, Any]) -> None:
    """Remove those labels of an owner, the first column of their key, that are not among the kept ones."""
    of_owner, key = labels.primary_key.columns
    there = conn.scalars(select(key).where(of_owner == owner))
    conn.execute(delete(labels).where(of_owner == owner, db.among(conn, key, set(there) - kept.keys())))


def finish(intake: Intake, batch: Sequence[LoggedModel]) -> None:
    """Note that these models and all of their points are in."""
    with intake.transaction() as conn:
        intake.mark(conn, LOGGED_MODEL, [(model, model.model_id) for model in batch])
