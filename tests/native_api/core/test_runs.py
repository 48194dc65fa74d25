"""Runs in the core: bulk logging and its audit, completing, and lists, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Connection, event, select

from native_api.core import audit, db, experiments, metrics, run_configs, run_views, runs
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import Conflict, Invalid
from native_api.core.metrics import Final, MetricScope, Name, Point
from native_api.core.run_configs import NewConfig
from native_api.core.runs import LogEntry, NewRun
from tests.conftest import make_actor

LOSS = Name(MetricScope.NONE, "loss")


@pytest.fixture
def experiment(conn: Connection, actor: Actor) -> int:
    return experiments.create(conn, actor, actor.project_id, "e", artifact_root="mlflow-artifacts:/")


def make(conn: Connection, actor: Actor, experiment: int, **fields: Any) -> str:
    return runs.create(conn, actor, NewRun(experiment, **fields)).info.run_id


@pytest.fixture
def run_id(conn: Connection, actor: Actor, experiment: int) -> str:
    return make(conn, actor, experiment)


def changes(conn: Connection, table: str = "run_configs") -> list[audit.Change]:
    """What was gathered for the audit log, and is forgotten with that."""
    gathered = [change for change in db.pending(conn).changes if change.table_name == table]
    db.pending(conn).changes.clear()
    return gathered


@contextmanager
def counted(conn: Connection) -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        sent.append(statement)

    def driver_execute(conn: Connection, sql: str, values: object) -> object:
        sent.append(sql)
        return original(conn, sql, values)

    original = db.driver_execute
    event.listen(conn, "before_cursor_execute", note)
    try:
        with mock.patch.object(db, "driver_execute", driver_execute):
            yield sent
    finally:
        event.remove(conn, "before_cursor_execute", note)


# Bulk logging


def everything(actor: Actor, run_id: str, number: int) -> LogEntry:
    return LogEntry(
        actor,
        run_id,
        points={LOSS: [Point(number, number, 0.5)]},
        params={f"p{number}": "v"},
        tags={"t": str(number), "mlflow.source.name": f"{number}.py"},
        changes={"run_name": f"n{number}", "notes": str(number)},
    )


def test_the_number_of_statements_does_not_grow_with_entries(conn: Connection, actor: Actor, experiment: int) -> None:
    def statements(count: int) -> int:
        entries = [everything(actor, make(conn, actor, experiment), number) for number in range(count) for _ in "ab"]
        runs.log(conn, entries)  # so that what the process remembers is there
        with counted(conn) as sent:
            assert runs.log(conn, entries) == [None] * len(entries)
        assert len(changes(conn)) >= count
        return len(sent)

    assert statements(16) <= statements(1)


def test_metrics_alone_cost_nothing_more(conn: Connection, actor: Actor, run_id: str) -> None:
    def log(step: int) -> None:
        runs.log(conn, [LogEntry(actor, run_id, {LOSS: [Point(step, 1, 0.5)]})])

    log(1)
    metrics.names_of(conn, {metrics.find_id(conn, LOSS.key) or 0})  # is remembered from now on
    changes(conn)
    with counted(conn) as sent:
        log(2)
    assert len(sent) == 4  # hold the run, add the point, keep the latest, raise the revision
    assert not db.pending(conn).changes


def test_entries_of_one_run_are_audited_each_by_its_own_actor(conn: Connection, actor: Actor, run_id: str) -> None:
    other = replace(make_actor(conn, "two"), projects=actor.projects, project_id=actor.project_id)
    changes(conn)
    entries = [
        LogEntry(actor, run_id, params={"a": "1"}),
        LogEntry(other, run_id, params={"a": "1", "b": "2"}, changes={"notes": "x"}),
        LogEntry(other, run_id, params={"a": "2", "c": "3"}, changes={"notes": "lost"}),
        LogEntry(actor, run_id, params={"b": "2"}, changes={"notes": "y"}),
    ]
    problems = runs.log(conn, entries)
    assert [type(problem) for problem in problems] == [type(None), type(None), Invalid, type(None)]
    gathered = list(db.pending(conn).changes)
    assert [(change.table_name, change.operation, change.changed_by) for change in gathered] == [
        ("run_configs", "I", actor.user_id),
        ("run_configs", "U", other.user_id),
        ("runs", "U", other.user_id),
        ("runs", "U", actor.user_id),
    ]
    assert (gathered[1].old_data, gathered[1].new_data) == ('{"params_json":{}}', '{"params_json":{"b":"2"}}')
    assert (gathered[3].old_data, gathered[3].new_data) == ('{"notes":"x"}', '{"notes":"y"}')
    assert {change.row_pk for change in gathered} == {run_id}
    assert {change.project_id for change in gathered} == {actor.project_id}
    assert run_configs.get(conn, actor, run_id).params_json == {"a": "1", "b": "2"}


def test_changed_columns_keep_the_others(conn: Connection, actor: Actor, experiment: int) -> None:
    first, second = (make(conn, actor, experiment, run_name="r", git_commit="g") for _ in "ab")
    runs.log(
        conn,
        [
            LogEntry(actor, first, changes={"run_name": "a"}),
            LogEntry(actor, second, changes={"git_commit": "b"}),
            LogEntry(actor, second, changes={"notes": "c"}),
        ],
    )
    shown = [run_views.get(conn, actor, run_id) for run_id in (first, second)]
    assert [(run.run_name, run.git_commit, run.notes) for run in shown] == [("a", "g", None), ("r", "b", "c")]


def test_the_first_source_in_a_group_that_follows_is_the_command_line(
    conn: Connection, actor: Actor, run_id: str
) -> None:
    runs.log(conn, [LogEntry(actor, run_id, tags={"mlflow.source.name": name}) for name in ("a.py", "b.py")])
    assert run_configs.get(conn, actor, run_id).command_line == "b.py"


# The end


def test_completing_again_adds_nothing(conn: Connection, actor: Actor, run_id: str) -> None:
    finals = [Final(LOSS, 0.5, 0, None), Final(Name(MetricScope.VAL, "loss"), 0.0, 1, 7)]
    runs.complete(conn, actor, run_id, "finished", None, finals)
    shown, number = run_views.get(conn, actor, run_id), runs.find(conn, actor, run_id)
    points = conn.execute(select(t.run_metric_values)).all()
    changes(conn)
    runs.complete(conn, actor, run_id, "finished", None, finals)
    runs.complete(conn, actor, run_id, "finished", shown.finished_at)
    assert (run_views.get(conn, actor, run_id), runs.find(conn, actor, run_id)) == (shown, number)
    assert conn.execute(select(t.run_metric_values)).all() == points
    assert not db.pending(conn).changes
    with pytest.raises(Conflict):
        runs.complete(conn, actor, run_id, "finished", None, [Final(LOSS, 0.6, 0, None)])


def test_a_run_that_an_mlflow_client_ended_without_a_time_can_be_completed(
    conn: Connection, actor: Actor, run_id: str
) -> None:
    runs.change(conn, actor, run_id, {"status": "failed"})
    with pytest.raises(Conflict):
        runs.complete(conn, actor, run_id, "finished")
    runs.complete(conn, actor, run_id, "failed", 5, [Final(LOSS, 1.0, 0, None)])
    (latest,) = metrics.latest(conn, [runs.find(conn, actor, run_id)[0]])
    assert (latest.recorded_at, latest.step, latest.value) == (5, 0, 1.0)


# Reading


def test_a_list_is_not_torn_by_runs_that_start_meanwhile(conn: Connection, actor: Actor, experiment: int) -> None:
    started = [3, 1, 3, None, 2, None]
    made = {make(conn, actor, experiment, started_at=start): start for start in started}
    whole = [run.run_id for run in run_views.page(conn, actor, 100, None).items]
    assert [made[run_id] for run_id in whole] == [3, 3, 2, 1, None, None]
    paged: list[str] = []
    token = None
    while True:
        page = run_views.page(conn, actor, 1, token)
        paged += [run.run_id for run in page.items]
        token = page.next_token
        if token is None:
            break
        make(conn, actor, experiment, started_at=4)
    assert paged == whole


def test_a_typed_param_counts_as_its_text(conn: Connection, actor: Actor, experiment: int) -> None:
    config = NewConfig({"lr": 1.0, "deep": {"bb": 1, "a": [None]}, "big": 10**300})
    run_id = make(conn, actor, experiment, config=config)
    again = {"lr": "1.0", "deep": '{"a":[null],"bb":1}', "big": "1" + "0" * 300}
    assert runs.log(conn, [LogEntry(actor, run_id, params=again)]) == [None]
    number = runs.find(conn, actor, run_id)[0]
    c = t.run_params.c
    searched = conn.execute(select(c.key, c.value).where(c.run_id == number))
    assert {row.key: row.value for row in searched} == again
    assert run_configs.get(conn, actor, run_id).params_json == config.params_json
