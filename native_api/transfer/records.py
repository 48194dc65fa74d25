"""What can be brought in, as values: what a source gives and what the tables have. Times are milliseconds, UTC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from native_api.core.datasets import NewInput
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import Points


class Experiment(Struct, frozen=True):
    """An experiment. `key` names it in its source; `number` is the short id that it is to have, if that is free."""

    key: str
    number: int | None
    name: str
    objective: str | None
    artifact_location: str
    created_at: int
    updated_at: int
    deleted_at: int | None
    tags: dict[str, str]


class RunModel(Struct, frozen=True, order=True):
    """A model that a run used (input) or made (output)."""

    direction: str
    model_id: str
    step: int


class Run(Struct, frozen=True):
    """A run without its points. `run_id` is 32 hex digits, `experiment` the key of its experiment.

    `points` says how far the run's histories go, in the source's own words: it differs once there are more.
    """

    run_id: str
    experiment: str
    run_name: str | None
    status: str
    started_at: int | None
    finished_at: int | None
    user_name: str
    git_commit: str | None
    notes: str | None
    artifact_uri: str
    created_at: int
    deleted_at: int | None
    params: dict[str, str]
    tags: dict[str, str]
    inputs: list[NewInput]
    models: list[RunModel]
    points: str


class LoggedModel(Struct, frozen=True):
    """A logged model without its points; `experiment` and `points` as in a run."""

    model_id: str
    experiment: str
    name: str
    model_type: str
    source_run_id: str
    artifact_uri: str
    status: str
    status_message: str | None
    created_at: int
    updated_at: int
    deleted_at: int | None
    params: dict[str, str]
    tags: dict[str, str]
    points: str


class Version(Struct, frozen=True):
    """A version of a registered model: see `model_versions`."""

    version: int
    description: str | None
    source: str
    storage_uri: str
    run_id: str
    run_link: str | None
    model_id: str | None
    stage: str
    status: str
    status_message: str | None
    created_at: int
    updated_at: int
    tags: dict[str, str]


class RegisteredModel(Struct, frozen=True):
    """A registered model with all of its versions, by number.

    `last_version` is the number given last, where that is known: the version that had it may be gone.
    """

    name: str
    description: str | None
    created_at: int
    updated_at: int
    tags: dict[str, str]
    aliases: dict[str, int]
    versions: list[Version]
    last_version: int = 0


RunPoints: TypeAlias = tuple[str, Points]
"""Points of the run with this run_id. A long history comes in several of them."""

ModelPoints: TypeAlias = tuple[str, Sequence[ModelPoint]]
"""Points that this run logged of models."""


class Counts(NamedTuple):
    """How much there is. Of what a source does not count without reading all of it there is None."""

    experiments: int
    runs: int
    points: int | None
    logged_models: int
    registered_models: int
    model_versions: int


class Source(Protocol):
    """Data that can be brought in. It is only read, and may be in use meanwhile.

    Raises Invalid for what is no such source, Unavailable for one that does not answer.
    """

    location: str
    """Names it, the same at every time, without credentials."""

    def counts(self) -> Counts:
        """How much there is."""

    def experiments(self) -> Sequence[Experiment]:
        """All of them, deleted ones included."""

    def runs(self) -> Iterator[Sequence[Run]]:
        """All runs, deleted ones included, some hundred at a time; those of one experiment together."""

    def points(self, runs: Sequence[Run]) -> Iterator[Sequence[RunPoints]]:
        """The points of these runs, some ten thousand at a time, metric by metric of run by run."""

    def logged_models(self) -> Iterator[Sequence[LoggedModel]]:
        """All logged models, deleted ones included, some hundred at a time."""

    def model_points(self, models: Sequence[LoggedModel]) -> Iterator[Sequence[ModelPoints]]:
        """The points that tell of these models, some ten thousand at a time."""

    def registered_models(self) -> Iterator[RegisteredModel]:
        """All registered models, prompts among them."""

    def close(self) -> None:
        """Let go of it."""


class File(NamedTuple):
    """A file below an artifact root: its path there and its size in bytes."""

    path: str
    size: int


class Files(Protocol):
    """Where a source's artifacts are, by the URI of a run's, model's or version's root."""

    def below(self, root: str) -> Sequence[File]:
        """All files below a root; nothing, where there are none. Raises Unavailable for a place that cannot be read."""

    def read(self, root: str, path: str) -> Iterator[bytes]:
        """What is in one of them."""


class Imported(Struct):
    """How much an import has added, changed and left as it was, of one kind."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0


Changed: TypeAlias = Mapping[str, Imported]
