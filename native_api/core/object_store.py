"""Stores of blobs in the cloud: S3, Google Cloud Storage and Azure, through obstore."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store, from_url

from native_api.core.artifact_types import content_type
from native_api.core.blobs import BLOCK, Address, Direct, Entry, Found, Multipart, Stored, safe_key
from native_api.core.errors import Invalid, NotFound, Unavailable
from native_api.core.s3_multipart import S3Multipart

PART = 8 * 1024 * 1024
"""How much of a file goes up at once. S3 takes 10,000 parts, so a file may have 80 GB."""

PARTS_AT_ONCE = 2
"""How many parts of one file are on their way: so many, and the one that fills, are held."""

CLIENT = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(hours=1)}
RETRIES = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}  # MLflow's clients wait for 120 seconds
DELETED_AT_ONCE = 1000

logger = logging.getLogger(__name__)

Bucket = S3Store | GCSStore | AzureStore


def open_bucket(url: str) -> Bucket:
    """The bucket of `s3://bucket/prefix`, `gs://...`, `az://...`, and what else obstore takes for one of these three.

    Credentials and the like come from the environment, by the names that each vendor's own tools have for them; for
    S3 also from MLFLOW_S3_ENDPOINT_URL. Nothing is asked of the network yet. Raises Invalid for any other URL.
    """
    config = {}
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "MLFLOW_S3_ENDPOINT_URL")
    endpoint = next(filter(None, map(os.environ.get, names)), "")
    is_s3 = url.startswith(("s3:", "s3a:"))
    if is_s3 and endpoint:
        config["endpoint"] = endpoint
    options = CLIENT | ({"allow_http": True} if is_s3 and endpoint.startswith("http://") else {})
    try:
        bucket = from_url(url, config=config, client_options=options, retry_config=RETRIES)  # type: ignore[call-overload]
    except (BaseError, ValueError) as error:
        raise Invalid(f"The place of artifacts cannot be used: {str(error).splitlines()[0]}") from None
    if not isinstance(bucket, Bucket):
        raise Invalid("The place of artifacts must be a folder, or a bucket at s3://, gs:// or az://")
    return bucket


class Objects:
    """A Store in a bucket.

    A bucket has no directories: one is there as long as a file is below it, and beside it a file of the same name may
    be. What is deleted together goes one after the other.
    """

    def __init__(self, bucket: Bucket, *, proxy_only: bool) -> None:
        self._bucket = bucket
        self._signs: bool | None = False if proxy_only else None

    def open_upload(self, key: str) -> Upload:
        return Upload(self._bucket, key)

    def put(self, key: str, block: Sequence[bytes]) -> Stored:
        content = b"".join(block)
        with _failures(key):
            made = obstore.put(self._bucket, key, content, attributes=_attributes(key), use_multipart=False)
        return Stored(len(content), hashlib.sha256(content).hexdigest(), made["e_tag"])

    def read(self, key: str, at_most: int) -> Found:
        with _failures(key):
            try:
                answer = obstore.get(self._bucket, key)
            except FileNotFoundError:
                if next(iter(obstore.list(self._bucket, key, chunk_size=1)), ()):
                    raise Invalid(f"{key!r} is a directory, not a file") from None
                raise
            meta = answer.meta
            content = bytes(answer.bytes()) if meta["size"] <= at_most else None
        size, version = meta["size"], meta["e_tag"] or f"{meta['last_modified'].timestamp()}-{meta['size']}"

        def blocks(start: int, end: int) -> Generator[bytes]:
            if start == end:  # which no store takes for a range
                return
            with _failures(key):
                # Of a file that was replaced meanwhile nothing comes, rather than some of each.
                options = {"range": (start, end), "if_match": meta["e_tag"]}
                is_whole = content is None and (start, end) == (0, size)
                given = answer if is_whole else obstore.get(self._bucket, key, options=options)  # type: ignore[arg-type]
                for block in given.stream(BLOCK):
                    yield bytes(block)

        return Found(size, meta["last_modified"].timestamp(), version, content, blocks)

    def entries(self, key: str) -> list[Entry]:
        with _failures(key):
            found = obstore.list_with_delimiter(self._bucket, key or None)
        names = [(path, True, 0) for path in found["common_prefixes"]]
        names += [(file["path"], False, file["size"]) for file in found["objects"]]
        listed = (Entry(path.rpartition("/")[2], is_dir, size) for path, is_dir, size in names)
        return sorted(entry for entry in listed if _can_be_asked_for(entry.name))

    def delete(self, key: str) -> None:
        if not key:
            raise Invalid("Invalid path")
        with _failures(key):
            for files in obstore.list(self._bucket, key, chunk_size=DELETED_AT_ONCE):
                self._delete([file["path"] for file in files])
            self._delete([key])

    def take_back(self, key: str, stored: Stored) -> None:
        """As of any Store. A bucket names a version by what is in it: the same again is the same file."""
        with _failures(key), suppress(FileNotFoundError):
            if stored.version and obstore.head(self._bucket, key)["e_tag"] == stored.version:
                self._delete([key])

    def _delete(self, keys: Sequence[str]) -> None:
        try:
            obstore.delete(self._bucket, keys)
        except FileNotFoundError:  # Google's and Azure's answer where S3 says nothing
            for key in keys if len(keys) > 1 else []:
                self._delete([key])

    def direct(self) -> Direct | None:
        """Whether addresses can be signed is found out once: not every kind of credentials can."""
        if self._signs is None:
            try:
                _sign(self._bucket, "GET", "a", 1)
                self._signs = True
            except BaseError as error:
                logger.warning("Clients move artifacts through this server only: %s", str(error).splitlines()[0])
                self._signs = False
        return Signed(self._bucket) if self._signs else None


def _attributes(key: str) -> dict[str, str]:
    """How a file is served to those who have its address: as it is by this server."""
    return {"Content-Type": content_type(key), "Content-Disposition": "attachment"}


def _can_be_asked_for(name: str) -> bool:
    try:
        return safe_key(name) == name
    except Invalid:
        return False


class Upload:
    """A file on its way into a bucket: in one request if it is shorter than a part, else part by part."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket, self._key = bucket, key
        self._writer = obstore.open_writer(
            bucket, key, attributes=_attributes(key), buffer_size=PART, max_concurrency=PARTS_AT_ONCE
        )
        self._hash = hashlib.sha256()
        self._size = 0
        self._is_finished = False

    def write(self, block: Sequence[bytes]) -> None:
        with _failures(self._key):
            for piece in block:
                self._writer.write(piece)
                self._hash.update(piece)
                self._size += len(piece)

    def finish(self) -> Stored:
        with _failures(self._key):
            self._writer.close()
            if not self._size:  # a writer that was given nothing leaves nothing
                obstore.put(self._bucket, self._key, b"", attributes=_attributes(self._key))
            self._is_finished = True
            version = None
            with suppress(FileNotFoundError):  # deleted just now
                version = obstore.head(self._bucket, self._key)["e_tag"]
        return Stored(self._size, self._hash.hexdigest(), version)

    def abort(self) -> None:
        if not self._is_finished:
            self._is_finished = True
            with _failures(self._key):
                # What its `with` does at an exception: the parts that have arrived are given up.
                self._writer.__exit__(Invalid, Invalid("The upload was broken off"), None)


