"""Runs on their way in: under their own ids, their parts with them, their points after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, update

from native_api.core import audit, datasets, db, held_runs, logged_model_metrics, metrics, params, tags
from native_api.core import tables as t
from native_api.core.held_runs import Held
from native_api.core.run_configs import Config
from native_api.core.runs import below
from native_api.transfer import stored
from native_api.transfer.incoming_experiments import Home
from native_api.transfer.intake import RUN, Intake
from native_api.transfer.records import ModelPoints, Run, RunPoints

NOUN = "runs"
POINTS = "points"

_c = t.runs.c


def bring_in(intake: Intake, batch: Sequence[Run], homes: Mapping[str, Home]) -> list[Run]:
    """Add what is new and change what has changed; the runs whose points are to follow, and then `finish`.

    A run that is in another experiment here, or in another project, is reported and stays as it is.
    """
    with intake.transaction() as conn:
        fresh, _ = intake.changed(conn, RUN, NOUN, batch)
        held = held_runs.many(conn, [run.run_id for run in fresh])
        fresh = [run for run in fresh if _is_ours(intake, run, held.get(run.run_id), homes)]
        new = [run for run in fresh if run.run_id not in held]
        intake.count(NOUN).created += len(new)
        if not intake.dry_run:
            _add(conn, intake, new, homes)
        keys = {home.number: key for key, home in homes.items()}
        own = stored.runs(conn, [run.id for run in held.values()], keys)
        for run in fresh:
            if run.run_id in held:
                _change(conn, intake, held[run.run_id], own[run.run_id], run)
    return fresh


def _is_ours(intake: Intake, run: Run, held: Held | None, homes: Mapping[str, Home]) -> bool:
    home = homes.get(run.experiment)
    if held is None:
        return home is not None or intake.dry_run
    if held.project_id != intake.project_id:
        intake.problems.append(f"The run {run.run_id} is left out: another project has it")
    elif home is None or held.experiment_id != home.number:
        intake.problems.append(f"The run {run.run_id} is left out: it is in another experiment here")
    else:
        return True
    return False


# New ones

_ROW = (
    *("run_id", "run_name", "status", "started_at", "finished_at", "user_name", "git_commit", "notes"),
    *("created_at", "deleted_at"),
)
_add_runs = db.BulkInsert(t.runs, [*_ROW, "experiment_id", "artifact_uri", "revision"])
_add_configs = db.BulkInsert(t.run_configs, ["run_id", *Config._fields])


def _add(conn: Connection, intake: Intake, new: Sequence[Run], homes: Mapping[str, Home]) -> None:
    if not new:
        return
    rows = []
    for run in new:
        number, location = homes[run.experiment]
        uri = run.artifact_uri if intake.artifact_root is None else below(location, f"{run.run_id}/artifacts")
        rows.append((*(getattr(run, name) for name in _ROW), number, uri, 1))
        told = dict(zip(_add_runs.columns, rows[-1], strict=True))
        audit.inserted(conn, intake.actor, "runs", run.run_id, told, project_id=intake.project_id)
    _add_runs(conn, rows)
    held = held_runs.many(conn, [run.run_id for run in new])
    with_config = [run for run in new if run.params or tags.SOURCE_NAME in run.tags]
    for run in with_config:
        told = _config(run)._asdict() | {"run_id": run.run_id}
        audit.inserted(conn, intake.actor, "run_configs", run.run_id, told, project_id=intake.project_id)
    _add_configs(conn, [_config_row(held[run.run_id].id, run) for run in with_config])
    params.put(conn, [(held[run.run_id].id, run.params) for run in with_config])
    tags.put_on_runs(conn, {(held[run.run_id].id, key): value for run in new for key, value in run.tags.items()})
    for run in new:
        _add_links(conn, intake, held[run.run_id], run)


def _config(run: Run) -> Config:
    return Config(run.params, None, run.tags.get(tags.SOURCE_NAME), None, run.created_at)


def _config_row(number: int, run: Run) -> tuple[Any, ...]:
    config = _config(run)
    given = msgspec.json.encode(config.params_json).decode()
    return (number, *config._replace(params_json=given))  # type: ignore[arg-type]


def _add_links(conn: Connection, intake: Intake, held: Held, run: Run) -> None:
    """What the run used and made."""
    datasets.add_inputs(conn, intake.actor, intake.project_id, held.id, run.inputs)
    if run.models:
        rows = [
            {"run_id": held.id, "created_at": run.created_at, **msgspec.structs.asdict(link)} for link in run.models
        ]
        conn.execute(insert(t.run_models), rows)


# Known ones

_FIELDS = ("run_name", "status", "started_at", "finished_at", "user_name", "git_commit", "notes", "deleted_at")


def _change(conn: Connection, intake: Intake, held: Held, own: Run, run: Run) -> None:
    """Let the run here be as the source's is, but for its place; its points are added afterwards."""
    changes = {name: value for name in _FIELDS if (value := getattr(run, name)) != getattr(own, name)}
    links = msgspec.structs.replace(run, models=[link for link in run.models if link not in own.models])
    is_other = bool(changes) or bool(links.models) or _parts(own) != _parts(run)
    count = intake.count(NOUN)
    count.updated += is_other
    count.unchanged += not is_other
    if intake.dry_run or not is_other:
        return
    conn.execute(update(t.runs).where(_c.id == held.id).values(**changes, revision=_c.revision + 1))
    before = {name: getattr(own, name) for name in changes}
    audit.updated(conn, intake.actor, "runs", run.run_id, before, changes, project_id=intake.project_id)
    if own.params != run.params:
        _change_params(conn, intake, held, own, run)
    c = t.run_tags.c
    gone = own.tags.keys() - run.tags.keys()
    conn.execute(delete(t.run_tags).where(c.run_id == held.id, db.among(conn, c.key, gone)))
    tags.put_on_runs(conn, {(held.id, key): value for key, value in run.tags.items()})
    _add_links(conn, intake, held, links)


