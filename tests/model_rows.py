"""Logged models and versions of registered models as rows, with their files wherever a test wants them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from native_api.core import tables as t

TIMES = {"created_at": 1, "updated_at": 1}


def add_model(conn: Connection, experiment: int, model_id: str, uri: str, name: str = "m", **columns: Any) -> None:
    """A logged model of an experiment."""
    model = {"model_id": model_id, "experiment_id": experiment, "name": name, "artifact_uri": uri, "status": "ready"}
    conn.execute(t.logged_models.insert(), model | {"model_type": "", "source_run_id": ""} | TIMES | columns)


def add_registered(conn: Connection, registered_model_id: str, project_id: str, name: str) -> None:
    """A registered model of a project."""
    model = {"registered_model_id": registered_model_id, "project_id": project_id, "name": name, "last_version": 9}
    conn.execute(t.registered_models.insert(), model | TIMES)


def add_version(conn: Connection, registered_model_id: str, project_id: str, version: int, uri: str) -> None:
    """A version of it, whose files are at the URI."""
    which = {"registered_model_id": registered_model_id, "project_id": project_id, "version": version}
    kept = {"source": uri, "storage_uri": uri, "run_id": "", "stage": "none", "status": "ready"}
    conn.execute(t.model_versions.insert(), which | kept | TIMES)
