"""MLflow's own words for runs, experiments and models -> what is brought in. The same for every kind of source."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from native_api.core.datasets import NewInput
from native_api.core.metrics import AnyPoint
from native_api.transfer.records import Experiment, LoggedModel, Run, RunModel, Version
from shim import reserved_tags

STATUSES = {
    "RUNNING": "running",
    "SCHEDULED": "queued",
    "FINISHED": "finished",
    "FAILED": "failed",
    "KILLED": "killed",
}
MODEL_STATUSES = {"PENDING": "pending", "READY": "ready", "FAILED": "failed", "UNSPECIFIED": "unspecified"}
VERSION_STATUSES = {"PENDING_REGISTRATION": "pending", "READY": "ready", "FAILED_REGISTRATION": "failed"}

DELETED = "deleted"
"""MLflow's lifecycle stage of what is in the trash."""

LARGEST = math.nextafter(math.inf, 0)
"""What MLflow's SQL stores write for infinity; -LARGEST for the negative one."""


def experiment(
    experiment_id: str,
    name: str,
    location: str,
    *,
    lifecycle: str,
    created_at: int | None,
    updated_at: int | None,
    tags: Mapping[str, str],
) -> Experiment:
    """An experiment of MLflow's. Ids of file stores may be of 18 digits, which no short id can be: those get another.

    When it was deleted MLflow does not say: it is the time of its last update.
    """
    columns, plain = reserved_tags.split_experiment_tags(tags)
    created = created_at or 0
    updated = updated_at or created
    return Experiment(
        key=experiment_id,
        number=int(experiment_id) if experiment_id.isdecimal() else None,
        name=name,
        objective=columns.get("objective"),
        artifact_location=location,
        created_at=created,
        updated_at=updated,
        deleted_at=updated if lifecycle == DELETED else None,
        tags=dict(sorted(plain.items())),
    )


def run(
    run_id: str,
    experiment_id: str,
    *,
    name: str | None,
    status: str,
    start_time: int | None,
    end_time: int | None,
    lifecycle: str,
    deleted_at: int | None,
    user: str | None,
    artifact_uri: str,
    params: Mapping[str, str],
    tags: Mapping[str, str],
    inputs: Sequence[NewInput] = (),
    models: Iterable[RunModel] = (),
    points: str,
) -> Run:
    """A run of MLflow's; `status` is its word. When it was deleted, older releases do not say: when it ended, then."""
    columns, plain = reserved_tags.split_run_tags(tags)
    return Run(
        run_id=run_id,
        experiment=experiment_id,
        run_name=name or columns.get("run_name"),
        status=STATUSES.get(status, "running"),
        started_at=start_time,
        finished_at=end_time,
        user_name=user or "",
        git_commit=columns.get("git_commit"),
        notes=columns.get("notes"),
        artifact_uri=artifact_uri,
        created_at=start_time or 0,
        deleted_at=(deleted_at or end_time or start_time or 0) if lifecycle == DELETED else None,
        params=dict(sorted(params.items())),
        tags=dict(sorted(plain.items())),
        inputs=sorted(inputs, key=lambda used: (used.name, used.digest)),
        models=sorted(models),
        points=points,
    )


def dataset_input(
    name: str,
    digest: str,
    source_type: str | None,
    source: str | None,
    schema: str | None,
    profile: str | None,
    tags: Mapping[str, str],
) -> NewInput:
    """A run's use of a dataset."""
    plain = dict(sorted(tags.items()))
    context = plain.pop(reserved_tags.CONTEXT, None)
    return NewInput(name, digest, source_type, source, schema, profile, context=context, tags=plain)


def point(step: int | None, timestamp: int | None, value: float, *, is_nan: bool = False) -> AnyPoint:
    """A point of a metric as MLflow keeps it, with infinities as they were logged."""
    if is_nan or value != value:
        return (step or 0, timestamp or 0, 0.0, 1, 0)
    if value >= LARGEST or value <= -LARGEST:
        value = math.copysign(math.inf, value)
    return (step or 0, timestamp or 0, value + 0.0, 0, 0)


def logged_model(
    model_id: str,
    experiment_id: str,
    *,
    name: str,
    artifact_uri: str,
    status: str,
    status_message: str | None,
    model_type: str | None,
    source_run_id: str | None,
    created_at: int,
    updated_at: int,
    is_deleted: bool,
    params: Mapping[str, str],
    tags: Mapping[str, str],
    points: str,
) -> LoggedModel:
    """A logged model; `status` is MLflow's word, maybe as its proto has it (`LOGGED_MODEL_READY`)."""
    return LoggedModel(
        model_id=model_id,
        experiment=experiment_id,
        name=name,
        model_type=model_type or "",
        source_run_id=source_run_id or "",
        artifact_uri=artifact_uri,
        status=MODEL_STATUSES.get(status.removeprefix("LOGGED_MODEL_").removeprefix("UPLOAD_"), "unspecified"),
        status_message=status_message or None,
        created_at=created_at,
        updated_at=updated_at,
        deleted_at=updated_at if is_deleted else None,
        params=dict(sorted(params.items())),
        tags=dict(sorted(tags.items())),
        points=points,
    )


def version(
    number: int,
    *,
    description: str | None,
    source: str | None,
    storage_location: str | None,
    run_id: str | None,
    run_link: str | None,
    model_id: str | None,
    stage: str | None,
    status: str | None,
    status_message: str | None,
    created_at: int,
    updated_at: int | None,
    tags: Mapping[str, str],
) -> Version:
    """A version of a registered model; stage and status are MLflow's words."""
    return Version(
        version=number,
        description=description,
        source=source or "",
        storage_uri=storage_location or source or "",
        run_id=run_id or "",
        run_link=run_link or None,
        model_id=model_id or None,
        stage=(stage or "None").lower(),
        status=VERSION_STATUSES.get(status or "READY", "ready"),
        status_message=status_message or None,
        created_at=created_at,
        updated_at=updated_at or created_at,
        tags=dict(sorted(tags.items())),
    )
