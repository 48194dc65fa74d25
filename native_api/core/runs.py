"""Runs: created, changed, deleted softly, logged to in bulk, searched and loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, insert, literal_column, select, update

from native_api.core import clock, datasets, db, experiments, metrics, params, tags
from native_api.core import tables as t
from native_api.core.access import Actor, Scope, visible
from native_api.core.errors import Conflict, Forbidden, Invalid, NotFound, Problem

_c = t.runs.c


class RunInfo(NamedTuple):
    """A run without its parts. `id` is internal; times are milliseconds, UTC."""

    id: int
    run_id: str
    experiment_id: int
    run_name: str | None
    status: str
    started_at: int | None
    finished_at: int | None
    user_name: str
    git_commit: str | None
    notes: str | None
    artifact_uri: str
    deleted_at: int | None
    revision: int


@dataclass(frozen=True, slots=True)
class Run:
    """A run with all that its document shows."""

    info: RunInfo
    params: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    latest: Sequence[metrics.Latest] = ()
    inputs: Sequence[datasets.RunInput] = ()
    models: Sequence[ModelLink] = ()


@dataclass(frozen=True)
class ModelLink:
    """A model that a run used (`input`) or made (`output`), at a step."""

    run: int
    direction: str
    model_id: str
    step: int


_COLUMNS = [_c[name] for name in RunInfo._fields]


# Creating and changing one run


@dataclass(frozen=True)
class NewRun:
    """What a new run starts with. Without a status it is running."""

    experiment: int
    run_name: str
    user_name: str = ""
    status: str = "running"
    started_at: int | None = None
    git_commit: str | None = None
    notes: str | None = None
    command_line: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def create(conn: Connection, actor: Actor, new: NewRun) -> Run:
    """A new run in an active experiment; its artifacts go to `<experiment's location>/<run_id>/artifacts`."""
    experiment = experiments.active(conn, actor, new.experiment, shared=True)
    now, run_id = clock.now(), clock.new_id()
    row = {
        "run_id": run_id,
        "experiment_id": experiment.id,
        "run_name": new.run_name,
        "status": new.status,
        "started_at": new.started_at,
        "created_by": actor.user_id,
        "user_name": new.user_name,
        "git_commit": new.git_commit,
        "notes": new.notes,
        "artifact_uri": below(experiment.artifact_location, f"{run_id}/artifacts"),
        "created_at": now,
        "revision": 1,
    }
    made = conn.execute(insert(t.runs).returning(*_COLUMNS), row).one()
    if new.command_line is not None:
        config = {"run_id": made.id, "params_json": {}, "command_line": new.command_line, "created_at": now}
        conn.execute(insert(t.run_configs), config)
    tags.put_on_runs(conn, {(made.id, key): value for key, value in new.tags.items()})
    return Run(RunInfo._make(made), tags=new.tags)


def below(location: str, path: str) -> str:
    """The place of a path below an artifact location; MLflow puts it before a query string."""
    base, mark, query = location.partition("?")
    return f"{base.rstrip('/')}/{path}{mark}{query}"


def change(conn: Connection, actor: Actor, run_id: str, changes: Mapping[str, object]) -> RunInfo:
    """Set columns of an active run (run_name, status, finished_at ...); the run as it is now."""
    held = active(conn, actor, run_id)
    raised = update(t.runs).where(_c.id == held.id).values(**changes, revision=_c.revision + 1)
    return RunInfo._make(conn.execute(raised.returning(*_COLUMNS)).one())


def delete(conn: Connection, actor: Actor, run_id: str) -> None:
    """Delete it softly. Doing it again changes nothing."""
    held = _hold_one(conn, actor, run_id)
    if held.deleted_at is None:
        _set_deleted(conn, held, clock.now())


def restore(conn: Connection, actor: Actor, run_id: str) -> None:
    """Bring it back, also while its experiment is deleted. Doing it again changes nothing."""
    held = _hold_one(conn, actor, run_id)
    if held.deleted_at is not None:
        _set_deleted(conn, held, None)


def _set_deleted(conn: Connection, held: Held, deleted_at: int | None) -> None:
    conn.execute(update(t.runs).where(_c.id == held.id).values(deleted_at=deleted_at, revision=_c.revision + 1))


def find_tag(conn: Connection, actor: Actor, run_id: str, key: str) -> str | None:
    """A tag of an active run, held with it until the transaction ends, so that it can be put anew."""
    held = active(conn, actor, run_id)
    c = t.run_tags.c
    return conn.scalars(select(c.value).where(c.run_id == held.id, c.key == key)).one_or_none()


def put_tag(conn: Connection, actor: Actor, run_id: str, key: str, value: str) -> None:
    """Set a tag, replacing what was there."""
    held = active(conn, actor, run_id)
    tags.put_on_runs(conn, {(held.id, key): value})
    _touch(conn, [held.id])


def delete_tag(conn: Connection, actor: Actor, run_id: str, key: str) -> None:
    """NotFound if there is no such tag."""
    held = active(conn, actor, run_id)
    if not tags.delete_from_run(conn, held.id, key):
        raise NotFound("tag", key)
    _touch(conn, [held.id])


def clear(conn: Connection, actor: Actor, run_id: str, column: str, key: str) -> None:
    """Empty a column that is shown as the tag `key`; NotFound if it is empty."""
    held = active(conn, actor, run_id)
    column_ = t.runs.c[column]
    emptied = update(t.runs).where(_c.id == held.id, column_.is_not(None)).values({column: None})
    if conn.execute(emptied).rowcount == 0:
        raise NotFound("tag", key)
    _touch(conn, [held.id])


def add_inputs(
    conn: Connection, actor: Actor, run_id: str, inputs: Sequence[datasets.NewInput], models: Sequence[str]
) -> None:
    """Record the datasets and models that the run used. What it used before keeps its first record."""
    held = active(conn, actor, run_id)
    datasets.add_inputs(conn, held.project_id, held.id, inputs)
    c = t.run_models.c
    known = set(conn.scalars(select(c.model_id).where(c.run_id == held.id, c.direction == "input")))
    _add_models(conn, held, "input", [(model, 0) for model in dict.fromkeys(models) if model not in known])
    _touch(conn, [held.id])


def add_outputs(conn: Connection, actor: Actor, run_id: str, models: Sequence[tuple[str, int]]) -> None:
    """Record models that the run made, each with its step."""
    held = active(conn, actor, run_id)
    _add_models(conn, held, "output", models)
    _touch(conn, [held.id])


def _add_models(conn: Connection, held: Held, direction: str, models: Sequence[tuple[str, int]]) -> None:
    now = clock.now()
    link = {"run_id": held.id, "direction": direction, "created_at": now}
    if models:
        conn.execute(insert(t.run_models), [link | {"model_id": model, "step": step} for model, step in models])


_raise_revision = db.Prepared(
    lambda among: update(t.runs).where(among(_c.id)).values(revision=_c.revision + literal_column("1"))
)


def _touch(conn: Connection, runs: Sequence[int]) -> None:
    _raise_revision(conn, runs)


# Holding runs while they are written to


class Held(NamedTuple):
    """A run whose row is held until the transaction ends."""

    id: int
    run_id: str
    experiment_id: int
    deleted_at: int | None
    project_id: str


def _hold(conn: Connection, run_ids: Iterable[str]) -> dict[str, Held]:
    """Those of the runs that exist, by run_id, held in the order of their keys: so no two writers block each other."""
    return {row.run_id: Held._make(row) for row in _held(conn, list(run_ids))}


_held = db.Prepared(
    lambda among: (
        select(_c.id, _c.run_id, _c.experiment_id, _c.deleted_at, t.experiments.c.project_id)
        .join(t.experiments, t.experiments.c.id == _c.experiment_id)
        .where(among(_c.run_id))
        .order_by(_c.id)
    ),
    holds=t.runs,
)


def _permitted(held: Held | None, actor: Actor, run_id: str) -> Held:
    if held is None:
        raise NotFound("run", run_id)
    actor.require(held.project_id, Scope.WRITE, "run", run_id)
    return held


def _hold_one(conn: Connection, actor: Actor, run_id: str) -> Held:
    return _permitted(_hold(conn, [run_id]).get(run_id), actor, run_id)


def _is_active(held: Held) -> Held:
    if held.deleted_at is not None:
        raise Conflict(f"The run {held.run_id} must be in the 'active' state. Current state is deleted.")
    return held


def active(conn: Connection, actor: Actor, run_id: str) -> Held:
    """A run that the actor may write to and that is not deleted, held until the transaction ends."""
    return _is_active(_hold_one(conn, actor, run_id))


# Logging, in bulk


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one request adds to one run: all of it or nothing. `changes` are columns, such as a new run_name."""

    actor: Actor
    run_id: str
    points: metrics.Points = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """About how many rows it writes."""
        return 1 + sum(map(len, self.points.values())) + len(self.params) + len(self.tags)


