"""What a user does with the table of an experiment's runs."""

import csv
import re
from collections.abc import Callable

from mlflow import MlflowClient
from mlflow.entities import ViewType
from playwright.sync_api import Page, expect

from compat_tests.ui.data import MANY, Study
from compat_tests.ui.runs_table import RunsTable
from compat_tests.ui.watch import Watch

NEWEST_FIRST = [f"run-{number}" for number in reversed(range(6))]


def test_the_newest_runs_come_first(page: Page, digits: Study) -> None:
    table = RunsTable(page)
    table.open(digits.experiment_id)
    table.shows(*NEWEST_FIRST)
    table.counts(len(digits.runs))


def test_sorting_by_a_metric(page: Page, digits: Study) -> None:
    table = RunsTable(page)
    table.open(digits.experiment_id)
    table.shows(*NEWEST_FIRST)
    table.sort("accuracy", "ascending")
    table.shows(*sorted(NEWEST_FIRST), "trial-1", "trial-0")
    table.sort("accuracy", "descending")
    table.shows(*NEWEST_FIRST, "trial-1", "trial-0")


def test_filtering_by_metrics_and_params(page: Page, digits: Study, look: Callable[[Page], None]) -> None:
    table = RunsTable(page)
    table.open(digits.experiment_id)
    table.shows(*NEWEST_FIRST)
    table.filter('metrics.accuracy > 0.73 and params.optimizer = "adam"')
    table.shows("run-5", "run-3", "run-1")
    look(page)
    table.filter('attributes.run_name = "nobody"')
    expect(page.get_by_text("All runs in this experiment have been filtered")).to_be_visible()


def test_a_filter_that_is_wrong_is_explained(page: Page, digits: Study, watch: Watch) -> None:
    table = RunsTable(page)
    table.open(digits.experiment_id)
    table.shows(*NEWEST_FIRST)
    watch.expect("400 POST /ajax-api/2.0/mlflow/runs/search")
    table.filter("metrics.loss >")
    expect(page.get_by_role("heading", name="Request error")).to_be_visible()
    expect(page.get_by_text("Invalid clause(s) in filter string")).to_be_visible()


def test_choosing_columns(page: Page, digits: Study) -> None:
    table = RunsTable(page)
    table.open(digits.experiment_id)
    table.shows(*NEWEST_FIRST)
    page.get_by_role("button", name="Columns").click()
    for name in ("accuracy", "depth", "team", "Source"):
        page.get_by_test_id("column-selector-tree").get_by_text(name, exact=True).click()
    page.keyboard.press("Escape")
    run = digits.runs["run-3"]
    expect(table.cell(run, "metrics.accuracy")).to_have_text("0.755")
    expect(table.cell(run, "params.depth")).to_have_text("3")
    expect(table.cell(run, "tags.team")).to_have_text("vision")
    expect(table.cell(run, "attributes.Source")).to_have_count(0)


def test_loading_more_runs_than_the_first_hundred(page: Page, many: Study) -> None:
    table = RunsTable(page)
    table.open(many.experiment_id)
    table.counts(100)
    page.get_by_role("button", name="Load more").click()
    table.counts(MANY)
    page.locator(".ag-body-viewport").hover()
    page.mouse.wheel(0, 10_000)
    expect(page.get_by_role("link", name="many-000")).to_be_visible()


def test_unfolding_nested_runs(page: Page, digits: Study, look: Callable[[Page], None]) -> None:
    table = RunsTable(page)
    table.open(digits.experiment_id)
    table.shows(*NEWEST_FIRST)
    table.unfold(digits.runs["run-2"])
    table.shows("run-5", "run-4", "run-3", "run-2", "trial-1", "trial-0", "run-1", "run-0")
    look(page)
    table.unfold(digits.runs["run-2"])
    table.shows(*NEWEST_FIRST)


def test_the_dataset_of_a_run(page: Page, digits: Study) -> None:
    table = RunsTable(page)
    table.open(digits.experiment_id)
    cell = table.cell(digits.runs["run-1"], "attributes.Dataset")
    expect(cell).to_contain_text("train-set")
    expect(cell).to_contain_text("training", ignore_case=True)
    cell.get_by_role("button").click()
    drawer = page.get_by_role("dialog", name=re.compile("Data details"))
    expect(drawer.get_by_role("row", name="pixel")).to_contain_text("long")
    expect(drawer).to_contain_text("num rows: 2")


def test_downloading_the_table(page: Page, digits: Study) -> None:
    table = RunsTable(page)
    table.open(digits.experiment_id)
    table.counts(len(digits.runs))
    page.get_by_role("button", name="More options").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=f"Download {len(digits.runs)} runs").click()
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert {row["Name"]: row["depth"] for row in rows if row["depth"]} == {f"run-{n}": str(n) for n in range(6)}
    assert {row["Run ID"] for row in rows} == set(digits.runs.values())


def test_renaming_a_run(page: Page, draft: Study, client: MlflowClient) -> None:
    table = RunsTable(page)
    table.open(draft.experiment_id)
    table.shows("third", "second", "first")
    table.select(draft.runs["second"])
    page.get_by_role("button", name="Rename").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("the better one")
    dialog.get_by_role("button", name="Save").click()
    table.shows("third", "the better one", "first")
    run = client.get_run(draft.runs["second"])
    assert (run.info.run_name, run.data.tags["mlflow.runName"]) == ("the better one", "the better one")


def test_deleting_and_restoring_runs(
    page: Page, draft: Study, client: MlflowClient, look: Callable[[Page], None]
) -> None:
    table = RunsTable(page)
    table.open(draft.experiment_id)
    table.shows("third", "second", "first")
    table.select(draft.runs["first"], draft.runs["second"])
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    table.shows("third")
    assert _names(client, draft, ViewType.DELETED_ONLY) == ["first", "second"]

    table.choose_state("Deleted")
    table.shows("second", "first")
    look(page)
    table.select(draft.runs["first"])
    page.get_by_role("button", name="Restore").click()
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()
    table.shows("second")
    table.choose_state("Active")
    table.shows("third", "first")
    assert _names(client, draft, ViewType.ACTIVE_ONLY) == ["first", "third"]


def _names(client: MlflowClient, study: Study, view: int) -> list[str]:
    return sorted(run.info.run_name for run in client.search_runs([study.experiment_id], "", view))
