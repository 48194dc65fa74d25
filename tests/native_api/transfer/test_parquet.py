"""Exports, and the way back: nothing is lost, nothing comes twice, nothing strange comes in."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Connection, Engine, func, select

from native_api.core import accounts, audit, datasets, db, logged_models, metrics, model_versions, runs
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.datasets import NewInput
from native_api.core.errors import Exists, Invalid, NotFound
from native_api.core.folder import Folder
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.logged_models import NewModel
from native_api.core.metrics import Final, Name, Point
from native_api.core.run_configs import NewConfig
from native_api.core.runs import LogEntry, NewRun
from native_api.transfer import columns, parquet_export, parquet_import
from native_api.transfer import kept as k
from native_api.transfer.parquet_export import Manifest
from native_api.transfer.parquet_import import Brought
from tests import world
from tests.conftest import fresh_postgres

Databases = Callable[[str], Engine]


@pytest.fixture
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """Makes databases with an empty schema, each of one of the two kinds."""
    made: list[Engine] = []

    def make(kind: str) -> Engine:
        name = f"transfer{len(made)}"
        if kind == "sqlite":
            url = f"sqlite:///{tmp_path / name}.db"
        else:
            url = fresh_postgres(request.getfixturevalue("postgres_url"), name)
        made.append(db.create_writer(db.parse_url(url), 2))
        t.metadata.create_all(made[-1])
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


def fill(engine: Engine, files: Path) -> world.World:
    """A server with something of everything, some of it odd."""
    with audit.transaction(engine) as conn:
        accounts.set_up(conn, world.ROOT)
        found = world.build(conn, files)
        project_id = found.ids["project_id"]
        admin = Actor(found.callers["admin"], project_id, {project_id: Scope.ADMIN}, Scope.ADMIN)
        _track_oddities(conn, admin, found)
    return found


def _track_oddities(conn: Connection, admin: Actor, w: world.World) -> None:
    number = int(w.ids["experiment"])
    typed = {"a": 1, "b": 2.5, "c": [True, None, {"ü": "\U0001f600"}], "d": "1", "z": {}}
    config = NewConfig(typed, {"python": "3.12"}, "train.py --lr 0.1", 2**40)
    run = runs.create(
        conn, admin, NewRun(number, run_name="größer \U0001f680\n", config=config, started_at=-5, tags={"": "x"})
    )
    run_id = run.info.run_id
    values = (1.5, math.inf, -math.inf, 5e-324, 1e308, 0.1 + 0.2)
    points: dict[Name, list[Point]] = {
        Name(scope, "loss ü"): [Point(step, 10 - step, value) for step, value in enumerate(values)]
        for scope in range(4)
    }
    points[Name(0, "nan")] = [Point(-1, 0, 0.0, is_nan=1), Point(2**62, 2**61, 0.0)]
    logged_models.create(conn, admin, NewModel(number, "with params", params={"p": "1", "ü": ""}))
    measured = [
        ModelPoint(w.ids["model_id"], Name(1, "acc"), 3, 4, 0.0, is_nan=1, dataset_name="d", dataset_digest="e"),
        ModelPoint(w.ids["model_id"], Name(0, "acc"), 3, 4, math.inf),
    ]
    (problem,) = runs.log(conn, [LogEntry(admin, run_id, points=points, model_points=measured)])
    assert problem is None
    inputs = [
        NewInput("data", "abc", "local", "/a", '{"schema": 1}', '{"rows": 2}', datasets.TRAINING, {"k": "ü"}),
        NewInput("other", "def", "s3", "s3://x"),
    ]
    runs.add_inputs(conn, admin, run_id, inputs, ["m-" + "0" * 32])
    second = runs.create(conn, admin, NewRun(number))
    runs.add_inputs(conn, admin, second.info.run_id, [NewInput("data", "abc", "local", "/elsewhere")], [])
    runs.add_outputs(conn, admin, second.info.run_id, [(f"m-{letter * 32}", 1) for letter in "cab"])
    runs.complete(conn, admin, second.info.run_id, "failed", finals=[Final(Name(2, "auc"), 0.0, 1, None)])
    project_id = admin.project_id
    name = w.ids["registered_model"]
    for text in ("second", "third"):
        origin = model_versions.Origin(text, text, run_id)
        model_versions.create(conn, admin, project_id, name, origin)
    model_versions.move(conn, admin, project_id, name, 2, "production", archive_others=True)
    model_versions.delete(conn, admin, project_id, name, 3)
    logged_models.delete(conn, admin, w.ids["model_id"])


def take_out(engine: Engine, folder: Path, store: Folder | None = None, project: str | None = None) -> Manifest:
    reader = db.create_reader(engine.url, 1)
    try:
        return parquet_export.take_out(reader, folder, store, project=project)
    finally:
        reader.dispose()


def bring_in(engine: Engine, folder: Path, store: Folder | None = None) -> tuple[Brought, list[str]]:
    said: list[str] = []
    return parquet_import.bring_in(engine, folder, store, said.append), said


def changed(brought: Brought) -> dict[str, int]:
    return {name: count.created for name, count in brought.counts.items() if count.created}


@pytest.mark.parametrize("served", [False, True], ids=["empty", "served"])
@pytest.mark.parametrize(
    ("source", "target"), [("sqlite", "sqlite"), ("sqlite", "postgresql"), ("postgresql", "sqlite")]
)
def test_what_goes_out_comes_back_and_goes_out_the_same(
    databases: Databases, tmp_path: Path, source: str, target: str, served: bool
) -> None:
    one, two = databases(source), databases(target)
    files = Folder(tmp_path / "files"), Folder(tmp_path / "others")
    fill(one, tmp_path / "files")
    if served:
        with audit.transaction(two) as conn:
            accounts.set_up(conn, world.ROOT)
    first = take_out(one, tmp_path / "first", files[0])
    assert [name for name, file in first.files.items() if not file.rows] == []
    brought, said = bring_in(two, tmp_path / "first", files[1])
    assert (said, brought.refused) == ([], 0)
    second = take_out(two, tmp_path / "second", files[1])
    assert second.files == first.files

    with two.connect() as conn:
        entries = conn.scalar(select(func.count()).select_from(t.audit_log))
        revisions = conn.execute(select(t.runs.c.run_id, t.runs.c.revision).order_by(t.runs.c.run_id)).all()
    again, said = bring_in(two, tmp_path / "first", files[1])
    assert (said, changed(again)) == ([], {})
    with two.connect() as conn:
        assert conn.scalar(select(func.count()).select_from(t.audit_log)) == entries
        assert conn.execute(select(t.runs.c.run_id, t.runs.c.revision).order_by(t.runs.c.run_id)).all() == revisions
        assert audit.verify(conn)[1] is None
        assert _derived(conn) == _derived_of(one)


def _derived_of(engine: Engine) -> list[list[tuple[Any, ...]]]:
    with engine.connect() as conn:
        return _derived(conn)


def _derived(conn: Connection) -> list[list[tuple[Any, ...]]]:
    """What searches read, by public ids."""
    r, key, latest, param = t.runs.c, t.metric_keys.c, t.run_metric_latest, t.run_params
    hidden = ("run_id", "metric_id", "experiment_id")
    of_metrics = (
        select(r.run_id, key.key, *(column for column in latest.c if column.name not in hidden))
        .join_from(latest, t.runs, r.id == latest.c.run_id)
        .join(t.metric_keys, key.id == latest.c.metric_id)
    )
    of_params = select(r.run_id, param.c.key, param.c.value).join_from(param, t.runs, r.id == param.c.run_id)
    return [sorted((tuple(row) for row in conn.execute(of)), key=str) for of in (of_metrics, of_params)]


def test_the_document_tells_of_every_file_and_column() -> None:
    words = (Path(__file__).parents[3] / "docs" / "export.md").read_text()
    for kept in k.KEPT:
        section = words.split(f"| `{kept.file}` | type |")[1].split("\n\n")[0]
        for column in columns.schema_of(kept):
            assert f"| `{column.name}` | {column.type}{' or null' if column.nullable else ''} |" in section


def test_every_table_is_exported_or_named_as_not_exported() -> None:
    named = [*(kept.table for kept in k.KEPT), *k.DERIVED, *k.LEFT]
    assert sorted(table.name for table in named) == sorted(t.metadata.tables)


@pytest.fixture
def filled(databases: Databases, tmp_path: Path) -> tuple[Engine, Path]:
    """A server with something of everything, and its export."""
    engine = databases("sqlite")
    fill(engine, tmp_path / "files")
    take_out(engine, tmp_path / "export", Folder(tmp_path / "files"))
    return engine, tmp_path / "export"


def test_an_import_that_was_killed_is_completed_by_the_next(
    databases: Databases, filled: tuple[Engine, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, export = filled
    two = databases("sqlite")
    with monkeypatch.context() as patch:

        def die(*_: object) -> int:
            raise KeyboardInterrupt

        patch.setattr(metrics, "append", die)
        with pytest.raises(KeyboardInterrupt):
            bring_in(two, export)
    brought, said = bring_in(two, export)
    assert said == []
    assert brought.counts["runs"].created == 0  # they were there
    assert brought.counts["run_metric_values"].created > 0
    assert take_out(two, tmp_path / "b").files == take_out(one, tmp_path / "a").files


def test_large_files_have_the_same_bytes_in_whatever_portions_they_were_read(
    filled: tuple[Engine, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = filled
    monkeypatch.setattr(parquet_export, "GROUP", 7)
    first = take_out(one, tmp_path / "a")
    monkeypatch.setattr(parquet_export, "RUNS", 1)
    monkeypatch.setattr(parquet_export, "POINTS", 2)
    assert take_out(one, tmp_path / "b").files == first.files
    assert pq.ParquetFile(tmp_path / "b" / "run_metric_values.parquet").num_row_groups > 2


def test_a_project_alone_has_nothing_of_others(filled: tuple[Engine, Path], tmp_path: Path) -> None:
    one, export = filled
    slug = next(row["slug"] for row in read(export, "ml_projects") if row["slug"].startswith("project-mark"))
    manifest = take_out(one, tmp_path / "alone", project=slug)
    assert manifest.project == slug
    (project,) = read(tmp_path / "alone", "ml_projects")
    assert {row["project_id"] for row in read(tmp_path / "alone", "experiments")} == {project["project_id"]}
    assert len(read(tmp_path / "alone", "runs")) == len(read(export, "runs"))  # all of them are of this one
    assert len(read(tmp_path / "alone", "experiments")) < len(read(export, "experiments"))
    with pytest.raises(NotFound):
        take_out(one, tmp_path / "none", project="none")
    assert not (tmp_path / "none").exists()


def read(folder: Path, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / f"{table}.parquet").to_pylist()
    return rows


def test_an_export_never_replaces_what_is_there(filled: tuple[Engine, Path]) -> None:
    one, export = filled
    with pytest.raises(Exists):
        take_out(one, export)


def test_what_is_here_under_another_id_is_reported_and_left(databases: Databases, filled: tuple[Engine, Path]) -> None:
    _, export = filled
    two = databases("sqlite")
    bring_in(two, export)
    with two.begin() as conn:
        conn.execute(t.experiment_tags.delete())
        conn.execute(t.experiments.update().where(t.experiments.c.id == 0).values(experiment_id="f" * 32))
    brought, said = bring_in(two, export)
    assert [line.split(":")[1] for line in said] == [" a name of it is taken here"]
    assert brought.refused == 1
    assert brought.counts["experiment_tags"].created > 0


def test_accounts_come_without_any_right(databases: Databases, filled: tuple[Engine, Path]) -> None:
    two = databases("sqlite")
    bring_in(two, filled[1])
    u, m = t.users.c, t.project_members.c
    with two.connect() as conn:
        made = conn.execute(select(t.users).where(u.email != accounts.OWNER_EMAIL)).all()
        members = set(conn.scalars(select(m.user_id)))
    assert made
    assert not any(user.is_active or user.is_administrator or user.password_hash for user in made)
    assert not {user.user_id for user in made} & members


def forge(folder: Path, table: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change each row of a file, and the manifest so that it agrees."""
    path = folder / f"{table}.parquet"
    rows = read(folder, table)
    for row in rows:
        change(row)
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(path)), path, store_schema=False)
    manifest = json.loads((folder / k.MANIFEST).read_text())
    manifest["files"][path.name]["sha256"] = sha256(path.read_bytes()).hexdigest()
    (folder / k.MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("runs", "run_id", "../../etc"),
        ("runs", "run_id", "0" * 32 + "\n"),
        ("runs", "status", "finished'; DROP TABLE runs; --"),
        ("runs", "notes", "a\0b"),
        ("runs", "created_by", "nobody"),
        ("experiments", "short_id", -1),
        ("experiments", "name", "x" * 3000),
        ("dataset_versions", "size_bytes", -1),
        ("run_configs", "params_json", "[1]"),
        ("run_configs", "params_json", "{"),
        ("run_metric_values", "scope", "secret"),
        ("files", "path", "../../etc/passwd"),
    ],
)
def test_values_that_no_export_has_are_refused_before_anything_is_written(
    databases: Databases, filled: tuple[Engine, Path], table: str, column: str, value: object
) -> None:
    two = databases("sqlite")
    forge(filled[1], table, lambda row: row.update({column: value}))
    with pytest.raises(Invalid, match="^(files|" + table + r")\.parquet|^Invalid path"):
        bring_in(two, filled[1], Folder(filled[1].parent / "others"))
    with two.connect() as conn:
        assert conn.scalar(select(func.count()).select_from(t.ml_projects)) == 0


