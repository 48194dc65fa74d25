"""That the watch sees what goes wrong in a browser: no other test would fail if it did not."""

from playwright.sync_api import BrowserContext, Page, expect

from compat_tests.ui.watch import Watch


def test_errors_and_refusals_are_noted(context: BrowserContext, address: str) -> None:
    watch = Watch(context, address)
    page = _home(context)
    page.evaluate("console.error('I am lost')")
    page.evaluate("setTimeout(() => { throw new Error('thrown') })")
    page.evaluate("fetch('ajax-api/2.0/mlflow/runs/get?run_id=none')")
    page.wait_for_event("requestfinished", lambda request: "runs/get" in request.url)
    noted = " ".join(watch.troubles())
    for trouble in ("console: I am lost", "page error: thrown", "404 GET /ajax-api/2.0/mlflow/runs/get"):
        assert trouble in noted


def test_a_call_to_another_host_is_noted_and_not_made(context: BrowserContext, address: str) -> None:
    watch = Watch(context, address)
    page = _home(context)
    assert page.evaluate("fetch('https://example.org/').catch(() => 'not made')") == "not made"
    assert any("example.org" in trouble for trouble in watch.troubles())


def test_what_was_expected_must_come(context: BrowserContext, address: str) -> None:
    watch = Watch(context, address)
    watch.expect("418 GET /teapot")
    _home(context)
    assert watch.troubles() == ["did not come: 418 GET /teapot"]


def _home(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("heading", name="Welcome to MLflow")).to_be_visible()
    return page
