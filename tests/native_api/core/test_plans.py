"""How both databases find what is read most: by which index, in which order, and without looking at the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Connection, Engine, event, insert, text

from native_api.core import db, histories, listings, metrics, reports, run_views, runs
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.metrics import MetricScope, Name, Point
from native_api.core.search import FEW, All, Comparison, Condition, Metric, Op, Param, SortKey, Tag, View
from tests.conftest import make_actor

SIZES = {1: FEW + 2000, 2: 1000}
"""Experiments, and how many runs each has."""

add_runs = db.BulkInsert(
    t.runs,
    ["run_id", "experiment_id", "status", "started_at", "user_name", "artifact_uri", "created_at", "revision"],
)
add_params = db.BulkInsert(t.run_params, ["run_id", "key", "value"])
add_tags = db.BulkInsert(t.run_tags, ["run_id", "key", "value"])

N, RARE, NANS = Metric(0, "n"), Metric(0, "rare"), Metric(0, "nans")
HISTORY = Name(MetricScope.NONE, "history")


@dataclass
class Plans:
    """Experiments with enough runs for an index to be worth it, and the plans of what is asked about them."""

    conn: Connection
    actor: Actor
    runs: Sequence[tuple[int, str]]

    @property
    def is_sqlite(self) -> bool:
        return self.conn.dialect.name == "sqlite"

    @contextmanager
    def counted(self) -> Iterator[list[tuple[str, Any]]]:
        """The statements sent meanwhile, with what was bound to them."""
        statements: list[tuple[str, Any]] = []

        def note(_conn: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
            statements.append((statement, parameters))

        def driver_execute(conn: Connection, sql: str, values: Any) -> object:
            statements.append((sql, values))
            return original(conn, sql, values)

        original = db.driver_execute
        event.listen(self.conn, "before_cursor_execute", note)
        try:
            with mock.patch.object(db, "driver_execute", driver_execute):
                yield statements
        finally:
            event.remove(self.conn, "before_cursor_execute", note)

    def of(self, ask: Callable[[], object]) -> list[str]:
        """The plans of the statements that the call takes, but of those that look up a few rows by their keys."""
        with self.counted() as statements:
            ask()
        small = {"experiments", "metric_keys", "metric_definitions"}
        explain = "EXPLAIN QUERY PLAN " if self.is_sqlite else "EXPLAIN "
        return [
            "\n".join(row[-1] for row in self.conn.exec_driver_sql(explain + statement, parameters))
            for statement, parameters in statements
            if re.findall(r"FROM \(?(?:SELECT .*?FROM )?(\w+)", statement, re.DOTALL)[0] not in small
        ]

    def search(
        self,
        condition: Condition | None = None,
        keys: Sequence[SortKey] = (),
        limit: int = 10,
        token: str | None = None,
        experiments: Sequence[int] = (1,),
    ) -> tuple[list[str], str | None]:
        """The plans of a page, and the token of the next one."""
        found: list[str | None] = []

        def ask() -> None:
            page = listings.page_of_runs(self.conn, self.actor, experiments, View.ACTIVE, condition, keys, limit, token)
            found.append(page.next_token)

        return self.of(ask), found[0]


@pytest.fixture(scope="module")
def plans(engine: Engine) -> Iterator[Plans]:
    with engine.connect() as conn, conn.begin() as transaction:
        known = db.memory(conn, metrics.Keys)
        known.ids, known.names = {}, {}
        actor = make_actor(conn, "one")
        yield Plans(conn, actor, fill(conn, actor))
        transaction.rollback()
        known.ids, known.names = {}, {}


def fill(conn: Connection, actor: Actor) -> list[tuple[int, str]]:
    """Runs that all have `n`; one in two hundred has `rare`, one in a hundred only NaNs; and some long histories."""
    for experiment in SIZES:
        row = {"id": experiment, "experiment_id": f"{experiment:032x}", "project_id": actor.project_id}
        more = {"name": f"e{experiment}", "artifact_location": "x", "created_at": 1, "updated_at": 1}
        conn.execute(insert(t.experiments), row | more)
    places = [(experiment, place) for experiment, size in SIZES.items() for place in range(size)]
    ids = [f"{number * 7919 % 5003:032x}" for number, _ in enumerate(places)]
    add_runs(
        conn,
        [
            (run_id, experiment, "running", place, "", "x", 1, 1)
            for run_id, (experiment, place) in zip(ids, places, strict=True)
        ],
    )
    numbers = {run_id: number for number, run_id in conn.execute(text("SELECT id, run_id FROM runs"))}
    for add in (add_params, add_tags):
        rows = [(numbers[run_id], place) for run_id, (_, place) in zip(ids, places, strict=True)]
        add(conn, [(run, "few", f"{place % 100}") for run, place in rows])
        add(conn, [(run, "all", "same") for run, _ in rows])
    logged = []
    for run_id, (experiment, place) in zip(ids, places, strict=True):
        points = {Name(MetricScope.NONE, "n"): [Point(0, 0, float(place * 7919 % 5003))]}
        if place % 200 == 3:
            points[Name(MetricScope.NONE, "rare")] = [Point(0, 0, float(place))]
        if place % 100 == 7:
            points[Name(MetricScope.NONE, "nans")] = [Point(0, 0, 0.0, 1)]
        if place < 4:
            points[HISTORY] = [Point(step, step, float(step % 7)) for step in range(2000)]
        logged.append((numbers[run_id], experiment, points))
    metrics.append(conn, logged)
    if conn.dialect.name == "postgresql":
        conn.execute(text("ANALYZE"))
    return [(numbers[run_id], run_id) for run_id in ids]


def in_order(plan: str) -> bool:
    """Whether rows come from the index as they are wanted: at most those with equal first values are sorted."""
    return "TEMP B-TREE FOR ORDER BY" not in plan and not re.search(r"(?<!Incremental )Sort  \(", plan)


# Which runs


def test_the_newest_runs_come_from_an_index_in_order(plans: Plans) -> None:
    (plan,), token = plans.search()
    assert "ix_runs_newest" in plan
    assert in_order(plan)
    (plan,), _ = plans.search(token=token)
    assert "ix_runs_newest" in plan
    assert in_order(plan)
    bound = "started_at<?" if plans.is_sqlite else "(started_at <= "
    assert bound in plan, "a deep page starts where the last one ended"


@pytest.mark.parametrize("descending", [True, False])
def test_runs_by_a_metric_come_from_an_index_in_order(plans: Plans, descending: bool) -> None:
    keys = [SortKey(N, descending)]
    (plan,), token = plans.search(keys=keys)
    assert "ix_run_metric_latest_order" in plan
    assert in_order(plan)
    (plan,), _ = plans.search(keys=keys, token=token)
    assert in_order(plan)
    further = "<" if descending else ">"
    bound = f"value{further}?" if plans.is_sqlite else f"(value {further}= "
    assert bound in plan.replace("run_metric_latest_1.", "")


@pytest.mark.parametrize("metric", [RARE, NANS, Metric(0, "never logged")])
def test_runs_without_the_metric_fill_the_page_without_a_look_at_all_runs(plans: Plans, metric: Metric) -> None:
    (numbers, nans, without), _ = plans.search(keys=[SortKey(metric, descending=True)], limit=100)
    for plan in (numbers, nans):
        assert "ix_run_metric_latest_order" in plan
        assert "ix_runs_newest" not in plan
    assert "ix_runs_newest" in without
    assert in_order(without)


@pytest.mark.parametrize("keys", [[], [SortKey(N, descending=True)]])
def test_of_several_experiments_each_gives_its_runs_in_order(plans: Plans, keys: list[SortKey]) -> None:
    (plan,), token = plans.search(keys=keys, experiments=[1, 2])
    (deep,), _ = plans.search(keys=keys, experiments=[1, 2], token=token)
    for found in (plan, deep):
        assert found.count("ix_run_metric_latest_order" if keys else "ix_runs_newest") == 2
        assert ("MERGE (UNION ALL)" if plans.is_sqlite else "Merge Append") in found
        assert "Seq Scan on run" not in found


@pytest.mark.parametrize(
    ("comparison", "index", "bound"),
    [
        (Comparison(Tag("few"), Op.EQ, "7"), "ix_run_tags_key_value", "key=? AND <expr>=?"),
        (Comparison(Param("few"), Op.EQ, "7"), "ix_run_params_key_value", "key=? AND <expr>=?"),
        (Comparison(Param("few"), Op.EQ, "x" * 200), "ix_run_params_key_value", "key=? AND <expr>=?"),
        (Comparison(N, Op.GT, 4990.0), "ix_run_metric_latest_order", "value>?"),
        (Comparison(N, Op.LE, -1.0), "ix_run_metric_latest_order", "value<?"),
        (Comparison(N, Op.EQ, 3.0), "ix_run_metric_latest_order", "value=?"),
    ],
)
@pytest.mark.parametrize("keys", [[], [SortKey(N)], [SortKey(RARE)]])
def test_few_runs_are_found_by_an_index_and_then_by_their_ids(
    plans: Plans, comparison: Comparison, index: str, bound: str, keys: list[SortKey]
) -> None:
    condition = All((Comparison(N, Op.GT, 1.0), comparison))
    found, _ = plans.search(condition, keys)
    ids, *pages = found if comparison.op is Op.EQ else found[1:]  # what is equal is looked for first
    assert index in ids
    assert not plans.is_sqlite or bound in ids
    for plan in pages:
        assert ("runs USING INTEGER PRIMARY KEY (rowid=?)" if plans.is_sqlite else "pk_runs") in plan
        assert "ix_run" not in plan


@pytest.mark.parametrize("field_", [Tag("all"), Param("all")])
def test_of_many_runs_only_as_many_are_looked_at_as_it_takes(plans: Plans, field_: Tag | Param) -> None:
    condition = All((Comparison(field_, Op.EQ, "same"), Comparison(N, Op.GT, 1.0)))
    (*_, plan), _ = plans.search(condition)
    assert "ix_runs_newest" in plan
    assert in_order(plan)
    (*_, plan), _ = plans.search(condition, [SortKey(N)])
    assert "ix_run_metric_latest_order" in plan
    assert in_order(plan)


def test_the_number_of_statements_does_not_depend_on_the_page(plans: Plans) -> None:
    for keys, most in (([], 1), ([SortKey(N)], 3), ([SortKey(Param("few"))], 1)):
        for limit in (10, 1500, 5000):
            found, token = plans.search(keys=keys, limit=limit)
            assert len(found) == (1 if token else most)
    for size in (1, 1000):
        with plans.counted() as statements:
            run_views.load(plans.conn, [run for run, _ in plans.runs[:size]])
        assert len(statements) <= 7


# What they have


def test_runs_are_found_by_their_ids(plans: Plans) -> None:
    run_ids = [run_id for _, run_id in plans.runs[:3]]
    for ask in (
        lambda: runs.find(plans.conn, plans.actor, run_ids[0]),
        lambda: runs.find_many(plans.conn, plans.actor, run_ids),
    ):
        (plan,) = plans.of(ask)
        assert ("sqlite_autoindex_runs_1 (run_id=?)" if plans.is_sqlite else "uq_runs_run_id") in plan


def test_the_parts_of_runs_are_read_by_their_keys(plans: Plans) -> None:
    for plan in plans.of(lambda: run_views.load(plans.conn, [run for run, _ in plans.runs[:5]])):
        assert "SCAN run" not in plan
        for table in ("runs", "run_metric_latest", "run_tags"):
            assert f"Seq Scan on {table} " not in plan


def test_a_page_of_a_history_is_a_range_of_the_key(plans: Plans) -> None:
    run = plans.runs[2][0]
    first = histories.page(plans.conn, run, HISTORY, 100)
    for token in (None, first.next_token):
        page, check = plans.of(partial(histories.page, plans.conn, run, HISTORY, 100, token))
        assert ("PRIMARY KEY (run_id=?" if plans.is_sqlite else "pk_run_metric_values") in page
        assert in_order(page)
        assert ("PRIMARY KEY (run_id=?" if plans.is_sqlite else "pk_run_metric_values") in check


def test_a_sample_of_a_few_steps_reads_no_others(plans: Plans) -> None:
    (plan,) = plans.of(lambda: histories.sample(plans.conn, plans.runs[2][0], HISTORY, (5, 9), 100))
    bound = "is_final=? AND step>? AND step<?" if plans.is_sqlite else "(step >= '5'::bigint) AND (step <= '9'::bigint)"
    assert bound in plan


@pytest.mark.parametrize("goal", ["max", "min"])
def test_a_leaderboard_comes_from_an_index_in_order(plans: Plans, goal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "_goal", lambda *_: goal)
    name = Name(MetricScope.NONE, "n")
    (plan,) = plans.of(lambda: reports.leaderboard(plans.conn, plans.actor, f"{1:032x}", name, 10, None))
    assert "ix_run_metric_latest_order" in plan
    assert in_order(plan)


def test_of_a_leaderboard_by_time_only_the_last_runs_are_read(plans: Plans) -> None:
    def ask() -> None:
        reports.leaderboard(plans.conn, plans.actor, f"{1:032x}", Name(MetricScope.NONE, "n"), 10, None)

    times, page = plans.of(ask)
    if plans.is_sqlite:
        assert times.startswith("SEARCH run_metric_latest USING COVERING INDEX ix_run_metric_latest_order")
    else:  # which reads this whole, as nearly every row of so small a table is one
        assert "(recorded_at >= " in page
