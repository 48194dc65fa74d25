"""The migrations make what tables.py says, on both databases, and can be taken back."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, select, text
from sqlalchemy.engine import URL

from native_api.core import db, schema
from native_api.core import tables as t
from tests.conftest import fresh_postgres, make_actor

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """A database of this test alone, with nothing in it."""
    if request.param == "sqlite":
        return db.parse_url(f"sqlite:///{tmp_path / 'empty.db'}")
    return db.parse_url(fresh_postgres(request.getfixturevalue("postgres_url"), "schema"))


@pytest.fixture
def empty(url: URL) -> Iterator[Engine]:
    engine = db.create_writer(url, size=2)
    yield engine
    engine.dispose()


@pytest.fixture
def upgraded(url: URL, empty: Engine) -> Engine:
    schema.upgrade(url)
    return empty


def config(conn: Connection | None = None) -> Config:
    """The settings of the plain `alembic` command."""
    return Config(None, ROOT / "pyproject.toml", attributes={"connection": conn})


# What the migrations make


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    scripts = ScriptDirectory.from_config(config())
    assert scripts.get_current_head() == schema.HEAD
    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(schema.REVISIONS))


def test_the_migrations_make_exactly_the_tables(url: URL, empty: Engine) -> None:
    t.metadata.create_all(empty)
    expected = describe(empty)
    t.metadata.drop_all(empty)
    schema.upgrade(url)
    found = describe(empty)
    assert found == expected
    assert len(found) > 20


def describe(engine: Engine) -> dict[str, list[str]]:
    """Every table in the database's own words, and for PostgreSQL its columns, constraints and indexes."""
    with engine.connect() as conn:
        rows = conn.execute(text(CATALOGUE[engine.dialect.name])).all()
    found: dict[str, list[str]] = {}
    for table, words in rows:
        # The order of constraints in a statement means nothing.
        found.setdefault(table, []).extend(sorted(line.strip(" \t,") for line in words.splitlines()))
    return {table: sorted(lines) for table, lines in found.items()}


CATALOGUE = {
    "sqlite": """
        SELECT tbl_name, sql FROM sqlite_master
        WHERE sql IS NOT NULL AND type <> 'view' AND tbl_name <> 'alembic_version'
    """,
    "postgresql": """
        SELECT found.* FROM (
            SELECT attrelid::regclass::text AS name, concat_ws(' ', attnum, attname, format_type(atttypid, atttypmod),
                   attcollation::regcollation, attnotnull, attidentity, pg_get_expr(adbin, adrelid))
            FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attnum > 0
            UNION ALL SELECT conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
            UNION ALL SELECT indrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
            UNION ALL SELECT sequencename, concat_ws(' ', start_value, min_value, max_value, cycle) FROM pg_sequences
        ) AS found
        WHERE name <> 'alembic_version'
              AND name IN (SELECT relname FROM pg_class
                           WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S'))
    """,
}


# SQLite cannot tell what an index over an expression is made of; the test above reads the statement itself.
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
def test_autogenerate_finds_nothing_left_to_do(upgraded: Engine) -> None:
    with upgraded.begin() as conn:
        command.check(config(conn))  # raises when it does


def test_the_big_tables_are_clustered_by_their_key_on_sqlite(upgraded: Engine) -> None:
    if upgraded.dialect.name == "sqlite":
        with upgraded.connect() as conn:
            found = set(conn.scalars(text("SELECT name FROM pragma_table_list WHERE wr = 1")))
        assert found >= {"run_metric_values", "run_metric_latest", "run_tags", "run_params", "experiment_tags"}


def test_runs_have_one_index_for_their_order_on_each_database(upgraded: Engine) -> None:
    names = {index["name"] for index in inspect(upgraded).get_indexes("runs")}
    ours, other = ("ix_runs_newest", "ix_runs_newest_first")[:: 1 if upgraded.dialect.name == "sqlite" else -1]
    assert ours in names
    assert other not in names


# Up and down


def test_down_and_up_again_with_data(url: URL, upgraded: Engine) -> None:
    with upgraded.begin() as conn:
        add_run(conn)
    schema.downgrade(url, "base")
    assert set(inspect(upgraded).get_table_names()) == {"alembic_version"}
    assert inspect(upgraded).get_view_names() == []
    schema.upgrade(url)
    with upgraded.begin() as conn:
        assert conn.scalar(select(t.runs.c.run_id)) is None
        add_run(conn)


