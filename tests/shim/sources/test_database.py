import hashlib
import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import Connection, Engine, text

from native_api.core import db, schema
from native_api.core.datasets import NewInput
from native_api.core.errors import Invalid, Unavailable
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import Name
from native_api.transfer.records import Counts, RunModel
from shim.sources import database, translation
from shim.sources.database import Database
from tests.conftest import fresh_postgres

RELEASES = ("1.30", "2.9", "2.22", "3.17")
FIRST, SECOND, THIRD = ("1" * 32, "2" * 32, "3" * 32)
MODEL = "m-" + "a" * 32
GONE_MODEL = "m-" + "b" * 32

ROWS: dict[str, list[dict[str, object]]] = {
    "alembic_version": [{"version_num": "0"}],
    "experiments": [
        {"experiment_id": 0, "name": "Default", "artifact_location": "/a/0", "lifecycle_stage": "active"},
        {
            "experiment_id": 7,
            "name": "seven",
            "artifact_location": "/a/7",
            "lifecycle_stage": "deleted",
            "creation_time": 10,
            "last_update_time": 20,
        },
    ],
    "experiment_tags": [
        {"experiment_id": 7, "key": "mlflow.note.content", "value": "why"},
        {"experiment_id": 7, "key": "k", "value": "v"},
    ],
    "runs": [
        {
            "run_uuid": FIRST,
            "experiment_id": 0,
            "name": "first",
            "user_id": "ada",
            "status": "FAILED",
            "start_time": 100,
            "end_time": 200,
            "lifecycle_stage": "active",
            "artifact_uri": "/a/0/first",
            "source_type": "LOCAL",
        },
        {
            "run_uuid": SECOND,
            "experiment_id": 0,
            "name": "",
            "status": "FINISHED",
            "start_time": 110,
            "end_time": 120,
            "lifecycle_stage": "deleted",
            "deleted_time": 300,
            "artifact_uri": "/a/0/second",
            "source_type": "UNKNOWN",
        },
        {
            "run_uuid": THIRD,
            "experiment_id": 7,
            "name": "third",
            "status": "KILLED",
            "start_time": 5,
            "lifecycle_stage": "active",
            "artifact_uri": "/a/7/third",
            "source_type": "UNKNOWN",
        },
    ],
    "params": [{"run_uuid": FIRST, "key": "lr", "value": "0.1"}, {"run_uuid": FIRST, "key": "empty", "value": ""}],
    "tags": [
        {"run_uuid": FIRST, "key": "mlflow.source.git.commit", "value": "abc"},
        {"run_uuid": FIRST, "key": "none", "value": None},
        {"run_uuid": SECOND, "key": "mlflow.runName", "value": "named by tag"},
        {"run_uuid": SECOND, "key": "mlflow.parentRunId", "value": FIRST},
    ],
    "metrics": [
        {"run_uuid": run_id, "key": key, "value": value, "timestamp": time, "step": step, "is_nan": is_nan}
        for run_id, key, value, time, step, is_nan in [
            (FIRST, "val/loss", 0.5, 1_000, 0, False),
            (FIRST, "val/loss", 0.0, 1_001, 1, True),
            (FIRST, "val/loss", translation.LARGEST, 1_002, 2, False),
            (FIRST, "val/loss", -translation.LARGEST, 1_003, 3, False),
            (FIRST, "acc", 1.0, 1_000, -1, False),
            (THIRD, "acc", 2.0, 9, 0, False),
        ]
    ],
    "datasets": [
        {
            "dataset_uuid": "d1",
            "experiment_id": 0,
            "name": "data",
            "digest": "123",
            "dataset_source_type": "local",
            "dataset_source": "{}",
            "dataset_schema": "{s}",
            "dataset_profile": None,
        }
    ],
    "inputs": [
        {
            "input_uuid": "i1",
            "source_type": "DATASET",
            "source_id": "d1",
            "destination_type": "RUN",
            "destination_id": FIRST,
            "step": 0,
        },
    ],
    "input_tags": [
        {"input_uuid": "i1", "name": "mlflow.data.context", "value": "training"},
        {"input_uuid": "i1", "name": "k", "value": "v"},
    ],
    "logged_models": [
        {
            "model_id": MODEL,
            "experiment_id": 0,
            "name": "net",
            "artifact_location": "/a/m",
            "creation_timestamp_ms": 1,
            "last_updated_timestamp_ms": 2,
            "status": 2,
            "lifecycle_stage": "active",
            "model_type": "agent",
            "source_run_id": FIRST,
        },
        {
            "model_id": GONE_MODEL,
            "experiment_id": 0,
            "name": "gone",
            "artifact_location": "/a/g",
            "creation_timestamp_ms": 3,
            "last_updated_timestamp_ms": 4,
            "status": 3,
            "lifecycle_stage": "deleted",
            "status_message": "broke",
        },
    ],
    "logged_model_params": [{"model_id": MODEL, "experiment_id": 0, "param_key": "p", "param_value": "1"}],
    "logged_model_tags": [{"model_id": MODEL, "experiment_id": 0, "tag_key": "t", "tag_value": "2"}],
    "logged_model_metrics": [
        {
            "model_id": MODEL,
            "experiment_id": 0,
            "run_id": run_id,
            "metric_name": "test/acc",
            "metric_timestamp_ms": 50,
            "metric_step": step,
            "metric_value": value,
            "dataset_name": dataset,
            "dataset_digest": dataset and "123",
        }
        for run_id, step, value, dataset in [(FIRST, 0, 0.25, "data"), (FIRST, 1, translation.LARGEST, None)]
    ],
    "registered_models": [
        {"name": "b", "creation_time": 1, "last_updated_time": 2, "description": "of b"},
        {"name": "a", "creation_time": 3, "last_updated_time": None, "description": None},
    ],
    "registered_model_tags": [{"name": "b", "key": "k", "value": "v"}],
    "registered_model_aliases": [{"name": "b", "alias": "best", "version": 2}],
    "model_versions": [
        {
            "name": "b",
            "version": version,
            "creation_time": version,
            "last_updated_time": 10 + version,
            "description": None if version == 1 else "",
            "current_stage": stage,
            "source": f"/a/0/first/{version}",
            "storage_location": f"/stored/{version}",
            "run_id": FIRST,
            "status": "READY",
        }
        for version, stage in [(1, "Production"), (2, "None"), (3, "Deleted_Internal")]
    ],
    "model_version_tags": [{"name": "b", "version": 2, "key": "k", "value": "v"}],
}
MODEL_LINKS: list[dict[str, object]] = [
    {
        "input_uuid": f"link{kind}",
        "source_type": f"RUN_{kind}",
        "source_id": FIRST,
        "destination_type": f"MODEL_{kind}",
        "destination_id": MODEL,
        "step": step,
    }
    for kind, step in [("INPUT", 0), ("OUTPUT", 4)]
]


