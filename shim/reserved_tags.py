"""Tags of MLflow clients that are kept in native columns, and back."""

from __future__ import annotations

from collections.abc import Mapping

RUN_NAME = "mlflow.runName"
NOTE = "mlflow.note.content"
GIT_COMMIT = "mlflow.source.git.commit"
CONTEXT = "mlflow.data.context"
"""The tag of a dataset input that is kept in `run_inputs.context`."""

RUN_COLUMNS = {RUN_NAME: "run_name", NOTE: "notes", GIT_COMMIT: "git_commit"}
EXPERIMENT_COLUMNS = {NOTE: "objective"}


def split_run_tags(tags: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """A run's tags as (columns to set, tags to keep as such)."""
    return _split(tags, RUN_COLUMNS)


def split_experiment_tags(tags: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """An experiment's tags as (columns to set, tags to keep as such)."""
    return _split(tags, EXPERIMENT_COLUMNS)


def _split(tags: Mapping[str, str], columns: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    changes = {columns[key]: value for key, value in tags.items() if key in columns}
    return changes, {key: value for key, value in tags.items() if key not in columns}


def of_run(run_name: str | None, notes: str | None, git_commit: str | None) -> dict[str, str]:
    """The tags that a run's columns stand for. A null column is no tag."""
    return _present({RUN_NAME: run_name, NOTE: notes, GIT_COMMIT: git_commit})


def of_experiment(objective: str | None) -> dict[str, str]:
    """The tags that an experiment's columns stand for. A null column is no tag."""
    return _present({NOTE: objective})


def _present(tags: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if value is not None}
