"""The files of MLflow's UI as browsers get them."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from native_api.core.errors import NoSuchEndpoint
from shim.ui import build
from shim.ui.build import Build
from tests.asgi import Answer, Caller

pytestmark = pytest.mark.anyio

SCRIPT = b"console.log('hello')\n" * 100

Get = Callable[..., Awaitable[Answer]]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for an installed `mlflow`, which cannot be imported."""
    folder = tmp_path / "mlflow" / "server" / "js" / "build"
    (folder / "static" / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<html>the UI</html>")
    (folder / "static" / "js" / "main.c2f5f8d4.js").write_bytes(SCRIPT)
    (folder / "static" / "pdf.worker.mjs").write_bytes(SCRIPT)
    (folder / "static" / "font.0123456789abcdef.woff2").write_bytes(b"wOF2")
    (tmp_path / "mlflow" / "__init__.py").write_text("raise AssertionError('imported')")
    (tmp_path / "mlflow" / "secret.txt").write_text("not of the UI")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *(part for part in sys.path if "site-packages" not in part)])
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    return folder


@pytest.fixture
def files(package: Path) -> Build:
    found = build.find()
    assert found is not None
    return found


@pytest.fixture
def get(files: Build) -> Get:
    """`await get("index.html", accept_encoding="gzip")`: one file, or NoSuchEndpoint."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        response = await files.answer(scope["path"], Request(scope))
        await response(scope, receive, send)

    async def get(path: str, **headers: str) -> Answer:
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return await Caller(application)("GET", path, headers=named)

    return get


async def test_a_file_is_packed_for_those_who_can_unpack_it(get: Get) -> None:
    packed = await get("static/js/main.c2f5f8d4.js", accept_encoding="gzip, br")
    assert (packed.status, packed.headers[b"content-encoding"]) == (200, b"gzip")
    assert packed.headers[b"content-length"] == str(len(packed.body)).encode()
    assert len(packed.body) < len(SCRIPT)
    assert gzip.decompress(packed.body) == SCRIPT
    plain = await get("static/js/main.c2f5f8d4.js")
    assert (plain.status, plain.body) == (200, SCRIPT)
    assert b"content-encoding" not in plain.headers
    assert packed.headers[b"vary"] == plain.headers[b"vary"] == b"Accept-Encoding"


async def test_a_file_is_packed_once_however_its_path_is_written(get: Get, files: Build) -> None:
    for path in ("index.html", "./index.html", "static/../index.html", "static/js/../../index.html"):
        assert (await get(path, accept_encoding="gzip")).status == 200
    assert len(files._packed) == 1


@pytest.mark.parametrize(
    ("path", "kind", "cache"),
    [
        ("index.html", "text/html; charset=utf-8", build.ASK_AGAIN),
        ("static/js/main.c2f5f8d4.js", "text/javascript", build.FOREVER),
        ("static/pdf.worker.mjs", "text/javascript", build.ASK_AGAIN),
        ("static/font.0123456789abcdef.woff2", "font/woff2", build.FOREVER),
    ],
)
async def test_files_are_of_their_kind_and_those_with_a_hash_in_their_name_are_kept(
    get: Get, path: str, kind: str, cache: str
) -> None:
    headers = (await get(path)).headers
    assert (headers[b"content-type"].decode(), headers[b"cache-control"].decode()) == (kind, cache)


async def test_a_browser_that_has_a_file_is_not_sent_it_again(get: Get) -> None:
    etag = (await get("index.html")).headers[b"etag"].decode()
    for accepted in ("gzip", "identity"):
        again = await get("index.html", if_none_match=etag, accept_encoding=accepted)
        assert (again.status, again.body) == (304, b"")
        assert again.headers[b"cache-control"] == build.ASK_AGAIN.encode()
    assert (await get("index.html", if_none_match='"another"')).status == 200


@pytest.mark.parametrize(
    "path",
    [
        *("nothing.js", "static", "", "static/js/", "index.html/x", "a\0b", "x" * 5000),
        *("../../../secret.txt", "%2e%2e/secret.txt", "/etc/passwd", "\\etc\\passwd", "static/../../../../secret.txt"),
    ],
)
async def test_what_is_no_file_of_the_ui_is_not_there(get: Get, path: str) -> None:
    with pytest.raises(NoSuchEndpoint):
        await get(path)


async def test_a_link_leads_nowhere_else(get: Get, package: Path) -> None:
    (package / "link.txt").symlink_to(package.parents[2] / "secret.txt")
    with pytest.raises(NoSuchEndpoint):
        await get("link.txt")


def test_there_may_be_no_ui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one in a package that was built without it, or in a module of this name."""
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert build.find() is None
    (tmp_path / "mlflow.py").touch()
    sys.path_importer_cache.clear()
    assert build.find() is None
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "__init__.py").touch()
    sys.path_importer_cache.clear()
    assert build.find() is None
