"""Runs as they are read: with all their parts for documents, with their config in native lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, select

from native_api.core import datasets, db, metrics, pages, run_configs
from native_api.core import tables as t
from native_api.core.access import Actor, visible
from native_api.core.errors import NotFound
from native_api.core.pages import Page
from native_api.core.run_configs import Config

_c = t.runs.c

# With all their parts


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


INFO = [_c[name] for name in RunInfo._fields]


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
    for row in _infos.rows(conn, runs):
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


_infos = db.Prepared(lambda among: select(*INFO).where(among(_c.id)))


def _params(conn: Connection, runs: Sequence[int]) -> dict[int, dict[str, object]]:
    c = t.run_configs.c
    found = conn.execute(select(c.run_id, c.params_json).where(db.among(conn, c.run_id, runs)))
    return {row.run_id: row.params_json for row in found}


def _tags(conn: Connection, runs: Sequence[int]) -> dict[int, dict[str, str]]:
    found = _labels.rows(conn, runs)
    return {run: {key: value for _, key, value in some} for run, some in groupby(found, itemgetter(0))}


_labels = db.Prepared(
    lambda among: (
        select(t.run_tags.c.run_id, t.run_tags.c.key, t.run_tags.c.value)
        .where(among(t.run_tags.c.run_id))
        .order_by(t.run_tags.c.run_id)
    )
)


def _models(conn: Connection, runs: Sequence[int]) -> list[ModelLink]:
    return [ModelLink(*row) for row in _linked.rows(conn, runs)]


_linked = db.Prepared(
    lambda among: (
        select(t.run_models.c.run_id, t.run_models.c.direction, t.run_models.c.model_id, t.run_models.c.step)
        .where(among(t.run_models.c.run_id))
        .order_by(t.run_models.c.run_id, t.run_models.c.id)
    )
)


P = TypeVar("P", metrics.Latest, datasets.RunInput, ModelLink)


def _grouped(parts: Iterable[P]) -> dict[int, list[P]]:
    """The parts of each run. Those of one run come together."""
    return {run: list(some) for run, some in groupby(parts, lambda part: part.run)}


# With their config


class Record(NamedTuple):
    """A run as native callers see it. experiment_id is the public one; times are milliseconds, UTC."""

    run_id: str
    experiment_id: str
    project_id: str
    dataset_version_id: str | None
    run_name: str | None
    status: str
    started_at: int | None
    finished_at: int | None
    created_by: str | None
    created_at: int
    git_commit: str | None
    notes: str | None
    artifact_uri: str
    deleted_at: int | None
    config: Config | None


_OF_EXPERIMENT = ("experiment_id", "project_id")
_COLUMNS = [(t.experiments if name in _OF_EXPERIMENT else t.runs).c[name] for name in Record._fields[:-1]]


def get(conn: Connection, actor: Actor, run_id: str) -> Record:
    """A run in view, also when deleted."""
    found = _records(conn, visible(actor), _c.run_id == run_id)
    if not found:
        raise NotFound("run", run_id)
    return found[0]


def page(
    conn: Connection,
    actor: Actor,
    limit: int,
    token: str | None,
    *,
    experiment_id: str | None = None,
    project_id: str | None = None,
    status: str | None = None,
    dataset_version_id: str | None = None,
    include_deleted: bool = False,
) -> Page[Record]:
    """The runs in view that are not deleted, or all of them: the last one started first."""
    experiments = t.experiments.c
    statement = select(_c.id).join(t.experiments, experiments.id == _c.experiment_id)
    wanted: list[tuple[ColumnElement[Any], str | None]] = [
        (experiments.project_id, project_id),
        (_c.status, status),
        (_c.dataset_version_id, dataset_version_id),
    ]
    clauses = [column == value for column, value in wanted if value is not None]
    if experiment_id is not None:
        number = conn.scalars(select(experiments.id).where(experiments.experiment_id == experiment_id)).one_or_none()
        clauses.append(_c.experiment_id == number)  # by its own column, in whose order there is an index
    if not include_deleted:
        clauses.append(_c.deleted_at.is_(None))
    order = [
        pages.Column(_c.started_at, int, descending=True, nullable=True),
        pages.Column(_c.run_id, str),
    ]
    query = pages.fingerprint("runs", actor.user_id, experiment_id, [value for _, value in wanted], include_deleted)
    # First only which: whole rows, and their configs, would be read and sorted for nothing.
    found = pages.read(conn, [pages.Part(statement.where(visible(actor), *clauses), order)], query, limit, token)
    records = {run.run_id: run for run in _records(conn, db.among(conn, _c.id, [row[0] for row in found.items]))}
    return Page([records[row[-1]] for row in found.items], found.next_token)


def _records(conn: Connection, *which: ColumnElement[bool]) -> list[Record]:
    statement = (
        select(*_COLUMNS, *run_configs.COLUMNS)
        .join_from(t.runs, t.experiments, t.experiments.c.id == _c.experiment_id)
        .outerjoin(t.run_configs, t.run_configs.c.run_id == _c.id)
    )
    return [_record(row) for row in conn.execute(statement.where(*which))]


def _record(row: Sequence[Any]) -> Record:
    config = Config._make(row[len(_COLUMNS) : len(_COLUMNS) + len(Config._fields)])
    has_config = row[len(_COLUMNS)] is not None
    return Record._make([*row[: len(_COLUMNS)], config if has_config else None])
