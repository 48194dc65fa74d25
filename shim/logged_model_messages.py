"""MLflow's requests about logged models (its `service.proto`), with the limits of its tables."""

from __future__ import annotations

from typing import Annotated, NotRequired, Required

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from typing_extensions import TypedDict

from shim.messages import DatasetName, Digest, ExperimentId, Int64, Items, Message, Text, at_most, known

STATUSES = {
    "LOGGED_MODEL_STATUS_UNSPECIFIED": "unspecified",
    "LOGGED_MODEL_PENDING": "pending",
    "LOGGED_MODEL_READY": "ready",
    "LOGGED_MODEL_UPLOAD_FAILED": "failed",
}
_STATUS_NUMBERS = dict(enumerate(STATUSES.values()))
STATUS_NAMES = (
    STATUSES
    | {status.upper(): status for status in STATUSES.values()}
    | {str(number): status for number, status in _STATUS_NUMBERS.items()}
)
"""What a filter may call them: as on the wire, as MLflow's clients do, and by number, as its server keeps them."""

MAX_KEY = 255
MAX_VALUE = 100_000
"""MLflow's own table has no limit; this is the one of tags in its registry."""

_FORBIDDEN = frozenset("/:.%\"'")


def _allowed(name: str) -> str:
    if _FORBIDDEN.intersection(name):
        raise ValueError("the name of a model may hold none of / : . % \" '")
    return name


ModelName = Annotated[str, at_most(500), AfterValidator(_allowed)]


class Pair(TypedDict):
    """A param or a tag of a model: MLflow puts no rule on its key."""

    key: Required[Annotated[str, StringConstraints(min_length=1), at_most(MAX_KEY)]]
    value: NotRequired[Annotated[str, at_most(MAX_VALUE)] | None]


class CreateModel(Message):
    experiment_id: ExperimentId
    name: ModelName | None = None
    model_type: Annotated[str, at_most(500)] | None = None
    source_run_id: Annotated[str, at_most(32)] | None = None
    params: Items[Pair] | None = None
    tags: Items[Pair] | None = None


class OneModel(Message):
    """Names a model by its place in the path; what the body names does not count."""

    model_id: Text


class GetModel(OneModel):
    allow_deleted: Annotated[bool, BeforeValidator(lambda value: str(value).lower() == "true")] = False


class FinalizeModel(OneModel):
    status: Annotated[str, known(STATUSES, _STATUS_NUMBERS)]


class PutModelTags(OneModel):
    tags: Items[Pair] | None = None


class DeleteModelTag(OneModel):
    tag_key: Text


class AddModelParams(OneModel):
    params: Items[Pair] | None = None


class SearchedDataset(Message):
    dataset_name: Annotated[DatasetName, StringConstraints(min_length=1)]
    dataset_digest: Digest | None = None


class ModelOrder(Message):
    field_name: Annotated[Text, StringConstraints(min_length=1)]
    ascending: bool | None = None
    dataset_name: DatasetName | None = None
    dataset_digest: Digest | None = None


class SearchModels(Message):
    experiment_ids: Items[ExperimentId]
    filter: str | None = None
    datasets: Annotated[Items[SearchedDataset], Field(max_length=100)] | None = None
    max_results: Annotated[Int64, Field(ge=0, lt=2**31)] | None = None
    order_by: Items[ModelOrder] | None = None
    page_token: str | None = None
