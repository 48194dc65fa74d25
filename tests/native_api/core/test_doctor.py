"""The doctor finds each kind of damage, and nothing where there is none."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from native_api.core import audit, db, doctor, experiments, logged_models, runs
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.logged_models import NewModel
from native_api.core.metrics import MetricScope, Name, Point
from native_api.core.run_configs import NewConfig
from native_api.core.runs import LogEntry, NewRun
from tests import world

LOSS = Name(MetricScope.NONE, "loss")
TYPED = {"text": "1.0", "float": 1e-7, "big": 1e22, "int": 3, "none": None, "yes": True, "list": [1, {"b": 1, "a": 2}]}


@pytest.fixture
def filled(conn: Connection, actor: Actor, tmp_path: Path) -> str:
    """The id of a run with something of everything, in a database with more of it."""
    world.build(conn, tmp_path)
    number = experiments.create(conn, actor, actor.project_id, "e", artifact_root="mlflow-artifacts:/")
    run = runs.create(conn, actor, NewRun(number, config=NewConfig(params_json=TYPED))).info
    model = logged_models.create(conn, actor, NewModel(number, "m", source_run_id=run.run_id)).info
    points = {
        LOSS: [Point(step, 10 + step, 1 / (step + 1)) for step in range(20)],
        Name(MetricScope.VAL, "loss"): [Point(0, 9, 0.0, is_nan=1), Point(2, 7, float("inf")), Point(0, 5, 3.0, 0, 1)],
        Name(MetricScope.NONE, "nan"): [Point(0, 9, 0.0, is_nan=1)],
    }
    of_model = [ModelPoint(model.model_id, LOSS, 1, 11, 0.5)]
    entry = LogEntry(actor, run.run_id, points, {"p": "1", "q": ""}, {"t": "1"}, model_points=of_model)
    assert runs.log(conn, [entry]) == [None]
    audit.write(conn)
    return run.run_id


@pytest.mark.usefixtures("filled")
def test_nothing_is_found_where_nothing_is_wrong(conn: Connection) -> None:
    assert list(doctor.examine(conn)) == []


TIED = [Point(1, 1, 0.0), Point(1, 1, 0.0, is_nan=1), Point(1, 1, 0.5), Point(0, 1, 0.25, is_final=1)]


def test_points_of_one_moment_are_right_in_any_order(conn: Connection, actor: Actor, filled: str) -> None:
    for number, arrival in enumerate(permutations(TIED)):
        for point in arrival:
            assert runs.log(conn, [LogEntry(actor, filled, {Name(0, f"tied{number}"): [point]})]) == [None]
    audit.write(conn)
    assert list(doctor.examine(conn)) == []


OF_LOSS = "WHERE scope = 0 AND metric_id = (SELECT id FROM metric_keys WHERE key = 'loss')"
DAMAGES: list[tuple[str, list[str]]] = [
    (
        "INSERT INTO run_metric_values VALUES (987654, 0, 0, 0, 1, 1, 1.0, 0)",
        [
            "run_metric_values: 1 rows have run_id 987654, which is not in runs",
            "run_metric_values: 1 rows have metric_id 0, which is not in metric_keys",
            "run_metric_values: run 987654, metric 0, scope 0 has a history, and no row in run_metric_latest",
        ],
    ),
    (
        "INSERT INTO logged_model_metrics VALUES (987652, 987653, 0, 1, 1, 987654, 1.0, 0, '', '')",
        [
            "logged_model_metrics: 1 rows have logged_model_id 987652, which is not in logged_models",
            "logged_model_metrics: 1 rows have run_id 987654, which is not in runs",
            "logged_model_metrics: 1 rows have metric_id 987653, which is not in metric_keys",
        ],
    ),
    (f"DELETE FROM run_metric_values {OF_LOSS}", ["is not a point", "has a first value that is not a point"]),
    (f"DELETE FROM run_metric_values {OF_LOSS} AND step = 19", ["is not a point", "count 20", "has min_value 0.05"]),
    (f"DELETE FROM run_metric_values {OF_LOSS} AND step = 10", ["has count 20, its history 19"]),
    (f"DELETE FROM run_metric_latest {OF_LOSS}", ["has a history, and no row in run_metric_latest"]),
    (
        "INSERT INTO run_metric_latest SELECT run_id, metric_id, 3, experiment_id, is_final, step, recorded_at, value,"
        " is_nan, count, min_value, max_value, first_value, first_step, first_recorded_at"
        f" FROM run_metric_latest {OF_LOSS}",
        ["scope 3 is not a point of its history", "scope 3 has a first value that is not a point of its history"],
    ),
    (
        f"UPDATE run_metric_latest SET step = 18, recorded_at = 28, value = 1.0 / 19 {OF_LOSS}",
        ["is not the latest point of its history"],
    ),
    (f"UPDATE run_metric_latest SET value = 7 {OF_LOSS}", ["is not a point of its history"]),
    (f"UPDATE run_metric_latest SET is_nan = 1 {OF_LOSS}", ["is not a point of its history"]),
    (f"UPDATE run_metric_latest SET count = 19 {OF_LOSS}", ["has count 19, its history 20"]),
    (f"UPDATE run_metric_latest SET min_value = NULL {OF_LOSS}", ["has min_value None, its history 0.05"]),
    (f"UPDATE run_metric_latest SET max_value = 2 {OF_LOSS}", ["has max_value 2.0, its history 1.0"]),
    (f"UPDATE run_metric_latest SET first_value = 0.75 {OF_LOSS}", ["has a first value that is not a point"]),
    (f"UPDATE run_metric_latest SET first_value = NULL {OF_LOSS}", ["has a first value that is not a point"]),
    (
        f"UPDATE run_metric_latest SET first_value = 0.5, first_step = 1, first_recorded_at = 11 {OF_LOSS}",
        ["has a first value that is not the first point of its history"],
    ),
    (f"UPDATE run_metric_latest SET experiment_id = 987654 {OF_LOSS}", ["is in another experiment than its run"]),
    ("UPDATE run_params SET value = '2' WHERE key = 'p' AND value = '1'", ["param 'p' is not what run_configs says"]),
    ("UPDATE run_params SET value = '4' WHERE key = 'int'", ["param 'int' is not what run_configs says"]),
    ("UPDATE run_params SET value = '1' WHERE key = 'text'", ["param 'text' is not what run_configs says"]),
    ("DELETE FROM run_params WHERE key = 'q'", ["param 'q' is not what run_configs says"]),
    (
        "INSERT INTO run_params SELECT max(run_id), 'more', '1' FROM run_params",
        ["param 'more' is not what run_configs says"],
    ),
    (
        "DELETE FROM run_configs WHERE run_id = (SELECT max(run_id) FROM run_configs)",
        ["9 params, and no row in run_con"],
    ),
    (
        "UPDATE registered_models SET last_version = 0 WHERE name LIKE 'made%'",
        ["has last_version 0, and a version 1"],
    ),
    (
        "UPDATE model_versions SET project_id = (SELECT min(project_id) FROM ml_projects WHERE name = 'one') "
        "WHERE source LIKE 's3:%'",
        ["version 1 of", "is in another project than its model"],
    ),
    (
        "UPDATE audit_log SET row_pk = 'x' WHERE audit_id = (SELECT max(audit_id) FROM audit_log)",
        ["is broken: the entry, or the hash before it, is not what was written"],
    ),
    ("DELETE FROM audit_head", ["is broken: the log ends after entry"]),
]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(("damage", "words"), DAMAGES, ids=lambda value: value[:70] if isinstance(value, str) else "")
def test_damage_is_found(conn: Connection, damage: str, words: list[str]) -> None:
    assert conn.execute(text(damage)).rowcount == 1 or damage.startswith("DELETE FROM run_metric_values")
    found = "\n".join(doctor.examine(conn))
    assert [missed for missed in words if missed not in found] == []


@pytest.mark.usefixtures("filled")
def test_a_model_that_is_not_here_is_no_finding(conn: Connection) -> None:
    conn.execute(text("UPDATE logged_models SET source_run_id = 'elsewhere'"))
    conn.execute(text("UPDATE model_versions SET run_id = 'elsewhere', model_id = 'm-elsewhere'"))
    assert list(doctor.examine(conn)) == []


# What SQLite finds itself


def test_rows_that_refer_to_nothing_are_counted_by_table(own_engine: Engine) -> None:
    path = own_engine.url.database or ""
    with closing(sqlite3.connect(path)) as plain:  # which looks up no foreign key
        plain.executescript("INSERT INTO run_tags VALUES (1, 'a', ''), (1, 'b', '')")
    with own_engine.connect() as conn:
        assert list(doctor.examine(conn)) == ["run_tags: 2 rows refer to what is not in runs"]
    own_engine.dispose()


def test_a_damaged_file_is_found(own_engine: Engine) -> None:
    path = Path(own_engine.url.database or "")
    with own_engine.begin() as conn:
        conn.execute(t.metric_keys.insert(), [{"key": f"key {number:0100}"} for number in range(1000)])
    own_engine.dispose()
    content = path.read_bytes()
    index = content.rindex(b"key 0")  # of some row, or of the index
    path.write_bytes(content[:index] + b"kex" + content[index + 3 :])
    engine = db.create_reader(db.parse_url(f"sqlite:///{path}"), 1)
    with engine.connect() as conn:
        found = list(doctor.examine(conn))
    engine.dispose()
    assert any("index" in line for line in found)
