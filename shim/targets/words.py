"""What is exported, in MLflow's own words; and what came of an export."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from native_api.core.metrics import AnyPoint, Points
from native_api.transfer.records import Experiment, Run
from shim import reserved_tags
from shim.metric_names import full_name
from shim.sources.translation import STATUSES, VERSION_STATUSES

RUN_STATUSES = {ours: theirs for theirs, ours in STATUSES.items()}
MODEL_VERSION_STATUSES = {ours: theirs for theirs, ours in VERSION_STATUSES.items()}

Tell: TypeAlias = Callable[[str, int], None]
"""Is told how many more of a noun are done."""


@dataclass
class Exported:
    """How much has been written of each noun; in a line each what could not be, and what there is no place for."""

    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, noun: str, more: int, tell: Tell) -> None:
        """Count more of a noun, and tell it."""
        self.counts[noun] = self.counts.get(noun, 0) + more
        tell(noun, more)


def lifecycle(deleted_at: int | None) -> str:
    """MLflow's lifecycle stage."""
    return "active" if deleted_at is None else "deleted"


def stage(ours: str) -> str:
    """MLflow's stage of a model version."""
    return ours.capitalize()


def experiment_tags(experiment: Experiment) -> dict[str, str]:
    """All tags that MLflow's clients see on an experiment."""
    return {**experiment.tags, **reserved_tags.of_experiment(experiment.objective)}


def run_tags(run: Run) -> dict[str, str]:
    """All tags that MLflow's clients see on a run."""
    return {**run.tags, **reserved_tags.of_run(run.run_name, run.notes, run.git_commit)}


def input_tags(context: str | None, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of the use of a dataset."""
    return dict(tags) if context is None else {**tags, reserved_tags.CONTEXT: context}


def histories(points: Points) -> Iterator[tuple[str, Iterable[AnyPoint]]]:
    """Points by MLflow's key. Final values are points of step 0, as MLflow's clients see them here."""
    for name, history in points.items():
        yield full_name(name.scope, name.key), history
