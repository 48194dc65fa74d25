"""The whole application with its artifacts in a bucket: through the server, and past it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import httpx
import pytest
from sqlalchemy import select
from starlette.types import Message

from native_api.core import db, schema
from native_api.core import tables as t
from native_api.core.blobs import BLOCK
from native_api.core.object_store import PART
from native_api.settings import Settings
from native_api.web.asgi import App
from shim.app import create_app
from tests.asgi import Caller
from tests.s3 import S3
from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio

PROXY = "/api/2.0/mlflow-artifacts"
INFO = "/api/3.0/mlflow/server-info"


@dataclass
class Place:
    """A running server, its bucket, and the key of a run's artifacts."""

    app: App
    http: httpx.AsyncClient
    settings: Settings
    s3: S3
    bucket: str
    run_id: str
    home: str

    def unfinished(self) -> list[str]:
        return self.s3.uploads(self.bucket)

    def files(self) -> list[str]:
        """The run's files."""
        return [key for key in self.s3.keys(self.bucket) if key.startswith(f"root/{self.home}")]

    def row(self, path: str) -> tuple[int | None, str | None] | None:
        """The size and checksum that are recorded of a run's file."""
        engine = db.create_reader(db.parse_url(self.settings.database_url), 1)
        with engine.connect() as conn:
            which = t.artifacts.c.uri == f"mlflow-artifacts:/{self.home}/{path}"
            found = conn.execute(select(t.artifacts.c.size_bytes, t.artifacts.c.checksum).where(which)).one_or_none()
        engine.dispose()
        return None if found is None else (found[0], found[1])

    async def post(self, path: str, body: Any) -> httpx.Response:
        return await self.http.post(f"{PROXY}/{path}", json=body)


