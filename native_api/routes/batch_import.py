"""Batches of rows brought in, on the native surface: messages and handlers."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import IO, Annotated, Any, Literal, TypeVar

from pydantic import Field, WithJsonSchema
from sqlalchemy import Connection
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from native_api.core import imports
from native_api.core.access import Actor
from native_api.core.errors import Busy, Invalid, TooLarge
from native_api.core.imports import Chunk
from native_api.routes import render, validated
from native_api.routes.import_files import RowFile, Unreadable
from native_api.routes.import_rows import KINDS
from native_api.routes.messages import Answer, Id, Listing, Message, Page, ShownTime, Uri, page_of
from native_api.web.endpoint import Door

T = TypeVar("T")

JobType = Literal["datasets", "runs", "metrics", "artifacts"]
Format = Literal["csv", "json"]
Status = Literal["created", "running", "finished", "failed"]

MAX_BODY = 2 * 1024**3
MAX_FIELD = 8 * 1024
PATIENCE = 60
"""How often a chunk is tried while the server is busy."""


def _without_default(schema: dict[str, Any]) -> None:
    del schema["default"]


class BatchImport(Message):
    """A file of rows. Without a file nothing is brought in; the server never opens the source_uri."""

    job_type: JobType
    format: Format
    source_uri: Uri | None = None
    file: Annotated[Any, WithJsonSchema({"type": "string", "format": "binary"})] = Field(
        default=None, json_schema_extra=_without_default
    )


class Stats(Answer):
    """How many rows were read so far, how many of them brought something new, and how many were refused."""

    rows: int
    inserted: int
    errors: int


class Job(Answer):
    """One import. While it runs its stats_json moves forward; one that stopped moving is failed."""

    job_id: Id
    job_type: JobType
    status: Status
    source_format: Format
    source_uri: str | None
    started_at: ShownTime | None
    finished_at: ShownTime | None
    created_by: Id | None
    stats_json: Stats


class OneJob(Message):
    """Names an import."""

    job_id: Id


class ListJobs(Listing):
    """A page of one's imports."""

    job_type: JobType | None = None
    status: Status | None = None


class RowError(Answer):
    """A row that was refused, and why. Rows count from 1; of a long row only the beginning is kept."""

    error_id: int
    job_id: Id
    row_number: int
    raw_row: str
    error_message: str
    created_at: ShownTime


class ListErrors(Listing):
    """A page of the rows that an import refused."""

    job_id: Id


# Bringing in


async def create(door: Door, actor: Actor, request: Request) -> Response:
    """Bring in a file of rows: the good ones go in, of each bad one it is told why.

    The answer comes when all is done, with the job. The same file again changes nothing.
    """
    async with _form(request) as (msg, file):
        kind = KINDS[msg.job_type]
        rows = await asyncio.to_thread(RowFile, file, msg.format, kind.known, kind.needed)
        chunks = rows.chunks(kind.reader(), kind.rows_at_once)
        job_id = await door.write(lambda conn: imports.begin(conn, actor, msg.job_type, msg.format, msg.source_uri))
        status = "failed"
        try:
            async with aclosing(_ahead(chunks)) as ahead:
                async for chunk in ahead:
                    await _write(door, partial(imports.add, actor=actor, job_id=job_id, chunk=chunk, put=kind.put))
            status = "finished"
        except Unreadable:  # the job's last error tells
            pass
        finally:
            await _write(door, lambda conn: imports.end(conn, job_id, status))
    job = await door.read(lambda conn: get(conn, actor, OneJob(job_id=job_id)))
    return Response(render(job), 201, media_type="application/json")


async def _ahead(chunks: Iterator[Chunk[Any]]) -> AsyncGenerator[Chunk[Any]]:
    """The chunks, read in a thread, the next one while one is written."""

    def read() -> asyncio.Task[Chunk[Any] | None]:
        return asyncio.create_task(asyncio.to_thread(next, chunks, None))

    reading = read()
    try:
        while (chunk := await reading) is not None:
            reading = read()
            yield chunk
    finally:  # nobody is to read the file any more when it is closed
        await asyncio.gather(reading, return_exceptions=True)


async def _write(door: Door, call: Callable[[Connection], T]) -> T:
    """Write, however busy the server is: half an import helps nobody."""
    for _ in range(PATIENCE):
        try:
            return await door.write(call)
        except Busy as busy:
            await asyncio.sleep(busy.retry_after)
    return await door.write(call)


# The form


@asynccontextmanager
async def _form(request: Request) -> AsyncIterator[tuple[BatchImport, IO[bytes]]]:
    """The fields of the form and the file, which is kept on disk if it is large. Nothing was done if it is no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise Invalid("The content type must be multipart/form-data")
    if request.url.query:
        raise Invalid("This takes no query parameters")
    try:
        form = await _Parser(request).parse()
    except MultiPartException as error:
        raise Invalid(f"The form cannot be read: {error.message}") from None
    except ClientDisconnect:
        raise Invalid("The request broke off") from None
    try:
        items = form.multi_items()
        fields: dict[str, Any] = {name: value for name, value in items if value != ""}
        if len(form) < len(items):
            raise Invalid("The form gives a field twice")
        file = fields.pop("file", None)
        if not isinstance(file, UploadFile | None):
            raise Invalid("file: must be sent as a file, with a file name")
        yield validated(BatchImport, fields), file.file if file else io.BytesIO()
    finally:
        await form.close()


class _Parser(MultiPartParser):
    """Reads a form that has a bound and an end. Where it fails, it leaves no file behind."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.headers, self._pieces(request), max_files=1, max_fields=3, max_part_size=MAX_FIELD)
        self._has_ended = False

    def on_end(self) -> None:
        self._has_ended = True

    async def _pieces(self, request: Request) -> AsyncGenerator[bytes]:
        size = 0
        async for piece in request.stream():
            size += len(piece)
            if size > MAX_BODY:
                raise TooLarge(f"The body may have at most {MAX_BODY} bytes")
            yield piece
        if not self._has_ended:
            raise MultiPartException("it breaks off")


# Reading


def get(conn: Connection, actor: Actor, msg: OneJob) -> Job:
    """Show an import, also while it runs."""
    return Job.model_validate(imports.get(conn, actor, msg.job_id))


def page(conn: Connection, actor: Actor, msg: ListJobs) -> Page[Job]:
    """List one's imports, the last one first; an administrator of the server sees everybody's."""
    found = imports.page(conn, actor, msg.limit, msg.cursor, job_type=msg.job_type, status=msg.status)
    return page_of(found, Job.model_validate)


def page_of_errors(conn: Connection, actor: Actor, msg: ListErrors) -> Page[RowError]:
    """List the rows that an import refused, in their order."""
    return page_of(imports.errors_page(conn, actor, msg.job_id, msg.limit, msg.cursor), RowError.model_validate)
