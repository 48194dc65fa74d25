"""Logged models and versions of registered models as rows, with their files wherever a test wants them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table

from native_api.core import tables as t

TIMES = {"created_at": 1, "updated_at": 1}
UNSAID = {"model_type": "", "source_run_id": "", "run_id": "", "last_version": 9}


def add_model(conn: Connection, experiment: int, model_id: str, uri: str, name: str = "m", **columns: Any) -> None:
    """A logged model of an experiment."""
    model = {"model_id": model_id, "experiment_id": experiment, "name": name, "artifact_uri": uri, "status": "ready"}
    _add(conn, t.logged_models, model | TIMES | columns)


def add_registered(conn: Connection, registered_model_id: str, project_id: str, name: str) -> None:
    """A registered model."""
    model = {"registered_model_id": registered_model_id, "project_id": project_id, "name": name}
    _add(conn, t.registered_models, model | TIMES)


def add_version(conn: Connection, registered_model_id: str, project_id: str, version: int, uri: str) -> None:
    """A version of a registered model, whose files are at the URI."""
    row = {"registered_model_id": registered_model_id, "project_id": project_id, "version": version}
    kept = {"source": uri, "storage_uri": uri, "stage": "none", "status": "ready"}
    _add(conn, t.model_versions, row | kept | TIMES)


def _add(conn: Connection, table: Table, row: dict[str, Any]) -> None:
    """What the table has columns for; what nobody said is empty."""
    conn.execute(table.insert(), {name: value for name, value in (UNSAID | row).items() if name in table.c})
