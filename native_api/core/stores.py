"""Where the artifact proxy keeps files: a folder, or a bucket in the cloud."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from native_api.core.blobs import Store
from native_api.core.errors import Invalid
from native_api.core.folder import Folder

BUCKETS = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")


def open_store(destination: str, *, proxy_only: bool = False) -> Store:
    """The store at a path or a URL. With `proxy_only` clients get no addresses in it. Raises what `check` does."""
    folder = folder_of(destination)
    if folder is not None:
        return Folder(folder)
    # Only here: who keeps files in a folder does not wait for obstore, nor holds it in memory.
    from native_api.core.object_store import Objects, open_bucket

    return Objects(open_bucket(destination), proxy_only=proxy_only)


def check(destination: str) -> None:
    """Raise Invalid for what is neither a path nor the URL of a folder or a bucket."""
    parts = urlsplit(destination)
    if _is_bucket(destination):
        if not parts.netloc or parts.query or parts.fragment or parts.password:
            raise Invalid("The place of artifacts must be like s3://bucket/prefix; credentials are the environment's")
    elif "://" in destination and (parts.scheme != "file" or parts.netloc):
        raise Invalid(f"The place of artifacts must be a folder, or a bucket of {', '.join(BUCKETS)}")
    elif not destination or "\0" in destination:
        raise Invalid("The place of artifacts must be named")


def folder_of(destination: str) -> Path | None:
    """The folder that it names; None for a bucket. Raises what `check` does."""
    check(destination)
    return None if _is_bucket(destination) else _path(destination)


def _is_bucket(destination: str) -> bool:
    scheme, separator, _ = destination.partition("://")
    return bool(separator) and scheme in BUCKETS


def _path(destination: str) -> Path:
    return Path(unquote(urlsplit(destination).path) if destination.startswith("file:") else destination)
