"""Bytes on a local folder: what the artifact proxy keeps, by key."""

import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote

from native_api.core.clock import new_id
from native_api.core.errors import Conflict, Invalid, NotFound

# Keys

MAX_KEY_BYTES = 2048
"""Paths are indexed, and PostgreSQL refuses index rows above 2.7 kB."""

MAX_NAME_BYTES = 255
"""What file systems take as one name."""

FORBIDDEN = re.compile(r"[\x00\ud800-\udfff\\#]")
DRIVE = re.compile(r"[A-Za-z]:(/|$)")


def safe_key(text: str, *, folder: bool = False) -> str:
    """The key that a caller's path means: relative, without empty or `.` names, never leading out of where it is used.

    With `folder` it may mean a folder: end in a slash, or be empty for the topmost one. Raises Invalid for what is not
    safe. As in MLflow (its `validate_path_is_safe`) it is percent-decoded until nothing changes: `%2541` means `A`.
    """
    path = _decoded(text)
    names = [name for name in path.split("/") if name not in ("", ".")]
    key = "/".join(names)
    if (
        FORBIDDEN.search(path)
        or path.startswith("/")
        or DRIVE.match(path)
        or ".." in names
        or not (folder or (names and path.endswith(names[-1])))
        or len(key.encode()) > MAX_KEY_BYTES
        or any(len(name.encode()) > MAX_NAME_BYTES for name in names)
    ):
        raise Invalid("Invalid path")
    return key


def _decoded(text: str) -> str:
    for _ in range(10):
        decoded = unquote(text)
        if decoded == text:
            return text
        text = decoded
    raise Invalid("Invalid path")


# Files

UPLOADS = ".uploads"
"""Where files grow until they are complete, and where deleted ones go to be removed."""

ABANDONED_SECONDS = 24 * 3600
"""After so long without a byte, an upload is taken for one whose process has ended."""


class Entry(NamedTuple):
    """One line of a listing. The size of a directory is 0."""

    name: str
    is_dir: bool
    size: int