def _parts(run: Run) -> tuple[object, ...]:
    return run.params, run.tags, run.inputs


def _change_params(conn: Connection, intake: Intake, held: Held, own: Run, run: Run) -> None:
    _put_configs(conn, [_config_row(held.id, run)])
    params.replace(conn, held.id, run.params)
    old, new = {"params_json": own.params}, {"params_json": run.params}
    audit.updated(conn, intake.actor, "run_configs", run.run_id, old, new, project_id=intake.project_id)


_put_configs = db.BulkInsert(
    t.run_configs, ["run_id", *Config._fields], "ON CONFLICT (run_id) DO UPDATE SET params_json = excluded.params_json"
)


# Their points


def add_points(intake: Intake, some: Sequence[RunPoints]) -> None:
    """Add points to runs that were brought in; those that are there already are not added again."""
    with intake.transaction() as conn:
        held = held_runs.many(conn, {run_id for run_id, _ in some})
        logged = [(held[run_id].id, held[run_id].experiment_id, points) for run_id, points in some if run_id in held]
        added = metrics.append(conn, logged)
        if added:
            held_runs.touch(conn, sorted({run for run, _, _ in logged}))
        given = sum(len(history) for _, _, points in logged for history in points.values())
        intake.count(POINTS).created += added
        intake.count(POINTS).unchanged += given - added


def add_model_points(intake: Intake, some: Sequence[ModelPoints]) -> None:
    """Add points that runs logged of models; those that are there already are not added again."""
    with intake.transaction() as conn:
        held = held_runs.many(conn, {run_id for run_id, _ in some})
        models = logged_model_metrics.find_models(conn, {point.model_id for _, points in some for point in points})
        logged = [
            (held[run_id].id, [point for point in points if point.model_id in models])
            for run_id, points in some
            if run_id in held
        ]
        logged_model_metrics.append(conn, models, logged)


def finish(intake: Intake, batch: Sequence[Run]) -> None:
    """Note that these runs and all of their points are in."""
    with intake.transaction() as conn:
        intake.mark(conn, RUN, [(run, run.run_id) for run in batch])
