"""A backup holds what was committed before it began, fits together, and comes back whole or not at all."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count, cycle
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.engine import URL

from native_api.core import artifacts, audit, backups, db, doctor, experiments, file_rows, places, runs, schema
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import Conflict, Exists, Invalid, Unsupported
from native_api.core.file_check import FileCheck
from native_api.core.folder import UPLOADS, Folder
from native_api.core.metrics import Name, Point
from native_api.core.runs import LogEntry, NewRun
from tests.conftest import make_actor


@dataclass
class Place:
    """A database and its folder of artifacts."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)

    @property
    def url(self) -> URL:
        return db.parse_url(f"sqlite:///{self.folder / 'here.db'}")

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    def findings(self) -> list[str]:
        engine = db.create_reader(self.url, 2)

        def now(ids: list[str]) -> list[file_rows.FileRow]:
            with engine.connect() as conn:
                return file_rows.now(conn, ids)

        check = FileCheck(Folder(self.artifacts), now, checksums=True)
        with engine.connect() as conn:
            found = [*doctor.examine(conn), *check.examine(conn)]
        engine.dispose()
        return found

    def backup(self, target: Path) -> backups.Summary:
        return backups.make(self.url, str(self.artifacts), target)

    def restore(self, source: Path) -> backups.Summary:
        return backups.restore(source, self.url, str(self.artifacts))

    def names(self) -> list[str]:
        return sorted(os.listdir(self.folder))


@dataclass
class Server(Place):
    """The same, and what clients do to it."""

    engine: Engine = field(init=False)
    actor: Actor = field(init=False)
    experiment: int = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        schema.upgrade(self.url)
        self.engine = db.create_writer(self.url, 2)
        self.store = Folder(self.artifacts)
        with audit.transaction(self.engine) as conn:
            self.actor = make_actor(conn, "one")
            project = self.actor.project_id
            self.experiment = experiments.create(conn, self.actor, project, "e", artifact_root="mlflow-artifacts:/")

    def run(self, value: float) -> str:
        """The id of a new run with a point and a param."""
        with audit.transaction(self.engine) as conn:
            run_id = runs.create(conn, self.actor, NewRun(self.experiment)).info.run_id
            points = {Name(0, "m"): [Point(0, 1, value)]}
            assert runs.log(conn, [LogEntry(self.actor, run_id, points, {"p": str(value)})]) == [None]
        return run_id

    def key(self, run_id: str, path: str) -> str:
        return f"{self.experiment}/{run_id}/artifacts/{path}"

    def upload(self, run_id: str, path: str, content: bytes) -> None:
        key = self.key(run_id, path)
        stored = self.store.put(key, [content])
        with audit.transaction(self.engine) as conn:
            artifacts.record(conn, self.actor, places.get_place(conn, self.actor, key), stored.size, stored.sha256)

    def delete(self, run_id: str, path: str) -> None:
        key = self.key(run_id, path)
        with audit.transaction(self.engine) as conn:
            artifacts.forget(conn, self.actor, places.get_place(conn, self.actor, key))
        self.store.delete(key)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server")
    yield server
    server.engine.dispose()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Place:
    return Place(tmp_path / "elsewhere")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "one.tar"


def values(place: Place) -> dict[str, float]:
    """The value of each run's metric."""
    engine = db.create_reader(place.url, 1)
    with engine.connect() as conn:
        joined = t.runs.join(t.run_metric_latest, t.runs.c.id == t.run_metric_latest.c.run_id)
        rows = conn.execute(select(t.runs.c.run_id, t.run_metric_latest.c.value).select_from(joined))
        found = {row.run_id: row.value for row in rows}
    engine.dispose()
    return found


# Making one, and putting it back


def test_what_is_backed_up_comes_back(server: Server, elsewhere: Place, file: Path) -> None:
    run_id = server.run(0.5)
    server.upload(run_id, "a/b ü%41.txt", b"content")
    os.utime(server.artifacts / server.key(run_id, "a/b ü%41.txt"), (1000, 1000))
    (server.artifacts / "m").mkdir()
    (server.artifacts / "m" / "no row.bin").write_bytes(bytes(3_000_000))
    (server.artifacts / "link").symlink_to("/etc/passwd")
    (server.artifacts / UPLOADS / "growing").write_bytes(b"half")
    made = server.backup(file)
    assert (made.files, made.changed, made.head.schema_revision) == (3, 0, schema.HEAD)
    assert elsewhere.restore(file).files == 3
    assert values(elsewhere) == {run_id: 0.5}
    restored = elsewhere.artifacts / server.key(run_id, "a/b ü%41.txt")
    assert (restored.read_bytes(), restored.stat().st_mtime) == (b"content", 1000)
    assert (elsewhere.artifacts / "m" / "no row.bin").stat().st_size == 3_000_000
    assert sorted(os.listdir(elsewhere.artifacts)) == [str(server.experiment), "m"]
    assert elsewhere.findings() == []
    assert elsewhere.names() == ["artifacts", "here.db"]
    assert os.listdir(file.parent) == [file.name]
    assert file.stat().st_mode & 0o077 == 0  # password hashes are in it


