"""Blobs: what the artifact proxy keeps, by key, and what a store of them can do."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import unquote

from native_api.core.errors import Invalid

# Keys

MAX_KEY_BYTES = 2048
"""Paths are indexed, and PostgreSQL refuses index rows above 2.7 kB."""

MAX_NAME_BYTES = 255
"""What file systems take as one name."""

FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffd\\#]")
"""U+FFFD stands where the bytes were no UTF-8: an overlong way to write a dot is one."""

DRIVE = re.compile(r"(^|/)[A-Za-z]:(/|$)")


def safe_key(text: str, *, folder: bool = False) -> str:
    """The key that a caller's path means: relative, without empty or `.` names, never leading out of where it is used.

    With `folder` it may mean a folder: end in a slash, or be empty for the topmost one. Raises Invalid for what is not
    safe, be it after decoding it once more or several times (MLflow's `validate_path_is_safe`). MLflow also keeps it
    decoded; here it stays as it is: `step%17.png`, as clients of 2.x name images, has no control character in it.
    """
    names = [name for name in text.split("/") if name not in ("", ".")]
    key = "/".join(names)
    if (
        FORBIDDEN.search(text)
        or _leads_out(text)
        or not (folder or (names and text.endswith(names[-1])))
        or len(key.encode()) > MAX_KEY_BYTES
        or any(len(name.encode()) > MAX_NAME_BYTES for name in names)
    ):
        raise Invalid("Invalid path")
    return key


def _leads_out(path: str) -> bool:
    """Whether it is absolute or goes up, to some system or other, however often it is encoded."""
    for _ in range(10):
        if path.startswith("/") or ".." in path.split("/") or DRIVE.search(path) or "\\" in path or "\0" in path:
            return True
        decoded = unquote(path)
        if decoded == path:
            return False
        path = decoded
    return True


# What is in a store

BLOCK = 1024 * 1024
"""How much of a file is read at a time."""


class Entry(NamedTuple):
    """One line of a listing. The size of a directory is 0."""

    name: str
    is_dir: bool
    size: int


class Stored(NamedTuple):
    """What is known of a file that has arrived: its size in bytes, and its SHA-256 in hex digits if it was seen.

    The version is the one that `Found` has until the file is replaced.
    """

    size: int
    sha256: str | None
    version: str | None


@dataclass(frozen=True)
class Found:
    """A file as it was when it was looked for."""

    size: int
    modified_at: float
    """In seconds since 1970, UTC."""
    version: str
    """Another one whenever the file is replaced."""
    content: bytes | None
    """All that is in it, where that is little."""
    blocks: Callable[[int, int], Generator[bytes]]
    """What is in it from one byte to before another, at most BLOCK at a time. Each step of it waits for the store."""


# What a store can do


class Upload(Protocol):
    """A file on its way in. Whoever opened it calls `abort` at last, which does nothing once it is finished."""

    def write(self, block: Sequence[bytes]) -> None:
        """Add what is in these pieces."""

    def finish(self) -> Stored:
        """Put the file in its place, over an older one. From now on it survives a power cut."""

    def abort(self) -> None:
        """Leave nothing of it behind."""


class Store(Protocol):
    """Files by key under one root, which any number of processes may share.

    Keys are safe ones. A file is seen only once it is complete. Every call waits for disk or network: make it in a
    thread. It raises Unavailable where the store does not answer.
    """

    def open_upload(self, key: str) -> Upload:
        """Begin a file, which nobody sees until it is finished. Raises Conflict where its place is not free."""

    def put(self, key: str, block: Sequence[bytes]) -> Stored:
        """A file from its first byte to its last, in one go: what `Upload.finish` says of it."""

    def read(self, key: str, at_most: int) -> Found:
        """The file of this key, and what is in it unless that is longer.

        Raises NotFound where there is none, Invalid where it is a directory.
        """

    def entries(self, key: str) -> list[Entry]:
        """What a directory holds that can be asked for, by name; nothing for a file or what is not there."""

    def delete(self, key: str) -> None:
        """Remove a file, or a directory with all that is below it. What is not there is fine.

        Raises OSError for what cannot be removed; all that can be is.
        """

    def take_back(self, key: str, stored: Stored) -> None:
        """Remove the file that has arrived under this key, unless another has taken its place."""

    def direct(self) -> Direct | None:
        """How clients move files past this server; None where they cannot."""


class Blob(NamedTuple):
    """A file in a store: its key and its size in bytes."""

    key: str
    size: int


def walk(store: Store, folder: str = "") -> Iterator[Blob]:
    """All files of a folder, or of the whole store; one that comes or goes meanwhile may be missed."""
    for entry in store.entries(folder):
        key = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir:
            yield from walk(store, key)
        else:
            yield Blob(key, entry.size)


class Direct(Protocol):
    """Addresses in the store itself, which whoever has them may use for so many seconds."""

    def download(self, key: str, seconds: int) -> Address:
        """Where a GET finds the file, or a range of it. Raises NotFound where there is none."""

    def upload(self, key: str, seconds: int) -> Address:
        """Where a PUT makes the file, over an older one."""

    def multipart(self) -> Multipart | None:
        """How a file is put in parts; None where that cannot be."""


class Address(NamedTuple):
    """A signed address, the headers that have to be sent to it, and the size of the file that is there."""

    url: str
    headers: dict[str, str]
    size: int | None


class Begun(NamedTuple):
    """An upload in parts: its id, and for each part the address that it is put to."""

    upload_id: str
    urls: list[str]


class Part(NamedTuple):
    """A part that was put: its number, from 1, and the ETag that the store answered with."""

    number: int
    etag: str


class Multipart(Protocol):
    """Uploads in parts, which clients put to the store themselves. Nothing is seen of one until it is complete."""

    def begin(self, key: str, parts: int, seconds: int) -> Begun:
        """Begin an upload in so many parts."""

    def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> Stored:
        """Make the file of its parts. Raises NotFound for no such upload, Invalid if these are not its parts."""

    def abort(self, key: str, upload_id: str) -> None:
        """Give an upload up, and its parts with it. One that is not there is fine."""
