"""Runs: created, changed, completed, deleted softly, and logged to in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.sql.dml import ReturningUpdate

from native_api.core import (
    audit,
    clock,
    datasets,
    db,
    experiments,
    held_runs,
    logged_model_metrics,
    metrics,
    run_configs,
    tags,
)
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from native_api.core.held_runs import Held, active
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.run_configs import NewConfig
from native_api.core.run_views import INFO, Run, RunInfo

_c = t.runs.c

# Creating one


@dataclass(frozen=True)
class NewRun:
    """What a new run starts with. `experiment` is the short id; without a status the run is running.

    A run_id that is given must be free.
    """

    experiment: int
    run_id: str | None = None
    run_name: str | None = None
    user_name: str = ""
    status: str = "running"
    started_at: int | None = None
    finished_at: int | None = None
    dataset_version_id: str | None = None
    git_commit: str | None = None
    notes: str | None = None
    config: NewConfig | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def create(conn: Connection, actor: Actor, new: NewRun) -> Run:
    """A new run in an active experiment; its artifacts go to `<experiment's location>/<run_id>/artifacts`.

    Whoever has an account is its user, whatever `user_name` and the tags say. Its command line shows as the tag
    `mlflow.source.name`, and that tag as the command line where there is none.
    """
    experiment = experiments.active(conn, actor, new.experiment, shared=True)
    _require_order(new.started_at, new.finished_at)
    if new.dataset_version_id is not None:
        _require_version(conn, actor, experiment.project_id, new.dataset_version_id)
    run_id = new.run_id or clock.new_id()
    row = {
        "run_id": run_id,
        "dataset_version_id": new.dataset_version_id,
        "run_name": new.run_name,
        "status": new.status,
        "started_at": new.started_at,
        "finished_at": new.finished_at,
        "created_by": actor.user_id,
        "user_name": actor.email or new.user_name,
        "git_commit": new.git_commit,
        "notes": new.notes,
        "artifact_uri": below(experiment.artifact_location, f"{run_id}/artifacts"),
        "created_at": clock.now(),
    }
    stored: dict[str, Any] = row | {"experiment_id": experiment.id, "deleted_at": None, "revision": 1}
    _add_runs(conn, [tuple(stored[name] for name in _add_runs.columns)])
    (held,) = held_runs.many(conn, [run_id]).values()
    audit.inserted(
        conn, actor, "runs", run_id, row | {"experiment_id": experiment.experiment_id}, project_id=held.project_id
    )
    if new.dataset_version_id is not None:
        _link_version(conn, held, new.dataset_version_id)
    labels = {**new.tags, **({tags.USER: actor.email} if actor.email else {})}
    config = new.config
    if config is not None and config.command_line is not None:
        labels[tags.SOURCE_NAME] = config.command_line
    elif tags.SOURCE_NAME in labels:
        config = replace(config or NewConfig(), command_line=labels[tags.SOURCE_NAME])
    if config is not None:
        run_configs.create(conn, actor, held, config)
    tags.put_on_runs(conn, {(held.id, key): value for key, value in labels.items()})
    info = RunInfo(held.id, **{name: stored[name] for name in RunInfo._fields[1:]})
    return Run(info, config.params_json if config else {}, labels)


_add_runs = db.BulkInsert(t.runs, [column.name for column in _c if column.name != "id"])


def below(location: str, path: str) -> str:
    """The place of a path below an artifact location; MLflow puts it before a query string."""
    base, mark, query = location.partition("?")
    return f"{base.rstrip('/')}/{path}{mark}{query}"


def _require_order(started_at: int | None, finished_at: int | None) -> None:
    if started_at is not None and finished_at is not None and finished_at < started_at:
        raise Invalid("finished_at is before started_at")


# Changing one


def change(conn: Connection, actor: Actor, run_id: str, changes: Mapping[str, object]) -> RunInfo:
    """Set columns of an active run (run_name, status, finished_at ...) to whatever values; the run as it is now."""
    held = active(conn, actor, run_id)
    return _set(conn, actor, held, _row(conn, held), changes)


def revise(conn: Connection, actor: Actor, run_id: str, changes: Mapping[str, Any]) -> None:
    """Set columns by native rules: no end before the start, and a dataset version of the experiment's project."""
    held = active(conn, actor, run_id)
    old = _row(conn, held)
    if not changes.keys().isdisjoint(("started_at", "finished_at")):
        new = {**old, **changes}
        _require_order(new["started_at"], new["finished_at"])
    before = old["dataset_version_id"]
    version = changes.get("dataset_version_id", before)
    if version != before:
        if version is not None:
            _require_version(conn, actor, held.project_id, version)
        if before is not None:
            _unlink_version(conn, held, before)
        if version is not None:
            _link_version(conn, held, version)
    _set(conn, actor, held, old, changes)


