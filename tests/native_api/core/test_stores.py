"""What every store does, whatever is behind it: a folder, or a bucket of a real S3 server."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from urllib.request import Request, urlopen

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from obstore.store import AzureStore, GCSStore, S3Store

from native_api.core import object_store
from native_api.core.blobs import BLOCK, Direct, Entry, Multipart, Part, Store
from native_api.core.errors import Invalid, NotFound, Unavailable
from native_api.core.folder import UPLOADS, Folder
from native_api.core.object_store import PART, Objects, open_bucket
from native_api.core.s3_multipart import S3Multipart, resigned
from native_api.core.stores import check, open_store
from tests.s3 import S3


@dataclass(frozen=True)
class Place:
    """A store, and what is behind it."""

    store: Store
    keys: Callable[[], list[str]]
    """All files that are there."""
    unfinished: Callable[[], list[str]]
    """What uploads have left that are not complete."""


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, folder: Path) -> Place:
    if request.param == "s3":
        server: S3 = request.getfixturevalue("s3_server")
        bucket = server.new_bucket()
        server.put(bucket, "beside/a", b"of somebody else")
        store = open_store(f"s3://{bucket}/root")

        def keys() -> list[str]:
            return [key.removeprefix("root/") for key in server.keys(bucket) if key != "beside/a"]

        return Place(store, keys, lambda: server.uploads(bucket))
    root = folder / "root"

    def files() -> list[str]:
        found = (path for path in root.rglob("*") if path.is_file() and UPLOADS not in path.parts)
        return sorted(str(path.relative_to(root)) for path in found)

    return Place(open_store(str(root)), files, lambda: os.listdir(root / UPLOADS))


@pytest.fixture
def store(place: Place) -> Store:
    return place.store


def put(store: Store, key: str, content: bytes) -> None:
    store.put(key, [content])


def read(store: Store, key: str, start: int = 0, end: int | None = None) -> bytes:
    found = store.read(key, 0)
    return b"".join(found.blocks(start, found.size if end is None else end))


NAMES = ["a b", "a+b", "100%", "%41", "ünï", "日本.txt", "it's", "a?b;c=d&e:f", "~'\"*|<>^`{}[]", "...", "n" * 255]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_comes_back_under_any_name(place: Place, name: str) -> None:
    put(place.store, f"0/{name}/{name}", name.encode())
    assert read(place.store, f"0/{name}/{name}") == name.encode()
    place.store.delete(f"0/{name}")
    assert place.keys() == []


@pytest.mark.parametrize("size", [0, 1, BLOCK, PART - 1, PART, PART + 1, 2 * PART + BLOCK // 2])
def test_a_file_of_any_size_comes_back_as_it_went_in(place: Place, size: int) -> None:
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    upload = place.store.open_upload("a/b")
    for start in range(0, size, BLOCK):
        upload.write([content[start : start + 1000], content[start + 1000 : start + BLOCK]])
    assert upload.finish()[:2] == (size, hashlib.sha256(content).hexdigest())
    upload.abort()
    assert read(place.store, "a/b") == content
    assert place.store.put("c", [content[:7], content[7:]])[:2] == (size, hashlib.sha256(content).hexdigest())
    assert read(place.store, "c") == content
    assert place.keys() == ["a/b", "c"]
    assert place.unfinished() == []


def test_only_what_is_short_is_read_at_once(store: Store) -> None:
    put(store, "a", b"12345")
    for at_most, content in ((4, None), (5, b"12345"), (6, b"12345")):
        found = store.read("a", at_most)
        assert (found.size, found.content) == (5, content)


def test_a_part_of_a_file_is_read_alone(store: Store) -> None:
    content = os.urandom(2 * BLOCK + 5)
    put(store, "a", content)
    for start, end in ((0, 1), (5, 5 + BLOCK), (BLOCK - 1, BLOCK + 1), (2 * BLOCK, 2 * BLOCK + 5), (0, len(content))):
        assert read(store, "a", start, end) == content[start:end]
    found = store.read("a", 0)
    assert max(map(len, found.blocks(0, found.size))) <= 2 * BLOCK


def test_the_version_is_another_when_the_file_is_replaced(store: Store) -> None:
    put(store, "a", b"1")
    before = store.read("a", 10)
    put(store, "a", b"2")
    after = store.read("a", 10)
    assert before.version != after.version
    assert (before.content, after.content) == (b"1", b"2")
    assert before.version != "" == after.version.strip(after.version)


@pytest.mark.parametrize("size", [0, 10, 3 * PART])
def test_what_has_arrived_is_taken_back_and_nothing_else(place: Place, size: int) -> None:
    upload = place.store.open_upload("a/b")
    upload.write([bytes(size)])
    first = upload.finish()
    assert place.store.read("a/b", 0).version == first.version
    put(place.store, "a/c", b"another")
    second = place.store.put("a/b", [b"replaces it"])
    place.store.take_back("a/b", first)
    assert place.keys() == ["a/b", "a/c"]
    assert read(place.store, "a/b") == b"replaces it"
    for _ in range(2):
        place.store.take_back("a/b", second)
        assert place.keys() == ["a/c"]
    assert place.unfinished() == []


@pytest.mark.parametrize("size", [0, 10, 3 * PART])
def test_a_file_is_seen_only_when_it_is_finished(place: Place, size: int) -> None:
    put(place.store, "a/b", b"old")
    upload = place.store.open_upload("a/b")
    new = place.store.open_upload("a/c")
    for growing in (upload, new):
        growing.write([bytes(size)])
    assert read(place.store, "a/b") == b"old"
    assert place.store.entries("a") == [Entry("b", False, 3)]
    assert place.keys() == ["a/b"]
    upload.finish()
    new.finish()
    assert read(place.store, "a/b") == bytes(size)
    assert place.keys() == ["a/b", "a/c"]


@pytest.mark.parametrize("size", [0, 10, PART + 1, 3 * PART])
def test_an_upload_given_up_leaves_nothing(place: Place, size: int) -> None:
    upload = place.store.open_upload("a/b")
    upload.write([bytes(size)])
    upload.abort()
    upload.abort()
    assert place.keys() == []
    assert place.unfinished() == []
    assert place.store.entries("") == []


def test_a_listing_is_sorted_and_knows_sizes(store: Store) -> None:
    for key in ("d/b", "d/ü", "d/a/x", "d/B", "d/c d%", "dd/x"):
        put(store, key, b"12345")
    assert store.entries("d") == [
        Entry("B", False, 5),
        Entry("a", True, 0),
        Entry("b", False, 5),
        Entry("c d%", False, 5),
        Entry("ü", False, 5),
    ]
    assert [entry.name for entry in store.entries("")] == ["d", "dd"]
    assert store.entries("d/b") == store.entries("d/b/c") == store.entries("none") == []


def test_a_listing_goes_on_where_the_store_makes_a_page(store: Store) -> None:
    for number in range(1005):
        put(store, f"d/{number:04}", b"")
    assert [entry.name for entry in store.entries("d")] == [f"{number:04}" for number in range(1005)]
    store.delete("d")
    assert store.entries("d") == []


@pytest.mark.parametrize("name", ["a#b", "a\\b"])
def test_a_listing_shows_only_what_can_be_asked_for(place: Place, request: pytest.FixtureRequest, name: str) -> None:
    put(place.store, "d/fine%41", b"")
    put(place.store, f"d/{name}", b"")
    assert [entry.name for entry in place.store.entries("d")] == ["fine%41"]


def test_deleting_takes_all_that_is_below_and_nothing_else(place: Place) -> None:
    store = place.store
    for key in ("a/b/c", "a/b/d/e", "a/bb", "b"):
        put(store, key, b"x")
    store.delete("a/b")
    assert place.keys() == ["a/bb", "b"]
    store.delete("a/bb")
    for missing in ("a/bb", "a/bb/x", "none/none"):
        store.delete(missing)
    assert place.keys() == ["b"]
    with pytest.raises(Invalid):
        store.delete("")
    assert place.keys() == ["b"]


def test_what_is_not_a_file_is_not_read(store: Store) -> None:
    put(store, "a/b", b"x")
    with pytest.raises(Invalid, match="'a' is a directory"):
        store.read("a", 10)
    for key in ("none", "none/none", "a/b/c", "a/bb"):
        with pytest.raises(NotFound):
            store.read(key, 10)


# Past the server


@pytest.fixture
def direct(bucket: Objects) -> Direct:
    direct = bucket.direct()
    assert direct
    return direct


@pytest.fixture
def bucket(s3_server: S3) -> Objects:
    return Objects(open_bucket(f"s3://{s3_server.new_bucket()}/root"), proxy_only=False)


@pytest.fixture
def multipart(direct: Direct) -> Multipart:
    multipart = direct.multipart()
    assert multipart
    return multipart


def send(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
    plain = {"Content-Type": "application/octet-stream"}  # urllib's own choice is a form
    with urlopen(Request(url, body, plain | (headers or {}), method=method)) as answer:
        return answer.read(), answer.headers


def test_a_folder_has_no_way_past_the_server(folder: Path) -> None:
    assert open_store(str(folder)).direct() is None


def test_nor_has_a_bucket_where_files_pass_through_the_server_only(s3_server: S3) -> None:
    assert open_store(f"s3://{s3_server.new_bucket()}", proxy_only=True).direct() is None


def test_a_file_is_put_and_fetched_at_signed_addresses(bucket: Objects, direct: Direct) -> None:
    there = direct.upload("a/ü b.html", 60)
    send("PUT", there.url, b"12345", there.headers)
    assert bucket.read("a/ü b.html", 10).content == b"12345"
    here = direct.download("a/ü b.html", 60)
    assert here.size == 5
    content, headers = send("GET", here.url)
    assert content == b"12345"
    assert (headers["Content-Type"], headers["Content-Disposition"]) == ("text/html", "attachment")
    assert send("GET", here.url, headers={"Range": "bytes=1-2"})[0] == b"23"
    with pytest.raises(NotFound):
        direct.download("none", 60)


def test_an_address_is_signed_for_its_method_its_key_and_its_time(direct: Direct) -> None:
    url = direct.upload("a", 77).url
    signed = dict(parse_qsl(urlsplit(url).query))
    assert signed["X-Amz-Expires"] == "77"
    others = [direct.upload("b", 77).url, direct.upload("a", 78).url]
    assert all(
        dict(parse_qsl(urlsplit(other).query))["X-Amz-Signature"] != signed["X-Amz-Signature"] for other in others
    )


def put_parts(urls: list[str], contents: list[bytes]) -> list[Part]:
    return [
        Part(number, send("PUT", url, content)[1]["ETag"])
        for number, (url, content) in enumerate(zip(urls, contents, strict=True), 1)
    ]


CONTENTS = [bytes([1]) * (5 * 1024 * 1024), b"the rest"]


def test_a_file_is_put_in_parts(bucket: Objects, multipart: Multipart) -> None:
    begun = multipart.begin("a/ü b", 2, 60)
    parts = put_parts(begun.urls, CONTENTS)
    assert bucket.entries("a") == []
    stored = multipart.complete("a/ü b", begun.upload_id, parts[::-1])
    assert (stored.size, stored.sha256) == (len(b"".join(CONTENTS)), None)
    assert read(bucket, "a/ü b") == b"".join(CONTENTS)
    assert bucket.read("a/ü b", 0).version == stored.version


def test_completing_a_second_time_says_the_same(multipart: Multipart, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = multipart.begin("a", 2, 60)
    parts = put_parts(begun.urls, CONTENTS)
    stored = multipart.complete("a", begun.upload_id, parts)
    assert multipart.complete("a", begun.upload_id, parts) == stored

    def forget(*asked: object) -> None:
        raise NotFound("upload", "")

    monkeypatch.setattr(multipart, "_send", forget)  # as S3 does after a while; moto never does
    assert multipart.complete("a", begun.upload_id, parts[::-1]) == stored
    for key, others in (("b", parts), ("a", parts[:1]), ("a", [Part(1, "no digits")])):
        with pytest.raises(NotFound):
            multipart.complete(key, begun.upload_id, others)


def test_an_upload_in_parts_given_up_leaves_nothing(
    s3_server: S3, bucket: Objects, multipart: Multipart, direct: Direct
) -> None:
    begun = multipart.begin("a", 2, 60)
    put_parts(begun.urls, CONTENTS)
    name = urlsplit(begun.urls[0]).path.split("/")[1]
    assert s3_server.uploads(name) == ["root/a"]
    multipart.abort("a", begun.upload_id)
    multipart.abort("a", begun.upload_id)
    assert s3_server.uploads(name) == s3_server.keys(name) == []
    with pytest.raises(HTTPError):
        put_parts(begun.urls[:1], CONTENTS[:1])


def test_what_are_not_its_parts_makes_no_file(s3_server: S3, bucket: Objects, multipart: Multipart) -> None:
    begun = multipart.begin("a", 2, 60)
    parts = put_parts(begun.urls, CONTENTS)
    for wrong in ([Part(1, "0" * 32), parts[1]], [parts[0], Part(3, parts[1].etag)]):
        with pytest.raises(Invalid):
            multipart.complete("a", begun.upload_id, wrong)
    assert bucket.entries("") == []


def test_our_signature_is_the_librarys() -> None:
    """Of a secret that is another one, it is not."""
    store = S3Store("bucket", config={"access_key_id": "key", "secret_access_key": "s3cret", "session_token": "t/+="})

    def sign(key: str, seconds: int) -> str:
        return object_store._sign(store, "GET", f"{key}/ü b+c%41~*'", seconds)

    assert S3Multipart(sign, "s3cret").can_sign()
    assert not S3Multipart(sign, "secret").can_sign()


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("GET", {}),
        ("POST", {"uploads": ""}),
        ("PUT", {"partNumber": "10", "uploadId": "a+b/c=~.-_ü"}),
        ("POST", {"uploadId": "a b"}),
        ("DELETE", {"uploadId": "x"}),
    ],
)
def test_our_signature_is_that_of_amazons_own_library(
    method: str, more: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = S3Store("bucket", access_key_id="key", secret_access_key="s3cret", session_token="t/+=", region="eu-west-1")
    ours = resigned(object_store._sign(store, "GET", "a/ü b", 60), "s3cret", method, more)
    signed = dict(parse_qsl(urlsplit(ours).query, keep_blank_values=True))
    then = datetime.strptime(signed["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    monkeypatch.setattr(auth, "get_current_datetime", lambda: then)
    plain = f"{ours.partition('?')[0]}?{urlencode(more, quote_via=quote)}"
    request = AWSRequest(method, plain)
    auth.S3SigV4QueryAuth(Credentials("key", "s3cret", "t/+="), "s3", "eu-west-1", 60).add_auth(request)
    theirs = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
    assert signed == theirs


# Where it is


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("s3://bucket/some/prefix", S3Store),
        ("s3a://bucket", S3Store),
        ("gs://bucket/prefix", GCSStore),
        ("az://container/prefix", AzureStore),
        ("azure://container", AzureStore),
        ("abfss://container@account.dfs.core.windows.net/prefix", AzureStore),
    ],
)
def test_a_url_names_a_bucket(url: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
    check(url)
    store = open_store(url)
    assert isinstance(store, Objects)
    assert isinstance(store._bucket, kind)


def test_azure_wants_to_know_what_kind_of_blob_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0")
    direct = open_store("az://container/prefix").direct()
    assert direct
    assert direct.multipart() is None
    there = direct.upload("a", 60)
    assert there.url.startswith("https://account.blob.core.windows.net/container/prefix/a?")
    assert there.headers["x-ms-blob-type"] == "BlockBlob"


def test_a_path_or_the_url_of_a_folder_names_a_folder(folder: Path) -> None:
    for destination in (str(folder / "a b"), f"file://{folder}/a%20b"):
        store = open_store(destination)
        assert isinstance(store, Folder)
        put(store, "x", destination.encode())
        assert (folder / "a b" / "x").read_bytes() == destination.encode()


@pytest.mark.parametrize(
    "destination",
    [
        *("", "a\0b", "ftp://host/x", "http://host/x", "file://host/x", "s3://", "s3:///x", "gs://"),
        *("s3://bucket?x=y", "s3://key:secret@bucket/x", "mlflow-artifacts://host/x", "runs://x"),
    ],
)
def test_what_cannot_keep_files_is_refused(destination: str) -> None:
    with pytest.raises(Invalid, match=r"^The place of artifacts must be"):
        open_store(destination)


def test_a_store_that_does_not_answer_says_so(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(object_store, "RETRIES", {"max_retries": 0})
    store = open_store("s3://bucket")
    for call in (lambda: store.read("a", 1), lambda: store.put("a", [b""]), lambda: store.entries("a")):
        with pytest.raises(Unavailable, match=r"^The store of artifacts is not available") as told:
            call()
        assert "127" not in told.value.message


def test_the_names_of_mlflow_and_of_aws_are_known(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3_server.new_bucket()
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", s3_server.url)
    put(open_store(f"s3://{bucket}"), "a", b"1")
    assert s3_server.keys(bucket) == ["a"]


def test_a_download_that_was_replaced_half_way_does_not_mix(s3_server: S3) -> None:
    store = open_store(f"s3://{s3_server.new_bucket()}")
    put(store, "a", b"1" * 10)
    found = store.read("a", 0)
    put(store, "a", b"2" * 10)
    with pytest.raises(Unavailable):
        list(found.blocks(5, 10))


def test_obstore_is_loaded_only_where_it_is_asked_for() -> None:
    code = "import sys, shim.app; sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == 0
