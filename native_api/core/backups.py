"""Backups: an SQLite database and its folder of artifacts in one file, made while the server runs, and put back.

A backup is a tar file of these members, in this order:

- `backup.json`, a `Head`;
- `artifacts/KEY` for each file of the folder;
- `database.sqlite`, whose rows say what is in the files before it;
- `files.jsonl`, a `Member` in a line for each of the members between; without it the backup is not complete.
"""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec
from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, Text, select, update
from sqlalchemy.engine import URL

from native_api.core import audit, blobs, clock, db, file_rows, schema, stores
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.blobs import BLOCK
from native_api.core.errors import Conflict, Exists, Invalid, NotFound, Unsupported
from native_api.core.file_rows import FileRow
from native_api.core.folder import UPLOADS, File, Folder
from native_api.core.partial import empty, partial_folder, sync_folder

FORMAT = 1

HEAD, ARTIFACTS, DATABASE, FILES = "backup.json", "artifacts/", "database.sqlite", "files.jsonl"

OPERATOR = Actor("", "", {}, scope=Scope.ADMIN, is_administrator=True)


class Head(msgspec.Struct, frozen=True):
    """What a backup says of itself. created_at is in milliseconds, UTC: what was written before it is there."""

    format: int
    backup_id: str
    schema_revision: str
    created_at: int
    has_artifacts: bool


class Member(msgspec.Struct, frozen=True):
    """A file in a backup."""

    name: str
    size: int
    sha256: str


class Summary(msgspec.Struct, frozen=True):
    """What a backup holds: the size in bytes is that of all files, `changed` of them after the backup had begun."""

    head: Head
    files: int
    size: int
    changed: int = 0


# Making one


def make(url: URL, destination: str, target: Path) -> Summary:
    """Back up an SQLite database, and the artifacts if they are in a folder, into a new file.

    All that was committed before is in it, but for files that were replaced or deleted since: the backup's rows say
    what it holds of these. Raises Exists for a file that is there, Unsupported for PostgreSQL.
    """
    _refuse_postgresql(url, "pg_dump the database, then copy the artifacts")
    database = Path(url.database or "")
    if not database.is_file():
        raise Invalid("There is no such database")
    if os.path.lexists(target):
        raise Exists("There is a file of this name already: a backup is never written over another")
    store = stores.open_store(destination)
    with partial_folder(target) as folder:
        made = folder / "made.tar"
        with open(made, "xb", opener=_private) as file:
            summary = _write(file, url, store if isinstance(store, Folder) else None, folder)
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(made, target)
    return summary


def _private(path: str, flags: int) -> int:
    """Password hashes are in it."""
    return os.open(path, flags, 0o600)


def _refuse_postgresql(url: URL, instead: str) -> None:
    if not db.is_sqlite(url):
        raise Unsupported(f"This is for SQLite. With PostgreSQL {instead}: see docs/operations.md, Back up and restore")


def _write(file: BinaryIO, url: URL, store: Folder | None, folder: Path) -> Summary:
    created_at = clock.now()
    snapshot = url.set(database=str(folder / DATABASE))
    _copy_database(url, snapshot)
    engine = db.create_writer(snapshot)
    try:
        with engine.connect() as conn:
            revision = schema.known(conn)
        head = Head(FORMAT, clock.new_id(), revision, created_at, store is not None)
        with (
            tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
            Contents(tar, url, folder) as contents,
        ):
            contents.add_text(HEAD, msgspec.json.encode(head))
            changed = 0
            if store is not None:
                for key, _ in blobs.walk(store):
                    contents.add_artifact(store, key)
                with audit.transaction(engine) as conn:
                    changed = _follow(conn, store, contents)
            engine.dispose()  # which leaves the snapshot without a log beside it
            contents.add_file(DATABASE, folder / DATABASE)
            return Summary(head, *contents.finish(), changed)
    finally:
        engine.dispose()


def _copy_database(url: URL, snapshot: URL) -> None:
    """In one step, which reads a single state and holds up no writer."""
    engine = db.create_reader(url, 1)
    try:
        with closing(engine.raw_connection()) as source, closing(sqlite3.connect(snapshot.database or "")) as target:
            target.execute("PRAGMA synchronous = OFF")  # a copy that nobody sees until it is in the backup
            driver = source.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.backup(target)
    finally:
        engine.dispose()


