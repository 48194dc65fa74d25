"""Comparing runs side by side."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from compat_tests.ui.charts import Charts, shows_spots, shows_threads
from compat_tests.ui.data import Study
from compat_tests.ui.runs_table import RunsTable

FIRST_METRIC = re.compile("accuracy|loss")
"""What the plots begin with: whichever the server names first."""


def test_choosing_two_runs_to_compare(page: Page, digits: Study) -> None:
    table = RunsTable(page)
    table.open(digits.experiment_id)
    table.select(digits.runs["run-0"], digits.runs["run-1"])
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Comparing 2 Runs from 1 Experiment")).to_be_visible()


@pytest.mark.parametrize("number", [2, 5])
def test_runs_side_by_side(page: Page, digits: Study, number: int, look: Callable[[Page], None]) -> None:
    _compare(page, digits, number)
    runs = range(number)
    for row in (
        f"Run Name: {' '.join(f'run-{run}' for run in runs)}",
        f"depth {' '.join(str(run) for run in runs)}",
        f"optimizer {' '.join('adam' if run % 2 else 'sgd' for run in runs)}",
        f"team {' '.join('vision' for run in runs)}",
    ):
        expect(page.get_by_role("row", name=row, exact=True)).to_be_visible()
    metrics = page.get_by_role("grid").filter(has_text="0.725")
    for run in runs:
        expect(metrics).to_contain_text(f"{0.725 + run / 100:.3g}")
    look(page)


@pytest.mark.parametrize("number", [2, 5])
def test_parallel_coordinates(page: Page, digits: Study, number: int) -> None:
    _compare(page, digits, number)
    plot = page.get_by_role("tabpanel", name="Parallel Coordinates Plot").locator(".js-plotly-plot")
    for axis in ("depth", "optimizer", FIRST_METRIC):
        expect(plot.locator(".axis-title", has_text=axis)).to_be_visible()
    shows_threads(plot, "depth", "optimizer", number)


@pytest.mark.parametrize("number", [2, 5])
def test_a_scatter_plot_has_a_point_for_each_run(page: Page, digits: Study, number: int) -> None:
    _compare(page, digits, number)
    page.get_by_role("tab", name="Scatter Plot").click()
    plot = page.get_by_role("tabpanel", name="Scatter Plot").locator(".js-plotly-plot")
    expect(plot.locator(".xtitle")).to_have_text("depth")
    expect(plot.locator(".ytitle")).to_have_text(FIRST_METRIC)
    shows_spots(plot, number)


def test_a_contour_plot(page: Page, digits: Study) -> None:
    _compare(page, digits, 5)
    page.get_by_role("tab", name="Contour Plot").click()
    plot = page.get_by_role("tabpanel", name="Contour Plot").locator(".js-plotly-plot")
    expect(plot.locator(".xtitle")).to_have_text("depth")
    expect(plot.locator(".contourlines path").first).to_be_attached()


def test_a_box_plot(page: Page, digits: Study) -> None:
    _compare(page, digits, 5)
    page.get_by_role("tab", name="Box Plot").click()
    panel = page.get_by_role("tabpanel", name="Box Plot")
    for axis, name in (("X-axis:", "optimizer"), ("Y-axis:", "accuracy")):
        panel.get_by_role("combobox", name=axis).click()
        page.get_by_role("option", name=name).click()
    expect(panel.locator(".boxlayer path.box")).to_have_count(2)


def test_a_metric_of_two_runs_over_time(page: Page, digits: Study) -> None:
    _compare(page, digits, 2)
    page.get_by_role("link", name="loss", exact=True).click()
    Charts(page).draws_plainly("loss", lines=2)
    expect(page.get_by_role("row", name="run-0")).to_contain_text("1 (step=0)")
    expect(page.get_by_role("row", name="run-1")).to_contain_text("0.5 (step=0)")


def test_runs_of_two_experiments_in_one_table(page: Page, digits: Study, draft: Study) -> None:
    page.goto(f"/#/compare-experiments/s?experiments={json.dumps([digits.experiment_id, draft.experiment_id])}")
    expect(page.get_by_role("heading", name="Displaying Runs from 2 Experiments")).to_be_visible()
    RunsTable(page).counts(len(digits.runs) + len(draft.runs))
    for name in ("run-0", "first"):
        expect(page.get_by_role("gridcell").get_by_role("link", name=name, exact=True)).to_be_visible()


def _compare(page: Page, study: Study, number: int) -> None:
    """Opens the page that compares the first so many runs of a study."""
    runs = json.dumps([study.runs[f"run-{run}"] for run in range(number)])
    page.goto(f"/#/compare-runs?runs={runs}&experiments={json.dumps([study.experiment_id])}")
    expect(page.get_by_role("heading", name=f"Comparing {number} Runs from 1 Experiment")).to_be_visible()