def make(engine: Engine, release: str) -> None:
    """The tables as this release makes them, and in them as many of the rows as they hold."""
    script = (Path(__file__).parent / "mlflow" / f"{release}.sql").read_text()
    if engine.dialect.name == "postgresql":
        script = script.replace(",\n    CHECK (is_nan IN (0, 1))", "")
    with engine.begin() as conn:
        for statement in script.split(";\n"):
            if statement.strip():
                conn.execute(text(statement))
        for table, rows in ROWS.items():
            add(conn, table, rows)
        if release == "3.17":
            add(conn, "inputs", MODEL_LINKS)


def add(conn: Connection, name: str, rows: list[dict[str, object]]) -> None:
    """Those columns of the rows that the table has, if there is such a table."""
    found = sqlalchemy.inspect(conn)
    if found.has_table(name):
        known = [column["name"] for column in found.get_columns(name)]
        for row in rows:
            kept = {key: value for key, value in row.items() if key in known}
            table = sqlalchemy.table(name, *map(sqlalchemy.column, kept))
            conn.execute(table.insert(), kept)


def sqlite(path: Path, release: str = "3.17") -> str:
    url = f"sqlite:///{path}"
    engine = sqlalchemy.create_engine(url)
    make(engine, release)
    engine.dispose()
    return url