class Contents:
    """A tar file as it grows, and what is in it by name, on disk: there may be millions."""

    def __init__(self, tar: tarfile.TarFile, url: URL, folder: Path) -> None:
        self._tar = tar
        self._engine = db.create_writer(url.set(database=str(folder / "contents.db")))
        self._lines = folder / FILES
        self._listing = open(self._lines, "xb")  # noqa: SIM115 - finish and exit close it
        self._waiting: list[Member] = []
        self._files = self._size = 0
        _table.create(self._engine)

    def __enter__(self) -> Contents:
        return self

    def __exit__(self, *_: object) -> None:
        self._listing.close()
        self._engine.dispose()

    def add_text(self, name: str, content: bytes) -> None:
        """What is not among the members that FILES lists."""
        info = tarfile.TarInfo(name)
        info.size = len(content)
        self._tar.addfile(info, io.BytesIO(content))

    def add_artifact(self, store: Folder, key: str) -> Member | None:
        """None if the file is not there, or not any more."""
        try:
            return self._add(ARTIFACTS + key, store.file(key))
        except (NotFound, Invalid, FileNotFoundError):
            return None

    def add_file(self, name: str, path: Path) -> Member:
        return self._add(name, File(path, path.stat()))

    def _add(self, name: str, found: File) -> Member:
        with found.open() as opened:  # from here on its content stays: files are replaced, never written into
            now = os.fstat(opened.fileno())
            info = tarfile.TarInfo(name)
            info.size, info.mtime = now.st_size, now.st_mtime
            hashing = _Hashing(opened)
            self._tar.addfile(info, hashing)
        self._tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
        added = Member(name, now.st_size, hashing.hexdigest())
        self._listing.write(_line(added))
        self._waiting.append(added)
        self._files, self._size = self._files + 1, self._size + added.size
        if len(self._waiting) >= file_rows.AT_ONCE:
            self._flush()
        return added

    def _flush(self) -> None:
        with self._engine.begin() as conn:
            _put_members(conn, [(member.name, member.size, member.sha256) for member in self._waiting])
        self._waiting.clear()

    def find(self, names: list[str]) -> dict[str, Member]:
        """Those of the members that are there, by name."""
        self._flush()
        with self._engine.connect() as conn:
            found = conn.execute(select(_table).where(db.among(conn, _table.c.name, names)))
            return {row.name: Member(row.name, row.size, row.sha256) for row in found}

    def finish(self) -> tuple[int, int]:
        """End with the list of the members; how many they are, and their size."""
        self._listing.close()
        info = tarfile.TarInfo(FILES)
        info.size = self._lines.stat().st_size
        with open(self._lines, "rb") as listing:
            self._tar.addfile(info, listing)
        return self._files, self._size


_table = Table(
    "members",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    sqlite_with_rowid=False,
)
_put_members = db.BulkInsert(_table, ["name", "size", "sha256"])


def _line(member: Member) -> bytes:
    return msgspec.json.encode(member) + b"\n"