def log(conn: Connection, entries: Sequence[LogEntry]) -> list[Problem | None]:
    """Add all entries, in order, with a fixed number of statements; for each the problem that kept it out, if any.

    Every check is made before the first row is written, so that an entry with a problem leaves nothing behind.
    """
    held = _hold(conn, {entry.run_id for entry in entries})
    with_params = {held[entry.run_id].id for entry in entries if entry.params and entry.run_id in held}
    gathered = params.Params(conn, with_params) if with_params else None
    problems: list[Problem | None] = []
    good: list[tuple[Held, LogEntry]] = []
    for entry in entries:
        try:
            run = _is_active(_permitted(held.get(entry.run_id), entry.actor, entry.run_id))
            if gathered and entry.params:
                gathered.add(run.id, entry.params)
        except (NotFound, Forbidden, Conflict, Invalid) as problem:
            problems.append(problem)
        else:
            problems.append(None)
            good.append((run, entry))
    if gathered:
        gathered.write()
    metrics.append(conn, [(run.id, run.experiment_id, entry.points) for run, entry in good if entry.points])
    tags.put_on_runs(conn, {(run.id, key): value for run, entry in good for key, value in entry.tags.items()})
    for run, entry in good:
        if entry.changes:
            conn.execute(update(t.runs).where(_c.id == run.id).values(**entry.changes))
    touched = sorted({run.id for run, entry in good if entry.rows > 1 or entry.changes})
    if touched:
        _touch(conn, touched)
    return problems