@pytest.fixture(scope="module")
async def place(s3_server: S3, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with running(s3_server, tmp_path_factory.mktemp("bucket")) as place:
        yield place


@asynccontextmanager
async def running(s3: S3, folder: Path, **settings: Any) -> AsyncIterator[Place]:
    bucket, url = s3.new_bucket(), f"sqlite:///{folder / 'test.db'}"
    schema.upgrade(db.parse_url(url))
    given = Settings(database_url=url, artifacts_destination=f"s3://{bucket}/root")
    given = replace(given, secret_key_file=str(folder / "secret.key"), **settings)
    app = create_app(given)
    transport = httpx.ASGITransport(app)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost:5000") as http:
        mlflow = MLflow(http)
        experiment = await mlflow.experiment()
        run_id = await mlflow.run(experiment)
        yield Place(app, http, given, s3, bucket, run_id, f"{experiment}/{run_id}/artifacts")


def some_bytes(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def put(url: str, content: bytes, headers: dict[str, str]) -> str:
    """Send it to the store itself; its ETag."""
    with urlopen(Request(url, content, {"Content-Type": "x/y"} | headers, method="PUT")) as answer:
        return str(answer.headers["ETag"])


def fetch(url: str, headers: dict[str, str]) -> bytes:
    with urlopen(Request(url, headers=headers)) as answer:
        content: bytes = answer.read()
    return content


@pytest.mark.parametrize("size", [0, 1, BLOCK, 2 * PART + 5])
async def test_a_file_comes_back_as_it_went_in(place: Place, size: int) -> None:
    content, path = some_bytes(size), f"{PROXY}/artifacts/{place.home}/a b{size}.txt"
    assert (await place.http.put(path, content=content)).json() == {}
    assert place.row(f"a b{size}.txt") == (size, hashlib.sha256(content).hexdigest())
    answer = await place.http.get(path)
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"].startswith("text/plain")
    head = await place.http.head(path)
    assert (head.content, head.headers) == (b"", answer.headers)
    part = await place.http.get(path, headers={"range": "bytes=-5"})
    assert (part.status_code, part.content) == ((206, content[-5:]) if size else (416, b""))
    assert place.unfinished() == []


async def test_a_folder_is_listed_and_deleted(place: Place) -> None:
    for name in ("d/a", "d/b/c"):
        await place.http.put(f"{PROXY}/artifacts/{place.home}/{name}", content=b"123")
    listed = await place.http.get("/api/2.0/mlflow/artifacts/list", params={"run_id": place.run_id, "path": "d"})
    assert listed.json()["files"] == [
        {"path": "d/a", "is_dir": False, "file_size": 3},
        {"path": "d/b", "is_dir": True},
    ]
    assert (await place.http.get(f"{PROXY}/artifacts/{place.home}/d")).status_code == 400
    assert (await place.http.get(f"{PROXY}/artifacts/{place.home}/none")).status_code == 404
    await place.http.delete(f"{PROXY}/artifacts/{place.home}/d")
    assert not any("/d/" in key for key in place.files())
    assert place.row("d/a") is None


@pytest.mark.parametrize("size", [1000, 3 * PART])
async def test_an_upload_that_breaks_off_leaves_nothing(place: Place, size: int) -> None:
    body: list[Message] = [
        {"type": "http.request", "body": some_bytes(size), "more_body": True},
        {"type": "http.disconnect"},
    ]
    path = f"{PROXY}/artifacts/{place.home}/broken"
    assert (await Caller(place.app).send("PUT", path, body)).status == 400
    assert (await place.http.get(path)).status_code == 404
    assert place.unfinished() == []


# Past the server


async def test_the_server_says_what_the_bucket_can(place: Place) -> None:
    info = (await place.http.get(INFO)).json()
    names = ["multipart_uploads_enabled", "multipart_downloads_enabled"]
    names += [f"presigned_upload_{what}_id_supported" for what in ("run", "model")]
    assert [info[name] for name in names] == [True] * 4


async def test_without_the_secret_there_are_no_uploads_in_parts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    info = (await place.http.get(INFO)).json()
    assert (info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]) == (False, True)
    answer = await place.post(f"mpu/create/{place.home}", {"path": "/a"})
    assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")


async def test_a_proxy_and_nothing_else_gives_no_addresses(s3_server: S3, tmp_path: Path) -> None:
    async with running(s3_server, tmp_path, proxy_only=True) as place:
        info = (await place.http.get(INFO)).json()
        assert (info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]) == (False, False)
        await place.http.put(f"{PROXY}/artifacts/{place.home}/a", content=b"1")
        assert (await place.http.get(f"{PROXY}/presigned/{place.home}/a")).status_code == 501
        body = {"run_id": place.run_id, "path": "a"}
        for way in ("upload", "download"):
            answer = await place.http.post(f"/api/2.0/mlflow/artifacts/presigned-{way}-url", json=body)
            assert answer.status_code == 400
            assert f"Presigned {way} is not supported for proxied artifact storage" in answer.json()["message"]
        assert (await place.http.get(f"{PROXY}/artifacts/{place.home}/a")).content == b"1"


PARTS = [bytes([1]) * (5 * 1024 * 1024), b"the rest"]