class _Hashing:
    """A file that is read once, from its start."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._hash.update(block)
        return block

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _follow(conn: Connection, store: Folder, contents: Contents) -> int:
    """Have the rows of the snapshot say what was copied after it; how many files had changed."""
    changed = 0
    for rows in file_rows.pages(conn):
        found = contents.find([ARTIFACTS + row.key for row in rows])
        for row in rows:
            # A folder that is read while a file in it is replaced may show neither: so look for it by its name.
            copied = found.get(ARTIFACTS + row.key) or contents.add_artifact(store, row.key)
            if copied is None:
                _remove(conn, row)
            elif row.size != copied.size or row.checksum not in (None, copied.sha256):
                _renew(conn, row, copied)
            else:
                continue
            changed += 1
        audit.write(conn)
    return changed


def _remove(conn: Connection, row: FileRow) -> None:
    c, a = t.run_artifacts.c, t.artifacts.c
    conn.execute(t.run_artifacts.delete().where(c.run_artifact_id == row.run_artifact_id))
    linked = select(c.run_artifact_id).where(c.artifact_id == a.artifact_id).exists()
    gone = t.artifacts.delete().where(a.artifact_id == row.artifact_id, ~linked).returning(*a)
    for old in conn.execute(gone).mappings():
        audit.deleted(conn, OPERATOR, "artifacts", row.artifact_id, dict(old), project_id=old["project_id"])


def _renew(conn: Connection, row: FileRow, copied: Member) -> None:
    a = t.artifacts.c
    old = conn.execute(select(*a).where(a.artifact_id == row.artifact_id)).mappings().one()
    new = {"size_bytes": copied.size, "checksum": copied.sha256}
    conn.execute(update(t.artifacts).where(a.artifact_id == row.artifact_id).values(**new))
    audit.updated(conn, OPERATOR, "artifacts", row.artifact_id, dict(old), new, project_id=old["project_id"])


def _put_in_place(made: Path, target: Path) -> None:
    try:
        os.link(made, target)  # unlike a rename it fails where something is
    except FileExistsError:
        raise Exists("There is a file of this name by now") from None
    except OSError:  # a file system without such links
        os.rename(made, target)
    sync_folder(target.parent)


# Putting one back


def restore(source: Path, url: URL, destination: str) -> Summary:
    """Put a backup back as a new database and a new folder, both brought to the schema of this release.

    All of it or nothing; one that was killed may be run again. Raises Conflict where either place is not empty, and
    Invalid for what is no whole backup of ours.
    """
    _refuse_postgresql(url, "pg_restore the database, then copy the artifacts back")
    database = Path(os.path.realpath(url.database or ""))
    with _opened(source) as tar:
        head = _read_head(tar)
        store = _folder(destination) if head.has_artifacts else None
        with partial_folder(database, kept=True) as here, _beside(store) as there:
            files = there and there / "files"
            summary = _read_ready(here, files, head, store)
            is_placed = summary is not None and files is not None and not files.exists()
            _refuse_taken(database, None if is_placed else store)
            if summary is None:
                summary = _unpack(tar, head, url, here, files)
                _write_ready(here, summary, store)
            if store and files and not is_placed:
                _place_folder(files, store)
            os.rename(here / DATABASE, database)
            sync_folder(database.parent)
            empty(here)
    return summary


def _unpack(tar: tarfile.TarFile, head: Head, url: URL, here: Path, files: Path | None) -> Summary:
    """Everything, on the disk, beside its places. What an attempt that was killed left there goes first."""
    folders = [here, files.parent] if files else [here]
    try:
        for folder in folders:
            empty(folder)
        summary = _extract(tar, head, here / DATABASE, files)
        _bring_up_to_date(url.set(database=str(here / DATABASE)), head)
        os.sync()  # at once, where one fsync for each file would take minutes
    except BaseException:
        for folder in folders:
            empty(folder)
        raise
    return summary


def _folder(destination: str) -> Path:
    found = stores.folder_of(destination)
    if found is None:
        raise Unsupported("Artifacts are restored into a folder; from there copy them to the bucket")
    return Path(os.path.realpath(found))


@contextmanager
def _beside(store: Path | None) -> Iterator[Path | None]:
    if store is None:
        yield None
        return
    with partial_folder(store, kept=True) as folder:
        yield folder


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source, "r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError):
        raise Invalid("This is no backup of ours, or not a whole one") from None


def _read_head(tar: tarfile.TarFile) -> Head:
    first = _next(tar)
    if first is None or first.name != HEAD or not first.isreg() or first.size > BLOCK:
        raise Invalid("This is no backup of ours")
    try:
        found = msgspec.json.decode(_content(tar, first).read(), type=dict[str, object])
        if found.get("format") != FORMAT:
            raise Invalid(f"This backup has a format that this release does not know: {found.get('format')!r}")
        head = msgspec.convert(found, Head)
    except msgspec.MsgspecError:
        raise Invalid("This is no backup of ours") from None
    if head.schema_revision not in schema.REVISIONS:
        raise Invalid(f"This backup was made by a newer release: its schema revision is {head.schema_revision!r}")
    return head


def _next(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        found = tar.next()
    except (ValueError, OverflowError) as error:  # numbers in a header that are none
        raise tarfile.ReadError(str(error)) from error
    tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
    return found


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    content = tar.extractfile(member)
    assert content is not None  # as it is of any regular file
    return content  # type: ignore[return-value]


class _Ready(msgspec.Struct, frozen=True):
    """All of a backup has been taken out, and is only to be put in its places."""

    summary: Summary
    folder: str | None


READY = "ready.json"


def _read_ready(here: Path, files: Path | None, head: Head, store: Path | None) -> Summary | None:
    """What an earlier attempt has taken out of this backup, for these places; None if it did not come that far."""
    with suppress(FileNotFoundError, msgspec.MsgspecError):
        found = msgspec.json.decode((here / READY).read_bytes(), type=_Ready)
        is_there = (here / DATABASE).exists() and (not store or not files or files.exists() or store.is_dir())
        if is_there and found.summary.head == head and found.folder == (str(store) if store else None):
            return found.summary
    return None


def _write_ready(here: Path, summary: Summary, store: Path | None) -> None:
    with open(here / READY, "xb") as file:
        file.write(msgspec.json.encode(_Ready(summary, str(store) if store else None)))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(here)


def _refuse_taken(database: Path, store: Path | None) -> None:
    if any(os.path.lexists(f"{database}{end}") for end in ("", "-wal", "-journal")):
        raise Conflict("There is a database already: restore to where there is none")
    if store is not None and os.path.lexists(store) and not _is_bare(store):
        raise Conflict("The place of the artifacts is not empty: restore to where there are none")


def _is_bare(store: Path) -> bool:
    """Whether nothing is in the folder but what a server makes as it starts."""
    uploads = store / UPLOADS
    return os.listdir(store) in ([], [UPLOADS]) and not (uploads.exists() and os.listdir(uploads))


def _extract(tar: tarfile.TarFile, head: Head, made: Path, files: Path | None) -> Summary:
    """Take out what is in a backup, and nothing that is anything but a file of it."""
    expected = hashlib.sha256()
    count = size = 0
    if files:
        files.mkdir()
    while (member := _next(tar)) is not None:
        if not member.isreg() or member.issparse():
            raise Invalid(f"The backup has something in it that is no file: {member.name!r}")
        if member.name == FILES:
            if _digest(_content(tar, member)) != expected.hexdigest() or not made.exists() or _next(tar):
                break
            return Summary(head, count, size)
        path = made if member.name == DATABASE else _path_of(member.name, files)
        digest = _take_out(tar, member, path)
        expected.update(_line(Member(member.name, member.size, digest)))
        count, size = count + 1, size + member.size
    raise Invalid("The backup is not whole, or was changed: what is in it is not what it lists")


def _digest(file: BinaryIO) -> str:
    hashing = _Hashing(file)
    while hashing.read(BLOCK):
        pass
    return hashing.hexdigest()


def _path_of(name: str, files: Path | None) -> Path:
    """Where a file of the artifacts goes, below the folder. Raises Invalid for a name that no file of a store has."""
    key = name.removeprefix(ARTIFACTS)
    with suppress(Invalid):
        if files and key != name and blobs.safe_key(key) == key and key.split("/")[0].casefold() != UPLOADS:
            return files / key
    raise Invalid(f"The backup has a file in it that no store has: {name!r}")


def _take_out(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> str:
    """The SHA-256 of the file, which is new."""
    hashing = _Hashing(_content(tar, member))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            while block := hashing.read(BLOCK):
                file.write(block)
    except (FileExistsError, NotADirectoryError):
        raise Invalid(f"The backup has a file in it twice, or below another: {member.name!r}") from None
    with suppress(ValueError, OverflowError):  # a time that no file has
        os.utime(path, (member.mtime, member.mtime))
    return hashing.hexdigest()


def _bring_up_to_date(made: URL, head: Head) -> None:
    engine = db.create_writer(made)
    try:
        with engine.connect() as conn:
            if schema.known(conn) != head.schema_revision:
                raise Invalid("The backup's database is not of the schema that the backup names")
    finally:
        engine.dispose()
    schema.upgrade(made)


def _place_folder(files: Path, store: Path) -> None:
    with suppress(FileNotFoundError):
        os.rmdir(store / UPLOADS)
    with suppress(FileNotFoundError):
        os.rmdir(store)
    os.rename(files, store)
    sync_folder(store.parent)
