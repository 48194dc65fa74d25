"""One import: where it goes, what it has done so far, and its transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, Engine

from native_api.core import audit, db
from native_api.core.access import Actor, Scope
from native_api.transfer import marks
from native_api.transfer.marks import Mark
from native_api.transfer.records import Experiment, Imported, LoggedModel, RegisteredModel, Run

R = TypeVar("R", Experiment, Run, LoggedModel, RegisteredModel)

EXPERIMENT, RUN, LOGGED_MODEL, REGISTERED_MODEL, FILES = (
    "experiment",
    "run",
    "logged model",
    "registered model",
    "files",
)
"""The kinds of things that have marks."""


@dataclass
class Intake:
    """An import from one source into one project.

    With `artifact_root` artifacts are copied, and what is brought in keeps its files below there; without it they stay
    where they are. With `again` it looks also at what has not changed since the last time. With `dry_run` what would be
    done is counted, and nothing is written.
    """

    engine: Engine
    project_id: str
    location: str
    artifact_root: str | None = None
    again: bool = False
    dry_run: bool = False
    done: dict[str, Imported] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """What could not be brought in, and why."""
    _source: int | None = None

    @property
    def actor(self) -> Actor:
        """Whoever can open the database needs no account: changes in the audit log are by nobody."""
        return Actor("", self.project_id, {self.project_id: Scope.ADMIN}, scope=Scope.ADMIN)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction with its audit entries. They are kept short: a server may be writing meanwhile."""
        with self.engine.connect() as conn:
            with conn.begin():
                yield conn
                audit.write(conn)
            db.run_after_commit(conn)

    def source(self, conn: Connection) -> int:
        """The id under which marks of this source are kept; in a dry run maybe that of none."""
        if self._source is None:
            find = marks.find_source if self.dry_run else marks.add_source
            found = find(conn, self.project_id, self.location)
            if found is None:
                return 0
            db.after_commit(conn, lambda: setattr(self, "_source", found))
            return found
        return self._source

    def count(self, noun: str) -> Imported:
        """What was done so far with things of this noun."""
        return self.done.setdefault(noun, Imported())

    def changed(self, conn: Connection, kind: str, noun: str, records: Sequence[R]) -> tuple[list[R], dict[str, Mark]]:
        """Those of the records that are new or have changed at the source, and the marks that there are.

        What no table can hold is reported and left out.
        """
        keys = [key_of(record) for record in records]
        known = marks.read(conn, self.source(conn), kind, keys)
        fresh = []
        for key, record in zip(keys, records, strict=True):
            mark = known.get(key)
            if mark is not None and not self.again and mark.fingerprint == marks.fingerprint(record):
                self.count(noun).unchanged += 1
            elif b"\\u0000" in msgspec.json.encode(record):
                self.problems.append(f"The {kind} {key} is left out: it holds a NUL character")
            else:
                fresh.append(record)
        return fresh, known

    def mark(self, conn: Connection, kind: str, records: Sequence[tuple[R, str]]) -> None:
        """Note that these records, each with its public id here, are brought in."""
        marks.put(
            conn,
            self.source(conn),
            kind,
            [(key_of(record), Mark(own_key, marks.fingerprint(record))) for record, own_key in records],
        )


def key_of(record: Experiment | Run | LoggedModel | RegisteredModel) -> str:
    """What names a record in its source."""
    match record:
        case Experiment():
            return record.key
        case Run():
            return record.run_id
        case LoggedModel():
            return record.model_id
        case RegisteredModel():
            return record.name
