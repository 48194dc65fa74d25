"""Tags of runs and experiments: key and value, which may change."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, select

from native_api.core import db
from native_api.core import tables as t

# Tags of MLflow clients that the core writes as well, so that these clients see what native callers said.
USER = "mlflow.user"
"""Who ran it: the account, where there was one."""
SOURCE_NAME = "mlflow.source.name"
"""What ran: a run's command line."""

_UPDATE = "DO UPDATE SET value = excluded.value"
_put_run_tags = db.BulkInsert(t.run_tags, ["run_id", "key", "value"], f"ON CONFLICT (run_id, key) {_UPDATE}")
_put_experiment_tags = db.BulkInsert(
    t.experiment_tags, ["experiment_id", "key", "value"], f"ON CONFLICT (experiment_id, key) {_UPDATE}"
)


def put_on_runs(conn: Connection, tags: Mapping[tuple[int, str], str]) -> None:
    """Set tags by (run, key), replacing what was there."""
    _put_run_tags(conn, sorted((run, key, value) for (run, key), value in tags.items()))


def of_runs(conn: Connection, runs: Collection[int], key: str) -> dict[int, str]:
    """The values of one tag by run, of those that have it."""
    c = t.run_tags.c
    if not runs:
        return {}
    rows = conn.execute(select(c.run_id, c.value).where(db.among(conn, c.run_id, runs), c.key == key))
    return {row.run_id: row.value for row in rows}


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
