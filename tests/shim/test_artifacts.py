"""The artifact proxy takes and gives files of any size, a few blocks at a time."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from starlette.types import Message

from native_api.core import clock, db, folder, purges
from native_api.core import tables as t
from native_api.core.blobs import BLOCK
from native_api.core.purges import Overdue
from native_api.settings import Settings
from shim.app import create_app
from tests.asgi import Caller
from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio

PROXY = "/api/2.0/mlflow-artifacts/artifacts"
SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5]


def some_bytes(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def uploading(settings: Settings) -> list[str]:
    return os.listdir(Path(settings.artifacts_destination) / folder.UPLOADS)


@pytest.fixture
async def below(mlflow: MLflow) -> str:
    """The address of a new run's files."""
    experiment = await mlflow.experiment()
    return f"{PROXY}/{experiment}/{await mlflow.run(experiment)}/artifacts"


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_comes_back_as_it_went_in(
    http: httpx.AsyncClient, settings: Settings, below: str, size: int
) -> None:
    content = some_bytes(size)
    assert (await http.put(f"{below}/a b.bin", content=content)).json() == {}
    answer = await http.get(f"{below}/a b.bin")
    assert answer.status_code == 200
    assert answer.content == content
    told = {
        "content-length": str(size),
        "content-type": "application/octet-stream",
        "content-disposition": "attachment; filename*=utf-8''a%20b.bin",
        "accept-ranges": "bytes",
        "content-security-policy": "default-src 'none'; sandbox",
        "x-content-type-options": "nosniff",
    }
    assert told.items() <= dict(answer.headers).items()
    head = await http.head(f"{below}/a b.bin")
    assert (head.status_code, head.content, head.headers) == (200, b"", answer.headers)
    engine = db.create_reader(db.parse_url(settings.database_url), 1)
    with engine.connect() as conn:
        sha256 = hashlib.sha256(content).hexdigest()
        ending = f"{below.removeprefix(PROXY)}/a b.bin"
        found = conn.execute(select(t.artifacts).where(t.artifacts.c.uri == f"mlflow-artifacts:{ending}")).one()
        assert (found.size_bytes, found.checksum) == (size, sha256)
    engine.dispose()
    assert uploading(settings) == []


@pytest.mark.parametrize("size", [1000, BLOCK + 1000])
async def test_a_part_of_a_file_can_be_asked_for(http: httpx.AsyncClient, below: str, size: int) -> None:
    content = some_bytes(size)
    await http.put(f"{below}/a", content=content)
    whole = await http.get(f"{below}/a")

    async def part(wanted: str, **headers: str) -> httpx.Response:
        return await http.get(f"{below}/a", headers={"range": f"bytes={wanted}", **headers})

    for wanted, start, end in (("0-9", 0, 10), ("990-", 990, size), ("-5", size - 5, size)):
        answer = await part(wanted)
        assert (answer.status_code, answer.content) == (206, content[start:end])
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    several = await part("0-1,5-6")
    assert several.status_code == 206
    assert several.headers["content-type"].startswith("multipart/byteranges")
    assert (await part(f"{size}-")).status_code == 416
    assert (await part("0-9", **{"if-range": whole.headers["etag"]})).status_code == 206
    changed = await part("0-9", **{"if-range": '"another"'})
    assert (changed.status_code, changed.content) == (200, content)