def test_references_that_lead_nowhere_are_refused(databases: Databases, filled: tuple[Engine, Path]) -> None:
    two = databases("sqlite")
    forge(filled[1], "run_tags", lambda row: row.update(run_id="e" * 32))
    forge(filled[1], "registered_model_aliases", lambda row: row.update(version=99))
    brought, said = bring_in(two, filled[1])
    assert brought.refused == len(said) == len(read(filled[1], "run_tags")) + 1
    assert all("what it refers to is not here" in line for line in said)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / k.MANIFEST).unlink(),
        lambda folder: (folder / k.MANIFEST).write_text("[]"),
        lambda folder: (folder / k.MANIFEST).write_text((folder / k.MANIFEST).read_text().replace(": 1,", ": 2,")),
        lambda folder: (folder / "runs.parquet").write_bytes(b"PAR1"),
        lambda folder: (folder / "runs.parquet").unlink(),
    ],
)
def test_a_damaged_export_is_refused(
    databases: Databases, filled: tuple[Engine, Path], damage: Callable[[Path], Any]
) -> None:
    damage(filled[1])
    with pytest.raises(Invalid):
        bring_in(databases("sqlite"), filled[1])


def test_a_changed_file_of_an_artifact_is_not_stored(
    databases: Databases, filled: tuple[Engine, Path], tmp_path: Path
) -> None:
    (row, *_) = read(filled[1], "files")
    (filled[1] / k.ARTIFACTS / row["path"]).write_bytes(b"!" * row["size_bytes"])
    brought, said = bring_in(databases("sqlite"), filled[1], Folder(tmp_path / "others"))
    assert brought.refused == 1
    assert "SHA-256" in said[0]
    assert not (tmp_path / "others" / row["path"]).exists()
