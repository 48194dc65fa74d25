"""Purging: what was deleted long enough ago goes for good, with its artifacts.

The row of a run goes first, with all of its parts but its points, and in the same transaction a note is made of what
has yet to be cleared away: its points, which may be millions, and its files. So nothing half gone can be restored,
names are free at once, and a purge that was killed, or met a file that is locked, goes on the next time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, delete, func, insert, or_, select, tuple_

from native_api.core import audit, db, places
from native_api.core import tables as t
from native_api.core.access import NOBODY
from native_api.core.blobs import Store
from native_api.core.errors import Problem

AT_ONCE = 100
"""How many runs or logged models go in one transaction."""
FILES_AT_ONCE = 2_000
"""Runs with more files than this between them go in several. One run goes whole, however many it has."""
POINTS_AT_ONCE = 20_000

_e, _r, _m = t.experiments.c, t.runs.c, t.logged_models.c


@dataclass
class Purged:
    """What has gone, or would go; `left` says which files could not be cleared away yet, `elsewhere` which stay."""

    experiments: int = 0
    runs: int = 0
    logged_models: int = 0
    points: int = 0
    files: int = 0
    bytes: int = 0
    left: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Overdue:
    """What was deleted at this time or before, in one project or in all. Times are milliseconds, UTC."""

    until: int
    project_id: str | None = None

    def experiments(self) -> ColumnElement[bool]:
        """Which experiments go, with all that is in them."""
        return and_(_e.deleted_at <= self.until, self._in_project())

    def parts(self, table: Table) -> ColumnElement[bool]:
        """Which runs or logged models go, of a statement that names their experiments as well."""
        return and_(or_(table.c.deleted_at <= self.until, _e.deleted_at <= self.until), self._in_project())

    def _in_project(self) -> ColumnElement[bool]:
        return _e.project_id == self.project_id if self.project_id else _e.project_id.is_not(None)


def count(conn: Connection, overdue: Overdue) -> Purged:
    """What would go."""
    a, link, latest = t.artifacts.c, t.run_artifacts.c, t.run_metric_latest.c
    of_runs = select(_r.id).join(t.experiments, _e.id == _r.experiment_id).where(overdue.parts(t.runs))
    of_models = select(_m.id).join(t.experiments, _e.id == _m.experiment_id).where(overdue.parts(t.logged_models))
    files = select(func.count(), func.coalesce(func.sum(a.size_bytes), 0)).join(
        t.run_artifacts, link.artifact_id == a.artifact_id
    )
    number, size = conn.execute(files.where(link.run_id.in_(of_runs), link.path.is_not(None))).one()
    points = select(func.coalesce(func.sum(latest.count), 0)).where(latest.run_id.in_(of_runs))
    return Purged(
        experiments=conn.scalars(select(func.count()).select_from(t.experiments).where(overdue.experiments())).one(),
        runs=conn.scalars(select(func.count()).select_from(of_runs.subquery())).one(),
        logged_models=conn.scalars(select(func.count()).select_from(of_models.subquery())).one(),
        points=int(conn.scalars(points).one()),
        files=number,
        bytes=int(size or 0),
    )


def purge(engine: Engine, store: Store, overdue: Overdue) -> Purged:
    """Let it go, in short transactions: a server may be writing meanwhile. Safe to do again, also after a kill.

    What somebody restores meanwhile is left alone. What lies in other places than this server's store stays there.
    """
    purged = Purged()
    _clear(engine, store, purged)  # what the last time has left
    for runs in _pages(engine, t.runs, overdue):
        for portion in _portions(engine, runs):
            with audit.transaction(engine) as conn:
                _purge_runs(conn, overdue, portion, purged)
    for ids in _pages(engine, t.logged_models, overdue):
        with audit.transaction(engine) as conn:
            _purge_logged_models(conn, overdue, ids, purged)
    _purge_experiments(engine, overdue, purged)
    _clear(engine, store, purged)
    return purged


def _pages(engine: Engine, table: Table, overdue: Overdue) -> Iterator[Sequence[int]]:
    """The ids of the runs or the logged models that go."""
    after = -1
    while True:
        with engine.connect() as conn:
            joined = select(table.c.id).join(t.experiments, _e.id == table.c.experiment_id)
            page = joined.where(overdue.parts(table), table.c.id > after).order_by(table.c.id).limit(AT_ONCE)
            ids = conn.scalars(page).all()
        if not ids:
            return
        yield ids
        after = ids[-1]


def _portions(engine: Engine, runs: Sequence[int]) -> Iterator[list[int]]:
    """The runs in their order, so many together as have few files between them."""
    c = t.run_artifacts.c
    with engine.connect() as conn:
        counted = select(c.run_id, func.count()).where(db.among(conn, c.run_id, runs)).group_by(c.run_id)
        files: dict[int, int] = dict(conn.execute(counted).all())
    portion: list[int] = []
    size = 0
    for run in runs:
        size += files.get(run, 0)
        if portion and size > FILES_AT_ONCE:
            yield portion
            portion, size = [], files.get(run, 0)
        portion.append(run)
    yield portion


def _held(conn: Connection, table: Table, overdue: Overdue, ids: Sequence[int]) -> Sequence[Any]:
    """Those that still go, held, with the project of each. Their experiments are held first: none is restored now."""
    of_ids = select(table.c.experiment_id).where(db.among(conn, table.c.id, ids))
    above = select(_e.id).where(_e.id.in_(of_ids)).order_by(_e.id)
    conn.execute(db.hold(conn, above, t.experiments, shared=True)).all()
    joined = select(*table.c, _e.project_id).join(t.experiments, _e.id == table.c.experiment_id)
    statement = joined.where(overdue.parts(table), db.among(conn, table.c.id, ids)).order_by(table.c.id)
    return conn.execute(db.hold(conn, statement, table)).all()


# Runs


def _purge_runs(conn: Connection, overdue: Overdue, ids: Sequence[int], purged: Purged) -> None:
    held = _held(conn, t.runs, overdue, ids)
    numbers = [run.id for run in held]
    latest = t.run_metric_latest.c
    points = select(func.coalesce(func.sum(latest.count), 0)).where(db.among(conn, latest.run_id, numbers))
    purged.points += int(conn.scalars(points).one())
    _purge_files(conn, numbers, purged)
    for table in (t.run_configs, t.run_params, t.run_tags, t.run_inputs, t.run_models, t.run_metric_latest):
        conn.execute(delete(table).where(db.among(conn, table.c.run_id, numbers)))
    for run in held:
        row = {name: value for name, value in run._asdict().items() if name != "project_id"}
        audit.deleted(conn, NOBODY, "runs", run.run_id, row, project_id=run.project_id)
        _note(conn, run.artifact_uri, run.run_id, purged, run_id=run.id)
    conn.execute(delete(t.runs).where(db.among(conn, _r.id, numbers)))
    purged.runs += len(held)


def _purge_files(conn: Connection, runs: Sequence[int], purged: Purged) -> None:
    """The rows of files that came in below the runs. What was linked to them by hand is the project's, and stays."""
    c, a = t.run_artifacts.c, t.artifacts.c
    links = delete(t.run_artifacts).where(db.among(conn, c.run_id, runs)).returning(c.artifact_id, c.path)
    ids = [artifact_id for artifact_id, path in conn.execute(links).all() if path is not None]
    linked = select(c.run_artifact_id).where(c.artifact_id == a.artifact_id).exists()
    gone = delete(t.artifacts).where(db.among(conn, a.artifact_id, ids), ~linked).returning(*a)
    for row in conn.execute(gone).all():
        audit.deleted(conn, NOBODY, "artifacts", row.artifact_id, row._asdict(), project_id=row.project_id)
        purged.files += 1
        purged.bytes += row.size_bytes or 0


