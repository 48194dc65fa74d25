"""Artifacts, and runs' links to them, on the native surface: messages and handlers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import Connection

from native_api.core import artifacts, run_artifacts
from native_api.core.access import Actor
from native_api.routes.messages import (
    Answer,
    Changes,
    Count,
    Id,
    Listing,
    Message,
    Name,
    Page,
    ShownTime,
    Uri,
    page_of,
    text,
)

ArtifactType = Literal["model", "plot", "log", "report", "dataset-sample", "other"]
Checksum = Annotated[
    str, text(128, at_least=1), Field(description="Such as the sha256 of a file in 64 hex digits; not checked.")
]


# Artifacts


class Artifact(Answer):
    """Something that a project keeps. The server never opens its URI."""

    artifact_id: Id
    project_id: Id
    artifact_type: ArtifactType
    uri: str
    checksum: str | None
    size_bytes: int | None
    created_at: ShownTime


class OneArtifact(Message):
    """Names an artifact."""

    artifact_id: Id


class ListArtifacts(Listing):
    """A page of the artifacts in view."""

    project_id: Id | None = None
    artifact_type: ArtifactType | None = None


class CreateArtifact(Message):
    """A new artifact of a project. Without a type it is the kind of file that the URI names."""

    project_id: Id
    artifact_type: ArtifactType | None = None
    uri: Uri
    checksum: Checksum | None = None
    size_bytes: Count | None = None


class ChangeArtifact(Changes):
    """Changes of an artifact. One whose file the server keeps only changes its type."""

    artifact_id: Id
    artifact_type: ArtifactType = "other"
    uri: Uri = ""
    checksum: Checksum | None = None
    size_bytes: Count | None = None


def page(conn: Connection, actor: Actor, msg: ListArtifacts) -> Page[Artifact]:
    """List the artifacts in view, project by project, newest first."""
    found = artifacts.page(
        conn, actor, msg.limit, msg.cursor, project_id=msg.project_id, artifact_type=msg.artifact_type
    )
    return page_of(found, Artifact.model_validate)


def create(conn: Connection, actor: Actor, msg: CreateArtifact) -> Artifact:
    """Register an artifact of a project."""
    made = artifacts.create(
        conn,
        actor,
        msg.project_id,
        msg.uri,
        artifact_type=msg.artifact_type,
        checksum=msg.checksum,
        size_bytes=msg.size_bytes,
    )
    return Artifact.model_validate(made)


def get(conn: Connection, actor: Actor, msg: OneArtifact) -> Artifact:
    """Show an artifact."""
    return Artifact.model_validate(artifacts.get(conn, actor, msg.artifact_id))


def change(conn: Connection, actor: Actor, msg: ChangeArtifact) -> Artifact:
    """Change an artifact."""
    return Artifact.model_validate(artifacts.change(conn, actor, msg.artifact_id, msg.sent("artifact_id")))


def delete(conn: Connection, actor: Actor, msg: OneArtifact) -> None:
    """Delete an artifact that no run is linked to. What is at its URI stays."""
    artifacts.delete(conn, actor, msg.artifact_id)


# Runs' links to them


class RunArtifact(Answer):
    """A run's link to an artifact; an alias is unique in the run."""

    run_artifact_id: Id
    run_id: Id
    artifact_id: Id
    alias: str | None
    created_at: ShownTime


class OneLink(Message):
    """Names a run's link to an artifact."""

    run_artifact_id: Id


class ListLinks(Listing):
    """A page of the links from runs in view."""

    run_id: Id | None = None
    artifact_id: Id | None = None
    alias: Name | None = None


class CreateLink(Message):
    """A new link from a run to an artifact of its project."""

    run_id: Id
    artifact_id: Id
    alias: Name | None = None


class ChangeLink(Changes):
    """Changes of a run's link to an artifact."""

    run_artifact_id: Id
    alias: Name | None = None


def page_of_links(conn: Connection, actor: Actor, msg: ListLinks) -> Page[RunArtifact]:
    """List the links from runs in view, newest first."""
    found = run_artifacts.page(
        conn, actor, msg.limit, msg.cursor, run_id=msg.run_id, artifact_id=msg.artifact_id, alias=msg.alias
    )
    return page_of(found, RunArtifact.model_validate)


def create_link(conn: Connection, actor: Actor, msg: CreateLink) -> RunArtifact:
    """Link a run to an artifact."""
    return RunArtifact.model_validate(run_artifacts.create(conn, actor, msg.run_id, msg.artifact_id, msg.alias))


def get_link(conn: Connection, actor: Actor, msg: OneLink) -> RunArtifact:
    """Show a run's link to an artifact."""
    return RunArtifact.model_validate(run_artifacts.get(conn, actor, msg.run_artifact_id))


def change_link(conn: Connection, actor: Actor, msg: ChangeLink) -> RunArtifact:
    """Change the alias of a run's link to an artifact."""
    changed = run_artifacts.change(conn, actor, msg.run_artifact_id, msg.sent("run_artifact_id"))
    return RunArtifact.model_validate(changed)


def delete_link(conn: Connection, actor: Actor, msg: OneLink) -> None:
    """Unlink a run from an artifact. Files of the run are deleted through the artifacts API instead."""
    run_artifacts.delete(conn, actor, msg.run_artifact_id)