# Reading


def find(conn: Connection, actor: Actor, run_id: str) -> tuple[int, int]:
    """The internal id and the revision of a visible run, also when deleted."""
    statement = select(_c.id, _c.revision).join(t.experiments, t.experiments.c.id == _c.experiment_id)
    row = conn.execute(statement.where(_c.run_id == run_id, visible(actor))).one_or_none()
    if row is None:
        raise NotFound("run", run_id)
    return row.id, row.revision


def find_many(conn: Connection, actor: Actor, run_ids: Iterable[str]) -> dict[str, int]:
    """The internal ids of those of the runs that are visible."""
    statement = select(_c.run_id, _c.id).join(t.experiments, t.experiments.c.id == _c.experiment_id)
    rows = conn.execute(statement.where(db.among(conn, _c.run_id, set(run_ids)), visible(actor)))
    return {row.run_id: row.id for row in rows}


def load(conn: Connection, runs: Sequence[int]) -> list[Run]:
    """The runs with these internal ids and all their parts, in that order. The caller has seen to their visibility."""
    if not runs:
        return []
    texts = _params(conn, runs)
    labels = _tags(conn, runs)
    latest = _grouped(metrics.latest(conn, runs))
    used = _grouped(datasets.inputs(conn, runs))
    models = _grouped(_models(conn, runs))
    found: dict[int, Run] = {}
    for row in conn.execute(select(*_COLUMNS).where(db.among(conn, _c.id, runs))):
        run = row[0]
        found[run] = Run(
            RunInfo._make(row),
            texts.get(run, {}),
            labels.get(run, {}),
            latest.get(run, ()),
            used.get(run, ()),
            models.get(run, ()),
        )
    return [found[run] for run in runs]


def _params(conn: Connection, runs: Sequence[int]) -> dict[int, dict[str, object]]:
    c = t.run_configs.c
    rows = conn.execute(select(c.run_id, c.params_json).where(db.among(conn, c.run_id, runs)))
    return {row.run_id: row.params_json for row in rows}


def _tags(conn: Connection, runs: Sequence[int]) -> dict[int, dict[str, str]]:
    c = t.run_tags.c
    found: dict[int, dict[str, str]] = {}
    for number, key, value in conn.execute(select(c.run_id, c.key, c.value).where(db.among(conn, c.run_id, runs))):
        found.setdefault(number, {})[key] = value
    return found


def _models(conn: Connection, runs: Sequence[int]) -> list[ModelLink]:
    c = t.run_models.c
    columns = (c.run_id, c.direction, c.model_id, c.step)
    rows = conn.execute(select(*columns).where(db.among(conn, c.run_id, runs)).order_by(c.id))
    return [ModelLink(*row) for row in rows]


P = TypeVar("P", metrics.Latest, datasets.RunInput, ModelLink)


def _grouped(parts: Iterable[P]) -> dict[int, list[P]]:
    found: dict[int, list[P]] = {}
    for part in parts:
        found.setdefault(part.run, []).append(part)
    return found
