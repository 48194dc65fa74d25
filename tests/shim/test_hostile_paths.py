"""Paths and URIs that try to lead elsewhere, sent to every endpoint that takes one: nothing outside is touched."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from native_api.core import db, schema
from native_api.core.access_tokens import Keys
from native_api.settings import Settings
from native_api.web.auth import Guard
from native_api.web.endpoint import Stream
from shim.app import create_app, surfaces
from tests.asgi import Answer, Caller

pytestmark = pytest.mark.anyio

SECRET = b"the secret beside the root"

# What is sent

UP = "../" * 12
PATHS = [
    # Traversal: plain, and encoded once, twice, three times; in part, in capitals, in the middle
    *(
        "..",
        "../",
        "../secret",
        "../outside/secret",
        f"{UP}etc/passwd",
        "a/../../secret",
        "a/..",
        "a/b/../../../secret",
    ),
    *(
        "%2e%2e",
        "%2e%2e/secret",
        "%2E%2E%2Fsecret",
        "..%2fsecret",
        "%2e./secret",
        ".%2e/secret",
        "a%2f..%2f..%2fsecret",
    ),
    *("%252e%252e", "%252e%252e%252fsecret", "..%252fsecret", "%25%32%65%25%32%65/secret"),
    *("%25252e%25252e%25252fsecret", "..%25252fsecret", "%2525252e%2525252e/secret", "%" + "25" * 12 + "2e"),
    # Drive letters, shares, and the separators of other systems
    *("C:/secret", "c:", "C:\\secret", "C%3A/secret", "C%3a%5csecret", "z:/../secret"),
    *("\\\\host\\share", "//host/share/../secret", "\\\\?\\C:\\secret", "%5c%5chost%5cshare"),
    *("..\\secret", "..\\..\\secret", "a\\..\\secret", "..%5csecret", "..%255csecret", "\\secret"),
    # Ends of strings, and names that are longer than any
    *("a\0", "\0", "secret%00.txt", "..%00/secret", "a%2500b", "..\0/secret"),
    *("../secret#", "n" * 256, "ü" * 128, "a/" * 1025 + "b", "../" * 700 + "secret"),
]
"""However often they are encoded, these are refused."""

NO_NAMES = ["\ufffd\ufffd/secret", "a\r\nset-cookie: x", "a\nb", "a\tb", "\x1b[2J", "a#b"]
"""As they are, these are refused."""

PERCENT_NAMES = [
    # Overlong and otherwise broken UTF-8, which some decoders take for dots and slashes
    *("%c0%ae%c0%ae/secret", "..%c0%afsecret", "%c1%9c..%c1%9csecret", "%e0%80%ae%e0%80%ae%e0%80%afx", "%ff%fe"),
    *("%25c0%25ae%25c0%25ae/secret", "a%0d%0aset-cookie:%20x", "a%0ab", "a%0d", "a%7f", "%1b[2J", "a%250ab", "a%23b"),
]
"""In an address these are what they stand for, which is refused; anywhere else names with percent signs in them."""

LINKS = ["link", "links/secret", "links/", "links/new", "deep/self/link"]
"""What stands in the way in the folder: of the file itself, and of a directory."""

TOPMOST = [
    *("/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "%252fetc%252fpasswd", "/", "///", "{outside}/secret"),
    *(".uploads", ".uploads/x", ".UPLOADS/x"),  # where unfinished files are
]
"""What leads elsewhere only where a path begins: below the root of a run it names something there."""

URIS = [
    *("file:///etc/passwd", "file:../secret", "file://localhost/etc/passwd", "file:{outside}/secret"),
    *("http://127.0.0.1:1/secret", "https://host/secret", "ftp://host/secret", "s3://bucket/secret", "gs://b/s"),
    *("runs:/0/secret", "models:/m/1", "data:text/plain,secret", "dbfs:/secret", "mlflow-artifacts:/0/secret"),
    *("mlflow-artifacts://other-host/0/secret", "mlflow-artifacts:/../secret", "mlflow-artifacts:/%2e%2e/secret"),
]
"""Where a path is wanted these are odd names of files that are not there, or unsafe ones."""


# Who is asked


@dataclass(frozen=True)
class Home:
    """The things of one project: the root of a run's artifacts, and of a logged model's; all of them have links."""

    experiment: str
    run_id: str
    model_id: str
    model_name: str
    folder: str
    fresh: str = ""
    """A name that nothing has yet."""


Asked = Callable[[Home, str], tuple[str, dict[str, str], Any]]


@dataclass(frozen=True)
class Taker:
    """An endpoint that takes a path, and how it is given to it: method, address, query, body."""

    row: str
    asked: Asked
    is_local: bool = False
    """Whether the path is the client's own, of which only the last name counts."""


