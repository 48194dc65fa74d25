"""Experiments on their way in: under their ids where these are free, as those of the same name where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Connection, delete, select, update
from sqlalchemy.exc import IntegrityError

from native_api.core import audit, clock, db, tags
from native_api.core import tables as t
from native_api.transfer.intake import EXPERIMENT, Intake
from native_api.transfer.marks import Mark
from native_api.transfer.records import Experiment

NOUN = "experiments"
AT_ONCE = 100

_c = t.experiments.c

Found: TypeAlias = Any
"""A row of `experiments`."""


class Home(NamedTuple):
    """Where the runs and models of a source's experiment go: its short id and its place for artifacts here."""

    number: int
    location: str


def bring_in(intake: Intake, experiments: Sequence[Experiment]) -> dict[str, Home]:
    """Add what is new and change what has changed; where each of the source's experiments is here, by its key there.

    One that was brought in before, has been purged here, and has not changed there, has no home.
    """
    homes: dict[str, Home] = {}
    for start in range(0, len(experiments), AT_ONCE):
        some = experiments[start : start + AT_ONCE]
        with intake.transaction() as conn:
            fresh, known = intake.changed(conn, EXPERIMENT, NOUN, some)
            for record in some:
                own = _find_own(conn, intake, record, known.get(record.key))
                if record in fresh:
                    own = _make_equal(conn, intake, record, own)
                if own is not None:
                    homes[record.key] = Home(own.id, own.artifact_location)
    return homes


def _find_own(conn: Connection, intake: Intake, record: Experiment, mark: Mark | None) -> Found | None:
    if mark is not None:
        return _find(conn, _c.experiment_id == mark.own_key)
    return _find(conn, (_c.project_id == intake.project_id) & (_c.name == record.name))


def _find(conn: Connection, which: ColumnElement[bool]) -> Found | None:
    return conn.execute(select(*_c).where(which)).one_or_none()


def _make_equal(conn: Connection, intake: Intake, record: Experiment, own: Found | None) -> Found | None:
    """Let the experiment here, maybe a new one, be as the source's is. None for a new one in a dry run."""
    count = intake.count(NOUN)
    if own is None:
        count.created += 1
        if not intake.dry_run:
            own = _add(conn, intake, record)
    elif _change(conn, intake, record, own):
        count.updated += 1
    else:
        count.unchanged += 1
    if own is not None and not intake.dry_run:
        intake.mark(conn, EXPERIMENT, [(record, own.experiment_id)])
    return own


_FIELDS = ("name", "objective", "created_at", "updated_at", "deleted_at")


def _add(conn: Connection, intake: Intake, record: Experiment) -> Found:
    row: dict[str, Any] = {name: getattr(record, name) for name in _FIELDS}
    row |= {"experiment_id": clock.new_id(), "project_id": intake.project_id}
    row["artifact_location"] = record.artifact_location
    number = record.number
    if number is not None and number < 2**63 and _find(conn, _c.id == number) is None:
        row["id"] = number
        db.reserve(conn, _c.id, number)
    added = conn.scalars(t.experiments.insert().values(row).returning(_c.id)).one()
    if intake.artifact_root is not None:
        row["artifact_location"] = f"{intake.artifact_root.rstrip('/')}/{added}"
        conn.execute(update(t.experiments).where(_c.id == added).values(artifact_location=row["artifact_location"]))
    told = row | {"created_by": None}
    audit.inserted(conn, intake.actor, "experiments", row["experiment_id"], told, project_id=intake.project_id)
    tags.put_on_experiment(conn, added, record.tags)
    own = _find(conn, _c.id == added)
    assert own is not None
    return own


def _change(conn: Connection, intake: Intake, record: Experiment, own: Found) -> bool:
    """Whether anything was another here, except its place and its short id, which stay."""
    changes = {name: value for name in _FIELDS if (value := getattr(record, name)) != getattr(own, name)}
    g = t.experiment_tags.c
    of_own = select(g.key, g.value).where(g.experiment_id == own.id)
    labels = {row.key: row.value for row in conn.execute(of_own)}
    if intake.dry_run or not (changes or labels != record.tags):
        return bool(changes) or labels != record.tags
    try:
        with conn.begin_nested():
            if changes:
                conn.execute(update(t.experiments).where(_c.id == own.id).values(changes))
    except IntegrityError:
        intake.problems.append(f"The experiment {record.key} keeps its old name here: {record.name!r} is taken")
        return False
    old = own._asdict()
    audit.updated(conn, intake.actor, "experiments", own.experiment_id, old, changes, project_id=intake.project_id)
    gone = labels.keys() - record.tags.keys()
    conn.execute(delete(t.experiment_tags).where(g.experiment_id == own.id, db.among(conn, g.key, gone)))
    tags.put_on_experiment(conn, own.id, record.tags)
    return True
