"""Tags of runs and experiments: key and value, which may change."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete

from native_api.core import db
from native_api.core import tables as t

_UPDATE = "DO UPDATE SET value = excluded.value"
_put_run_tags = db.BulkInsert(t.run_tags, ["run_id", "key", "value"], f"ON CONFLICT (run_id, key) {_UPDATE}")
_put_experiment_tags = db.BulkInsert(
    t.experiment_tags, ["experiment_id", "key", "value"], f"ON CONFLICT (experiment_id, key) {_UPDATE}"
)


def put_on_runs(conn: Connection, tags: Mapping[tuple[int, str], str]) -> None:
    """Set tags by (run, key), replacing what was there."""
    _put_run_tags(conn, sorted((run, key, value) for (run, key), value in tags.items()))


def put_on_experiment(conn: Connection, experiment: int, tags: Mapping[str, str]) -> None:
    """Set an experiment's tags, replacing what was there."""
    _put_experiment_tags(conn, sorted((experiment, key, value) for key, value in tags.items()))


def delete_from_run(conn: Connection, run: int, key: str) -> bool:
    """Whether there was such a tag to delete."""
    c = t.run_tags.c
    return conn.execute(delete(t.run_tags).where(c.run_id == run, c.key == key)).rowcount > 0


def delete_from_experiment(conn: Connection, experiment: int, key: str) -> bool:
    """Whether there was such a tag to delete."""
    c = t.experiment_tags.c
    return conn.execute(delete(t.experiment_tags).where(c.experiment_id == experiment, c.key == key)).rowcount > 0
