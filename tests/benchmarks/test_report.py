"""The sums of the benchmark: medians, percentiles, ratios, slopes, and what is shown where there is no figure."""

from __future__ import annotations

import math

import msgspec
import pytest

from benchmarks import report
from benchmarks.processes import Spent
from benchmarks.report import Figure, Measured, Results
from benchmarks.scenario import Outcome, Unit, percentile
from benchmarks.soak import slope

SPENT = Spent(seconds=1, server=0.5, client=0.1)


def figure(product: str, *values: float, unit: Unit = "ms") -> Figure:
    return Figure("sqlite", "reading", unit, product, [Measured(Outcome(value, 1, SPENT)) for value in values])


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([7], 99, 7), ([1, 2, 3], 50, 2), ([3, 1, 2, 4], 50, 2.5), (range(101), 95, 95), ([1, 2], 100, 2), ([1, 2], 0, 1)],
)
def test_percentiles_lie_between_neighbours(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_the_median_of_the_rounds_counts() -> None:
    assert figure("ours", 1, 9, 2).median == 2


@pytest.mark.parametrize(
    ("unit", "ours", "peer", "expected"), [("ms", 2, 10, 5), ("MiB", 10, 5, 0.5), ("req/s", 100, 20, 5), ("s", 1, 1, 1)]
)
def test_a_ratio_above_one_says_that_ours_is_better(unit: Unit, ours: float, peer: float, expected: float) -> None:
    assert report.ratio(figure("ours", ours, unit=unit), figure("peer", peer, unit=unit)) == expected


@pytest.mark.parametrize(
    ("points", "expected"),
    [([(0, 5), (1, 7), (2, 9)], 2), ([(0, 3), (1, 3)], 0), ([(0, 0), (1, 2), (2, 1), (3, 3)], 0.8)],
)
def test_the_slope_is_that_of_the_least_squares(points: list[tuple[float, float]], expected: float) -> None:
    assert slope(points) == pytest.approx(expected)


def test_one_point_has_no_slope() -> None:
    assert math.isnan(slope([(1, 2)]))


def shown(*figures: Figure) -> list[str]:
    results = Results(["ours", "peer"], figures=list(figures))
    return report.comparison(results, results.figures).splitlines()[2:]


def test_a_peer_stands_beside_ours_with_the_ratio() -> None:
    assert shown(figure("ours", 2), figure("peer", 1100)) == ["| reading | 2.00 ms | 1,100 ms (550x) |"]


def test_what_was_cut_short_is_marked() -> None:
    cut = Figure("sqlite", "reading", "ms", "peer", [Measured(Outcome(10, 1, SPENT, scaled=True))])
    assert shown(figure("ours", 2), cut) == ["| reading | 2.00 ms | ~10.0 ms (5.00x) |"]


@pytest.mark.parametrize(("refused", "cell"), [("not served", "not served"), ("Refused: answered 500", "failed")])
def test_what_a_peer_does_not_do_is_told(refused: str, cell: str) -> None:
    failed = Figure("sqlite", "reading", "ms", "peer", [Measured(refused=refused)])
    assert shown(figure("ours", 2), failed) == [f"| reading | 2.00 ms | {cell} |"]
    assert any(refused in reason for reason in report.reasons([failed])) == (cell == "failed")


def test_failures_are_told_beside_the_figure_in_place_of_a_ratio() -> None:
    some = Figure("sqlite", "reading", "ms", "peer", [Measured(Outcome(10, 5, SPENT, failed=3))])
    assert shown(figure("ours", 2), some) == ["| reading | 2.00 ms | 10.0 ms, 3 failed |"]


def test_the_rounds_that_there_were_are_told() -> None:
    told = report.markdown(
        Results(["ours", "peer"], {"when": "today"}, [figure("ours", 1, 2), figure("peer", 1)]), False
    )
    assert "| rounds | 1 to 2 |" in told
    told = report.markdown(Results(["ours"], {}, [figure("ours", 1, 2)]), False)
    assert "| rounds | 2 |" in told


def test_results_survive_their_file() -> None:
    results = Results(["ours"], {"when": "today"}, [figure("ours", 1, 2)])
    assert msgspec.json.decode(msgspec.json.encode(results), type=Results) == results