def test_upgrading_twice_changes_nothing(url: URL, upgraded: Engine) -> None:
    with upgraded.begin() as conn:
        add_run(conn)
    schema.upgrade(url)
    with upgraded.connect() as conn:
        assert conn.scalar(select(t.runs.c.run_name)) == "first"


def test_two_that_start_at_once_both_find_it_upgraded(url: URL, empty: Engine) -> None:
    code = "import sys; from native_api.core import db, schema; schema.upgrade(db.parse_url(sys.argv[1]))"
    shown = url.render_as_string(hide_password=False)
    starts = [subprocess.Popen([sys.executable, "-c", code, shown], cwd=ROOT) for _ in range(3)]
    assert [start.wait(60) for start in starts] == [0, 0, 0]
    schema.check(empty)


def test_a_failed_upgrade_leaves_nothing_behind(url: URL, empty: Engine) -> None:
    with empty.begin() as conn:
        conn.execute(text("CREATE TABLE run_artifacts (made_by_somebody_else INTEGER)"))
    with pytest.raises(Exception, match="run_artifacts"):
        schema.upgrade(url)
    assert inspect(empty).get_table_names() == ["run_artifacts"]


# What a server asks before it starts


def test_an_upgraded_database_passes(upgraded: Engine) -> None:
    schema.check(upgraded)
    with upgraded.connect() as conn:
        assert schema.current(conn) == schema.HEAD


def test_an_empty_database_is_refused_with_advice(empty: Engine) -> None:
    with empty.connect() as conn:
        assert schema.current(conn) is None
    with pytest.raises(schema.SchemaError, match="no tables yet: `mlflow-shim db upgrade`"):
        schema.check(empty)


def test_a_database_taken_back_is_refused_as_empty(url: URL, upgraded: Engine) -> None:
    schema.downgrade(url, "base")
    with pytest.raises(schema.SchemaError, match="no tables yet"):
        schema.check(upgraded)


def test_an_older_database_is_refused_with_advice(upgraded: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9999"))
    monkeypatch.setattr(schema, "HEAD", "9999")
    with pytest.raises(schema.SchemaError, match="needs 9999: run `mlflow-shim db upgrade`"):
        schema.check(upgraded)


def test_a_database_of_a_newer_release_is_refused_and_not_touched(url: URL, upgraded: Engine) -> None:
    with upgraded.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    attempts: list[Callable[[], None]] = [
        lambda: schema.check(upgraded),
        lambda: schema.upgrade(url),
        lambda: schema.downgrade(url, "base"),
    ]
    for attempt in attempts:
        with pytest.raises(schema.SchemaError, match=r"from-the-future.*newer release"):
            attempt()
    with upgraded.connect() as conn:
        assert schema.current(conn) == "from-the-future"


def test_a_revision_that_does_not_exist_is_a_schema_error(url: URL, upgraded: Engine) -> None:
    with pytest.raises(schema.SchemaError, match="no-such"):
        schema.upgrade(url, "no-such")


def test_a_start_on_an_upgraded_database_does_not_import_alembic(url: URL, upgraded: Engine) -> None:
    code = """if True:
        import sys
        from native_api.core import db, schema
        schema.upgrade(db.parse_url(sys.argv[1]))
        sys.exit("alembic" in sys.modules)
    """
    shown = url.render_as_string(hide_password=False)
    assert subprocess.run([sys.executable, "-c", code, shown], cwd=ROOT, timeout=60).returncode == 0


# The views


def test_people_read_runs_with_real_times(upgraded: Engine) -> None:
    with upgraded.begin() as conn:
        add_run(conn)
        row = conn.execute(text("SELECT * FROM runs_readable")).mappings().one()
    assert dict(row) | {"run_id": "a" * 32, "project": "one", "experiment": "e", "run_name": "first"} == dict(row)
    assert row["status"] == "running"
    assert moment(row["started_at"]) == datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)
    assert row["finished_at"] is None


