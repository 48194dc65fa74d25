"""Logging in, what a viewer and an editor may do, and logging out."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from compat_tests import targets
from compat_tests.ui import people
from compat_tests.ui.people import EDITOR, PASSWORD, VIEWER, House, Work, log_in
from compat_tests.ui.watch import Watch

if targets.TARGET == "stock":
    pytest.skip("MLflow's own server has a login only as a plugin", allow_module_level=True)

DENIED = "This needs write access"


@pytest.fixture(scope="module")
def address(house: House) -> str:
    return house.address


@pytest.fixture
def work(house: House) -> Work:
    return house.work["default"]


def test_who_is_not_logged_in_is_asked_and_then_shown_what_they_came_for(
    page: Page, work: Work, watch: Watch, look: Callable[[Page], None]
) -> None:
    page.goto(f"/#/experiments/{work.experiment_id}/runs/{work.run_id}")
    expect(page).to_have_title("Log in - MLflow")
    look(page)
    watch.expect("401 POST /login")
    log_in(page, VIEWER, "wrong")
    expect(page.get_by_role("alert")).to_have_text("The user name or the password is wrong")
    log_in(page, VIEWER)
    expect(page.get_by_role("heading", name=work.run)).to_be_visible()
    assert page.url.endswith(f"/#/experiments/{work.experiment_id}/runs/{work.run_id}")


def test_a_viewer_reads(page: Page, work: Work) -> None:
    _enter(page, VIEWER)
    page.goto("/#/experiments")
    page.get_by_role("link", name=work.experiment).click()
    page.get_by_role("link", name=work.run).click()
    expect(page.get_by_role("row", name="loss 0.5")).to_be_visible()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("notes.txt").click()
    expect(page.get_by_text(work.notes)).to_be_visible()
    page.goto("/#/models")
    expect(page.get_by_role("heading", name="Registered Models")).to_be_visible()


def test_a_viewer_cannot_write(page: Page, work: Work, watch: Watch, house: House) -> None:
    _enter(page, VIEWER)
    page.goto(f"/#/experiments/{work.experiment_id}/runs/{work.run_id}")
    watch.expect("403 POST /ajax-api/2.0/mlflow/runs/set-tag")
    _write_note(page, "by a viewer")
    expect(page.get_by_text(DENIED)).to_be_visible()
    with people.logged_in(house.address) as client:
        assert "mlflow.note.content" not in client.get_run(work.run_id).data.tags


def test_a_viewer_cannot_create_an_experiment(page: Page, watch: Watch, house: House) -> None:
    _enter(page, VIEWER)
    page.goto("/#/experiments")
    page.get_by_role("button", name="Create", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Experiment Name").fill("by a viewer")
    watch.expect("404 GET /ajax-api/2.0/mlflow/experiments/get-by-name")  # the UI asks whether the name is free
    watch.expect("403 POST /ajax-api/2.0/mlflow/experiments/create")
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_text(DENIED).first).to_be_visible()
    with people.logged_in(house.address) as client:
        assert client.get_experiment_by_name("by a viewer") is None


def test_an_editor_writes(page: Page, work: Work, house: House) -> None:
    page.goto(f"/workspaces/default/#/experiments/{work.experiment_id}/runs/{work.run_id}")
    log_in(page, EDITOR)
    _write_note(page, "by *an editor*")
    expect(page.get_by_role("emphasis")).to_have_text("an editor")
    with people.logged_in(house.address) as client:
        assert client.get_run(work.run_id).data.tags["mlflow.note.content"] == "by *an editor*"
        client.delete_tag(work.run_id, "mlflow.note.content")


def test_the_account_of_the_user(page: Page) -> None:
    _enter(page, VIEWER)
    _open_menu(page, VIEWER)
    page.get_by_role("menuitem", name="Account").click()
    expect(page.get_by_text(f"Logged in as {VIEWER}")).to_be_visible()
    expect(page.get_by_text("read", exact=True)).to_be_visible()
    page.get_by_role("tab", name="Permissions").click()
    expect(page.get_by_role("row", name="READ").first).to_be_visible()


def test_changing_the_password(page: Page, watch: Watch) -> None:
    _enter(page, VIEWER)
    page.goto("/#/account")
    watch.expect("401 GET /ajax-api/2.0/mlflow/users/current")
    for old, new in ((PASSWORD, "another battery"), ("another battery", PASSWORD)):
        page.get_by_role("button", name="Change password").click()
        dialog = page.get_by_role("dialog")
        fields = dialog.locator("input[type=password]")
        for number, value in enumerate((old, new, new)):
            fields.nth(number).fill(value)
        dialog.get_by_role("button", name="Update password").click()
        expect(page).to_have_title("Log in - MLflow")  # a new password ends what was begun with the old one
        log_in(page, VIEWER, new)
        page.goto("/#/account")


def test_who_logs_out_sees_nothing_any_more(page: Page, watch: Watch, context: BrowserContext, work: Work) -> None:
    _enter(page, VIEWER)
    page.goto("/#/experiments")
    expect(page.get_by_role("link", name=work.experiment)).to_be_visible()
    _open_menu(page, VIEWER)
    watch.expect("401 GET /ajax-api/2.0/mlflow/users/current")
    page.get_by_role("menuitem", name="Logout").click()
    expect(page).to_have_title("Log in - MLflow")
    assert context.cookies() == []
    page.go_back()
    expect(page).to_have_title("Log in - MLflow")
    expect(page.get_by_text(work.experiment)).to_have_count(0)


def test_whose_session_has_ended_logs_in_again(page: Page, context: BrowserContext) -> None:
    _enter(page, VIEWER)
    context.clear_cookies()
    page.goto("/#/experiments")
    page.reload()
    expect(page).to_have_title("Log in - MLflow")


def _enter(page: Page, name: str) -> None:
    page.goto("/")
    log_in(page, name)
    expect(page.get_by_text(name)).to_be_visible()


def _open_menu(page: Page, name: str) -> None:
    page.get_by_text(name).click()


def _write_note(page: Page, text: str) -> None:
    page.get_by_role("button", name="Edit description").click()
    page.locator("textarea").fill(text)
    page.get_by_role("button", name="Save").click()
