"""Artifacts where a source keeps them: on this machine, in a bucket, or behind an MLflow server. They are only read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

from native_api.core import blobs, stores
from native_api.core.blobs import BLOCK, Store, safe_key
from native_api.core.errors import Invalid, NotFound, Unavailable
from native_api.core.places import proxied_key
from native_api.transfer.records import File, Files
from shim.sources.connection import Connection


def open_files(location: str, artifacts_from: str | None, workspace: str | None = None) -> Files:
    """The files of the source at this location; of a server in this workspace.

    `artifacts_from` is the folder, or the URL of the bucket, in which an MLflow server kept what it calls
    `mlflow-artifacts:`, and against which relative paths count. Raises Invalid where it is neither.
    """
    proxied: _Keyed | None = None
    if artifacts_from is not None:
        proxied = _place(artifacts_from)
    elif location.startswith(("http://", "https://")):
        proxied = _Proxy(Connection(location, workspace))
    return _Everywhere(proxied, artifacts_from, Path(location) if Path(location).is_dir() else None)


class _Keyed(Protocol):
    """Files below one root, by key."""

    def below(self, key: str) -> Sequence[File]: ...

    def read(self, key: str) -> Iterator[bytes]: ...


@dataclass(frozen=True)
class _Everywhere:
    """`Files` by the URIs of their roots. `mlruns` is the folder that is imported, if one is."""

    proxied: _Keyed | None
    base: str | None
    mlruns: Path | None

    def below(self, root: str) -> Sequence[File]:
        place, key = self._find(root)
        return place.below(key)

    def read(self, root: str, path: str) -> Iterator[bytes]:
        place, key = self._find(root)
        return place.read(f"{key}/{safe_key(path)}".lstrip("/"))

    def _find(self, root: str) -> tuple[_Keyed, str]:
        """The place that a root's URI names, and the key there."""
        scheme = urlsplit(root).scheme
        if scheme == "mlflow-artifacts":
            key = proxied_key(root)
            if key is None:
                raise Invalid(f"{root} is no place of artifacts")
            if self.proxied is None:
                raise Unavailable("What its server kept is at the folder or bucket that --artifacts-from names: it is")
            return self.proxied, key
        if scheme in stores.BUCKETS:
            return _place(root), ""
        if scheme not in ("", "file"):
            raise Unavailable(f"Files at {scheme}: cannot be read by this command: the place is")
        return _Local(self._local(root)), ""

    def _local(self, root: str) -> Path:
        """A path of this machine. A folder that was moved has its runs' files where its layout says.

        So has the trash of a folder, where MLflow moves deleted experiments to without changing what is written there.
        """
        path = Path(unquote(urlsplit(root, allow_fragments=False).path) if root.startswith("file:") else root)
        if not path.is_absolute():
            path = Path(self.base or ".") / path
        if path.exists() or self.mlruns is None:
            return path
        for depth in (3, 4):  # experiment/run/artifacts, experiment/models/model/artifacts
            for moved in (self.mlruns, self.mlruns / ".trash"):
                if (below := moved / safe_key("/".join(path.parts[-depth:]).lstrip("/"))).is_dir():
                    return below
        return path


def _place(text: str) -> _Keyed:
    stores.check(text)
    if urlsplit(text).scheme in stores.BUCKETS:
        return _Bucket(stores.open_store(text))
    folder = Path(unquote(urlsplit(text, allow_fragments=False).path) if text.startswith("file:") else text)
    if not folder.is_dir():
        raise Invalid(f"{text} is no folder: artifacts cannot be there")
    return _Local(folder)


@dataclass(frozen=True)
class _Local:
    """A folder of this machine. Symbolic links in it are not followed."""

    root: Path

    def below(self, key: str) -> Sequence[File]:
        top = self.root / key
        found: list[File] = []
        for folder, _, names in os.walk(top):
            for name in names:
                file = Path(folder) / name
                if file.is_file() and not file.is_symlink():
                    found.append(File(file.relative_to(top).as_posix(), file.stat().st_size))
        return found

    def read(self, key: str) -> Iterator[bytes]:
        with open(os.open(self.root / key, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            while block := file.read(BLOCK):
                yield block


@dataclass(frozen=True)
class _Bucket:
    """A bucket, or what is below a prefix in it."""

    store: Store

    def below(self, key: str) -> Sequence[File]:
        start = f"{key}/" if key else ""
        return [File(found.key.removeprefix(start), found.size) for found in blobs.walk(self.store, key)]

    def read(self, key: str) -> Iterator[bytes]:
        found = self.store.read(key, 0)
        return found.blocks(0, found.size)


class _Listed(Struct):
    path: str
    is_dir: bool = False
    file_size: int | str = 0


class _Listing(Struct):
    files: list[_Listed] = []


@dataclass(frozen=True)
class _Proxy:
    """What a running MLflow server keeps, by the API that its clients use."""

    connection: Connection

    def below(self, key: str) -> Sequence[File]:
        return list(self._walk(key, ""))

    def _walk(self, key: str, path: str) -> Iterator[File]:
        try:
            listing = self.connection.get("mlflow-artifacts/artifacts", _Listing, path=f"{key}/{path}".strip("/"))
        except NotFound:
            return
        for entry in listing.files:
            name = f"{path}/{safe_key(entry.path)}".lstrip("/")
            if entry.is_dir:
                yield from self._walk(key, name)
            else:
                yield File(name, int(entry.file_size))

    def read(self, key: str) -> Iterator[bytes]:
        return self.connection.stream(f"mlflow-artifacts/artifacts/{quote(key)}")
