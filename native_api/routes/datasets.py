"""Datasets and their versions on the native surface: messages and handlers."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import from_json
from sqlalchemy import Connection

from native_api.core import dataset_versions, datasets
from native_api.core.access import Actor
from native_api.routes.messages import (
    Answer,
    Changes,
    Count,
    Id,
    Listing,
    LongText,
    Message,
    Name,
    Page,
    ShownTime,
    Uri,
    page_of,
    text,
)

TaskType = Literal["classification", "regression", "ranking", "segmentation", "nlp", "other"]


# Datasets


class Dataset(Answer):
    """A dataset of a project, unique in it by name."""

    dataset_id: Id
    project_id: Id
    name: str
    task_type: TaskType
    description: str | None
    created_at: ShownTime


class OneDataset(Message):
    """Names a dataset."""

    dataset_id: Id


class ListDatasets(Listing):
    """A page of the datasets in view."""

    project_id: Id | None = None
    name: Annotated[str, text(500, at_least=1)] | None = None  # MLflow's names may be so long
    task_type: TaskType | None = None


class CreateDataset(Message):
    """A new dataset of a project."""

    project_id: Id
    name: Name
    task_type: TaskType = "other"
    description: LongText | None = None


class ChangeDataset(Changes):
    """Changes of a dataset."""

    dataset_id: Id
    name: Name = ""
    task_type: TaskType = "other"
    description: LongText | None = None


def page(conn: Connection, actor: Actor, msg: ListDatasets) -> Page[Dataset]:
    """List the datasets in view, newest first."""
    found = datasets.page(
        conn, actor, msg.limit, msg.cursor, project_id=msg.project_id, name=msg.name, task_type=msg.task_type
    )
    return page_of(found, Dataset.model_validate)


def create(conn: Connection, actor: Actor, msg: CreateDataset) -> Dataset:
    """Make a dataset of a project."""
    made = datasets.create(conn, actor, msg.project_id, msg.name, msg.task_type, msg.description)
    return Dataset.model_validate(made)


def get(conn: Connection, actor: Actor, msg: OneDataset) -> Dataset:
    """Show a dataset."""
    return Dataset.model_validate(datasets.get(conn, actor, msg.dataset_id))


def change(conn: Connection, actor: Actor, msg: ChangeDataset) -> Dataset:
    """Change a dataset."""
    return Dataset.model_validate(datasets.change(conn, actor, msg.dataset_id, msg.sent("dataset_id")))


def delete(conn: Connection, actor: Actor, msg: OneDataset) -> None:
    """Delete a dataset that has no versions."""
    datasets.delete(conn, actor, msg.dataset_id)


# Versions

MAX_SCHEMA = 1_048_575
"""MLflow's limit for a schema, in characters of its JSON text."""


def _text_of(value: object) -> str:
    if not isinstance(value, dict | list):
        raise ValueError("neither a JSON object nor an array")
    written = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if len(written) > MAX_SCHEMA:
        raise ValueError(f"more than {MAX_SCHEMA} characters of JSON")
    return written


def shown_schema(logged: str | None) -> Any:
    """The JSON value in a schema's text; what is no JSON, or has a number beyond all bounds, as it was logged."""
    if logged is None:
        return None
    try:
        value = from_json(logged, allow_inf_nan=False)
        json.dumps(value, allow_nan=False)
    except ValueError:
        return logged
    return value


Schema = Annotated[str, BeforeValidator(_text_of), WithJsonSchema({"type": ["object", "array"], "items": {}})]
"""A JSON object or array; within the server its text."""


class Version(Answer):
    """One content of a dataset, unique in it by label and by content hash."""

    dataset_version_id: Id
    dataset_id: Id
    version_label: str
    storage_uri: str | None
    content_hash: str
    row_count: int | None
    size_bytes: int | None
    schema_: Annotated[
        Any, Field(alias="schema_json", description="A JSON object or array; a string if no JSON was logged.")
    ]
    created_at: ShownTime


class OneVersion(Message):
    """Names a dataset version."""

    dataset_version_id: Id


class ListVersions(Listing):
    """A page of the dataset versions in view."""

    dataset_id: Id | None = None
    content_hash: Name | None = None
    version_label: Name | None = None


class CreateVersion(Message):
    """A new version of a dataset."""

    dataset_id: Id
    version_label: Name
    content_hash: Name
    storage_uri: Uri | None = None
    row_count: Count | None = None
    size_bytes: Count | None = None
    schema_: Annotated[Schema | None, Field(alias="schema_json")] = None


class ChangeVersion(Changes):
    """Changes of a dataset version."""

    dataset_version_id: Id
    version_label: Name = ""
    content_hash: Name = ""
    storage_uri: Uri | None = None
    row_count: Count | None = None
    size_bytes: Count | None = None
    schema_: Annotated[Schema | None, Field(alias="schema_json")] = None


def page_of_versions(conn: Connection, actor: Actor, msg: ListVersions) -> Page[Version]:
    """List the dataset versions in view, newest first."""
    found = dataset_versions.page(
        conn,
        actor,
        msg.limit,
        msg.cursor,
        dataset_id=msg.dataset_id,
        content_hash=msg.content_hash,
        version_label=msg.version_label,
    )
    return page_of(found, _version)


def create_version(conn: Connection, actor: Actor, msg: CreateVersion) -> Version:
    """Make a version of a dataset."""
    return _version(
        dataset_versions.create(
            conn,
            actor,
            msg.dataset_id,
            msg.version_label,
            msg.content_hash,
            storage_uri=msg.storage_uri,
            row_count=msg.row_count,
            size_bytes=msg.size_bytes,
            schema_json=msg.schema_,
        )
    )


def get_version(conn: Connection, actor: Actor, msg: OneVersion) -> Version:
    """Show a dataset version."""
    return _version(dataset_versions.get(conn, actor, msg.dataset_version_id))


def change_version(conn: Connection, actor: Actor, msg: ChangeVersion) -> Version:
    """Change a dataset version."""
    return _version(dataset_versions.change(conn, actor, msg.dataset_version_id, msg.sent("dataset_version_id")))


def delete_version(conn: Connection, actor: Actor, msg: OneVersion) -> None:
    """Delete a dataset version that no run uses."""
    dataset_versions.delete(conn, actor, msg.dataset_version_id)


def _version(version: dataset_versions.Version) -> Version:
    return Version.model_validate(version._replace(schema_json=shown_schema(version.schema_json)))