@pytest.fixture(scope="module")
def newest_postgres(request: pytest.FixtureRequest) -> str:
    url = fresh_postgres(request.getfixturevalue("postgres_url"), "mlflow")
    engine = sqlalchemy.create_engine(url)
    make(engine, "3.17")
    engine.dispose()
    return url


@pytest.fixture(scope="module", params=[*RELEASES, "postgresql"])
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def source(
    release: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    if release == "postgresql":
        url = request.getfixturevalue("newest_postgres")
    else:
        url = sqlite(tmp_path_factory.mktemp("mlflow") / "mlflow.db", release)
    source = Database(url)
    yield source
    source.close()


def has(release: str, *since: str) -> bool:
    return release in since or release == "postgresql"


def test_everything_is_counted(source: Database, release: str) -> None:
    assert source.counts() == Counts(2, 3, 6, 2 if has(release, "3.17") else 0, 2, 2)


def test_experiments_come_by_number_with_those_in_the_trash(source: Database) -> None:
    default, seven = source.experiments()
    assert (default.key, default.number, default.name, default.artifact_location) == ("0", 0, "Default", "/a/0")
    assert (default.created_at, default.deleted_at, default.tags) == (0, None, {})
    assert (seven.key, seven.number, seven.objective, seven.tags) == ("7", 7, "why", {"k": "v"})
    assert (seven.created_at, seven.updated_at, seven.deleted_at) == (10, 20, 20)


def test_runs_come_with_all_that_is_said_of_them(source: Database, release: str) -> None:
    [[first, second, third]] = source.runs()
    assert (first.run_id, first.experiment, first.run_name, first.status) == (FIRST, "0", "first", "failed")
    assert (first.started_at, first.finished_at, first.deleted_at) == (100, 200, None)
    assert (first.user_name, first.git_commit, first.artifact_uri) == ("ada", "abc", "/a/0/first")
    assert (first.params, first.tags, first.points) == ({"lr": "0.1", "empty": ""}, {"none": ""}, "5")
    used = NewInput("data", "123", "local", "{}", "{s}", None, context="training", tags={"k": "v"})
    assert first.inputs == ([] if release == "1.30" else [used])
    links = [RunModel("input", MODEL, 0), RunModel("output", MODEL, 4)]
    assert first.models == (links if has(release, "3.17") else [])
    assert (second.run_name, second.tags, second.deleted_at) == ("named by tag", {"mlflow.parentRunId": FIRST}, 300)
    assert (second.points, second.user_name, second.inputs) == ("0", "", [])
    assert (third.experiment, third.status, third.finished_at) == ("7", "killed", None)


HISTORY = [(0, 1_000, 0.5, 0, 0), (1, 1_001, 0.0, 1, 0), (2, 1_002, math.inf, 0, 0), (3, 1_003, -math.inf, 0, 0)]


def test_points_come_with_nan_and_infinities(source: Database) -> None:
    [batch] = source.runs()
    found = {run_id: points for part in source.points(batch) for run_id, points in part}
    assert found == {
        FIRST: {Name(2, "loss"): HISTORY, Name(0, "acc"): [(-1, 1_000, 1.0, 0, 0)]},
        THIRD: {Name(0, "acc"): [(0, 9, 2.0, 0, 0)]},
    }
    assert [*source.points([])] == []


@pytest.mark.parametrize("chunk", [1, 2, 4, 5])
def test_long_histories_come_in_parts(source: Database, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHUNK", chunk)
    [batch] = source.runs()
    parts = [*source.points(batch)]
    assert max(sum(len(points) for _, named in part for points in named.values()) for part in parts) <= chunk
    loss = [point for part in parts for _, named in part for point in named.get(Name(2, "loss"), [])]
    assert loss == HISTORY
    assert sum(len(points) for part in parts for _, named in part for points in named.values()) == 6


def test_pages_and_batches_leave_nothing_out(source: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [run for batch in source.runs() for run in batch]
    models = [model for batch in source.logged_models() for model in batch]
    registered = [*source.registered_models()]
    for name, size in [("KEYS", 2), ("BATCH", 1), ("MODELS", 1)]:
        monkeypatch.setattr(database, name, size)
    assert [[run] for run in everything] == [*source.runs()]
    assert [[model] for model in models] == [*source.logged_models()]
    assert registered == [*source.registered_models()]


def test_logged_models_come_with_their_points(source: Database, release: str) -> None:
    if not has(release, "3.17"):
        assert [*source.logged_models()] == []
        assert [*source.model_points([])] == []
        return
    [[model, gone]] = source.logged_models()
    assert (model.model_id, model.experiment, model.name, model.model_type) == (MODEL, "0", "net", "agent")
    assert (model.source_run_id, model.artifact_uri, model.status, model.deleted_at) == (FIRST, "/a/m", "ready", None)
    assert (model.created_at, model.updated_at, model.params, model.tags) == (1, 2, {"p": "1"}, {"t": "2"})
    assert (gone.status, gone.status_message, gone.deleted_at, gone.points) == ("failed", "broke", 4, "0")
    [[(run_id, points)]] = source.model_points([model, gone])
    assert (run_id, model.points) == (FIRST, "2")
    assert sorted(points) == [
        ModelPoint(MODEL, Name(3, "acc"), 0, 50, 0.25, 0, "data", "123"),
        ModelPoint(MODEL, Name(3, "acc"), 1, 50, math.inf, 0, "", ""),
    ]


def test_registered_models_come_without_deleted_versions(source: Database, release: str) -> None:
    a, b = source.registered_models()
    assert (a.name, a.created_at, a.updated_at, a.description, a.versions) == ("a", 3, 3, None, [])
    assert (b.name, b.description, b.created_at, b.updated_at, b.tags) == ("b", "of b", 1, 2, {"k": "v"})
    assert b.aliases == ({} if release == "1.30" else {"best": 2})
    first, second = b.versions
    assert (first.version, first.stage, first.status, first.run_id) == (1, "production", "ready", FIRST)
    stored = "/a/0/first/1" if release == "1.30" else "/stored/1"
    assert (first.source, first.storage_uri, first.created_at, first.updated_at) == ("/a/0/first/1", stored, 1, 11)
    assert (second.version, second.stage, second.tags) == (2, "none", {"k": "v"})
    assert (first.description, second.description) == (None, "")


def test_only_one_workspace_is_read(tmp_path: Path) -> None:
    url = sqlite(tmp_path / "m.db")
    with sqlite3.connect(tmp_path / "m.db") as conn:
        conn.execute("UPDATE experiments SET workspace = 'other' WHERE experiment_id = 7")
        conn.execute("UPDATE registered_models SET workspace = 'other' WHERE name = 'a'")
    conn.close()
    for workspace, numbers, run_ids, models, points in [
        (None, [0], [FIRST, SECOND], ["b"], 5),
        ("other", [7], [THIRD], ["a"], 1),
    ]:
        source = Database(url, workspace)
        assert [experiment.number for experiment in source.experiments()] == numbers
        assert [run.run_id for batch in source.runs() for run in batch] == run_ids
        assert [model.name for model in source.registered_models()] == models
        counts = source.counts()
        assert (counts.experiments, counts.runs, counts.points) == (len(numbers), len(run_ids), points)
        assert counts.registered_models == len(models)
        source.close()


def test_a_workspace_is_not_asked_of_a_database_without(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no workspaces"):
        Database(sqlite(tmp_path / "m.db", "2.22"), "other")


def test_a_workspace_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="nothing in a workspace 'other'"):
        Database(sqlite(tmp_path / "m.db"), "other")


# Strictly read


def read_all(source: Database) -> None:
    source.counts()
    source.experiments()
    for batch in source.runs():
        for _ in source.points(batch):
            pass
    for models in source.logged_models():
        for _ in source.model_points(models):
            pass
    for _ in source.registered_models():
        pass


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_file_and_its_folder_stay_as_they_are(tmp_path: Path, journal: str) -> None:
    url = sqlite(tmp_path / "m.db")
    conn = sqlite3.connect(tmp_path / "m.db")
    conn.execute(f"PRAGMA journal_mode = {journal}")
    conn.close()
    before = hashlib.sha256((tmp_path / "m.db").read_bytes()).digest()
    source = Database(url)
    read_all(source)
    source.close()
    assert [path.name for path in tmp_path.iterdir()] == ["m.db"]
    assert hashlib.sha256((tmp_path / "m.db").read_bytes()).digest() == before


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_server_goes_on_writing_meanwhile(tmp_path: Path, journal: str) -> None:
    url = sqlite(tmp_path / "m.db")
    server = sqlite3.connect(tmp_path / "m.db", timeout=0, isolation_level=None)
    server.execute(f"PRAGMA journal_mode = {journal}")
    server.execute("UPDATE runs SET name = 'renamed' WHERE name = 'third'")  # so that there is a log
    source = Database(url)
    runs = source.runs()
    batch = next(runs)
    points = source.points(batch)
    next(points)
    server.execute("INSERT INTO params (run_uuid, key, value) VALUES (?, 'new', '1')", (THIRD,))
    assert batch[2].run_name == "renamed"
    assert len(batch[0].params) == 2
    source.close()
    server.close()


def test_a_file_cannot_be_written_through_it(tmp_path: Path) -> None:
    source = Database(sqlite(tmp_path / "m.db"))
    with pytest.raises(sqlalchemy.exc.OperationalError, match="readonly"):
        source._conn.execute(text("DELETE FROM params"))
    source.close()


def test_postgresql_is_read_only_and_seen_as_it_was(newest_postgres: str) -> None:
    source = Database(newest_postgres)
    before = source.counts()
    writer = sqlalchemy.create_engine(newest_postgres)
    with writer.begin() as conn:
        add(conn, "runs", [{"run_uuid": "9" * 32, "experiment_id": 0, "lifecycle_stage": "active"}])
    assert source.counts() == before
    with pytest.raises(sqlalchemy.exc.InternalError, match="read-only"):
        source._conn.execute(text("DELETE FROM params"))
    source.close()
    later = Database(newest_postgres)
    assert later.counts().runs == before.runs + 1
    later.close()
    with writer.begin() as conn:
        conn.execute(text("DELETE FROM runs WHERE run_uuid = :id"), {"id": "9" * 32})
    writer.dispose()


# What is no such database


def test_the_location_has_a_whole_path_and_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite(tmp_path / "m.db")
    monkeypatch.chdir(tmp_path)
    source = Database("sqlite:///m.db")
    assert source.location == f"sqlite:///{tmp_path.resolve() / 'm.db'}"
    source.close()


def test_the_location_of_a_server_has_no_password() -> None:
    url = database._parse("postgresql+psycopg2://ada:secret@host:5432/mlflow?sslmode=require&password=hidden")
    assert database._location(url) == "postgresql://ada@host:5432/mlflow"


def test_other_files_and_databases_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all, but long enough to have a header " * 9)
    with sqlite3.connect(tmp_path / "foreign.db") as conn:
        conn.execute("CREATE TABLE runs (id INTEGER)")
    conn.close()
    for name, message in [
        ("text.db", "cannot be read"),
        ("foreign.db", "no database of MLflow"),
        ("none.db", "There is no database file"),
    ]:
        with pytest.raises(Invalid, match=message):
            Database(f"sqlite:///{tmp_path / name}")
    assert not (tmp_path / "none.db").exists()


def test_our_own_database_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'own.db'}"
    schema.upgrade(db.parse_url(url))
    with pytest.raises(Invalid, match="of this server"):
        Database(url)


@pytest.mark.parametrize(
    "url", ["sqlite://", "oracle://host/name", "no url", "sqlite:///:memory:", "postgresql://host:port/name"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Invalid, match="database"):
        Database(url)


def test_mysql_wants_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "find_spec", lambda _: None)
    with pytest.raises(Invalid, match="pymysql or mysqlclient"):
        Database("mysql+pymysql://user@host/name")


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="database to read from"):
        Database("postgresql://user:secret@127.0.0.1:1/name")


def test_a_table_that_goes_meanwhile_is_said_in_our_words(tmp_path: Path) -> None:
    source = Database(sqlite(tmp_path / "m.db"))
    with sqlite3.connect(tmp_path / "m.db") as conn:
        conn.execute("DROP TABLE params")
    conn.close()
    with pytest.raises((Invalid, Unavailable)) as caught:
        [*source.runs()]
    assert "SELECT" not in str(caught.value)
    source.close()
