"""Imports: jobs that tell how far they are, and rows that go in once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, func, select, update

from native_api.core import clock, experiments, imports, metrics, run_artifacts, run_configs, runs
from native_api.core import db as database
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import NotFound
from native_api.core.import_rows import ArtifactRow, DatasetRow, put_artifacts, put_datasets
from native_api.core.import_runs import PointRow, RunRow, put_metrics, put_runs
from native_api.core.imports import Chunk, Outcome
from native_api.core.metrics import MetricScope, Name, Point
from tests.conftest import make_actor

LOSS = Name(MetricScope.NONE, "loss")


@pytest.fixture
def experiment(conn: Connection, actor: Actor) -> experiments.Experiment:
    number = experiments.create(conn, actor, actor.project_id, "e", artifact_root="mlflow-artifacts:")
    return experiments.get(conn, actor, number)


@pytest.fixture
def run_id(conn: Connection, actor: Actor, experiment: experiments.Experiment) -> str:
    return runs.create(conn, actor, runs.NewRun(experiment.id, started_at=77)).info.run_id


def audited(conn: Connection, table: str) -> int:
    """How many entries about the table this transaction has gathered."""
    return sum(change.table_name == table for change in database.pending(conn).changes)


def nobody(conn: Connection, name: str = "two") -> Actor:
    """Somebody with a project of their own, and none of the others in view."""
    return make_actor(conn, name)


# Jobs


def put_some(_: Connection, __: Actor, rows: Mapping[int, str]) -> Outcome:
    return Outcome(len(rows) - 1, {max(rows): "no room"})


def test_a_job_moves_forward_with_each_chunk(conn: Connection, actor: Actor) -> None:
    job_id = imports.begin(conn, actor, "metrics", "csv", "s3://b/file.csv")
    begun = imports.get(conn, actor, job_id)
    assert (begun.status, begun.source_uri, begun.finished_at) == ("running", "s3://b/file.csv", None)
    assert begun.stats_json == {"rows": 0, "inserted": 0, "errors": 0}
    chunk = Chunk({1: "a", 3: "c"}, {2: "no number"}, {1: "a\r\n", 2: "b\0\udcff" + "x" * 2000, 3: "c\n"})
    imports.add(conn, actor, job_id, chunk, put_some)
    assert imports.get(conn, actor, job_id).stats_json == {"rows": 3, "inserted": 1, "errors": 2}
    imports.add(conn, actor, job_id, Chunk({4: "d"}, {}, {4: "d"}), put_some)
    imports.end(conn, job_id, "finished")
    ended = imports.get(conn, actor, job_id)
    assert (ended.status, ended.stats_json) == ("finished", {"rows": 4, "inserted": 1, "errors": 3})
    assert ended.finished_at is not None
    errors = imports.errors_page(conn, actor, job_id, 10, None).items
    assert [(error.row_number, error.error_message) for error in errors] == [
        (2, "no number"),
        (3, "no room"),
        (4, "no room"),
    ]
    assert errors[0].raw_row == "b\N{REPLACEMENT CHARACTER}?" + "x" * 997
    assert errors[1].raw_row == "c"


def test_a_job_is_shown_to_whoever_made_it_and_to_administrators(conn: Connection, actor: Actor) -> None:
    job_id = imports.begin(conn, actor, "runs", "json", None)
    other = nobody(conn)
    with pytest.raises(NotFound):
        imports.get(conn, other, job_id)
    with pytest.raises(NotFound):
        imports.errors_page(conn, other, job_id, 10, None)
    assert not imports.page(conn, other, 10, None).items
    administrator = replace(other, is_administrator=True)
    assert imports.get(conn, administrator, job_id).job_id == job_id
    assert job_id in {job.job_id for job in imports.page(conn, administrator, 1000, None).items}


def test_jobs_are_listed_newest_first_page_by_page(
    conn: Connection, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for moment in (10, 20, 30):
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        made.append(imports.begin(conn, actor, "runs" if moment == 20 else "metrics", "json", None))
    first = imports.page(conn, actor, 2, None)
    second = imports.page(conn, actor, 2, first.next_token)
    assert [job.job_id for job in [*first.items, *second.items]] == made[::-1]
    assert [job.job_id for job in imports.page(conn, actor, 9, None, job_type="runs").items] == [made[1]]
    assert not imports.page(conn, actor, 9, None, status="finished").items


def test_a_job_whose_process_is_gone_is_failed(conn: Connection, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, now = imports.begin(conn, actor, "runs", "json", None), clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + imports.SILENT_MS - 1000)
    assert imports.get(conn, actor, job_id).status == "running"
    imports.add(conn, actor, job_id, Chunk({}, {}, {}), lambda *_: Outcome(0, {}))
    moved = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moved + imports.SILENT_MS + 1000)
    gone = imports.get(conn, actor, job_id)
    assert (gone.status, gone.finished_at) == ("failed", moved)
    assert [job.job_id for job in imports.page(conn, actor, 9, None, status="failed").items] == [job_id]
    assert not imports.page(conn, actor, 9, None, status="running").items


# Datasets


def test_datasets_go_in_once(conn: Connection, actor: Actor) -> None:
    mine = DatasetRow(actor.project_id, "data", "nlp", None)
    rows = {
        1: mine,
        2: mine,
        3: mine._replace(description="another"),
        4: mine._replace(name="more"),
        5: mine._replace(project_id=nobody(conn).project_id),
    }
    added, refused = put_datasets(conn, actor, rows)
    assert (added, sorted(refused)) == (2, [3, 5])
    assert "differs from this row" in refused[3]
    assert "No project with id" in refused[5]
    assert audited(conn, "datasets") == 2
    assert put_datasets(conn, actor, rows) == (0, refused)
    assert audited(conn, "datasets") == 2


# Runs


def a_run(experiment: experiments.Experiment, **fields: Any) -> RunRow:
    row = RunRow(experiment.id, None, "r", "finished", 5, 9, "c0ffee", "notes", None, {"lr": 0.1, "n": 3})
    return row._replace(**fields)


def test_runs_go_in_once(conn: Connection, actor: Actor, experiment: experiments.Experiment) -> None:
    own_id = uuid4().hex
    own = a_run(experiment, run_id=own_id)
    rows = {
        1: a_run(experiment),
        2: a_run(experiment, experiment_id=experiment.experiment_id),
        3: a_run(experiment, notes="others"),
        4: own,
        5: own,
        6: own._replace(params_json={}),
        7: a_run(experiment, finished_at=1),
        8: a_run(experiment, experiment_id=experiment.id + 1000),
        9: a_run(experiment, dataset_version_id=uuid4().hex),
    }
    added, refused = put_runs(conn, actor, rows)
    assert (added, sorted(refused)) == (3, [6, 7, 8, 9])
    assert "differs from this row" in refused[6]
    assert "before started_at" in refused[7]
    assert "No experiment with id" in refused[8]
    assert "No dataset version with id" in refused[9]
    assert (audited(conn, "runs"), audited(conn, "run_configs")) == (3, 3)
    assert put_runs(conn, actor, rows) == (0, refused)
    assert (audited(conn, "runs"), audited(conn, "run_configs")) == (3, 3)
    c = t.runs.c
    there = conn.execute(
        select(c.run_name, c.status, c.started_at, c.finished_at, c.git_commit, c.notes).where(c.run_id == own_id)
    ).one()
    assert tuple(there) == ("r", "finished", 5, 9, "c0ffee", "notes")
    assert run_configs.get(conn, actor, own_id).params_json == {"lr": 0.1, "n": 3}


def test_runs_of_a_deleted_experiment_or_of_others_stay_out(
    conn: Connection, actor: Actor, experiment: experiments.Experiment
) -> None:
    _, refused = put_runs(conn, nobody(conn), {1: a_run(experiment)})
    assert "No experiment with id" in refused[1]
    _, refused = put_runs(conn, replace(actor, archived=frozenset([actor.project_id])), {1: a_run(experiment)})
    assert "archived" in refused[1]
    experiments.delete(conn, actor, experiment.id)
    _, refused = put_runs(conn, actor, {1: a_run(experiment)})
    assert "deleted" in refused[1]


def test_a_run_with_the_id_of_a_run_out_of_view_stays_out(
    conn: Connection, actor: Actor, experiment: experiments.Experiment, run_id: str
) -> None:
    other = nobody(conn)
    theirs = experiments.create(conn, other, other.project_id, "e", artifact_root="x")
    row = a_run(experiment, run_id=run_id, experiment_id=theirs)
    assert "already" in put_runs(conn, other, {1: row}).refused[1]


# Metrics


def points(conn: Connection) -> list[tuple[float, ...]]:
    c = t.run_metric_values.c
    rows = conn.execute(select(c.step, c.recorded_at, c.value, c.is_nan, c.is_final).order_by(c.is_final, c.step))
    return [(*row,) for row in rows]


def revision(conn: Connection, run_id: str) -> int:
    return conn.scalars(select(t.runs.c.revision).where(t.runs.c.run_id == run_id)).one()


def test_points_go_in_once(conn: Connection, actor: Actor, run_id: str) -> None:
    rows = {
        1: PointRow(run_id, LOSS, Point(1, 10, 0.5), True),
        2: PointRow(run_id, LOSS, Point(1, 10, 0.5), True),
        3: PointRow(run_id, LOSS, Point(2, 0, 0.25), False),
        4: PointRow(run_id, LOSS, Point(0, 0, 0.0, 1, 1), False),
        5: PointRow(uuid4().hex, LOSS, Point(1, 10, 0.5), True),
    }
    before = revision(conn, run_id)
    added, refused = put_metrics(conn, actor, rows)
    assert (added, list(refused)) == (3, [5])
    assert "No run with id" in refused[5]
    assert points(conn) == [(1, 10, 0.5, 0, 0), (2, 77, 0.25, 0, 0), (0, 77, 0.0, 1, 1)]
    assert revision(conn, run_id) == before + 1
    assert put_metrics(conn, actor, rows) == (0, refused)
    assert revision(conn, run_id) == before + 1
    (latest,) = metrics.latest(conn, [conn.scalars(select(t.runs.c.id).where(t.runs.c.run_id == run_id)).one()])
    assert latest.is_nan == 1
    assert conn.scalars(select(t.run_metric_latest.c.count)).one() == 3


def test_a_point_without_a_time_of_a_run_without_a_start_is_as_old_as_the_run(
    conn: Connection, actor: Actor, run_id: str
) -> None:
    conn.execute(update(t.runs).values(started_at=None, created_at=55))
    put_metrics(conn, actor, {1: PointRow(run_id, LOSS, Point(1, 0, 0.5), False)})
    assert points(conn) == [(1, 55, 0.5, 0, 0)]


def test_points_of_runs_that_may_not_be_written_stay_out(conn: Connection, actor: Actor, run_id: str) -> None:
    rows = {1: PointRow(run_id, LOSS, Point(1, 10, 0.5), True)}
    reader = replace(actor, projects={actor.project_id: Scope.READ})
    assert "No run with id" in put_metrics(conn, nobody(conn), rows).refused[1]
    assert "write access" in put_metrics(conn, reader, rows).refused[1]
    runs.delete(conn, actor, run_id)
    assert "deleted" in put_metrics(conn, actor, rows).refused[1]
    assert points(conn) == []


# Artifacts


def test_artifacts_go_in_once(conn: Connection, actor: Actor, run_id: str) -> None:
    plain = ArtifactRow(actor.project_id, "model", "s3://b/m", "c1", 12, None, None)
    rows = {
        1: plain,
        2: plain,
        3: plain._replace(run_id=run_id, alias="model"),
        4: plain._replace(size_bytes=13),
        5: plain._replace(checksum=None, run_id=run_id),
        6: plain._replace(uri="s3://b/other", run_id=run_id, alias="model"),
        7: plain._replace(run_id=run_id, alias="renamed"),
        8: plain._replace(uri="s3://b/lost", run_id=uuid4().hex),
        9: plain._replace(project_id=nobody(conn).project_id),
    }
    added, refused = put_artifacts(conn, actor, rows)
    assert (added, sorted(refused)) == (3, [4, 6, 7, 8, 9])
    assert "differs from this row" in refused[4]
    assert "another artifact under this alias" in refused[6]
    assert "under another alias" in refused[7]
    assert "No run with id" in refused[8]
    assert "No project with id" in refused[9]
    assert conn.scalars(select(func.count()).select_from(t.artifacts)).one() == 2
    links = run_artifacts.page(conn, actor, 10, None, run_id=run_id).items
    assert sorted(link.alias or "" for link in links) == ["", "model"]
    assert audited(conn, "artifacts") == 2
    assert put_artifacts(conn, actor, rows) == (0, refused)
    assert audited(conn, "artifacts") == 2


def test_an_artifact_is_not_linked_to_a_run_of_another_project(conn: Connection, actor: Actor, run_id: str) -> None:
    other = nobody(conn).project_id
    both = replace(actor, projects={**actor.projects, other: Scope.WRITE})
    row = ArtifactRow(other, "model", "s3://b/m", None, None, run_id, None)
    assert "different projects" in put_artifacts(conn, both, {1: row}).refused[1]
    assert conn.scalars(select(func.count()).select_from(t.artifacts)).one() == 0
