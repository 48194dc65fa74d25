"""An import from beginning to end: experiments, runs with their points, models, and files where they are copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from native_api.core.blobs import Store
from native_api.transfer import (
    incoming_experiments,
    incoming_files,
    incoming_logged_models,
    incoming_registry,
    incoming_runs,
)
from native_api.transfer.incoming_experiments import Home
from native_api.transfer.intake import Intake
from native_api.transfer.records import Files, Source

Tell = Callable[[str, int], None]
"""Hears how many more things of a noun have been looked at."""


@dataclass(frozen=True)
class Copying:
    """From where files are copied, and into what."""

    files: Files
    store: Store


def bring_in(intake: Intake, source: Source, tell: Tell, copying: Copying | None = None) -> Mapping[str, Home]:
    """Bring in all that the source has and that is not here yet; where its experiments are here.

    Safe to do again, also after being killed at any moment: what is there already is not added again. What a source
    changed since the last time becomes here as it is there; what it did not change stays as it is here.
    """
    homes = incoming_experiments.bring_in(intake, source.experiments())
    tell(incoming_experiments.NOUN, len(homes))
    places: dict[str, str] = {}
    for batch in source.runs():
        fresh = incoming_runs.bring_in(intake, batch, homes)
        if fresh and not intake.dry_run:
            for some in source.points(fresh):
                incoming_runs.add_points(intake, some)
                tell(incoming_runs.POINTS, sum(len(history) for _, points in some for history in points.values()))
            incoming_runs.finish(intake, fresh)
        places |= incoming_files.places(intake, batch, homes)
        tell(incoming_runs.NOUN, len(batch))
    for models in source.logged_models():
        made = incoming_logged_models.bring_in(intake, models, homes)
        if made and not intake.dry_run:
            for measured in source.model_points(made):
                incoming_runs.add_model_points(intake, measured)
            incoming_logged_models.finish(intake, made)
        places |= incoming_files.places(intake, models, homes)
        tell(incoming_logged_models.NOUN, len(models))
    for model in source.registered_models():
        incoming_registry.bring_in(intake, model, places)
        tell(incoming_registry.REGISTERED, 1)
    if copying is not None and not intake.dry_run:
        for batch in source.runs():
            tell(incoming_files.NOUN, incoming_files.copy(intake, copying.store, copying.files, batch))
        for models in source.logged_models():
            tell(incoming_files.NOUN, incoming_files.copy(intake, copying.store, copying.files, models))
    return homes
