"""What the tables have, as the records that imports bring: to see what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Table, select

from native_api.core import db, logged_models, run_views
from native_api.core import tables as t
from native_api.core.datasets import NewInput
from native_api.core.logged_models import ModelInfo
from native_api.core.params import text_of
from native_api.transfer.records import LoggedModel, RegisteredModel, Run, RunModel, Version


def runs(conn: Connection, ids: Sequence[int], keys: Mapping[int, str]) -> dict[str, Run]:
    """The runs with these internal ids, by run_id. `keys` has the source's key of each experiment, by short id."""
    return {run.info.run_id: _record(run, keys) for run in run_views.load(conn, ids)}


def _record(run: run_views.Run, keys: Mapping[int, str]) -> Run:
    info = run.info
    used = [
        NewInput(
            *(given.name, given.digest, given.source_type, given.source, given.schema, given.profile, given.context),
            tags=dict(sorted(given.tags.items())),
        )
        for given in run.inputs
    ]
    return Run(
        run_id=info.run_id,
        experiment=keys.get(info.experiment_id, ""),
        run_name=info.run_name,
        status=info.status,
        started_at=info.started_at,
        finished_at=info.finished_at,
        user_name=info.user_name,
        git_commit=info.git_commit,
        notes=info.notes,
        artifact_uri=info.artifact_uri,
        created_at=info.started_at or 0,
        deleted_at=info.deleted_at,
        params={key: text_of(value) for key, value in sorted(run.params.items())},
        tags=dict(sorted(run.tags.items())),
        inputs=sorted(used, key=lambda given: (given.name, given.digest)),
        models=sorted(RunModel(link.direction, link.model_id, link.step) for link in run.models),
        points="",
    )


def logged_models_of(conn: Connection, model_ids: Sequence[str], keys: Mapping[int, str]) -> dict[str, LoggedModel]:
    """Those of the models that there are, by model_id; their `artifact_uri` is the one here."""
    c = t.logged_models.c
    rows = conn.execute(
        select(*logged_models.INFO)
        .join(t.experiments, t.experiments.c.id == c.experiment_id)
        .where(db.among(conn, c.model_id, model_ids))
    )
    infos = [ModelInfo._make(row) for row in rows]
    params = _pairs(conn, t.logged_model_params, infos)
    tags = _pairs(conn, t.logged_model_tags, infos)
    return {
        info.model_id: LoggedModel(
            model_id=info.model_id,
            experiment=keys.get(info.experiment_id, ""),
            name=info.name,
            model_type=info.model_type,
            source_run_id=info.source_run_id,
            artifact_uri=info.artifact_uri,
            status=info.status,
            status_message=info.status_message,
            created_at=info.created_at,
            updated_at=info.updated_at,
            deleted_at=info.deleted_at,
            params=params.get(info.id, {}),
            tags=tags.get(info.id, {}),
            points="",
        )
        for info in infos
    }


def _pairs(conn: Connection, table: Table, infos: Sequence[ModelInfo]) -> dict[int, dict[str, str]]:
    c = table.c
    found: dict[int, dict[str, str]] = {}
    which = db.among(conn, c.logged_model_id, [info.id for info in infos])
    for number, key, value in conn.execute(select(c.logged_model_id, c.key, c.value).where(which).order_by(c.key)):
        found.setdefault(number, {})[key] = value
    return found


def registered_model(conn: Connection, project_id: str, name: str) -> RegisteredModel | None:
    """The registered model of this name in a project, with all of its versions; None if there is none."""
    r, v = t.registered_models.c, t.model_versions.c
    own = conn.execute(select(*r).where(r.project_id == project_id, r.name == name)).one_or_none()
    if own is None:
        return None
    rows = conn.execute(select(*v).where(v.registered_model_id == own.registered_model_id).order_by(v.version)).all()
    labels = _version_tags(conn, [row.id for row in rows])
    a, g = t.registered_model_aliases.c, t.registered_model_tags.c
    aliases = conn.execute(select(a.alias, a.version).where(a.registered_model_id == own.registered_model_id))
    tags = conn.execute(select(g.key, g.value).where(g.registered_model_id == own.registered_model_id))
    fields = [name for name in Version.__struct_fields__ if name != "tags"]
    return RegisteredModel(
        name=own.name,
        description=own.description,
        created_at=own.created_at,
        updated_at=own.updated_at,
        tags={row.key: row.value for row in tags},
        aliases={row.alias: row.version for row in aliases},
        versions=[
            Version(**{name: getattr(row, name) for name in fields}, tags=labels.get(row.id, {})) for row in rows
        ],
        last_version=own.last_version,
    )


def _version_tags(conn: Connection, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
    c = t.model_version_tags.c
    found: dict[int, dict[str, str]] = {}
    rows = select(c.model_version_id, c.key, c.value).where(db.among(conn, c.model_version_id, numbers))
    for number, key, value in conn.execute(rows.order_by(c.key)):
        found.setdefault(number, {})[key] = value
    return found