class Signed:
    """Addresses in a bucket, signed with this server's credentials."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def download(self, key: str, seconds: int) -> Address:
        with _failures(key):
            size = obstore.head(self._bucket, key)["size"]
            return Address(_sign(self._bucket, "GET", key, seconds), {}, size)

    def upload(self, key: str, seconds: int) -> Address:
        headers = _attributes(key) | ({"x-ms-blob-type": "BlockBlob"} if isinstance(self._bucket, AzureStore) else {})
        with _failures(key):
            return Address(_sign(self._bucket, "PUT", key, seconds), headers, None)

    def multipart(self) -> Multipart | None:
        """Only S3 has such uploads under an id, and only who knows the secret can sign for them: obstore does not."""
        bucket, secret = self._bucket, os.environ.get("AWS_SECRET_ACCESS_KEY", "")
        if not isinstance(bucket, S3Store):
            return None
        uploads = S3Multipart(lambda key, seconds: _sign(bucket, "GET", key, seconds), secret)
        return uploads if uploads.can_sign() else None


def _sign(bucket: Bucket, method: str, key: str, seconds: int) -> str:
    return obstore.sign(bucket, method, key, timedelta(seconds=seconds))  # type: ignore[call-overload, no-any-return]


@contextmanager
def _failures(key: str) -> Iterator[None]:
    """The store's troubles as problems; their words, which may hold addresses, only for the log."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound("artifact", key) from None
    except (BaseError, OSError) as error:
        logger.error("The store of artifacts failed: %s", str(error).splitlines()[0])
        raise Unavailable("The store of artifacts is") from None
