"""The chart view of an experiment."""

from playwright.sync_api import Page, expect

from compat_tests.ui.charts import Charts
from compat_tests.ui.data import STEPS, Study
from compat_tests.ui.runs_table import RunsTable


def test_a_line_for_each_run(page: Page, digits: Study) -> None:
    charts = Charts(page)
    page.goto(f"/#/experiments/{digits.experiment_id}/runs?compareRunsMode=CHART")
    charts.draws("accuracy", lines=6, points=STEPS)
    charts.draws("loss", lines=6, points=STEPS)


def test_hiding_a_run_takes_its_line_away(page: Page, digits: Study) -> None:
    charts = Charts(page)
    page.goto(f"/#/experiments/{digits.experiment_id}/runs?compareRunsMode=CHART")
    charts.draws("loss", lines=6, points=STEPS)
    RunsTable(page).hide(digits.runs["run-3"])
    charts.draws("loss", lines=5, points=STEPS)
    expect(charts.chart("loss")).not_to_contain_text("run-3")