def test_people_read_metrics_by_their_names(upgraded: Engine) -> None:
    with upgraded.begin() as conn:
        run = add_run(conn)
        conn.execute(t.metric_keys.insert(), {"id": 7, "key": "loss"})
        point = {"run_id": run, "metric_id": 7, "scope": 0, "is_final": 0, "step": 3, "is_nan": 0, "value": 0.5}
        conn.execute(
            t.run_metric_values.insert(),
            [
                point | {"recorded_at": 1_700_000_000_123},
                point | {"recorded_at": 2**63 - 1, "step": 4},
                point | {"recorded_at": 0, "step": 5, "value": 0.0, "is_nan": 1},
                point | {"recorded_at": 0, "step": 0, "is_final": 1, "scope": 2},
            ],
        )
        columns = "scope, step, value, is_nan, recorded_at"
        rows = conn.execute(text(f"SELECT run_id, key, {columns} FROM run_metrics_readable")).all()
    rows = sorted(rows, key=lambda row: -1 if row.step is None else row.step)
    assert [tuple(row[:6]) for row in rows] == [
        ("a" * 32, "loss", "val", None, 0.5, 0),
        ("a" * 32, "loss", None, 3, 0.5, 0),
        ("a" * 32, "loss", None, 4, 0.5, 0),
        ("a" * 32, "loss", None, 5, None, 1),
    ]
    assert moment(rows[1].recorded_at) == datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)
    assert rows[2].recorded_at is None  # no calendar goes that far
    assert moment(rows[3].recorded_at) == datetime(1970, 1, 1, tzinfo=UTC)


def test_the_summary_of_a_project_is_by_the_goals_and_always_true(upgraded: Engine) -> None:
    latest = {"metric_id": 7, "scope": 2, "experiment_id": 0, "is_final": 0, "step": 1, "is_nan": 0, "count": 1}
    latest |= {"first_step": 1, "first_recorded_at": 1}
    run = {
        "experiment_id": 0,
        "status": "running",
        "user_name": "",
        "artifact_uri": "x",
        "created_at": 1,
        "revision": 1,
    }
    values = [(5, 0.5, 10), (6, 0.3, 20), (7, 0.7, -(2**63)), (8, 0.3, 15), (9, 0.1, 30)]
    with upgraded.begin() as conn:
        add_run(conn)
        conn.execute(t.metric_keys.insert(), {"id": 7, "key": "loss"})
        conn.execute(t.metric_definitions.insert(), {"metric_id": "m", "key": "loss", "goal": "max", "created_at": 1})
        conn.execute(t.runs.insert(), [run | {"id": number, "run_id": str(number)} for number in (9, 8, 7, 6)])
        conn.execute(
            t.run_metric_latest.insert(),
            [latest | {"run_id": run, "value": value, "recorded_at": at} for run, value, at in values],
        )
        conn.execute(t.runs.update().where(t.runs.c.id == 9).values(deleted_at=1))
        conn.execute(t.run_metric_latest.update().where(t.run_metric_latest.c.run_id == 7).values(is_nan=1))
        for goal, best in {"max": (0.5, "a" * 32), "min": (0.3, "6"), "last": (0.3, "6")}.items():
            conn.execute(t.metric_definitions.update().values(goal=goal))
            row = conn.execute(text("SELECT * FROM project_metric_summary")).one()
            assert (row.metric_id, row.scope, row.best_value, row.best_run_id, row.sample_size) == (
                "m",
                "val",
                *best,
                3,
            )
            assert moment(row.updated_at) == datetime(1970, 1, 1, 0, 0, 0, 20_000, UTC)


def moment(shown: str | datetime) -> datetime:
    return shown if isinstance(shown, datetime) else datetime.fromisoformat(shown)


def add_run(conn: Connection) -> int:
    """A run with a row in every table that hangs on it, and its internal id."""
    actor = make_actor(conn, "one")
    conn.execute(
        t.experiments.insert(),
        {
            "id": 0,
            "experiment_id": "e" * 32,
            "project_id": actor.project_id,
            "name": "e",
            "artifact_location": "mlflow-artifacts:/0",
            "created_at": 1,
            "updated_at": 1,
        },
    )
    conn.execute(
        t.runs.insert(),
        {
            "id": 5,
            "run_id": "a" * 32,
            "experiment_id": 0,
            "run_name": "first",
            "status": "running",
            "started_at": 1_700_000_000_123,
            "user_name": "",
            "artifact_uri": "mlflow-artifacts:/0/" + "a" * 32 + "/artifacts",
            "created_at": 1,
            "revision": 1,
        },
    )
    conn.execute(t.run_configs.insert(), {"run_id": 5, "params_json": {"a": 1}, "created_at": 1})
    conn.execute(t.run_params.insert(), {"run_id": 5, "key": "a", "value": "1"})
    conn.execute(t.run_tags.insert(), {"run_id": 5, "key": "a", "value": "1"})
    conn.execute(t.experiment_tags.insert(), {"experiment_id": 0, "key": "a", "value": "1"})
    return 5
