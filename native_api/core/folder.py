"""A local folder as a store of blobs."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from native_api.core.blobs import BLOCK, Entry, Found, Stored, safe_key
from native_api.core.clock import new_id
from native_api.core.errors import Conflict, Invalid, NotFound

UPLOADS = ".uploads"
"""Where files grow until they are complete, and where deleted ones go to be removed."""

DELETED = "deleted-"
"""How the names of those begin that go: whoever starts removes what a process that was killed has left of them."""

ABANDONED_SECONDS = 24 * 3600
"""After so long without a byte, an upload is taken for one whose process has ended."""


class File(NamedTuple):
    """A regular file, as it was when it was looked for."""

    path: Path
    stat: os.stat_result

    def open(self) -> BinaryIO:
        return open(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW), "rb")

    def blocks(self, start: int, end: int) -> Generator[bytes]:
        with self.open() as file:
            file.seek(start)
            while start < end and (block := file.read(min(BLOCK, end - start))):
                yield block
                start += len(block)


class Folder:
    """A Store in a folder. Symbolic links below it are not followed: what lies behind one is as good as absent."""

    def __init__(self, root: Path) -> None:
        """Makes the root if need be, and clears what deletes, and uploads that ended long ago, have left there."""
        root.mkdir(parents=True, exist_ok=True)
        self._root = os.path.realpath(root)
        self._uploads = os.path.join(self._root, UPLOADS)
        self._syncs = Syncs()
        self._longest = os.pathconf(self._root, "PC_PATH_MAX")
        os.makedirs(self._uploads, exist_ok=True)
        for left in list(os.scandir(self._uploads)):
            with suppress(FileNotFoundError):  # another process clears them too
                age = time.time() - left.stat(follow_symlinks=False).st_mtime
                if age > ABANDONED_SECONDS or left.name.startswith(DELETED):
                    with suppress(OSError):  # a locked one is no reason not to start
                        _remove(left.path)

    def open_upload(self, key: str) -> Upload:
        with _conflicts(key):
            path, found = self._find(key)
            if found and stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError
        try:
            return Upload(key, path, self._new_name(), self._syncs)
        except FileNotFoundError:
            os.makedirs(self._uploads, exist_ok=True)
            return Upload(key, path, self._new_name(), self._syncs)

    def put(self, key: str, block: Sequence[bytes]) -> Stored:
        upload = self.open_upload(key)
        try:
            upload.write(block)
            return upload.finish()
        finally:
            upload.abort()

    def file(self, key: str) -> File:
        """The file of this key. Raises NotFound where there is none, Invalid where it is a directory."""
        try:
            path, found = self._find(key)
        except NotADirectoryError:
            raise NotFound("artifact", key) from None
        if found and stat.S_ISDIR(found.st_mode):
            raise Invalid(f"{key!r} is a directory, not a file")
        if not found or not stat.S_ISREG(found.st_mode):
            raise NotFound("artifact", key)
        return File(Path(path), found)

    def read(self, key: str, at_most: int) -> Found:
        found = self.file(key)
        try:
            with found.open() as opened:
                now = os.fstat(opened.fileno())
                content = opened.read(now.st_size) if now.st_size <= at_most else None
        except FileNotFoundError:  # deleted just now
            raise NotFound("artifact", key) from None
        return Found(now.st_size, now.st_mtime, _version(now), content, found.blocks)

    def entries(self, key: str) -> list[Entry]:
        with suppress(NotFound, FileNotFoundError, NotADirectoryError), os.scandir(self._find(key)[0]) as found:
            return sorted(entry for item in found if item.path != self._uploads and (entry := _entry(item)))
        return []

    def delete(self, key: str) -> None:
        """As of any Store; all that goes is gone in one instant. What cannot be removed is put back in its place."""
        if not key:
            raise Invalid("Invalid path")
        grave = os.path.join(self._uploads, DELETED + new_id())
        os.makedirs(self._uploads, exist_ok=True)
        with suppress(NotFound, FileNotFoundError, NotADirectoryError):
            path, _ = self._find(key)
            os.replace(path, grave)
            try:
                _remove(grave)
            except OSError as error:
                _put_back(grave, path)
                raise OSError(error.errno, f"{error.strerror}: {os.path.basename(error.filename)!r}") from None
            finally:
                self._syncs.sync(os.path.dirname(path))

    def take_back(self, key: str, stored: Stored) -> None:
        """As of any Store."""
        grave = self._new_name()
        with suppress(NotFound, FileNotFoundError, NotADirectoryError):
            path, found = self._find(key)
            if not found or _version(found) != stored.version:
                return
            os.replace(path, grave)
            if _version(os.lstat(grave)) == stored.version:
                os.unlink(grave)
            else:  # another has come just now
                _put_back(grave, path)
            self._syncs.sync(os.path.dirname(path))

    def direct(self) -> None:
        """Nobody reaches a folder past this server."""

    def _new_name(self) -> str:
        return os.path.join(self._uploads, new_id())

    def _find(self, key: str) -> tuple[str, os.stat_result | None]:
        """The path of a key, and what is there.

        Raises NotFound where a link is in the way, NotADirectoryError where a file is, Invalid for what no key can be.
        """
        path = os.path.join(self._root, key) if key else self._root
        names = key.split("/") if key else []
        if (names and names[0].casefold() == UPLOADS) or len(os.fsencode(path)) >= self._longest:
            raise Invalid("Invalid path")
        if not {"", ".", ".."}.isdisjoint(names):
            raise NotFound("artifact", key)
        found, above = None, self._root
        for name in names:
            above = f"{above}/{name}"
            try:
                found = os.lstat(above)
            except FileNotFoundError:  # so there is nothing below it either
                return path, None
            if stat.S_ISLNK(found.st_mode):
                raise NotFound("artifact", key)
        return path, found


FLUSH_BYTES = 8 * 1024 * 1024
"""How much of an upload may wait in memory until the disk is told to begin with it."""


class Upload:
    """A file on its way into a folder."""

    def __init__(self, key: str, path: str, growing: str, syncs: Syncs) -> None:
        self._key, self._path, self._growing, self._syncs = key, path, growing, syncs
        self._file = open(growing, "xb", buffering=0)  # noqa: SIM115 - finish and abort close it
        self._hash = hashlib.sha256()
        self._size = self._flushing = 0
        self._is_finished = False

    def write(self, block: Sequence[bytes]) -> None:
        for piece in block:
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._hash.update(piece)
            self._size += len(piece)
        if self._size - self._flushing >= FLUSH_BYTES:
            _begin_to_flush(self._file.fileno(), self._flushing, self._size)
            self._flushing = self._size

    def finish(self) -> Stored:
        with self._file:
            os.fsync(self._file.fileno())
            version = _version(os.fstat(self._file.fileno()))
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
                self._syncs.sync(directory)
        return Stored(self._size, self._hash.hexdigest(), version)

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


def _put_back(moved: str, path: str) -> None:
    """Have it where it was, unless something new is there."""
    with suppress(OSError):
        if os.path.isdir(moved):
            os.rename(moved, path)  # which replaces no file, and no folder with something in it
        else:
            os.link(moved, path)
            os.unlink(moved)


def _version(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns}-{found.st_size}"


def _make(folder: str) -> list[str]:
    """The directory and those above it; the ones that have a new name in them."""
    if os.path.isdir(folder):
        return []
    above = os.path.dirname(folder)
    changed = _make(above)
    with suppress(FileExistsError):
        os.mkdir(folder)
    return [above, *changed]


class Syncs:
    """Directories whose names the disk is to know. Those who wait for the same one share the next trip to it.

    What joins a trip has changed the directory before the trip begins, so that it is among what goes to the disk.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, Future[None]] = {}
        self._under_way: dict[str, Future[None]] = {}

    def sync(self, folder: str) -> None:
        """Returns once the disk knows the names that are in the directory now."""
        with self._lock:
            joined = self._next.get(folder)
            if joined is None:
                trip = self._next[folder] = Future()
                before = self._under_way.get(folder)
        if joined:
            joined.result()
            return
        if before:
            wait([before])
        with self._lock:
            del self._next[folder]
            self._under_way[folder] = trip
        try:
            _sync(folder)
        except OSError as error:
            trip.set_exception(error)
            raise
        else:
            trip.set_result(None)
        finally:
            with self._lock:
                if self._under_way[folder] is trip:
                    del self._under_way[folder]


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    """Remove it as far as that can be done; raises OSError for what is left. Another process may be at it too."""
    with suppress(FileNotFoundError):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
            if os.path.isdir(path):
                shutil.rmtree(path)  # which says why not
        else:
            os.unlink(path)
