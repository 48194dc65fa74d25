"""What a run was started with: its params, environment, command line and seed. A run may have no config."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, select, update

from native_api.core import audit, clock, db, held_runs, params, tags
from native_api.core import tables as t
from native_api.core.access import Actor, Scope, visible
from native_api.core.errors import Invalid, NotFound
from native_api.core.held_runs import Held
from native_api.core.params import text_of

_c = t.run_configs.c


class Config(NamedTuple):
    """A run's config; params_json holds its params with their types. created_at is in milliseconds, UTC."""

    params_json: Mapping[str, object]
    env_json: Mapping[str, object] | None
    command_line: str | None
    seed: int | None
    created_at: int


@dataclass(frozen=True)
class NewConfig:
    """What a config starts with."""

    params_json: Mapping[str, object] = field(default_factory=dict)
    env_json: Mapping[str, object] | None = None
    command_line: str | None = None
    seed: int | None = None


COLUMNS = [_c[name] for name in Config._fields]


# One run's


def get(conn: Connection, actor: Actor, run_id: str) -> Config:
    """NotFound if there is no such run in view, or if it has no config."""
    statement = (
        select(*COLUMNS)
        .join(t.runs, t.runs.c.id == _c.run_id)
        .join(t.experiments, t.experiments.c.id == t.runs.c.experiment_id)
    )
    row = conn.execute(statement.where(t.runs.c.run_id == run_id, visible(actor))).one_or_none()
    if row is None:
        raise NotFound("run config", run_id)
    return Config._make(row)


def create(conn: Connection, actor: Actor, held: Held, new: NewConfig) -> Config:
    """The first config of a run that is held."""
    actor.require(held.project_id, Scope.WRITE, "run", held.run_id)
    config = Config(new.params_json, new.env_json, new.command_line, new.seed, clock.now())
    row = config._asdict()
    stored = {name: _json(value) if name.endswith("_json") else value for name, value in row.items()}
    _add_config(conn, [(held.id, *stored.values())])
    params.put(conn, [(held.id, new.params_json)])
    audit.inserted(conn, actor, "run_configs", held.run_id, row | {"run_id": held.run_id}, project_id=held.project_id)
    return config


_add_config = db.BulkInsert(t.run_configs, ["run_id", *Config._fields])


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def put(conn: Connection, actor: Actor, run_id: str, changes: Mapping[str, Any]) -> Config:
    """Set columns of an active run's config, creating it if need be. Params are replaced as a whole."""
    held = held_runs.active(conn, actor, run_id)
    row = conn.execute(select(*COLUMNS).where(_c.run_id == held.id)).one_or_none()
    if row is None:
        old, config = None, create(conn, actor, held, NewConfig(**changes))
    else:
        old = Config._make(row)
        config = old._replace(**changes)
        if changes:
            conn.execute(update(t.run_configs).where(_c.run_id == held.id).values(**changes))
        if "params_json" in changes:
            params.replace(conn, held.id, config.params_json)
        audit.updated(conn, actor, "run_configs", run_id, old._asdict(), changes, project_id=held.project_id)
    if "command_line" in changes:
        _show_command_line(conn, held.id, old.command_line if old else None, config.command_line)
    held_runs.touch(conn, [held.id])
    return config


def _show_command_line(conn: Connection, run: int, old: str | None, new: str | None) -> None:
    """Let the tag that MLflow clients see follow the command line, unless one of them has said something else."""
    shown = tags.of_runs(conn, [run], tags.SOURCE_NAME).get(run)
    if shown is not None and shown != old:
        return
    if new is not None:
        tags.put_on_runs(conn, {(run, tags.SOURCE_NAME): new})
    elif shown is not None:
        tags.delete_from_run(conn, run, tags.SOURCE_NAME)


# Many, in bulk

_put_config = db.BulkInsert(
    t.run_configs,
    ["run_id", "params_json", "command_line", "created_at"],
    "ON CONFLICT (run_id) DO UPDATE SET params_json = excluded.params_json, command_line = excluded.command_line",
)


class Configs:
    """The configs of some runs, whose rows are held, while a group of log entries adds to them."""

    def __init__(self, conn: Connection, runs: Collection[int], with_source: Collection[int]) -> None:
        """`with_source` are those runs that get the tag `mlflow.source.name`."""
        self._conn = conn
        self._now = clock.now()
        self._params: dict[int, dict[str, object]] = {}
        self._lines: dict[int, str | None] = {}
        rows = conn.execute(select(_c.run_id, _c.params_json, _c.command_line).where(db.among(conn, _c.run_id, runs)))
        for run, known, line in rows:
            self._params[run], self._lines[run] = known, line
        self._sources = tags.of_runs(conn, with_source, tags.SOURCE_NAME)
        self._added: dict[int, dict[str, str]] = {}

    def add(self, actor: Actor, held: Held, new: Mapping[str, str], source: str | None) -> None:
        """Take on params, and the tag `mlflow.source.name` as the command line while nothing better is known.

        Invalid, and none of them taken, if a param has another value already.
        """
        run, is_new = held.id, held.id not in self._params
        known, line = self._params.get(run, {}), self._lines.get(run)
        for key, value in new.items():
            if key in known and text_of(known[key]) != value:
                raise Invalid(
                    f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                    f"value='{text_of(known[key])}' for this run. Attempted logging new value '{value}'."
                )
        added = {key: value for key, value in new.items() if key not in known}
        changes: dict[str, object] = {"params_json": added} if added else {}
        if source is not None:
            if line in (None, self._sources.get(run)) and line != source:
                changes["command_line"] = self._lines[run] = source
            self._sources[run] = source
        if not changes:
            return
        known.update(added)
        self._params[run] = known
        self._added.setdefault(run, {}).update(added)
        if is_new:
            first = Config(added, None, self._lines.get(run), None, self._now)._asdict()
            row = first | {"run_id": held.run_id}
            audit.inserted(self._conn, actor, "run_configs", held.run_id, row, project_id=held.project_id)
        else:
            old: dict[str, object] = {"params_json": {}, "command_line": line}
            audit.updated(self._conn, actor, "run_configs", held.run_id, old, changes, project_id=held.project_id)

    def write(self) -> None:
        """Store what was taken on."""
        _put_config(
            self._conn,
            [
                (run, msgspec.json.encode(self._params[run]).decode(), self._lines.get(run), self._now)
                for run in sorted(self._added)
            ],
        )
        params.put(self._conn, list(self._added.items()))
