"""What a user reads and changes on the page of one run."""

from collections.abc import Callable

from mlflow import MlflowClient
from playwright.sync_api import Locator, Page, expect

from compat_tests.ui.charts import Charts
from compat_tests.ui.data import SAMPLES, STEPS, Study


def test_metrics_params_and_tags_are_listed(page: Page, digits: Study) -> None:
    _open(page, digits, "run-3")
    for row in ("accuracy 0.755", "depth 3", "optimizer adam"):
        expect(page.get_by_role("row", name=row, exact=True)).to_be_visible()
    expect(page.get_by_role("row", name="loss")).to_contain_text("0.0303")
    expect(_tag(page, "team")).to_have_text("team: vision")
    expect(page.get_by_text(digits.runs["run-3"])).to_be_visible()
    expect(page.get_by_text("Finished")).to_be_visible()


def test_the_parent_of_a_nested_run(page: Page, digits: Study) -> None:
    _open(page, digits, "trial-0")
    expect(page.get_by_text("Parent run", exact=True)).to_be_visible()
    page.get_by_role("link", name="run-2").click()
    expect(page.get_by_role("heading", name="run-2")).to_be_visible()
    expect(page.get_by_role("link", name="trial-1")).to_be_visible()


def test_the_dataset_of_a_run_is_named(page: Page, digits: Study) -> None:
    _open(page, digits, "run-1")
    page.get_by_role("button", name="train-set").click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("row", name="digit")).to_contain_text("long")


def test_writing_a_note(page: Page, draft: Study, client: MlflowClient) -> None:
    _open(page, draft, "first")
    page.get_by_role("button", name="Edit description").click()
    page.locator("textarea").fill("It *fits* at last")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("emphasis")).to_have_text("fits")
    assert client.get_run(draft.runs["first"]).data.tags["mlflow.note.content"] == "It *fits* at last"


def test_adding_and_removing_tags(page: Page, draft: Study, client: MlflowClient, look: Callable[[Page], None]) -> None:
    _open(page, draft, "first")
    page.get_by_role("button", name="Edit tags").click()
    dialog = page.get_by_role("dialog", name="Add/Edit tags")
    dialog.get_by_role("combobox").fill("grade")
    page.get_by_text('Add tag "grade"').click()
    dialog.get_by_role("textbox", name="Value").fill("A")
    dialog.get_by_role("button", name="Add tag").click()
    dialog.get_by_role("status", name="stage").get_by_role("button").click()
    look(page)
    dialog.get_by_role("button", name="Save tags").click()
    expect(_tag(page, "grade")).to_have_text("grade: A")
    expect(_tag(page, "stage")).to_have_count(0)
    tags = client.get_run(draft.runs["first"]).data.tags
    assert tags["grade"] == "A"
    assert "stage" not in tags


def test_renaming_a_run_on_its_page(page: Page, draft: Study, client: MlflowClient) -> None:
    _open(page, draft, "second")
    page.get_by_role("button", name="Open header dropdown menu").click()
    page.get_by_role("menuitem", name="Rename").click()
    dialog = page.get_by_role("dialog", name="Rename Run")
    dialog.get_by_role("textbox").fill("a new name")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="a new name")).to_be_visible()
    assert client.get_run(draft.runs["second"]).info.run_name == "a new name"


def test_deleting_a_run_on_its_page(page: Page, draft: Study, client: MlflowClient) -> None:
    _open(page, draft, "second")
    page.get_by_role("button", name="Open header dropdown menu").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="third")).to_be_visible()
    expect(page.get_by_role("link", name="second")).to_have_count(0)
    assert client.get_run(draft.runs["second"]).info.lifecycle_stage == "deleted"


def test_model_metrics_are_drawn_as_lines(page: Page, digits: Study) -> None:
    _open(page, digits, "run-0")
    page.get_by_role("tab", name="Model metrics").click()
    charts = Charts(page)
    charts.draws("loss", lines=1, points=STEPS)
    charts.draws("accuracy", lines=1, points=STEPS)
    expect(charts.chart("system/cpu_utilization_percentage")).to_have_count(0)


def test_system_metrics_are_drawn_as_lines(page: Page, digits: Study) -> None:
    _open(page, digits, "run-0")
    page.get_by_role("tab", name="System metrics").click()
    charts = Charts(page)
    charts.draws("cpu_utilization_percentage", lines=1, points=SAMPLES)
    expect(charts.chart("loss")).to_have_count(0)


def _open(page: Page, study: Study, run: str) -> None:
    page.goto(f"/#/experiments/{study.experiment_id}/runs/{study.runs[run]}")
    expect(page.get_by_role("heading", name=run)).to_be_visible()


def _tag(page: Page, key: str) -> Locator:
    return page.get_by_role("main").get_by_role("status", name=key, exact=True)
