"""Charts, as plotly draws them: lines in SVG, the points of a scatter plot as pixels on a canvas."""

import io
from collections.abc import Callable
from typing import Any

import numpy
import PIL.Image
from playwright.sync_api import Locator, Page, expect

LOOKS = 100
"""How often a plot is looked at until it is as it should be."""


class Charts:
    """The charts in a page, each by its title.

    The UI draws each line twice: once more, faint and without points, as it is before it is smoothed.
    """

    def __init__(self, page: Page) -> None:
        self._page = page

    def chart(self, title: str) -> Locator:
        heading = self._page.get_by_role("heading", name=title, exact=True)
        return self._page.get_by_test_id("experiment-view-compare-runs-card").filter(has=heading)

    def draws(self, title: str, lines: int, points: int) -> None:
        """Waits until a chart has this many lines, each through so many points."""
        drawn = self.chart(title).locator(".scatterlayer .trace").filter(has=self._page.locator("path.point"))
        expect(drawn).to_have_count(lines)
        expect(drawn.locator("path.js-line")).to_have_count(lines)
        expect(drawn.locator("path.point")).to_have_count(lines * points)

    def draws_plainly(self, title: str, lines: int) -> None:
        """Waits until a chart that marks no points has this many lines."""
        expect(self.chart(title).locator(".scatterlayer path.js-line")).to_have_count(2 * lines)


def shows_spots(plot: Locator, number: int) -> None:
    """Waits until this many points are seen in a scatter plot, in red on white; those above each other count once."""

    def spots() -> int:
        pixels = _pixels(plot)
        return _stretches((pixels[:, :, 0] - pixels[:, :, 1] > 80).any(axis=0))

    _becomes(plot.page, spots, number)


def shows_threads(plot: Locator, left: str, right: str, number: int) -> None:
    """Waits until this many lines are seen in parallel coordinates, between two axes that are next to each other."""
    home, canvas = _box(plot), _box(plot.locator("canvas").first)
    start, end = (_box(plot.locator(".axis-title", has_text=axis)) for axis in (left, right))
    # Near the left axis, where the lines are still apart; they lie on the canvas, which has nothing else on it.
    column = round(start["x"] + start["width"] / 2 + (end["x"] - start["x"]) / 10 - home["x"])
    rows = slice(round(canvas["y"] - home["y"]), round(canvas["y"] + canvas["height"] - home["y"]))
    _becomes(plot.page, lambda: _stretches((_pixels(plot)[rows, column] < 230).any(axis=1)), number)


def _box(part: Locator) -> Any:
    """Where a part of the page is: `x`, `y`, `width` and `height`."""
    box = part.bounding_box()
    assert box is not None
    return box


def _becomes(page: Page, seen: Callable[[], int], number: int) -> None:
    for _ in range(LOOKS):
        if seen() == number:
            return
        page.wait_for_timeout(100)
    assert seen() == number


def _pixels(plot: Locator) -> Any:
    """Rows of pixels, each three numbers up to 255."""
    return numpy.asarray(PIL.Image.open(io.BytesIO(plot.screenshot())).convert("RGB")).astype(int)


def _stretches(marked: Any) -> int:
    """How often a mark follows on none, in a row of marks."""
    return int((marked[1:] & ~marked[:-1]).sum())
