"""A folder beside what is being made, for what is not complete yet."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from native_api.core.errors import Conflict


@contextmanager
def partial_folder(target: Path, *, kept: bool = False) -> Iterator[Path]:
    """A folder in the file system of the target, `.NAME.partial`, for one process at a time: others get a Conflict.

    It is empty, and gone at the end; only a killed process leaves it behind, until the next one comes. With `kept` it
    is as it was left, and goes at the end if nothing is in it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.parent / f".{target.name}.partial"
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Another backup or restore of the same name is under way") from None
        if not kept:
            empty(folder)
        try:
            yield folder
        finally:
            if not kept:
                empty(folder)
            with suppress(OSError):
                folder.rmdir()
    finally:
        os.close(descriptor)


def empty(folder: Path) -> None:
    """Remove all that is in it."""
    for item in list(os.scandir(folder)):
        if item.is_dir(follow_symlinks=False):
            shutil.rmtree(item.path)
        else:
            os.unlink(item.path)


def sync_folder(folder: Path) -> None:
    """Have the disk know the names that are in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
