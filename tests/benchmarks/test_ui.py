"""What the browser's benchmark shows: screens of the same content on every server, and a table of their times."""

from __future__ import annotations

from pathlib import Path

from benchmarks import databases, sample, servers, ui, wire
from benchmarks.sample import SERIES
from benchmarks.ui import Call, Size, Visits

SIZE = Size(runs=12, metrics=6, params=4, lines=2, points=1_000)


def test_there_are_as_many_runs_and_points_as_said(tmp_path: Path) -> None:
    with databases.opened("sqlite", tmp_path / "sqlite") as db:
        db.create("ours")
        with servers.running(servers.ours(), db.url("ours"), tmp_path) as server:
            chart = ui.fill("ours", db, server.port, SIZE)
            table, lines = (
                wire.ask(server.port, wire.post("runs/search", {"experiment_ids": [experiment]}))[0]["runs"]
                for experiment in ("0", chart)
            )
            ids = [line["info"]["run_id"] for line in lines]
            histories = [
                wire.ask(server.port, wire.get("metrics/get-history", run_id=run_id, metric_key=SERIES))[0]["metrics"]
                for run_id in ids
            ]
    assert [run["info"]["run_name"] for run in table] == [f"run-{place}" for place in reversed(range(SIZE.runs))]
    assert {len(sample.seen(run).metrics) for run in table} == {SIZE.metrics}
    assert {len(sample.seen(run).params) for run in table} == {SIZE.params}
    assert [len(history) for history in histories] == [SIZE.points] * SIZE.lines


def test_the_median_stands_before_each_round() -> None:
    seconds = {"runs table": {"ours": [3.0, 1.0, 2.0], "peer": [4.0, 5.0]}, "chart": {"ours": [7.0]}}
    calls = {"ours": [Call("/ajax-api/2.0/mlflow/runs/search", 900, 150, 12_345)], "peer": []}
    shown = ui.markdown(Visits({"when": "today"}, seconds, calls)).splitlines()
    assert "| screen | ours | peer |" in shown
    assert "| runs table | 2.00 s (3.00, 1.00, 2.00) | 4.50 s (4.00, 5.00) |" in shown
    assert "| chart | 7.00 s (7.00) |  |" in shown
    assert "| ours | /ajax-api/2.0/mlflow/runs/search | 900 ms | 150 ms | 12,345 |" in shown
