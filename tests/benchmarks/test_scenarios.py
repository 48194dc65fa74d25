"""The benchmark itself: every speed that is to be reached has a scenario, and every scenario runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import compare, report, servers
from benchmarks.sample import TINY
from benchmarks.suite import SCENARIOS

REAL_CLIENT = "Python client"  # needs an environment of its own


def test_no_two_scenarios_share_a_name() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(
    "figure",
    [
        "log-metric, 1 client, p50",
        "log-metric, 32 clients",
        "log-batch of 100, 16 clients",
        "log-batch of 1,000, 16 clients",
        "training run, 16 at once",
        *(
            f"first {page} of 10,000 runs by a metric, {state}"
            for page in ("100", "1,000")
            for state in ("cold", "warm")
        ),
        "filter 10,000 runs by a metric and a param",
        "page through 10,000 runs",
        "history of 100,000 points",
        "bulk interval, 20 runs x 10,000 points",
        "runs/get, 1,000 metrics and 500 params",
        "Python client, 1,000 steps of 5 metrics",
        *(f"artifact of {size}, {way}" for size in ("200 MB", "1 GiB") for way in ("put", "get")),
        *(f"200 files of 10 KiB, 8 clients, {way}" for way in ("put", "get")),
        *(f"first answer, {state} database" for state in ("fresh", "existing")),
        "memory, idle",
        "memory, most while writing",
        "mixed load, log-batch, p99",
    ],
)
def test_every_figure_to_reach_has_a_scenario(figure: str) -> None:
    assert [scenario.name for scenario in SCENARIOS if scenario.name.startswith(figure)] != []


def test_every_scenario_runs(tmp_path: Path) -> None:
    """On a small sample; each scenario checks the answers itself."""
    scenarios = [scenario for scenario in SCENARIOS if not re.match(REAL_CLIENT, scenario.name)]
    plan = compare.Plan([servers.ours()], ["sqlite"], scenarios, TINY, rounds=1, minutes=1)
    results = compare.measure(plan, tmp_path)
    assert [figure.scenario for figure in results.figures] == [scenario.name for scenario in scenarios]
    assert [figure.scenario for figure in results.figures if not figure.median > 0] == []
    assert all(scenario.name in report.markdown(results, details=True) for scenario in scenarios)