COMPLETED = ("finished", "failed", "killed")


def complete(
    conn: Connection,
    actor: Actor,
    run_id: str,
    status: str,
    finished_at: int | None = None,
    finals: Sequence[metrics.Final] = (),
) -> None:
    """End a run, now if no time is given, with its final values.

    The same again changes nothing. Raises Conflict if it ended otherwise, or is deleted.
    """
    held = active(conn, actor, run_id)
    old = _row(conn, held)
    has_ended = old["status"] in COMPLETED
    if has_ended and old["status"] != status:
        raise Conflict(f"The run is {old['status']} already")
    if has_ended and old["finished_at"] is not None:
        end = old["finished_at"]
        if finished_at not in (None, end) or not metrics.has_finals(conn, held.id, metrics.points_of(finals, end)):
            raise Conflict(f"The run is {status} already, at another time or with other final metrics")
        return
    end = max(clock.now(), old["started_at"] or 0) if finished_at is None else finished_at
    _require_order(old["started_at"], end)
    if finals:
        metrics.append(conn, [(held.id, held.experiment_id, metrics.points_of(finals, end))])
    _set(conn, actor, held, old, {"status": status, "finished_at": end})


def clear(conn: Connection, actor: Actor, run_id: str, column: str, key: str) -> None:
    """Empty a column that is shown as the tag `key`; NotFound if it is empty."""
    held = active(conn, actor, run_id)
    old = _row(conn, held)
    if old[column] is None:
        raise NotFound("tag", key)
    _set(conn, actor, held, old, {column: None})


def delete(conn: Connection, actor: Actor, run_id: str) -> None:
    """Delete it softly. Doing it again changes nothing."""
    held = held_runs.any_(conn, actor, run_id)
    if held.deleted_at is None:
        _set(conn, actor, held, held._asdict(), {"deleted_at": clock.now()})


def restore(conn: Connection, actor: Actor, run_id: str) -> None:
    """Bring it back, also while its experiment is deleted. Doing it again changes nothing."""
    held = held_runs.any_(conn, actor, run_id)
    if held.deleted_at is not None:
        _set(conn, actor, held, held._asdict(), {"deleted_at": None})


def _row(conn: Connection, held: Held) -> dict[str, Any]:
    return conn.execute(_ROW, {"number": held.id}).one()._asdict()


_ROW = select(t.runs).where(_c.id == bindparam("number"))


def _set(
    conn: Connection, actor: Actor, held: Held, old: Mapping[str, object], changes: Mapping[str, object]
) -> RunInfo:
    audit.updated(conn, actor, "runs", held.run_id, old, changes, project_id=held.project_id)
    new = {f"new_{name}": value for name, value in changes.items()}
    return RunInfo._make(conn.execute(_raise(tuple(changes)), new | {"number": held.id}).one())


@cache
def _raise(columns: Sequence[str]) -> ReturningUpdate[tuple[Any, ...]]:
    """Sets these columns and raises the revision. Kept, as making it takes longer than running it."""
    new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    raised = update(t.runs).where(_c.id == bindparam("number")).values(**new, revision=_c.revision + 1)
    return raised.returning(*INFO)


# The dataset version that a run was trained on, which is also one of its inputs


def _require_version(conn: Connection, actor: Actor, project_id: str, version_id: str) -> None:
    """NotFound unless the version is in view, Invalid unless it is of the project. It is held against deletion."""
    v, d = t.dataset_versions.c, t.datasets.c
    statement = select(d.project_id).join_from(t.dataset_versions, t.datasets, d.dataset_id == v.dataset_id)
    held = db.hold(conn, statement.where(v.dataset_version_id == version_id), t.dataset_versions, shared=True)
    found = conn.scalars(held).one_or_none()
    if found is None or found not in actor.projects:
        raise NotFound("dataset version", version_id)
    if found != project_id:
        raise Invalid("The dataset version belongs to another project than the experiment")


