"""Registered models, their versions and aliases on the native surface: messages and handlers.

A path names a model by its name, unique in a project; `project_id` says in which one, where several in view have it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, PlainSerializer
from sqlalchemy import Connection

from native_api.core import model_aliases, model_search, model_sources, model_versions, pages, registered_models
from native_api.core.access import Actor
from native_api.core.search import All, Attribute, Comparison, Op
from native_api.routes.messages import (
    Answer,
    Changes,
    Flag,
    Id,
    Listing,
    LongText,
    Message,
    Page,
    ShownTime,
    Uri,
    Yes,
    page_of,
    text,
)

ModelName = Annotated[str, text(registered_models.MAX_NAME, at_least=1), AfterValidator(registered_models.checked_name)]
AnyName = Annotated[str, text(registered_models.MAX_NAME, at_least=1)]
Number = Annotated[int, Field(ge=1, le=2**63 - 1, description="The number of the version")]
NewAlias = Annotated[str, text(model_aliases.MAX_ALIAS, at_least=1), AfterValidator(model_aliases.checked_to_give)]
AnyAlias = Annotated[str, text(model_aliases.MAX_ALIAS, at_least=1)]
Stage = Literal["none", "staging", "production", "archived"]

TagKey = Annotated[str, text(250, at_least=1)]
TagValue = Annotated[str, text(100_000)]
Tags = Annotated[Mapping[TagKey, TagValue], Field(max_length=100)]
TagChanges = Annotated[
    Mapping[TagKey, TagValue | None], Field(max_length=100, description="Tags to set; null takes one away")
]


def _uuid(run_id: str) -> str:
    """An id as a UUID; MLflow clients may have said something that is none."""
    try:
        return str(UUID(run_id))
    except ValueError:
        return run_id


class OfModel(Message):
    """Names a registered model."""

    name: AnyName
    project_id: Id | None = None


# Models


class Model(Answer):
    """A name in a project under which versions of a model are kept. `aliases` are names for versions."""

    registered_model_id: Id
    project_id: Id
    name: str
    description: str | None
    created_by: Id | None
    created_at: ShownTime
    updated_at: ShownTime
    tags: dict[str, str]
    aliases: dict[str, int]


class ListModels(Listing):
    """A page of the registered models in view."""

    project_id: Id | None = None
    name: AnyName | None = None
    prompts: Annotated[Flag, Field(description="Whether prompts are among them")] = False


class CreateModel(Message):
    """A new registered model of a project."""

    project_id: Id
    name: ModelName
    description: LongText | None = None
    tags: Tags = Field(default_factory=dict)


class ChangeModel(Changes):
    """Changes of a registered model: `new_name` renames it, `tags` are set one by one."""

    name: AnyName
    project_id: Id | None = None
    new_name: ModelName = ""
    description: LongText | None = None
    tags: TagChanges = Field(default_factory=dict)


def page(conn: Connection, actor: Actor, msg: ListModels) -> Page[Model]:
    """List the registered models in view by name."""
    wanted = _equal(project_id=msg.project_id, name=msg.name)
    found = model_search.find_models(conn, actor, wanted, (), msg.limit, msg.cursor, prompts=msg.prompts)
    return page_of(found, Model.model_validate)


def create(conn: Connection, actor: Actor, msg: CreateModel) -> Model:
    """Make a registered model of a project."""
    made = registered_models.create(conn, actor, msg.project_id, msg.name, description=msg.description, tags=msg.tags)
    return Model.model_validate(made)


def get(conn: Connection, actor: Actor, msg: OfModel) -> Model:
    """Show a registered model."""
    return Model.model_validate(registered_models.get(conn, actor, _project(conn, actor, msg), msg.name))


def change(conn: Connection, actor: Actor, msg: ChangeModel) -> Model:
    """Change a registered model."""
    project_id, name = _project(conn, actor, msg), msg.name
    changes = msg.sent("name", "project_id", "tags")
    if "new_name" in changes:
        changes["name"] = changes.pop("new_name")
    _change_tags(
        msg.tags,
        put=lambda key, value: registered_models.put_tag(conn, actor, project_id, name, key, value),
        delete=lambda key: registered_models.delete_tag(conn, actor, project_id, name, key),
    )
    return Model.model_validate(registered_models.change(conn, actor, project_id, name, changes))


def delete(conn: Connection, actor: Actor, msg: OfModel) -> None:
    """Delete a registered model for good, with its versions and aliases."""
    registered_models.delete(conn, actor, _project(conn, actor, msg), msg.name)


# Versions


class ModelVersion(Answer):
    """A version of a registered model. `source` is what it was made from; its files are at `storage_uri`."""

    registered_model_id: Id
    project_id: Id
    name: str
    version: int
    description: str | None
    source: str
    storage_uri: str
    run_id: Annotated[str, PlainSerializer(_uuid, when_used="json")] | None
    run_link: str | None
    model_id: str | None
    stage: Stage
    status: Literal["pending", "ready", "failed"]
    status_message: str | None
    created_by: Id | None
    created_at: ShownTime
    updated_at: ShownTime
    tags: dict[str, str]
    aliases: Sequence[str]


class OneModelVersion(OfModel):
    """Names a version of a registered model."""

    version: Number


class ListModelVersions(Listing):
    """A page of the versions of a registered model."""

    name: AnyName
    project_id: Id | None = None
    stage: Stage | None = None
    run_id: Id | None = None


class CreateModelVersion(OfModel):
    """A new version, made from a place of the run or the logged model that is named as well, or from elsewhere."""

    source: Uri
    run_id: Id | None = None
    model_id: Annotated[str, text(64, at_least=1)] | None = None
    run_link: Uri | None = None
    description: LongText | None = None
    tags: Tags = Field(default_factory=dict)


class ChangeModelVersion(Changes):
    """Changes of a version. With `archive_others` what else is in the new stage is archived."""

    name: AnyName
    version: Number
    project_id: Id | None = None
    description: LongText | None = None
    stage: Stage = "none"
    archive_others: Yes = False
    tags: TagChanges = Field(default_factory=dict)


def page_of_versions(conn: Connection, actor: Actor, msg: ListModelVersions) -> Page[ModelVersion]:
    """List the versions of a registered model, newest first."""
    model = registered_models.get(conn, actor, _project(conn, actor, msg), msg.name)
    wanted = _equal(registered_model_id=model.registered_model_id, stage=msg.stage, run_id=msg.run_id)
    found = model_search.find_versions(
        conn, actor, wanted, (model_search.NEWEST_FIRST,), msg.limit, msg.cursor, prompts=True
    )
    labelled = model_versions.with_aliases(conn, found.items)
    return page_of(pages.Page(labelled, found.next_token), ModelVersion.model_validate)


def create_version(conn: Connection, actor: Actor, msg: CreateModelVersion) -> ModelVersion:
    """Make a version of a registered model."""
    project_id = _project(conn, actor, msg)
    origin = model_sources.find_origin(conn, actor, project_id, msg.source, run_id=msg.run_id, model_id=msg.model_id)
    made = model_versions.create(
        conn,
        actor,
        project_id,
        msg.name,
        origin,
        description=msg.description,
        run_link=msg.run_link,
        tags=msg.tags,
    )
    return ModelVersion.model_validate(made)


def get_version(conn: Connection, actor: Actor, msg: OneModelVersion) -> ModelVersion:
    """Show a version of a registered model."""
    found = model_versions.get(conn, actor, _project(conn, actor, msg), msg.name, msg.version)
    return ModelVersion.model_validate(found)


def change_version(conn: Connection, actor: Actor, msg: ChangeModelVersion) -> ModelVersion:
    """Change a version of a registered model."""
    which = (_project(conn, actor, msg), msg.name, msg.version)
    changes = msg.sent("name", "version", "project_id", "tags", "archive_others")
    _change_tags(
        msg.tags,
        put=lambda key, value: model_versions.put_tag(conn, actor, *which, key, value),
        delete=lambda key: model_versions.delete_tag(conn, actor, *which, key),
    )
    stage = changes.pop("stage", None)
    if stage is not None:
        model_versions.move(conn, actor, *which, stage, archive_others=msg.archive_others)
    return ModelVersion.model_validate(model_versions.change(conn, actor, *which, changes))


def delete_version(conn: Connection, actor: Actor, msg: OneModelVersion) -> None:
    """Delete a version for good, with its aliases. Its number is not given again."""
    model_versions.delete(conn, actor, _project(conn, actor, msg), msg.name, msg.version)


# Aliases


class OneAlias(OfModel):
    """Names an alias of a registered model."""

    alias: AnyAlias


class PutAlias(OfModel):
    """An alias, and the version that it is to name."""

    alias: NewAlias
    version: Number


def get_alias(conn: Connection, actor: Actor, msg: OneAlias) -> ModelVersion:
    """Show the version that has an alias; `latest` is the one with the highest number."""
    return ModelVersion.model_validate(model_aliases.get(conn, actor, _project(conn, actor, msg), msg.name, msg.alias))


def put_alias(conn: Connection, actor: Actor, msg: PutAlias) -> ModelVersion:
    """Make it the alias of a version, and of no other any more."""
    project_id = _project(conn, actor, msg)
    model_aliases.put(conn, actor, project_id, msg.name, msg.alias, msg.version)
    return ModelVersion.model_validate(model_versions.get(conn, actor, project_id, msg.name, msg.version))


def delete_alias(conn: Connection, actor: Actor, msg: OneAlias) -> None:
    """Take an alias away from its version."""
    project_id = _project(conn, actor, msg)
    model_aliases.delete(conn, actor, project_id, msg.name, msg.alias)


# What they have in common


def _project(
    conn: Connection, actor: Actor, msg: OfModel | ChangeModel | ChangeModelVersion | ListModelVersions
) -> str:
    return msg.project_id or registered_models.find_project(conn, actor, msg.name)


def _equal(**wanted: str | None) -> All:
    """The condition that these attributes have these values, where one is wanted."""
    return All(tuple(Comparison(Attribute(name), Op.EQ, value) for name, value in wanted.items() if value is not None))


def _change_tags(
    tags: Mapping[str, str | None], *, put: Callable[[str, str], None], delete: Callable[[str], None]
) -> None:
    for key, value in tags.items():
        if value is None:
            delete(key)
        else:
            put(key, value)