def in_address(prefix: str, body: Any = None) -> Asked:
    return lambda home, path: (f"{prefix}/{home.folder}/{path}", {}, body)


def alone_in_address(prefix: str, body: Any = None) -> Asked:
    return lambda home, path: (f"{prefix}/{path}", {}, body)


def in_body(address: str, field: str, **others: Any) -> Asked:
    def asked(home: Home, path: str) -> tuple[str, dict[str, str], Any]:
        return address.format_map(vars(home)), {}, filled(others, home) | {field: path}

    return asked


def in_query(address: str, field: str, body: Any = None, before: str = "", **others: str) -> Asked:
    def asked(home: Home, path: str) -> tuple[str, dict[str, str], Any]:
        given = before.format_map(vars(home)) + path
        return address.format_map(vars(home)), filled(others, home) | {field: given}, body

    return asked


def filled(fields: dict[str, Any], home: Home) -> dict[str, Any]:
    return {name: value.format_map(vars(home)) if isinstance(value, str) else value for name, value in fields.items()}


API, ARTIFACTS = "/api/2.0/mlflow", "/api/2.0/mlflow-artifacts"
RUN = {"run_id": "{run_id}"}
UPLOADED = {"upload_id": "u", "parts": [{"part_number": 1, "etag": "e"}]}

TAKERS = [
    Taker("GET /artifacts", in_query(f"{ARTIFACTS}/artifacts", "path")),
    Taker("GET /artifacts", in_query(f"{ARTIFACTS}/artifacts", "path", before="{folder}/")),
    *(
        Taker(f"{method} /artifacts/{{path:path}}", given(f"{ARTIFACTS}/artifacts", body))
        for method, body in [("GET", None), ("PUT", b"hostile"), ("DELETE", None)]
        for given in (in_address, alone_in_address)
    ),
    *(
        Taker(f"POST /mpu/{verb}/{{folder:path}}", given(f"{ARTIFACTS}/mpu/{verb}", {"path": "new"} | UPLOADED))
        for verb in ("create", "complete", "abort")
        for given in (in_address, alone_in_address)
    ),
    *(
        Taker(
            f"POST /mpu/{verb}/{{folder:path}}", in_body(f"{ARTIFACTS}/mpu/{verb}/{{folder}}", "path", **UPLOADED), True
        )
        for verb in ("create", "complete", "abort")
    ),
    Taker("GET /presigned/{path:path}", in_address(f"{ARTIFACTS}/presigned")),
    Taker("GET /presigned/{path:path}", alone_in_address(f"{ARTIFACTS}/presigned")),
    Taker("GET /artifacts/list", in_query(f"{API}/artifacts/list", "path", **RUN)),
    Taker("POST /artifacts/presigned-upload-url", in_body(f"{API}/artifacts/presigned-upload-url", "path", **RUN)),
    Taker(
        "POST /artifacts/presigned-upload-url",
        in_body(f"{API}/artifacts/presigned-upload-url", "path", model_id="{model_id}"),
    ),
    Taker("POST /artifacts/presigned-download-url", in_body(f"{API}/artifacts/presigned-download-url", "path", **RUN)),
    Taker("POST /upload-artifact", in_query(f"{API}/upload-artifact", "path", b"hostile", run_uuid="{run_id}")),
    Taker(
        "GET /logged-models/{model_id}/artifacts/directories",
        in_query(f"{API}/logged-models/{{model_id}}/artifacts/directories", "artifact_directory_path"),
    ),
    Taker(
        "GET /logged-models/{model_id}/artifacts/files",
        in_query(f"{API}/logged-models/{{model_id}}/artifacts/files", "artifact_file_path"),
    ),
    Taker("GET /get-artifact", in_query("/get-artifact", "path", **RUN)),
    Taker(
        "GET /model-versions/get-artifact",
        in_query("/model-versions/get-artifact", "path", name="{model_name}", version="1"),
    ),
]