async def begin(place: Place, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An upload and its parts, which have been put."""
    begun = (await place.post(f"mpu/create/{place.home}", {"path": f"/home/me/{name}", "num_parts": 2})).json()
    parts = [
        {"part_number": one["part_number"], "etag": put(one["url"], part, one["headers"]), "url": one["url"]}
        for one, part in zip(begun["credentials"], PARTS, strict=True)
    ]
    return begun, parts


async def test_a_file_is_put_in_parts(place: Place) -> None:
    begun, parts = await begin(place, "large.bin")
    assert (await place.http.get(f"{PROXY}/artifacts/{place.home}/large.bin")).status_code == 404
    assert place.row("large.bin") is None
    body = {"path": "/home/me/large.bin", "upload_id": begun["upload_id"], "parts": parts}
    for _ in range(2):  # the answer to the first may be lost
        assert (await place.post(f"mpu/complete/{place.home}", body)).json() == {}
    assert (await place.http.get(f"{PROXY}/artifacts/{place.home}/large.bin")).content == b"".join(PARTS)
    assert place.row("large.bin") == (len(b"".join(PARTS)), None)


async def test_a_file_put_in_parts_replaces_one_that_was_sent(place: Place) -> None:
    await place.http.put(f"{PROXY}/artifacts/{place.home}/replaced", content=b"old")
    begun, parts = await begin(place, "replaced")
    body = {"path": "replaced", "upload_id": begun["upload_id"], "parts": parts}
    await place.post(f"mpu/complete/{place.home}", body)
    assert place.row("replaced") == (len(b"".join(PARTS)), None)


async def test_an_upload_in_parts_given_up_leaves_nothing(place: Place) -> None:
    begun, _ = await begin(place, "broken.bin")
    assert place.unfinished() == [f"root/{place.home}/broken.bin"]
    body = {"path": "C:\\home\\me\\broken.bin", "upload_id": begun["upload_id"]}
    for _ in range(2):
        assert (await place.post(f"mpu/abort/{place.home}", body)).json() == {}
    assert place.unfinished() == []
    assert not any("broken.bin" in key for key in place.files())


@pytest.mark.parametrize(
    ("verb", "change"),
    [
        ("create", {"path": None}),
        ("create", {"path": ".."}),
        ("create", {"path": "a/"}),
        ("create", {"num_parts": 0}),
        ("create", {"num_parts": 10_001}),
        ("complete", {"upload_id": None}),
        ("complete", {"upload_id": "a b"}),
        ("complete", {"parts": []}),
        ("complete", {"parts": [{"part_number": 0, "etag": "x"}]}),
        ("complete", {"parts": [{"part_number": 1, "etag": "<x>"}]}),
        ("abort", {"upload_id": ""}),
    ],
)
async def test_what_makes_no_upload_is_refused(place: Place, verb: str, change: dict[str, Any]) -> None:
    begun, parts = await begin(place, "a")
    right = {"path": "a", "num_parts": 1, "upload_id": begun["upload_id"], "parts": parts}
    body = {name: value for name, value in (right | change).items() if value is not None}
    answer = await place.post(f"mpu/{verb}/{place.home}", body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer.text
    assert not any(key.endswith("/a") for key in place.files())
    await place.post(f"mpu/abort/{place.home}", right)
    assert place.unfinished() == []


async def test_a_file_is_fetched_at_an_address(place: Place) -> None:
    await place.http.put(f"{PROXY}/artifacts/{place.home}/ü b", content=b"12345")
    told = (await place.http.get(f"{PROXY}/presigned/{place.home}/ü b")).json()
    assert told["file_size"] == 5
    assert fetch(told["url"], told["headers"] | {"Range": "bytes=1-2"}) == b"23"
    assert (await place.http.get(f"{PROXY}/presigned/{place.home}/none")).status_code == 404


async def test_a_runs_file_is_put_and_fetched_at_addresses(place: Place) -> None:
    asked = {"run_id": place.run_id, "path": "new/a.txt"}

    async def address(way: str, **changes: Any) -> httpx.Response:
        return await place.http.post(f"/api/2.0/mlflow/artifacts/presigned-{way}-url", json=asked | changes)

    assert (await address("download")).status_code == 404
    told = (await address("upload")).json()
    assert "X-Amz-Expires=900" in told["presigned_url"]
    put(told["presigned_url"], b"12345", told["headers"])
    told = (await address("download", expiration=60)).json()
    assert (told["file_size"], fetch(told["presigned_url"], told["headers"])) == (5, b"12345")
    for expiration in (0, 604_801):
        assert (await address("download", expiration=expiration)).status_code == 400
    assert (await address("upload", model_id="m-1")).status_code == 400
    assert (await address("upload", run_id="", model_id="")).status_code == 400
    assert (await address("upload", run_id="", model_id="m-1")).status_code == 404


async def test_nobody_gets_an_address_elsewhere(place: Place) -> None:
    await place.http.put(f"{PROXY}/artifacts/{place.home}/secret", content=b"12345")
    await place.http.post("/api/3.0/mlflow/workspaces", json={"name": "elsewhere"})
    elsewhere = {"x-mlflow-workspace": "elsewhere"}
    answers = [await place.http.get(f"{PROXY}/presigned/{place.home}/secret", headers=elsewhere)]
    for way in ("upload", "download"):
        body = {"run_id": place.run_id, "path": "secret"}
        path = f"/api/2.0/mlflow/artifacts/presigned-{way}-url"
        answers.append(await place.http.post(path, json=body, headers=elsewhere))
    path = f"{PROXY}/mpu/create/{place.home}"
    answers.append(await place.http.post(path, json={"path": "secret"}, headers=elsewhere))
    assert [answer.status_code for answer in answers] == [404] * 4