def parts(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


async def test_no_more_than_two_blocks_of_an_upload_are_held(
    settings: Settings, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = written = 0
    held: list[int] = []
    write = folder.Upload.write

    def slowly(upload: folder.Upload, block: Sequence[bytes]) -> None:
        nonlocal written
        time.sleep(0.02)  # whoever does not wait for it has time to receive far too much
        held.append(received - written)
        write(upload, block)
        written += sum(map(len, block))

    monkeypatch.setattr(folder.Upload, "write", slowly)
    content = some_bytes(12 * BLOCK)
    app = create_app(settings)
    async with app.lifespan():
        arriving = parts(content, BLOCK // 16)

        def messages() -> Iterator[Message]:
            nonlocal received
            for number, part in enumerate(arriving, 1):
                received += len(part)
                yield {"type": "http.request", "body": part, "more_body": number < len(arriving)}

        answer = await Caller(app).send("PUT", f"{below}/a", messages())
    assert answer.status == 200
    assert len(held) == 12
    assert max(held) == 2 * BLOCK
    assert uploading(settings) == []


@pytest.mark.parametrize("size", [1000, 3 * BLOCK])
async def test_an_upload_that_breaks_off_leaves_nothing(settings: Settings, below: str, size: int) -> None:
    app = create_app(settings)
    async with app.lifespan():
        body: list[Message] = [
            {"type": "http.request", "body": some_bytes(size), "more_body": True},
            {"type": "http.disconnect"},
        ]
        assert (await Caller(app).send("PUT", f"{below}/a", body)).status == 400
        assert (await Caller(app)("GET", f"{below}/a")).status == 404
    assert uploading(settings) == []


@pytest.mark.parametrize("at", [1, 2, 4])
async def test_an_upload_that_cannot_be_written_leaves_nothing(
    settings: Settings, below: str, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    blocks = 0
    write = folder.Upload.write

    def fail(upload: folder.Upload, block: Sequence[bytes]) -> None:
        nonlocal blocks
        blocks += 1
        if blocks == at:
            raise OSError(28, "No space left on device")
        write(upload, block)

    monkeypatch.setattr(folder.Upload, "write", fail)
    app = create_app(settings)
    async with app.lifespan():
        answer = await Caller(app)("PUT", f"{below}/a", parts(some_bytes(4 * BLOCK), BLOCK // 2))
        assert answer.status == 500
        assert b"space" not in answer.body
        assert (await Caller(app)("GET", f"{below}/a")).status == 404
    assert uploading(settings) == []


@pytest.mark.parametrize("size", [1000, 3 * BLOCK])
async def test_a_file_of_a_run_that_was_purged_meanwhile_leaves_nothing(
    http: httpx.AsyncClient, mlflow: MLflow, settings: Settings, size: int
) -> None:
    experiment = await mlflow.experiment()
    gone, stays = await mlflow.run(experiment), await mlflow.run(experiment)
    for run in (gone, stays):
        assert (await http.put(f"{PROXY}/{experiment}/{run}/artifacts/a", content=b"1")).status_code == 200
    await mlflow("runs/delete", run_id=gone)
    engine = db.create_writer(db.parse_url(settings.database_url))
    with engine.connect() as conn:
        row = conn.execute(select(t.runs).where(t.runs.c.run_id == gone)).one()._asdict()
    purged = purges.purge(engine, folder.Folder(Path(settings.artifacts_destination)), Overdue(clock.now()))
    assert purged.runs >= 1
    answer = await http.put(f"{PROXY}/{experiment}/{gone}/artifacts/a", content=some_bytes(size))
    assert answer.status_code == 404
    files = (path for path in Path(settings.artifacts_destination).rglob("*") if path.is_file())
    assert [path for path in files if gone in path.parts] == []
    with engine.begin() as conn:  # it comes in again, as by an import
        conn.execute(t.runs.insert().values({name: value for name, value in row.items() if name != "id"}))
    engine.dispose()
    answer = await http.put(f"{PROXY}/{experiment}/{gone}/artifacts/a", content=some_bytes(size))
    assert answer.status_code == 200
    assert (await http.get(f"{PROXY}/{experiment}/{stays}/artifacts/a")).content == b"1"
    assert uploading(settings) == []


async def test_who_may_see_a_run_is_asked_each_time(http: httpx.AsyncClient, below: str) -> None:
    await http.put(f"{below}/a", content=b"1")
    assert (await http.get(f"{below}/a")).status_code == 200
    elsewhere = {"x-mlflow-workspace": "elsewhere"}
    await http.post("/api/3.0/mlflow/workspaces", json={"name": "elsewhere"})
    assert (await http.get(f"{below}/a", headers=elsewhere)).status_code == 404
    assert (await http.put(f"{below}/a", headers=elsewhere, content=b"2")).status_code == 404
    assert (await http.get(f"{below}/a")).content == b"1"
