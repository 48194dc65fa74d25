"""Several workspaces: the UI's own switch, each with what is its own, and a UI opened in one of them."""

import pytest
from playwright.sync_api import Page, expect

from compat_tests import targets
from compat_tests.ui.people import EDITOR, OTHER, OUTSIDER, VIEWER, House, Work, log_in

if targets.TARGET == "stock":
    pytest.skip("MLflow's own server has workspaces only if they are switched on", allow_module_level=True)


@pytest.fixture(scope="module")
def address(house: House) -> str:
    return house.address


def test_a_user_of_two_workspaces_goes_from_one_to_the_other(page: Page, house: House) -> None:
    page.goto("/")
    log_in(page, EDITOR)
    for name, others in (("default", OTHER), (OTHER, "default")):
        page.goto("/")
        page.get_by_role("link", name=name, exact=True).click()
        page.get_by_role("link", name="Experiments", exact=True).click()
        expect(page.get_by_role("link", name=house.work[name].experiment)).to_be_visible()
        expect(page.get_by_text(house.work[others].experiment)).to_have_count(0)
        _read_notes(page, house.work[name])


def test_who_has_one_other_workspace_finds_it(page: Page, house: House) -> None:
    page.goto("/")
    log_in(page, OUTSIDER)
    expect(page.get_by_text("Select a workspace to start experiments")).to_be_visible()
    expect(page.get_by_role("link", name="default", exact=True)).to_have_count(0)
    page.get_by_role("link", name=OTHER, exact=True).click()
    page.get_by_role("link", name="Experiments", exact=True).click()
    _read_notes(page, house.work[OTHER])


def test_who_has_the_default_workspace_only_need_not_choose(page: Page, house: House) -> None:
    page.goto("/#/experiments")
    log_in(page, VIEWER)
    expect(page.get_by_role("link", name=house.work["default"].experiment)).to_be_visible()
    expect(page.get_by_text("Select workspace")).to_have_count(0)


def test_the_address_that_clients_are_given_opens_the_workspace(page: Page, house: House) -> None:
    page.goto(f"/workspaces/{OTHER}/#/experiments")
    log_in(page, EDITOR)
    expect(page.get_by_text("Select workspace")).to_have_count(0)
    expect(page.get_by_text(house.work["default"].experiment)).to_have_count(0)
    _read_notes(page, house.work[OTHER])


def _read_notes(page: Page, work: Work) -> None:
    """From the list of experiments to the file of the run: looked at, and downloaded."""
    page.get_by_role("link", name=work.experiment).click()
    page.get_by_role("link", name=work.run).click()
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("notes.txt").click()
    expect(page.get_by_text(work.notes)).to_be_visible()
    with page.expect_download() as download:
        page.locator("button[data-component-id*=artifactview]").click()  # it has a picture and no name
    assert download.value.path().read_text() == work.notes
