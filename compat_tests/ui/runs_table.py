"""The table of an experiment's runs, as a user reads it and works with it."""

import re

from playwright.sync_api import Locator, Page, expect

FILTER = re.compile("metrics.rmse")
NAME = "[col-id='attributes.`Run Name`']"


class RunsTable:
    """The runs table in a page. Rows lie in two halves side by side, which belong together by the id of the run."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def open(self, experiment_id: str) -> None:
        self._page.goto(f"/#/experiments/{experiment_id}/runs")

    def shows(self, *names: str) -> None:
        """Waits for these runs, in this order, and no others."""
        for index, name in enumerate(names):  # what is where is told by the index: rows stand anyhow in the document
            expect(self._page.locator(f"[row-index='{index}'] {NAME}").get_by_role("link")).to_have_text(name)
        expect(self._page.locator(f"[row-index] {NAME}")).to_have_count(len(names))

    def counts(self, number: int) -> None:
        expect(self._page.get_by_text(f"{number} matching run")).to_be_visible()

    def cell(self, run_id: str, column: str) -> Locator:
        """The cell of a run, by the column's own name: `metrics.loss`, `attributes.Dataset`."""
        entity, _, name = column.partition(".")
        return self._page.locator(f"[row-id='{run_id}'] [col-id='{entity}.`{name}`']")

    def unfold(self, run_id: str) -> None:
        """Shows the runs nested below this one, or hides them again."""
        self._page.locator(f"[row-id='{run_id}'] {NAME}").get_by_role("button").click()

    def filter(self, text: str) -> None:
        box = self._page.get_by_role("combobox", name=FILTER)
        box.fill(text)
        box.press("Enter")

    def sort(self, column: str, direction: str) -> None:
        """Sorts by a column, `ascending` or `descending`."""
        self._page.get_by_role("button", name=re.compile("^Sort:")).click()
        self._page.get_by_role("menuitemcheckbox", name=column, exact=True).click()
        self._page.get_by_role("button", name=re.compile("^Sort:")).click()
        self._page.get_by_role("button", name=f"Sort {direction}").click()

    def select(self, *run_ids: str) -> None:
        for run_id in run_ids:
            self._page.locator(f"[row-id='{run_id}']").get_by_role("checkbox", name="Press Space").check(force=True)

    def hide(self, run_id: str) -> None:
        """Takes a run out of the charts."""
        self._page.locator(f"[row-id='{run_id}'] label").filter(has_text="Hide run").click()

    def choose_state(self, state: str) -> None:
        """Shows the runs that are `Active` or those that are `Deleted`."""
        self._page.get_by_role("combobox", name=re.compile("^State")).click()
        self._page.get_by_role("option", name=state).click()
