"""What an MLflow server says: its messages, as far as sources and targets use them."""

from __future__ import annotations

from msgspec import Struct, field

from native_api.core.metrics import AnyPoint
from shim.sources import translation

PROMPTS = "tag.`mlflow.prompt.is_prompt` = 'true'"
"""The filter without which the registry's lists hold no prompts."""


class Tag(Struct):
    key: str
    value: str = ""


class WireExperiment(Struct):
    experiment_id: str
    name: str
    artifact_location: str = ""
    lifecycle_stage: str = "active"
    creation_time: int | None = None
    last_update_time: int | None = None
    tags: list[Tag] = []


class Experiments(Struct):
    experiments: list[WireExperiment] = []
    next_page_token: str = ""


class Metric(Struct):
    """Of a run, or of a logged model, where it says more."""

    key: str
    value: float | str = 0.0
    timestamp: int = 0
    step: int = 0
    run_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""

    def point(self) -> AnyPoint:
        return translation.point(self.step, self.timestamp, float(self.value))


class History(Struct):
    metrics: list[Metric] = []
    next_page_token: str = ""


class RunInfo(Struct):
    run_id: str
    experiment_id: str
    run_name: str | None = None
    user_id: str | None = None
    status: str = "RUNNING"
    start_time: int | None = None
    end_time: int | None = None
    artifact_uri: str = ""
    lifecycle_stage: str = "active"


class RunData(Struct):
    metrics: list[Metric] = []
    params: list[Tag] = []
    tags: list[Tag] = []


class Dataset(Struct):
    name: str = ""
    digest: str = ""
    source_type: str | None = None
    source: str | None = None
    schema: str | None = None
    profile: str | None = None


class DatasetInput(Struct):
    dataset: Dataset
    tags: list[Tag] = []


class UsedModel(Struct):
    model_id: str
    step: int = 0


class Inputs(Struct):
    dataset_inputs: list[DatasetInput] = []
    model_inputs: list[UsedModel] = []


class Outputs(Struct):
    model_outputs: list[UsedModel] = []


class WireRun(Struct):
    info: RunInfo
    data: RunData = field(default_factory=RunData)
    inputs: Inputs = field(default_factory=Inputs)
    outputs: Outputs = field(default_factory=Outputs)


class OneRun(Struct):
    run: WireRun


class Runs(Struct):
    runs: list[WireRun] = []
    next_page_token: str = ""


class ModelInfo(Struct):
    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int = 0
    last_updated_timestamp_ms: int = 0
    artifact_uri: str = ""
    status: str = ""
    status_message: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    tags: list[Tag] = []


class ModelData(Struct):
    params: list[Tag] = []
    metrics: list[Metric] = []


class WireModel(Struct):
    info: ModelInfo
    data: ModelData = field(default_factory=ModelData)


class OneModel(Struct):
    model: WireModel


class Models(Struct):
    models: list[WireModel] = []
    next_page_token: str = ""


class Alias(Struct):
    alias: str
    version: int


class WireRegistered(Struct):
    name: str
    description: str | None = None
    creation_timestamp: int = 0
    last_updated_timestamp: int = 0
    tags: list[Tag] = []
    aliases: list[Alias] = []


class RegisteredModels(Struct):
    registered_models: list[WireRegistered] = []
    next_page_token: str = ""


class WireVersion(Struct):
    version: int
    creation_timestamp: int = 0
    last_updated_timestamp: int | None = None
    current_stage: str | None = None
    description: str | None = None
    source: str | None = None
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    status: str | None = None
    status_message: str | None = None
    tags: list[Tag] = []


class Versions(Struct):
    model_versions: list[WireVersion] = []
    next_page_token: str = ""


class DownloadUri(Struct):
    artifact_uri: str | None = None