LISTS = {"GET /artifacts", "GET /artifacts/list", "GET /logged-models/{model_id}/artifacts/directories"}
"""What answers with nothing where there is nothing."""

URI_FIELDS = {
    ("POST /experiments/create", "artifact_location"),
    ("POST /model-versions/create", "source"),
    ("POST /runs/log-inputs", "source"),
    *((row, "location") for row in ("POST /workspaces", "PATCH /workspaces/{workspace_name}")),
}
"""Fields that name places which the server keeps as text and never opens; their own tests say what they may be."""


KEEPERS = [
    Taker("POST /experiments/create", in_body(f"{API}/experiments/create", "artifact_location", name="{fresh}")),
    Taker("POST /model-versions/create", in_body(f"{API}/model-versions/create", "source", name="{model_name}")),
    Taker(
        "POST /model-versions/create, of a run",
        in_body(f"{API}/model-versions/create", "source", name="{model_name}", run_id="{run_id}"),
    ),
]
"""Endpoints that take a place and keep it: it may be refused, and whatever is kept is never opened."""

# The server, and what is around it


@dataclass(frozen=True)
class Site:
    call: Caller
    home: Home
    root: Path
    outside: Path

    def around(self) -> dict[str, bytes | None]:
        """All that is outside the root, and what it holds."""
        found: dict[str, bytes | None] = {}
        for folder, folders, files in os.walk(self.outside.parent):
            if self.root.name in folders:
                folders.remove(self.root.name)
            for name in (*folders, *files):
                path = Path(folder) / name
                if not path.name.startswith("test.db"):
                    found[str(path)] = path.read_bytes() if path.is_file() else None
        return found


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    place = tmp_path_factory.mktemp("hostile")
    outside, root = place / "outside", place / "root"
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    (place / "secret").write_bytes(SECRET)
    url = f"sqlite:///{place / 'test.db'}"
    schema.upgrade(db.parse_url(url))
    settings = Settings(database_url=url, artifacts_destination=str(root), secret_key="k" * 64)
    app = create_app(settings)
    async with app.lifespan():
        call = Caller(app)
        run = (await call("POST", f"{API}/runs/create", b'{"experiment_id": "0"}')).json["run"]["info"]["run_id"]
        made = await call("POST", f"{API}/logged-models", b'{"experiment_id": "0", "name": "m"}')
        home = Home("0", run, made.json["model"]["info"]["model_id"], "model", f"0/{run}/artifacts")
        model = f"0/models/{home.model_id}/artifacts"
        await call("POST", f"{API}/registered-models/create", json.dumps({"name": home.model_name}).encode())
        version = {"name": home.model_name, "source": f"models:/{home.model_id}", "model_id": home.model_id}
        assert (await call("POST", f"{API}/model-versions/create", json.dumps(version).encode())).status == 200
        for folder in (root, root / home.folder, root / model):
            (folder / "deep").mkdir(parents=True, exist_ok=True)
            (folder / "link").symlink_to(outside / "secret")
            (folder / "links").symlink_to(outside)
            (folder / "deep" / "self").symlink_to("..")
        yield Site(call, home, root, outside)


async def ask(site: Site, taker: Taker, path: str) -> Answer:
    """The answer to a path: as an ASGI server decodes it once if it is in the address, as it is anywhere else."""
    method = taker.row.partition(" ")[0]
    address, query, body = taker.asked(site.home, path.replace("{outside}", str(site.outside)))
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return await site.call(method, address, content, urlencode(query, quote_via=quote).encode("ascii"))


LEAK = re.compile(rb"Traceback|Error\b|site-packages|\.py\b|root:|" + SECRET)


def spellings(path: str) -> Iterator[str]:
    """The path as it is, and once more encoded, as a client may send it that does not trust the way."""
    yield path
    if "{" not in path:
        yield quote(path, safe="")