def _note(conn: Connection, uri: str, name: str, purged: Purged, **what: int) -> None:
    """Note what has yet to be cleared away of a run or a logged model of this name, whose files are at the URI.

    Files go only from a folder of the store that has this very name in its path: a URI says what a client wanted.
    """
    key = places.proxied_key(uri)
    if key is None or name not in key.split("/"):
        purged.elsewhere.append(f"The files of {name} are elsewhere, and stay there: {uri}")
        key = None
    conn.execute(insert(t.purges), [{"artifact_key": key, **what}])


# Logged models, experiments


def _purge_logged_models(conn: Connection, overdue: Overdue, ids: Sequence[int], purged: Purged) -> None:
    held = _held(conn, t.logged_models, overdue, ids)
    numbers = [model.id for model in held]
    for table in (t.logged_model_params, t.logged_model_tags):
        conn.execute(delete(table).where(db.among(conn, table.c.logged_model_id, numbers)))
    for model in held:
        row = {name: value for name, value in model._asdict().items() if name != "project_id"}
        audit.deleted(conn, NOBODY, "logged_models", model.model_id, row, project_id=model.project_id)
        _note(conn, model.artifact_uri, model.model_id, purged, logged_model_id=model.id)
    conn.execute(delete(t.logged_models).where(db.among(conn, _m.id, numbers)))
    purged.logged_models += len(held)