def _link_version(conn: Connection, held: Held, version_id: str) -> None:
    link = {"run_id": held.id, "dataset_version_id": version_id, "context": datasets.TRAINING}
    linked = db.insert(conn, t.run_inputs).on_conflict_do_update(
        index_elements=["run_id", "dataset_version_id"], set_={"context": datasets.TRAINING}
    )
    conn.execute(linked, link | {"tags_json": {}, "created_at": clock.now()})


def _unlink_version(conn: Connection, held: Held, version_id: str) -> None:
    c = t.run_inputs.c
    of_run = (c.run_id == held.id) & (c.dataset_version_id == version_id)
    conn.execute(delete_from(t.run_inputs).where(of_run, c.context == datasets.TRAINING))


# Tags, inputs and outputs


def find_tag(conn: Connection, actor: Actor, run_id: str, key: str) -> str | None:
    """A tag of an active run, held with it until the transaction ends, so that it can be put anew."""
    held = active(conn, actor, run_id)
    return tags.of_runs(conn, [held.id], key).get(held.id)


def put_tag(conn: Connection, actor: Actor, run_id: str, key: str, value: str) -> None:
    """Set a tag, replacing what was there."""
    held = active(conn, actor, run_id)
    tags.put_on_runs(conn, {(held.id, key): value})
    held_runs.touch(conn, [held.id])


def delete_tag(conn: Connection, actor: Actor, run_id: str, key: str) -> None:
    """NotFound if there is no such tag."""
    held = active(conn, actor, run_id)
    if not tags.delete_from_run(conn, held.id, key):
        raise NotFound("tag", key)
    held_runs.touch(conn, [held.id])


def add_inputs(
    conn: Connection, actor: Actor, run_id: str, inputs: Sequence[datasets.NewInput], models: Sequence[str]
) -> None:
    """Record the datasets and models that the run used. What it used before keeps its first record."""
    held = active(conn, actor, run_id)
    datasets.add_inputs(conn, actor, held.project_id, held.id, inputs)
    c = t.run_models.c
    known = set(conn.scalars(select(c.model_id).where(c.run_id == held.id, c.direction == "input")))
    _add_models(conn, held, "input", [(model, 0) for model in dict.fromkeys(models) if model not in known])
    held_runs.touch(conn, [held.id])


def add_outputs(conn: Connection, actor: Actor, run_id: str, models: Sequence[tuple[str, int]]) -> None:
    """Record models that the run made, each with its step. What is recorded already is not recorded again."""
    held = active(conn, actor, run_id)
    c = t.run_models.c
    found = conn.execute(select(c.model_id, c.step).where(c.run_id == held.id, c.direction == "output"))
    known = {(model, step) for model, step in found}
    _add_models(conn, held, "output", [made for made in dict.fromkeys(models) if made not in known])
    held_runs.touch(conn, [held.id])


def _add_models(conn: Connection, held: Held, direction: str, models: Sequence[tuple[str, int]]) -> None:
    now = clock.now()
    link = {"run_id": held.id, "direction": direction, "created_at": now}
    if models:
        conn.execute(insert(t.run_models), [link | {"model_id": model, "step": step} for model, step in models])


