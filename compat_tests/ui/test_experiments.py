"""What a user does with experiments."""

from collections.abc import Callable

from mlflow import MlflowClient
from playwright.sync_api import Locator, Page, expect

from compat_tests.ui.data import Study
from compat_tests.ui.runs_table import RunsTable
from compat_tests.ui.watch import Watch

ABSENT = "404 GET /ajax-api/2.0/mlflow/experiments/get-by-name"
"""The dialogs ask for a name, to see that no other experiment has it."""


def test_searching_experiments_by_name(page: Page, digits: Study, many: Study) -> None:
    page.goto("/#/experiments")
    expect(_link(page, digits)).to_be_visible()
    expect(_link(page, many)).to_be_visible()
    page.get_by_role("textbox", name="Search experiments").fill("DIG")
    page.get_by_role("button", name="Search").click()
    expect(_link(page, many)).to_have_count(0)
    expect(_link(page, digits)).to_be_visible()


def test_creating_an_experiment(page: Page, client: MlflowClient, watch: Watch) -> None:
    page.goto("/#/experiments")
    page.get_by_test_id("create-experiment-button").click()
    dialog = page.get_by_role("dialog", name="Create Experiment")
    dialog.get_by_role("textbox", name="Experiment Name").fill("made by hand")
    watch.expect(ABSENT)
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("link", name="made by hand").first).to_be_visible()
    assert client.get_experiment_by_name("made by hand").lifecycle_stage == "active"


def test_a_name_that_is_taken_is_refused(page: Page, draft: Study) -> None:
    page.goto("/#/experiments")
    page.get_by_test_id("create-experiment-button").click()
    dialog = page.get_by_role("dialog", name="Create Experiment")
    dialog.get_by_role("textbox", name="Experiment Name").fill(draft.name)
    expect(dialog.get_by_text("already exists")).to_be_visible()


def test_renaming_and_describing_an_experiment(page: Page, draft: Study, client: MlflowClient, watch: Watch) -> None:
    RunsTable(page).open(draft.experiment_id)
    page.get_by_role("button", name="Open header dropdown menu").click()
    page.get_by_role("menuitem", name="Edit experiment").click()
    dialog = page.get_by_role("dialog", name="Edit experiment")
    dialog.get_by_role("textbox", name="Experiment name").fill("renamed by hand")
    dialog.get_by_role("textbox", name="Description").fill("What we tried **first**")
    watch.expect(ABSENT)
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="renamed by hand").first).to_be_visible()
    expect(page.get_by_text("What we tried first")).to_be_visible()
    experiment = client.get_experiment(draft.experiment_id)
    assert (experiment.name, experiment.tags["mlflow.note.content"]) == ("renamed by hand", "What we tried **first**")


def test_deleting_an_experiment(page: Page, draft: Study, client: MlflowClient, look: Callable[[Page], None]) -> None:
    page.goto("/#/experiments")
    page.get_by_role("row", name=draft.name).get_by_role("checkbox").check(force=True)
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete 1 Experiment")
    expect(dialog).to_contain_text(f"{draft.name} (ID: {draft.experiment_id})")
    look(page)
    dialog.get_by_role("button", name="Delete").click()
    expect(_link(page, draft)).to_have_count(0)
    assert client.get_experiment(draft.experiment_id).lifecycle_stage == "deleted"


def test_an_experiment_restored_by_the_client_is_there_again(page: Page, draft: Study, client: MlflowClient) -> None:
    """The UI deletes experiments but has no way to restore one."""
    client.delete_experiment(draft.experiment_id)
    page.goto("/#/experiments")
    expect(page.get_by_role("row", name="Default")).to_be_visible()
    expect(_link(page, draft)).to_have_count(0)
    client.restore_experiment(draft.experiment_id)
    page.reload()
    _link(page, draft).click()
    RunsTable(page).shows("third", "second", "first")


def _link(page: Page, study: Study) -> Locator:
    return page.get_by_role("row").get_by_role("link", name=study.name, exact=True)
