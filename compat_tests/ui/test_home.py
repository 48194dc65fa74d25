"""What a user finds at the address of the server."""

from playwright.sync_api import Page, expect

from compat_tests.ui.data import Study


def test_the_home_page_lists_recent_experiments(page: Page, draft: Study) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="Welcome to MLflow")).to_be_visible()
    expect(page.get_by_role("row").nth(1)).to_contain_text(draft.name)


def test_from_home_to_a_run_of_an_experiment(page: Page, draft: Study) -> None:
    page.goto("/")
    page.get_by_role("row").get_by_role("link", name=draft.name, exact=True).click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    page.get_by_role("link", name="third").click()
    expect(page.get_by_role("heading", name="third")).to_be_visible()