class File(NamedTuple):
    """A regular file, as it was when it was looked for."""

    path: Path
    stat: os.stat_result

    def open(self) -> BinaryIO:
        return open(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


class Folder:
    """Files by key under one root, which any number of processes may share.

    Symbolic links below the root are not followed: what lies behind one is as good as absent.
    """

    def __init__(self, root: Path) -> None:
        """Makes the root if need be, and clears what uploads that ended long ago have left there."""
        root.mkdir(parents=True, exist_ok=True)
        self._root = os.path.realpath(root)
        self._uploads = os.path.join(self._root, UPLOADS)
        self._longest = os.pathconf(self._root, "PC_PATH_MAX")
        os.makedirs(self._uploads, exist_ok=True)
        for left in list(os.scandir(self._uploads)):
            with suppress(FileNotFoundError):  # another process clears them too
                if left.stat(follow_symlinks=False).st_mtime < time.time() - ABANDONED_SECONDS:
                    _remove(left.path)

    def open_upload(self, key: str) -> "Upload":
        """Begin a file, which nobody sees until it is finished. Raises Conflict where its place is not free."""
        path = self._path(key)
        with _conflicts(key), suppress(FileNotFoundError):
            # NotADirectoryError where a file stands in place of one of its directories
            if stat.S_ISDIR(os.lstat(path).st_mode):
                raise IsADirectoryError
        try:
            return Upload(key, path, self._new_name())
        except FileNotFoundError:
            os.makedirs(self._uploads, exist_ok=True)
            return Upload(key, path, self._new_name())

    def put(self, key: str, block: Sequence[bytes]) -> tuple[int, str]:
        """A file from its first byte to its last, in one go: what `Upload.finish` says of it."""
        upload = self.open_upload(key)
        try:
            upload.write(block)
            return upload.finish()
        finally:
            upload.abort()

    def file(self, key: str) -> File:
        """The file of this key. Raises NotFound where there is none, Invalid where it is a directory."""
        path = self._path(key)
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound("artifact", key) from None
        if stat.S_ISDIR(found.st_mode):
            raise Invalid(f"{key!r} is a directory, not a file")
        if not stat.S_ISREG(found.st_mode):
            raise NotFound("artifact", key)
        return File(Path(path), found)

    def read(self, key: str, at_most: int) -> tuple[File, bytes | None]:
        """The file of this key, and what is in it unless that is longer. Raises what `file` does."""
        found = self.file(key)
        try:
            with found.open() as opened:
                held = File(found.path, os.fstat(opened.fileno()))
                return held, opened.read(held.stat.st_size) if held.stat.st_size <= at_most else None
        except FileNotFoundError:  # deleted just now
            raise NotFound("artifact", key) from None

    def entries(self, key: str) -> list[Entry]:
        """What a directory holds that can be asked for, by name; nothing for a file or what is not there."""
        with suppress(NotFound, FileNotFoundError, NotADirectoryError), os.scandir(self._path(key)) as found:
            return sorted(entry for item in found if item.path != self._uploads and (entry := _entry(item)))
        return []

    def delete(self, key: str) -> None:
        """Remove a file, or a directory with all that is below it, in one instant. What is not there is fine."""
        if not key:
            raise Invalid("Invalid path")
        grave = self._new_name()
        os.makedirs(self._uploads, exist_ok=True)
        with suppress(NotFound, FileNotFoundError, NotADirectoryError):
            path = self._path(key)
            os.replace(path, grave)
            _remove(grave)
            _sync(os.path.dirname(path))

    def _new_name(self) -> str:
        return os.path.join(self._uploads, new_id())

    def _path(self, key: str) -> str:
        path = os.path.join(self._root, key) if key else self._root
        if key.partition("/")[0].casefold() == UPLOADS or len(os.fsencode(path)) >= self._longest:
            raise Invalid("Invalid path")
        if key and not self._is_plain(key):
            raise NotFound("artifact", key)
        return path

    def _is_plain(self, key: str) -> bool:
        """Whether the key is a safe one, and no link is in its way."""
        names = key.split("/")
        if not {"", ".", ".."}.isdisjoint(names):
            return False
        path = self._root
        for name in names:
            path = f"{path}/{name}"
            try:
                if stat.S_ISLNK(os.lstat(path).st_mode):
                    return False
            except OSError:  # it is not there, so there is nothing below it either
                return True
        return True


FLUSH_BYTES = 8 * 1024 * 1024
"""How much of an upload may wait in memory until the disk is told to begin with it."""


class Upload:
    """A file on its way in. Whoever opened it calls `abort` at last, which does nothing once it is finished."""

    def __init__(self, key: str, path: str, growing: str) -> None:
        self._key, self._path, self._growing = key, path, growing
        self._file = open(growing, "xb", buffering=0)  # noqa: SIM115 - finish and abort close it
        self._hash = hashlib.sha256()
        self._size = self._flushing = 0
        self._is_finished = False

    def write(self, block: Sequence[bytes]) -> None:
        """Add what is in these pieces."""
        for piece in block:
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._hash.update(piece)
            self._size += len(piece)
        if self._size - self._flushing >= FLUSH_BYTES:
            _begin_to_flush(self._file.fileno(), self._flushing, self._size)
            self._flushing = self._size

    def finish(self) -> tuple[int, str]:
        """Put the file in its place, over an older one. Its size and SHA-256; from now on it survives a power cut."""
        with self._file:
            os.fsync(self._file.fileno())
        folder = os.path.dirname(self._path)
        with _conflicts(self._key):
            for attempts_left in reversed(range(100)):
                try:
                    changed = _make(folder)
                    os.replace(self._growing, self._path)
                    self._is_finished = True
                    break
                except FileNotFoundError:  # a delete took the directory away again
                    if not attempts_left:
                        raise
        for directory in (folder, *changed):
            with suppress(FileNotFoundError):
                _sync(directory)
        return self._size, self._hash.hexdigest()

    def abort(self) -> None:
        self._file.close()
        if not self._is_finished:
            with suppress(FileNotFoundError):
                os.unlink(self._growing)


def _begin_to_flush(descriptor: int, start: int, end: int) -> None:
    """Have the disk begin to write, without waiting for it: else all of a large file is left to its fsync.

    On Linux this advice does so, and keeps what is not written yet in memory. A system without it loses time only.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_DONTNEED)


@contextmanager
def _conflicts(key: str) -> Iterator[None]:
    try:
        yield
    except (IsADirectoryError, NotADirectoryError):
        raise Conflict(f"{key!r} is a directory, or a file stands in place of one of its directories") from None


def _entry(item: os.DirEntry[str]) -> Entry | None:
    """None for what cannot be asked for: links, devices, names that are no keys."""
    try:
        found = item.stat(follow_symlinks=False)
        if safe_key(item.name) != item.name:
            return None
    except (FileNotFoundError, Invalid):
        return None
    if stat.S_ISDIR(found.st_mode):
        return Entry(item.name, True, 0)
    return Entry(item.name, False, found.st_size) if stat.S_ISREG(found.st_mode) else None


def _make(folder: str) -> list[str]:
    """The directory and those above it; the ones that have a new name in them."""
    if os.path.isdir(folder):
        return []
    above = os.path.dirname(folder)
    changed = _make(above)
    with suppress(FileExistsError):
        os.mkdir(folder)
    return [above, *changed]


def _sync(folder: str) -> None:
    """Have the disk know the names in a directory."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)  # another process may be at it too
    else:
        with suppress(FileNotFoundError):
            os.unlink(path)
