"""MLflow's requests about artifacts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from shim.messages import AnyRunId, Int64, Items, Message, OfRun, Text

A_WEEK = 7 * 24 * 3600
"""The longest that any store lets an address be good for, in seconds."""

Path = Annotated[str, StringConstraints(min_length=1)]
Seconds = Annotated[Int64, Field(ge=1, le=A_WEEK)]


# The tracking side


class ListArtifacts(OfRun):
    path: str | None = None


class GetArtifact(OfRun):
    path: str


class UploadArtifact(OfRun):
    path: Path


class ListModelArtifacts(Message):
    model_id: Text
    artifact_directory_path: str | None = None


class GetModelArtifact(Message):
    model_id: Text
    artifact_file_path: Path


class GetVersionArtifact(Message):
    name: Text
    version: Annotated[Int64, Field(ge=1, le=2**31 - 1)]
    path: str


class PresignUpload(Message):
    run_id: Text | None = None
    model_id: Text | None = None
    path: Path
    expiration: Seconds | None = None


class PresignDownload(Message):
    run_id: AnyRunId
    path: Path
    expiration: Seconds | None = None


# The proxy


class ListProxied(Message):
    path: str | None = None


class Presigned(Message):
    path: str


class BeginUpload(Message):
    """`folder` is where the file goes; `path` is where the client has it, in its own words."""

    folder: str
    path: Path
    num_parts: Annotated[Int64, Field(ge=1, le=10_000)] | None = None


UploadId = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[\x21-\x7e]*$")]


class PutPart(Message):
    part_number: Annotated[Int64, Field(ge=1, le=10_000)]
    etag: Annotated[str, StringConstraints(max_length=256, pattern=r"^[\x20-\x7e]*$")] | None = None


class CompleteUpload(Message):
    folder: str
    path: Path
    upload_id: UploadId
    parts: Annotated[Items[PutPart], Field(min_length=1, max_length=10_000)]


class AbortUpload(Message):
    folder: str
    path: Path
    upload_id: UploadId
