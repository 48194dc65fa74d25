"""The pages of what nothing was logged for, or is not served: they are empty, not broken."""

import pytest
from playwright.sync_api import Page, expect

from compat_tests.ui.data import Study


def test_an_experiment_without_traces(page: Page, digits: Study) -> None:
    page.goto(f"/#/experiments/{digits.experiment_id}/traces")
    expect(page.get_by_text("Start tracing your LLM application")).to_be_visible()


def test_a_run_without_traces(page: Page, digits: Study) -> None:
    page.goto(f"/#/experiments/{digits.experiment_id}/runs/{digits.runs['run-0']}/traces")
    expect(page.get_by_text("No traces found")).to_be_visible()


def test_the_usage_of_an_experiment_without_traces(page: Page, digits: Study) -> None:
    page.goto(f"/#/experiments/{digits.experiment_id}/overview/usage")
    expect(page.get_by_text("$0.00 Total Cost").first).to_be_visible()
    expect(page.get_by_text("No data available for the selected time range").first).to_be_visible()


@pytest.mark.parametrize(
    ("route", "words"),
    [("prompts", "Create your first prompt"), ("settings", "Theme preference")],
)
def test_other_pages(page: Page, route: str, words: str) -> None:
    page.goto(f"/#/{route}")
    expect(page.get_by_role("heading", name=words)).to_be_visible()


@pytest.mark.parametrize("route", ["settings/webhooks", "settings/llm-connections", "mcp-registry"])
def test_pages_of_what_is_kept_elsewhere(page: Page, route: str) -> None:
    """Without an error, which the watch would see as well."""
    with page.expect_response(lambda response: "/list" in response.url or route.split("/")[-1][:3] in response.url):
        page.goto(f"/#/{route}")
    expect(page.get_by_role("main")).to_be_visible()
    expect(page.get_by_text("No endpoint")).to_have_count(0)
    expect(page.get_by_text("Failed to load")).to_have_count(0)
