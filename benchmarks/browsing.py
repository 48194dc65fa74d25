"""Looks at large screens in a browser, for benchmarks.ui: run by the Python that has playwright, prints JSON.

`python -m benchmarks.browsing ADDRESS EXPERIMENT RUNS CHART LINES`: the address of a server, the experiment that has so
many runs named `run-0` and so on, each started later than the one before, and the one whose runs have so many lines.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, Response

from compat_tests.ui import chromium
from compat_tests.ui.charts import Charts
from compat_tests.ui.runs_table import NAME

PATIENCE = 120_000
PAGE = 100  # runs that the table loads at once
SHOWN = 10  # runs that a chart shows by itself
LINE = ".scatterlayer path.js-line"
TRAINING = """localStorage.setItem("mlflow.workflowType_v1", '"machine_learning"');"""
NOBODY = "/ajax-api/2.0/mlflow/users/current"  # not found, by which the UI learns that nobody logs in
CALLS = """
performance.getEntriesByType("resource").filter(entry => /ajax-api|graphql/.test(entry.name)).map(entry => (
    {path: new URL(entry.name).pathname, start: entry.startTime, milliseconds: entry.duration,
     bytes: entry.transferSize}))
"""


def main() -> None:
    address, experiment_id, runs, chart, lines = sys.argv[1:]
    seconds: dict[str, float] = {}
    with chromium.running() as browser:
        with _user(browser, address) as context:
            page = context.new_page()
            seconds["runs table, first visit"] = _open_table(page, experiment_id, int(runs))
            calls = page.evaluate(CALLS)
            page.close()
            page = context.new_page()
            seconds["runs table, second visit"] = _open_table(page, experiment_id, int(runs))
            seconds["load more"] = _load_more(page, int(runs))
        with _user(browser, address) as context:
            seconds["chart"] = _open_chart(context.new_page(), chart, min(int(lines), SHOWN))
    print(json.dumps({"seconds": seconds, "calls": calls}))


@contextmanager
def _user(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """A user's browser with nothing in its cache. Exits if a request failed meanwhile."""
    failed: list[str] = []

    def answered(response: Response) -> None:
        if response.status >= 400 and urlsplit(response.url).path != NOBODY:
            failed.append(f"{response.status} {response.url}")

    def broken(request: Request) -> None:
        failed.append(f"{request.failure} {request.url}")

    context = browser.new_context(base_url=address, viewport={"width": 1500, "height": 1000})
    context.set_default_timeout(PATIENCE)
    context.add_init_script(f"if (window.origin !== 'null') {{ {TRAINING} }}")
    context.on("response", answered)
    context.on("requestfailed", broken)
    yield context
    context.remove_listener("requestfailed", broken)  # what is cut off as the context closes has not failed
    context.close()
    if failed:
        sys.exit("\n".join(failed))


def _open_table(page: Page, experiment_id: str, runs: int) -> float:
    """Until the newest run is seen."""
    begun = time.perf_counter()
    page.goto(f"/#/experiments/{experiment_id}/runs")
    _row(page, 0, runs)
    return time.perf_counter() - begun


def _load_more(page: Page, runs: int) -> float:
    """Until the first row beyond those of the first page is seen."""
    page.locator(".ag-body-viewport").hover()
    page.mouse.wheel(0, 100_000)
    _row(page, PAGE - 1, runs)
    begun = time.perf_counter()
    page.get_by_role("button", name="Load more").click()
    _row(page, PAGE, runs)
    return time.perf_counter() - begun


def _row(page: Page, index: int, runs: int) -> None:
    """Waits for a row of the table, which shows the newest run first."""
    row = page.locator(f"[row-index='{index}'] {NAME}")
    row.get_by_role(
        "link", name=f"run-{runs - 1 - index}", exact=True
    ).wait_for()  # looks often, which `expect` does not


def _open_chart(page: Page, experiment_id: str, lines: int) -> float:
    """Until the lines of all runs that the page shows are drawn, each twice: once as it is before it is smoothed."""
    begun = time.perf_counter()
    page.goto(f"/#/experiments/{experiment_id}/runs?compareRunsMode=CHART")
    Charts(page).chart("loss").locator(LINE).nth(2 * lines - 1).wait_for(state="attached")
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