@pytest.mark.parametrize("taker", TAKERS, ids=lambda taker: taker.row)
async def test_a_hostile_path_is_refused_and_touches_nothing_outside(site: Site, taker: Taker) -> None:
    before = site.around()
    spelled = [spelling for path in PATHS for spelling in spellings(path)]
    for path in (*spelled, *LINKS, *NO_NAMES):
        answer = await ask(site, taker, path)
        told = (taker.row, path, answer)
        check(answer, told)
        if answer.status >= 400:
            assert answer.json.keys() == {"error_code", "message"}, told
            # The last name alone may be a good one, and a link is none where nobody goes by the folder.
            assert answer.status < 500 or taker.is_local or path in LINKS, told
        elif not taker.row.startswith("DELETE"):  # what is not there is deleted
            assert taker.row in LISTS, told
            assert "files" not in answer.json, told
    assert site.around() == before


@pytest.mark.parametrize("taker", TAKERS, ids=lambda taker: taker.row)
async def test_what_is_odd_or_elsewhere_opens_nothing_outside(site: Site, taker: Taker) -> None:
    before = site.around()
    for path in (*TOPMOST, *URIS, *PERCENT_NAMES):
        for spelled in spellings(path):
            answer = await ask(site, taker, spelled)
            told = (taker.row, spelled, answer)
            check(answer, told)
            assert answer.status < 400 or answer.json.keys() == {"error_code", "message"}, told
            assert not any(file["path"] in ("outside", "secret") for file in files_of(answer)), told
    assert site.around() == before


@pytest.mark.parametrize("taker", KEEPERS, ids=lambda taker: taker.row)
async def test_a_place_that_is_kept_is_not_opened(site: Site, taker: Taker) -> None:
    before = site.around()
    for number, path in enumerate((*PATHS, *NO_NAMES, *PERCENT_NAMES, *LINKS, *TOPMOST, *URIS)):
        fresh = replace(site, home=replace(site.home, fresh=f"fresh {number}"))
        answer = await ask(fresh, taker, path)
        told = (taker.row, path, answer)
        check(answer, told)
        if answer.status < 400:
            await look_there(site, answer.json, told)
        else:
            assert answer.json.keys() == {"error_code", "message"}, told
    assert site.around() == before


async def look_there(site: Site, made: dict[str, Any], told: object) -> None:
    """Ask for what is in a place that was kept, as that of an experiment or of a version of a model."""
    if "model_version" in made:
        for name in ("secret", "outside/secret", "passwd", "a.txt"):
            asked = {key: made["model_version"][key] for key in ("name", "version")} | {"path": name}
            got = await site.call("GET", "/model-versions/get-artifact", query=urlencode(asked).encode())
            assert got.status in (400, 404), told
    else:
        body = json.dumps(made).encode()
        run = (await site.call("POST", f"{API}/runs/create", body)).json["run"]["info"]["run_id"]
        listed = await site.call("GET", f"{API}/artifacts/list", query=f"run_id={run}".encode())
        assert "files" not in listed.json, told


def check(answer: Answer, told: object) -> None:
    assert answer.status < 500 or answer.status == 501, told
    assert not LEAK.search(answer.body), told
    assert not any(b"\n" in value or b"\r" in value for value in answer.headers.values()), told


def files_of(answer: Answer) -> list[dict[str, Any]]:
    is_listing = answer.body.startswith(b"{") and "files" in answer.json
    files: list[dict[str, Any]] = answer.json["files"] if is_listing else []
    return files


def test_no_endpoint_is_forgotten(tmp_path: Path) -> None:
    """Whatever has a path or a URI among its parameters is sent all of these, or known to keep it as text."""
    settings = Settings(artifacts_destination=str(tmp_path))
    named = re.compile("path|folder|location|source|uri")
    taken: set[tuple[str, str]] = set()
    for surface in surfaces(settings, Guard(Keys(["k" * 64]), is_open=True)):
        for row in surface.endpoints if surface.name != "native" else []:
            name = f"{row.method} {row.path}"
            if isinstance(row, Stream):
                if "artifact" in row.path:
                    taken.add((name, "path"))
            else:
                fields = json.dumps(row.message.model_json_schema())
                found = set(re.findall(r'"(\w+)": \{', fields))
                taken |= {(name, field) for field in found if named.search(field) and field not in NO_PATHS}
    asked = {taker.row for taker in TAKERS}
    assert {(name, field) for name, field in taken if name not in asked} == URI_FIELDS


NO_PATHS = {"source_type", "source_run_id"}