def test_a_backup_is_never_written_over_a_file(server: Server, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"dear")
    with pytest.raises(Exists):
        server.backup(file)
    assert file.read_bytes() == b"dear"
    assert os.listdir(file.parent) == [file.name]


def test_a_file_that_appears_meanwhile_is_kept(server: Server, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = backups._write

    def slow(*arguments: object) -> object:
        file.write_bytes(b"dear")
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(backups, "_write", slow)
    with pytest.raises(Exists):
        server.backup(file)
    assert file.read_bytes() == b"dear"


def test_where_there_is_no_database_none_is_made(elsewhere: Place, file: Path) -> None:
    with pytest.raises(Invalid, match="no such database"):
        elsewhere.backup(file)
    assert elsewhere.names() == []


def test_postgresql_has_its_own_way(elsewhere: Place, file: Path) -> None:
    url = db.parse_url("postgresql://host/name")
    with pytest.raises(Unsupported, match="pg_dump"):
        backups.make(url, str(elsewhere.artifacts), file)
    with pytest.raises(Unsupported, match="pg_restore"):
        backups.restore(file, url, str(elsewhere.artifacts))


def test_of_artifacts_in_a_bucket_the_rows_are_kept_and_nothing_else(
    server: Server, elsewhere: Place, file: Path
) -> None:
    run_id = server.run(0.5)
    server.upload(run_id, "a", b"a")
    made = backups.make(server.url, "s3://bucket/prefix", file)
    assert (made.files, made.head.has_artifacts) == (1, False)
    backups.restore(file, elsewhere.url, "s3://bucket/prefix")
    assert elsewhere.names() == ["here.db"]
    (finding,) = elsewhere.findings()
    assert finding.endswith(f"{server.key(run_id, 'a')!r} is not in the store")


# What changes meanwhile


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Has a backup do something once it has copied the database."""
    copy = backups._copy_database

    def give(change: Callable[[], None]) -> None:
        def copy_and_change(url: URL, snapshot: URL) -> None:
            copy(url, snapshot)
            change()

        monkeypatch.setattr(backups, "_copy_database", copy_and_change)

    return give


def test_rows_say_what_became_of_files_meanwhile(
    server: Server, elsewhere: Place, file: Path, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    run_id = server.run(0.5)
    for path in ("kept", "replaced", "same size", "deleted", "d/linked"):
        server.upload(run_id, path, path.encode())

    def change() -> None:
        server.upload(run_id, "replaced", b"anew, and longer")
        server.upload(run_id, "same size", b"SAME SIZE")
        server.upload(run_id, "new", b"new")
        server.delete(run_id, "deleted")
        server.delete(run_id, "d")

    meanwhile(change)
    made = server.backup(file)
    assert made.changed == 4
    elsewhere.restore(file)
    assert elsewhere.findings() == []
    below = elsewhere.artifacts / server.key(run_id, "")
    assert sorted(os.listdir(below)) == ["kept", "new", "replaced", "same size"]
    engine = db.create_reader(elsewhere.url, 1)
    with engine.connect() as conn:
        named = conn.execute(select(t.run_artifacts.c.path, t.artifacts.c.checksum).join(t.artifacts))
        rows = {row.path: row.checksum for row in named}
        told = conn.execute(select(t.audit_log.c.operation).order_by(t.audit_log.c.audit_id.desc()).limit(4)).scalars()
        assert sorted(told) == ["D", "D", "U", "U"]
    engine.dispose()
    assert rows == {
        "kept": sha256(b"kept").hexdigest(),
        "replaced": sha256(b"anew, and longer").hexdigest(),
        "same size": sha256(b"SAME SIZE").hexdigest(),
    }


def test_a_backup_under_load_fits_together_and_has_all_that_was_there_before(
    server: Server, elsewhere: Place, file: Path
) -> None:
    before: dict[str, float] = {}
    contents: dict[str, bytes] = {}
    for number in range(30):
        run_id = server.run(number)
        before[run_id] = number
        server.upload(run_id, "kept", f"kept {number}".encode())
        contents[server.key(run_id, "kept")] = f"kept {number}".encode()
        server.upload(run_id, "changing", b"first")
    stopping, started = threading.Event(), threading.Event()
    failures: list[BaseException] = []
    writes: list[float] = []

    def work() -> None:
        try:
            for existing in cycle(before):
                server.upload(existing, "changing", f"again {len(writes)}".encode())
                run_id = server.run(1)
                for path in ("a", "b/c"):
                    server.upload(run_id, path, b"1")
                    server.upload(run_id, path, f"{len(writes)}".encode())
                server.delete(run_id, "b")
                writes.append(time.monotonic())
                started.set()
                if stopping.is_set():
                    return
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert started.wait(10)
        began = time.monotonic()
        made = server.backup(file)
        ended = time.monotonic()
    finally:
        stopping.set()
        thread.join()
    assert failures == []
    assert [moment for moment in writes if began < moment < ended]
    assert made.files > len(before)
    elsewhere.restore(file)
    assert elsewhere.findings() == []
    assert values(elsewhere).items() >= before.items()
    for key, content in contents.items():
        assert (elsewhere.artifacts / key).read_bytes() == content


# What is refused


def members(file: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(file) as tar:
        return [(info, (content.read() if (content := tar.extractfile(info)) else b"")) for info in tar]


def pack(file: Path, packed: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in packed:
            if info.isreg():
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def made(server: Server, file: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    """The members of a backup, whose file is gone."""
    run_id = server.run(0.5)
    server.upload(run_id, "a", b"a")
    server.backup(file)
    found = members(file)
    file.unlink()
    return found


def refused(elsewhere: Place, file: Path, error: type[Exception] = Invalid) -> str:
    """What the refusal says; nothing is left behind, beside the backup or elsewhere."""
    with pytest.raises(error) as raised:
        elsewhere.restore(file)
    assert elsewhere.names() == []
    return str(raised.value)


NAMES = [
    "artifacts/../../out", "../out", "/out", "artifacts//out", "artifacts/.uploads/x", "artifacts/.UPLOADS/x",
    "artifacts/a\\b", "artifacts/%2e%2e/x", "artifacts/", "artifacts", "x", "artifacts/./x", "database.sqlite",
    "artifacts/a\nb", "backup.json",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_refused(
    made: list[tuple[tarfile.TarInfo, bytes]], elsewhere: Place, file: Path, name: str
) -> None:
    hostile = tarfile.TarInfo(name)
    pack(file, [*made[:-1], (hostile, b"hostile"), made[-1]])
    assert "in it" in refused(elsewhere, file)
    assert not (elsewhere.folder.parent / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_what_is_no_file_is_refused(
    made: list[tuple[tarfile.TarInfo, bytes]], elsewhere: Place, file: Path, kind: bytes
) -> None:
    hostile = tarfile.TarInfo("artifacts/x")
    hostile.type, hostile.linkname = kind, "artifacts/y"
    pack(file, [made[0], (hostile, b""), *made[1:]])
    assert "that is no file" in refused(elsewhere, file)


def test_a_file_below_a_file_is_refused(
    made: list[tuple[tarfile.TarInfo, bytes]], elsewhere: Place, file: Path
) -> None:
    pack(file, [made[0], (tarfile.TarInfo("artifacts/x"), b""), (tarfile.TarInfo("artifacts/x/y"), b""), *made[1:]])
    assert "below another" in refused(elsewhere, file)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "a format that this release does not know: 2"),
        ({"format": None}, "a format that this release does not know"),
        ({"schema_revision": "9999"}, "made by a newer release: its schema revision is '9999'"),
        ({"created_at": "x"}, "no backup of ours"),
        ({"schema_revision": schema.REVISIONS[0]}, "not of the schema that the backup names"),
    ],
)
def test_what_this_release_does_not_know_is_refused(
    made: list[tuple[tarfile.TarInfo, bytes]],
    elsewhere: Place,
    file: Path,
    changes: dict[str, object],
    words: str,
) -> None:
    head = json.loads(made[0][1]) | changes
    pack(file, [(made[0][0], json.dumps(head).encode()), *made[1:]])
    assert words in refused(elsewhere, file)


def test_a_backup_that_is_not_whole_or_was_changed_is_refused(
    made: list[tuple[tarfile.TarInfo, bytes]], elsewhere: Place, file: Path
) -> None:
    for some in (made[:-1], made[1:], [*made[:1], *made[2:]], [*made[:2], made[-1]], [*made, made[1]]):
        pack(file, some)
        assert "backup" in refused(elsewhere, file)
    content = bytes(255 - byte for byte in made[1][1])
    pack(file, [made[0], (made[1][0], content), *made[2:]])
    assert "was changed" in refused(elsewhere, file)
    pack(file, made)
    whole = file.read_bytes()
    for length in (0, 100, 600, 3000, len(whole) // 2):
        file.write_bytes(whole[:length])
        assert "backup" in refused(elsewhere, file)
    file.write_bytes(b"\0" * 10240)
    refused(elsewhere, file)
    file.write_bytes(os.urandom(5000))
    refused(elsewhere, file)


def test_a_place_that_is_taken_is_refused(server: Server, elsewhere: Place, file: Path) -> None:
    server.run(0.5)
    server.backup(file)
    with pytest.raises(Conflict, match="a database already"):
        server.restore(file)
    assert len(values(server)) == 1
    elsewhere.artifacts.mkdir()
    (elsewhere.artifacts / "x").touch()
    with pytest.raises(Conflict, match="not empty"):
        elsewhere.restore(file)
    assert elsewhere.names() == ["artifacts"]
    (elsewhere.artifacts / "x").unlink()
    (elsewhere.artifacts / UPLOADS).mkdir()  # as a server makes it at its start
    elsewhere.restore(file)
    assert len(values(elsewhere)) == 1


def test_an_older_backup_is_brought_up_to_date(tmp_path: Path, elsewhere: Place, file: Path) -> None:
    older = Place(tmp_path / "older")
    schema.upgrade(older.url, schema.REVISIONS[0])
    assert older.backup(file).head.schema_revision == schema.REVISIONS[0]
    elsewhere.restore(file)
    engine = db.create_reader(elsewhere.url, 1)
    schema.check(engine)
    engine.dispose()


# What is killed


@pytest.mark.parametrize("step", ["_extract", "_bring_up_to_date", "_write_ready", "_place_folder", "rename", "empty"])
@pytest.mark.parametrize("after", [False, True])
def test_a_killed_restore_can_be_run_again(
    server: Server, elsewhere: Place, file: Path, step: str, after: bool
) -> None:
    run_id = server.run(0.5)
    server.upload(run_id, "a", b"a")
    server.backup(file)
    child = os.fork()
    if not child:
        _restore_until(elsewhere, file, step, after=after)
    assert os.waitpid(child, 0)[1] == 9 << 8
    if (elsewhere.folder / "here.db").exists():  # it was all there
        with pytest.raises(Conflict):
            elsewhere.restore(file)
    else:
        elsewhere.restore(file)
    assert values(elsewhere) == {run_id: 0.5}
    assert elsewhere.findings() == []
    assert [name for name in elsewhere.names() if not name.endswith(".partial")] == ["artifacts", "here.db"]


def _restore_until(elsewhere: Place, file: Path, step: str, *, after: bool) -> None:
    """Restore in a process that ends, as if it was killed, before or after a step."""
    module = os if step == "rename" else backups
    real = getattr(module, step)
    renames = count()

    def killing(*arguments: object) -> object:
        if step == "rename" and next(renames) == 0:  # of the folder
            return real(*arguments)
        if step == "empty" and not (elsewhere.folder / "here.db").exists():
            return real(*arguments)
        if after:
            real(*arguments)
        os._exit(9)

    setattr(module, step, killing)
    try:
        elsewhere.restore(file)
    finally:
        os._exit(1)


def test_a_killed_backup_is_swept_up_by_the_next(server: Server, file: Path) -> None:
    server.run(0.5)
    child = os.fork()
    if not child:
        backups._put_in_place = lambda *_: os._exit(9)
        server.backup(file)
    assert os.waitpid(child, 0)[1] == 9 << 8
    assert not file.exists()
    server.backup(file)
    assert os.listdir(file.parent) == [file.name]


def test_two_at_once_do_not_meet(server: Server, file: Path, meanwhile: Callable[[Callable[[], None]], None]) -> None:
    refusals: list[str] = []

    def again() -> None:
        with pytest.raises(Conflict) as raised:
            server.backup(file)
        refusals.append(str(raised.value))

    meanwhile(again)
    server.backup(file)
    assert refusals == ["Another backup or restore of the same name is under way"]
    engine = db.create_reader(server.url, 1)
    with engine.connect() as conn:
        assert conn.scalar(select(func.count()).select_from(t.runs)) == 0
    engine.dispose()
