"""Folders of small files, as MLflow's file stores are made of: read in order, without leaving them by a link."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import yaml

LARGEST_TEXT = 16 * 1024 * 1024
"""The largest tag, param or meta.yaml that is read, in bytes."""

DEEPEST = 20
"""How deep things are nested in a meta.yaml, at most."""

META = "meta.yaml"

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Broken(Exception):
    """What is there cannot be used; why, in a few words."""


class Found(NamedTuple):
    """A file: the key that its path below a folder stands for, where it is, and its size in bytes."""

    key: str
    path: Path
    size: int


class Folders:
    """Reads below one folder. What cannot be read is left out, and told to the log once: a store may be in use."""

    def __init__(self) -> None:
        self._told: set[Path] = set()

    @contextmanager
    def leaving_out(self, path: Path) -> Iterator[None]:
        """Leave the work on this path undone where it turns out to be broken, or to have gone meanwhile."""
        try:
            yield
        except Broken as problem:
            self.tell(path, str(problem))
        except OSError as problem:
            self.tell(path, (problem.strerror or "cannot be read").lower())

    def tell(self, path: Path, why: str) -> None:
        """Say that this is not brought in."""
        if path not in self._told:
            self._told.add(path)
            _log.warning("Left out %r: %s", str(path), why)

    def inside(self, folder: Path) -> list[Path]:
        """The folders in a folder, by name; none where there is no such folder. Links are told and left out."""
        found: list[Path] = []
        with self.leaving_out(folder):
            found = [Path(entry) for entry in self._entries(folder) if entry.is_dir(follow_symlinks=False)]
        return found

    def files(self, folder: Path) -> Iterator[Found]:
        """The files below a folder, by key: keys with slashes are in folders of their own."""
        waiting = [("", folder)]
        while waiting:
            prefix, below = waiting.pop()
            entries: list[os.DirEntry[str]] = []
            with self.leaving_out(below):
                entries = self._entries(below)
            for entry in entries:
                key = prefix + entry.name
                with self.leaving_out(Path(entry)):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((f"{key}/", Path(entry)))
                    elif entry.is_file(follow_symlinks=False):
                        yield Found(_in_unicode(key), Path(entry), entry.stat(follow_symlinks=False).st_size)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What is in a folder, by name and without links."""
        if folder.is_symlink():
            raise Broken("it is a link")
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        for entry in found:
            if entry.is_symlink():
                self.tell(Path(entry), "it is a link")
        return [entry for entry in found if not entry.is_symlink()]

    def texts(self, folder: Path) -> dict[str, str]:
        """Keys and values, as params, tags and aliases are kept: a file each."""
        values = {}
        for key, path, _ in self.files(folder):
            with self.leaving_out(path):
                values[key] = read_text(path)
        return values


def has_meta(folder: Path) -> bool:
    """Whether a folder is a thing of MLflow's: it holds a meta.yaml."""
    return (folder / META).is_file()


def read_meta(folder: Path, kind: type[T]) -> T:
    """What meta.yaml of this folder says. Raises Broken, or OSError where there is none."""
    try:
        return msgspec.convert(yaml.load(read_text(folder / META), ShallowLoader), kind)
    except (yaml.YAMLError, ValueError) as problem:  # msgspec's ValidationError is a ValueError
        reason = str(problem).splitlines()[0] if isinstance(problem, msgspec.ValidationError) else "it is no YAML"
        raise Broken(f"meta.yaml: {reason}") from None


class ShallowLoader(yaml.CSafeLoader):
    """Reads what is nested as little as all that MLflow writes. The C code calls itself for each level, unchecked."""

    depth = 0

    def descend_resolver(self, current_node: object, current_index: object) -> None:
        """Go a level down, to a key, a value or an item."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Broken(f"{META}: it is nested too deep")

    def ascend_resolver(self) -> None:
        """Come back up."""
        self.depth -= 1


def read_text(path: Path) -> str:
    """What is in a small file, which is neither a link nor anything but a file."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Broken("it is no file")
        content = file.read(LARGEST_TEXT + 1)
    if len(content) > LARGEST_TEXT:
        raise Broken(f"it is larger than {LARGEST_TEXT} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Broken("it is not in UTF-8") from None


def _in_unicode(key: str) -> str:
    try:
        key.encode()
    except UnicodeEncodeError:
        raise Broken("its name is not in UTF-8") from None
    return key