# Logging, in bulk


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one request adds to one run: all of it or nothing. `changes` are columns, such as a new run_name.

    `model_points` are those of the points that tell of a logged model.
    """

    actor: Actor
    run_id: str
    points: metrics.Points = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, str] = field(default_factory=dict)
    model_points: Sequence[ModelPoint] = ()

    @property
    def rows(self) -> int:
        """About how many rows it writes."""
        return 1 + sum(map(len, self.points.values())) + len(self.params) + len(self.tags) + len(self.model_points)


def log(conn: Connection, entries: Sequence[LogEntry]) -> list[Problem | None]:
    """Add all entries, in order, with a fixed number of statements; for each the problem that kept it out, if any.

    Every check is made before the first row is written, so that an entry with a problem leaves nothing behind.
    """
    held = held_runs.many(conn, {entry.run_id for entry in entries})
    configs = _configs(conn, held, entries)
    told_of = {point.model_id for entry in entries for point in entry.model_points}
    models = logged_model_metrics.find_models(conn, told_of) if told_of else {}
    problems: list[Problem | None] = []
    good: list[tuple[Held, LogEntry]] = []
    for entry in entries:
        try:
            run = held_runs.permitted(held.get(entry.run_id), entry.actor, entry.run_id)
            held_runs.require_active(run)
            if entry.model_points:
                logged_model_metrics.permit(models, entry.actor, entry.model_points)
            if configs:
                configs.add(entry.actor, run, entry.params, entry.tags.get(tags.SOURCE_NAME))
        except (NotFound, Forbidden, Conflict, Invalid) as problem:
            problems.append(problem)
        else:
            problems.append(None)
            good.append((run, entry))
    if configs:
        configs.write()
    metrics.append(conn, [(run.id, run.experiment_id, entry.points) for run, entry in good if entry.points])
    if models:
        logged_model_metrics.append(conn, models, [(run.id, entry.model_points) for run, entry in good])
    tags.put_on_runs(conn, {(run.id, key): value for run, entry in good for key, value in entry.tags.items()})
    _change_columns(conn, [(run, entry) for run, entry in good if entry.changes])
    touched = sorted({run.id for run, entry in good if entry.rows > 1 or entry.changes})
    if touched:
        held_runs.touch(conn, touched)
    return problems


def _configs(conn: Connection, held: Mapping[str, Held], entries: Sequence[LogEntry]) -> run_configs.Configs | None:
    """The configs of the runs whose entries may change them; None if there is no such run."""
    with_params = {entry.run_id for entry in entries if entry.params}
    with_source = {entry.run_id for entry in entries if tags.SOURCE_NAME in entry.tags}
    if not with_params and not with_source:
        return None
    runs, sources = (
        [held[run_id].id for run_id in run_ids if run_id in held]
        for run_ids in (with_params | with_source, with_source)
    )
    return run_configs.Configs(conn, runs, sources)


_LOGGED = ("run_name", "notes", "git_commit")
"""The columns that log entries may change."""


def _change_columns(conn: Connection, changed: Sequence[tuple[Held, LogEntry]]) -> None:
    if not changed:
        return
    columns = [_c[name] for name in _LOGGED]
    runs = {run.id for run, _ in changed}
    found = conn.execute(select(_c.id, *columns).where(db.among(conn, _c.id, runs)))
    rows: dict[int, dict[str, Any]] = {row.id: row._asdict() for row in found}
    for run, entry in changed:
        row = rows[run.id]
        audit.updated(conn, entry.actor, "runs", run.run_id, row, entry.changes, project_id=run.project_id)
        row |= entry.changes
    raised = update(t.runs).where(_c.id == bindparam("number"))
    new = [{"number": number} | {f"new_{name}": row[name] for name in _LOGGED} for number, row in sorted(rows.items())]
    conn.execute(raised.values({name: bindparam(f"new_{name}") for name in _LOGGED}), new)


# Finding


def find(conn: Connection, actor: Actor, run_id: str) -> tuple[int, int]:
    """The internal id and the revision of a visible run, also when deleted."""
    for _, run, revision, project_id in _found.rows(conn, [run_id]):
        if project_id in actor.projects:
            return run, revision
    raise NotFound("run", run_id)


def find_many(conn: Connection, actor: Actor, run_ids: Iterable[str]) -> dict[str, int]:
    """The internal ids of those of the runs that are visible."""
    found = _found.rows(conn, [*run_ids])
    return {run_id: run for run_id, run, _, project_id in found if project_id in actor.projects}


# Who may see them is looked at afterwards: given `visible`, SQLite goes through all runs of all projects in view.
_found = db.Prepared(
    lambda among: (
        select(_c.run_id, _c.id, _c.revision, t.experiments.c.project_id)
        .join(t.experiments, t.experiments.c.id == _c.experiment_id)
        .where(among(_c.run_id))
    )
)
