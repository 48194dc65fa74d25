"""What goes wrong in a page while a user is at it, whether they see it or not."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, Route, WebError

from compat_tests import targets


class Known(NamedTuple):
    """A trouble, as a pattern, and why it is none."""

    trouble: str
    why: str


LIKE_STOCK = (
    Known(r"404 GET /ajax-api/2.0/mlflow/users/current", "the UI learns by it that nobody logs in"),
    Known(r"request failed: .* net::ERR_ABORTED", "the page was left before the answer was there"),
    Known(r"console: .*ResizeObserver loop", "the charts say so as they find their size"),
    Known(r"console: Loading media from .* Content Security Policy", "the empty Traces page has a film on mlflow.org"),
)
"""Troubles that are seen with MLflow's own server as well: COMPAT_TARGET=stock shows them."""

STOCK_ALONE = (
    Known(r"(asked another host|request failed): GET https://mlflow\.org/\S+\.mp4", "the same film: it has no policy"),
)
"""Troubles that MLflow's own server has and ours must not have."""

SAID_ALREADY = "Failed to load resource"
"""So Chromium begins what it says on the console of an answer or a failed request, which are noted by themselves."""


class Watch:
    """Notes the troubles of all the pages of a context, and lets none of them ask another host than the server's."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self._host = _host(address)
        self._troubles: list[str] = []
        self._expected: list[str] = []
        context.route("**/*", self._keep_home)
        context.on("console", self._console)
        context.on("weberror", self._page_error)
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)

    def expect(self, trouble: str) -> None:
        """What the test will bring on, such as `400 POST /ajax-api/...`: it must come, and is then no trouble."""
        self._expected.append(trouble)

    def troubles(self) -> list[str]:
        """What went wrong, and what should have gone wrong but did not."""
        known = (*LIKE_STOCK, *STOCK_ALONE) if targets.TARGET == "stock" else LIKE_STOCK
        seen = [trouble for trouble in self._troubles if not any(re.match(one.trouble, trouble) for one in known)]
        missing = [f"did not come: {trouble}" for trouble in self._expected if trouble not in seen]
        return missing + [trouble for trouble in seen if trouble not in self._expected]

    def _keep_home(self, route: Route) -> None:
        if _host(route.request.url) == self._host:
            route.continue_()
        else:
            self._troubles.append(f"asked another host: {route.request.method} {route.request.url}")
            route.abort()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(SAID_ALREADY):
            self._troubles.append(f"console: {message.text}")

    def _page_error(self, error: WebError) -> None:
        self._troubles.append(f"page error: {error.error}")

    def _failed(self, request: Request) -> None:
        self._troubles.append(f"request failed: {request.method} {request.url} {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._troubles.append(f"{response.status} {response.request.method} {urlsplit(response.url).path}")


def _host(url: str) -> str:
    """Name and port: the UI logs out with a user's name before them."""
    return urlsplit(url).netloc.rpartition("@")[2]
