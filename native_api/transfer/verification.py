"""A look at both sides of an import: is everything of the source here, field by field and point by point?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import msgspec
from sqlalchemy import Connection, Engine, select

from native_api.core import db, histories
from native_api.core import tables as t
from native_api.core.histories import NAN, Moment
from native_api.core.metrics import AnyPoint, Name
from native_api.transfer import stored
from native_api.transfer.incoming_experiments import Home
from native_api.transfer.records import LoggedModel, Run, RunPoints, Source

SAMPLE = 200
"""How many runs of a source a sample has, about; of each all its points."""

MAX_TOLD = 1_000
"""How many differences are told one by one."""


@dataclass
class Verified:
    """What was compared, and what differed."""

    experiments: int = 0
    runs: int = 0
    points: int = 0
    logged_models: int = 0
    registered_models: int = 0
    model_versions: int = 0
    different: int = 0
    differences: list[str] = field(default_factory=list)

    def tell(self, difference: str) -> None:
        """Count a difference, and keep its words if there are not too many."""
        self.different += 1
        if len(self.differences) < MAX_TOLD:
            self.differences.append(difference)


def compare(engine: Engine, project_id: str, source: Source, homes: Mapping[str, Home], *, all_: bool) -> Verified:
    """Compare a source with what is here: all of it, or of its runs a sample, and of the others that they are there.

    What is here beside that is no difference, nor where artifacts are, nor the short ids of experiments. `engine` is a
    reader's: it takes as long as both sides take to be read.
    """
    seen = Verified()
    with engine.connect() as conn:
        _compare_experiments(conn, project_id, source, homes, seen)
        keys = {home.number: key for key, home in homes.items()}
        every = 1 if all_ else max(1, source.counts().runs // SAMPLE)
        for batch in source.runs():
            _compare_runs(conn, source, batch, keys, every, seen)
        for models in source.logged_models():
            _compare_logged_models(conn, models, keys, seen)
        _compare_registry(conn, project_id, source, seen)
    return seen


def _compare_experiments(
    conn: Connection, project_id: str, source: Source, homes: Mapping[str, Home], seen: Verified
) -> None:
    e, g = t.experiments.c, t.experiment_tags.c
    names = ("name", "objective", "created_at", "updated_at", "deleted_at")
    for record in source.experiments():
        seen.experiments += 1
        home = homes.get(record.key)
        own = home and conn.execute(select(*e).where(e.id == home.number, e.project_id == project_id)).one_or_none()
        if own is None:
            seen.tell(f"The experiment {record.key} is not here")
            continue
        rows = conn.execute(select(g.key, g.value).where(g.experiment_id == own.id))
        there = {name: getattr(record, name) for name in names} | {"tags": record.tags}
        here = {name: getattr(own, name) for name in names} | {"tags": {row.key: row.value for row in rows}}
        _compare_fields(f"experiment {record.key}", there, here, seen)


def _compare_fields(what: str, there: Mapping[str, object], here: Mapping[str, object], seen: Verified) -> None:
    for name, value in there.items():
        if here[name] != value:
            seen.tell(f"{what}: {name} is {here[name]!r} here and {value!r} there")


_ELSEWHERE = frozenset({"artifact_uri", "created_at", "points"})
"""What a run or a logged model may have otherwise here, or what the tables do not have."""


def _fields(record: Run | LoggedModel) -> dict[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(record).items() if name not in _ELSEWHERE}


# Runs


def _compare_runs(
    conn: Connection, source: Source, batch: Sequence[Run], keys: Mapping[int, str], every: int, seen: Verified
) -> None:
    r = t.runs.c
    rows = conn.execute(select(r.run_id, r.id).where(db.among(conn, r.run_id, [run.run_id for run in batch])))
    numbers = {row.run_id: row.id for row in rows}
    for run in batch:
        if run.run_id not in numbers:
            seen.tell(f"The run {run.run_id} is not here")
    sample = [run for run in batch if run.run_id in numbers and int(run.run_id[:8], 16) % every == 0]
    here = stored.runs(conn, [numbers[run.run_id] for run in sample], keys)
    for run in sample:
        seen.runs += 1
        _compare_fields(f"run {run.run_id}", _fields(run), _fields(here[run.run_id]), seen)
    if sample:
        _compare_points(conn, source, sample, numbers, seen)


def _compare_points(
    conn: Connection, source: Source, sample: Sequence[Run], numbers: Mapping[str, int], seen: Verified
) -> None:
    for (run_id, name), pieces in groupby(_histories(source.points(sample)), key=lambda piece: piece[:2]):
        there = {_moment(point) for _, _, points in pieces for point in points}
        missing = there.difference(histories.whole(conn, numbers[run_id], name))
        seen.points += len(there)
        if missing:
            recorded_at, step, value, mark = min(missing)
            shown = "NaN" if mark & NAN else value
            seen.tell(
                f"run {run_id}: {len(missing)} points of {name.key!r} are not here, one of them {shown} "
                f"at step {step}, time {recorded_at}"
            )


def _histories(pieces: Iterator[Sequence[RunPoints]]) -> Iterator[tuple[str, Name, Sequence[AnyPoint]]]:
    """The pieces of histories, those of one metric together: so a source gives them."""
    for some in pieces:
        for run_id, points in some:
            for name, history in points.items():
                yield run_id, name, history


def _moment(point: AnyPoint) -> Moment:
    step, recorded_at, value, is_nan, is_final = point
    return recorded_at, step, value, is_nan * NAN + is_final


# Models


def _compare_logged_models(
    conn: Connection, models: Sequence[LoggedModel], keys: Mapping[int, str], seen: Verified
) -> None:
    here = stored.logged_models_of(conn, [model.model_id for model in models], keys)
    for model in models:
        seen.logged_models += 1
        own = here.get(model.model_id)
        if own is None:
            seen.tell(f"The logged model {model.model_id} is not here")
        else:
            _compare_fields(f"logged model {model.model_id}", _fields(model), _fields(own), seen)


def _compare_registry(conn: Connection, project_id: str, source: Source, seen: Verified) -> None:
    for model in source.registered_models():
        seen.registered_models += 1
        own = stored.registered_model(conn, project_id, model.name)
        if own is None:
            seen.tell(f"The registered model {model.name!r} is not here")
            continue
        what = f"registered model {model.name!r}"
        for name in ("description", "created_at", "updated_at", "tags", "aliases"):
            _compare_fields(what, {name: getattr(model, name)}, {name: getattr(own, name)}, seen)
        versions = {version.version: version for version in own.versions}
        for version in model.versions:
            seen.model_versions += 1
            there = msgspec.structs.asdict(version)
            if version.version not in versions:
                seen.tell(f"The version {version.version} of {model.name!r} is not here")
                continue
            here = msgspec.structs.asdict(versions[version.version])
            del there["storage_uri"]
            _compare_fields(f"{what}, version {version.version}", there, here, seen)
