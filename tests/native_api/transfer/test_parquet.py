"""Exports, and the way back: nothing is lost, nothing comes twice, nothing strange comes in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, func, select

from native_api.core import (
    accounts,
    audit,
    datasets,
    db,
    logged_models,
    model_versions,
    runs,
)
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.datasets import NewInput
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


def test_every_table_is_exported_or_said_not_to_be() -> None:
    told = [*(kept.table for kept in k.KEPT), *k.DERIVED, *k.LEFT]
    assert sorted(table.name for table in told) == sorted(t.metadata.tables)


def test_the_document_tells_of_every_file_and_column() -> None:
    words = (Path(__file__).parents[3] / "docs" / "export.md").read_text()
    for kept in k.KEPT:
        section = words.split(f"| `{kept.file}` | type |")[1].split("\n\n")[0]
        for column in columns.schema_of(kept):
            assert f"| `{column.name}` | {column.type}{' or null' if column.nullable else ''} |" in section