def _purge_experiments(engine: Engine, overdue: Overdue, purged: Purged) -> None:
    """Those in which nothing is left. Experiments are few beside runs."""
    with engine.connect() as conn:
        ids = conn.scalars(select(_e.id).where(overdue.experiments())).all()
    for number in ids:
        with audit.transaction(engine) as conn:
            which = select(*_e).where(_e.id == number, overdue.experiments())
            experiment = conn.execute(db.hold(conn, which, t.experiments)).one_or_none()
            within = [select(c.id).where(c.experiment_id == number).limit(1) for c in (_r, _m)]
            if experiment is None or any(conn.execute(some).first() for some in within):
                continue
            conn.execute(delete(t.experiment_tags).where(t.experiment_tags.c.experiment_id == number))
            conn.execute(delete(t.experiments).where(_e.id == number))
            row = experiment._asdict()
            audit.deleted(conn, NOBODY, "experiments", experiment.experiment_id, row, project_id=experiment.project_id)
            purged.experiments += 1


# Points and files


def _clear(engine: Engine, store: Store, purged: Purged) -> None:
    """Clear away what was noted, as far as that can be done."""
    after = -1
    while True:
        with engine.connect() as conn:
            page = select(t.purges).where(t.purges.c.id > after).order_by(t.purges.c.id).limit(AT_ONCE)
            noted = conn.execute(page).all()
            odd_roots = _odd_roots(conn) if noted else []
        if not noted:
            return
        after = noted[-1].id
        cleared = []
        for note in noted:
            if note.run_id is not None:
                _clear_points(engine, t.run_metric_values, "run_id", note.run_id)
                _clear_points(engine, t.logged_model_metrics, "run_id", note.run_id)  # of models that stay
            if note.logged_model_id is not None:
                _clear_points(engine, t.logged_model_metrics, "logged_model_id", note.logged_model_id)
            if note.artifact_key is None or _clear_files(engine, store, note.artifact_key, odd_roots, purged):
                cleared.append(note.id)
        with audit.transaction(engine) as conn:
            conn.execute(delete(t.purges).where(db.among(conn, t.purges.c.id, cleared)))


def _clear_files(engine: Engine, store: Store, key: str, odd_roots: Sequence[str], purged: Purged) -> bool:
    """Whether nothing is left to be done about the files at this key."""
    if not _is_free(engine, key, odd_roots):
        purged.elsewhere.append(f"The files at {key} stay: something else has its place there")
        return True
    try:
        store.delete(key)
    except (Problem, OSError) as error:
        purged.left.append(f"The files at {key} could not be deleted: {error}")
        return False
    return True


def _odd_roots(conn: Connection) -> list[str]:
    """The keys at which runs keep their files in no folder of their own: few, as only imports bring such."""
    usual = _r.artifact_uri.like("%/" + _r.run_id + "/artifacts")
    uris = conn.scalars(select(_r.artifact_uri).where(_r.artifact_uri.startswith("mlflow-artifacts:"), ~usual))
    return [key for uri in uris if (key := places.proxied_key(uri))]


def _is_free(engine: Engine, key: str, odd_roots: Sequence[str]) -> bool:
    """Whether nothing keeps files below the key now: a run may have come in again since the note was made."""
    names = key.split("/")
    with engine.connect() as conn:
        owners = (
            select(_r.id).where(db.among(conn, _r.run_id, names)),
            select(_m.id).where(db.among(conn, _m.model_id, names)),
        )
        return not (
            any(conn.execute(some.limit(1)).first() for some in owners)
            or any(f"{root}/".startswith(f"{key}/") for root in odd_roots)
            or places.holds_experiments(conn, key)
        )


def _clear_points(engine: Engine, table: Table, owner: str, number: int) -> None:
    """A run's or a model's points, from the last one on: so the whole of it is read once."""
    key = list(table.primary_key.columns)
    while True:
        with audit.transaction(engine) as conn:
            of_owner = table.c[owner] == number
            bound = select(*key).where(of_owner).order_by(*key).limit(1).offset(POINTS_AT_ONCE - 1)
            last = conn.execute(bound).one_or_none()
            chunk = of_owner if last is None else and_(of_owner, tuple_(*key) <= tuple_(*last))
            conn.execute(delete(table).where(chunk))
        if last is None:
            return
