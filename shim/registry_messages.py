"""The requests of MLflow's model registry (its `model_registry.proto`), by the rules of `messages`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, NotRequired, Required

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from typing_extensions import TypedDict

from native_api.core import model_aliases, registered_models
from native_api.core.errors import Invalid
from native_api.core.model_sources import MAX_SOURCE
from native_api.core.model_versions import STAGES
from shim.messages import Int64, Items, Message, check_key

MAX_TAG_VALUE = 100_000
MAX_DESCRIPTION = 100_000


def _checked_key(key: str) -> str:
    check_key(key, "key")
    return key


NonEmpty = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]
ModelName = Annotated[NonEmpty, AfterValidator(registered_models.checked_name)]
Alias = Annotated[NonEmpty, AfterValidator(model_aliases.checked)]
NewAlias = Annotated[NonEmpty, AfterValidator(model_aliases.checked_to_give)]
Description = Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION, pattern=r"^[^\x00]*$")]
Source = Annotated[str, StringConstraints(min_length=1, max_length=MAX_SOURCE, pattern=r"^[^\x00]*$")]
Link = Annotated[str, StringConstraints(max_length=MAX_SOURCE, pattern=r"^[^\x00]*$")]
OtherId = Annotated[str, StringConstraints(max_length=256, pattern=r"^[^\x00]*$")]
"""The id of a run or a logged model, as the client has it; empty is none."""
TagKey = Annotated[str, StringConstraints(min_length=1, max_length=250), AfterValidator(_checked_key)]
TagValue = Annotated[str, StringConstraints(max_length=MAX_TAG_VALUE, pattern=r"^[^\x00]*$")]


def _number(text: object) -> int:
    """The number of a version, which the wire has as text only."""
    if isinstance(text, str):
        with suppress(ValueError):
            return int(text)
    raise ValueError("not the number of a version")


VersionNumber = Annotated[int, BeforeValidator(_number), WithJsonSchema({"type": "string", "minLength": 1})]

STAGE_NAMES = dict(zip(STAGES, ("None", "Staging", "Production", "Archived"), strict=True))


def _stage(text: str) -> str:
    """A stage by its name in any case."""
    if text.lower() not in STAGES:
        names = ", ".join(STAGE_NAMES.values())
        raise Invalid(f"Invalid Model Version stage: {text[:80]}. Value must be one of {names}.")
    return text.lower()


Stage = Annotated[NonEmpty, AfterValidator(_stage)]


class RegistryTag(TypedDict):
    key: Required[TagKey]
    value: NotRequired[TagValue | None]


def tag_map(tags: Sequence[RegistryTag] | None) -> dict[str, str]:
    """Tags by key; the last of those with one key counts."""
    return {tag["key"]: tag.get("value") or "" for tag in tags or ()}


# Registered models


class OneModel(Message):
    name: ModelName


class CreateModel(OneModel):
    tags: Items[RegistryTag] | None = None
    description: Description | None = None


class UpdateModel(OneModel):
    description: Description | None = None


class RenameModel(OneModel):
    new_name: ModelName


class SearchModels(Message):
    filter: str | None = None
    max_results: Annotated[Int64, Field(ge=1, le=1_000)] | None = None
    order_by: Items[str] | None = None
    page_token: str | None = None


class GetLatestVersions(OneModel):
    stages: Items[Stage] | None = None


class SetModelTag(OneModel):
    key: TagKey
    value: TagValue | None = None


class DeleteModelTag(OneModel):
    key: TagKey


class OneAlias(OneModel):
    alias: Alias


class SetAlias(OneModel):
    alias: NewAlias
    version: VersionNumber


# Versions


class OneVersion(OneModel):
    version: VersionNumber


class CreateVersion(OneModel):
    source: Source
    run_id: OtherId | None = None
    model_id: OtherId | None = None
    run_link: Link | None = None
    tags: Items[RegistryTag] | None = None
    description: Description | None = None


class UpdateVersion(OneVersion):
    description: Description | None = None


class TransitionStage(OneVersion):
    stage: Stage
    archive_existing_versions: bool | None = None


class SearchVersions(Message):
    filter: str | None = None
    max_results: Annotated[Int64, Field(ge=1, le=200_000)] | None = None
    order_by: Items[str] | None = None
    page_token: str | None = None


class SetVersionTag(OneVersion):
    key: TagKey
    value: TagValue | None = None


class DeleteVersionTag(OneVersion):
    key: TagKey
