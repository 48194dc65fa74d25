"""A server with data that the real client logged, and a browser to look at it with.

UI_SCREENSHOTS names the folder that gets a picture of each page that was looked at.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, BrowserContext, Page, expect

from compat_tests import targets
from compat_tests.ui import chromium, data, people
from compat_tests.ui.data import Study
from compat_tests.ui.people import House
from compat_tests.ui.watch import Watch

SCREENSHOTS = Path(os.environ.get("UI_SCREENSHOTS") or Path(__file__).parent / "screenshots")

PATIENCE = 60_000
"""Milliseconds until something must be seen: long, as the machines of CI are slow."""

TRAINING = """
localStorage.setItem("mlflow.workflowType_v1", '"machine_learning"');
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
"""
"""What a browser remembers of a user who trains models: that they do, and that they have met the assistant."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with chromium.running() as browser:
        yield browser


@pytest.fixture(scope="package")
def address(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[str]:
    """Where the server is that these tests share."""
    with targets.running(targets.TARGET, tmp_path_factory.mktemp("ui")) as uri:
        yield uri


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[House]:
    """A server that everybody has to log in to. Tests of it have its address as theirs."""
    with people.running(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture
def client(address: str) -> MlflowClient:
    """What the server says, apart from what the UI shows."""
    return MlflowClient(address)


@pytest.fixture(scope="package")
def digits(address: str) -> Study:
    with _logging_to(address):
        return data.log_digits()


@pytest.fixture(scope="package")
def many(address: str) -> Study:
    return data.log_many(MlflowClient(address))


@pytest.fixture
def draft(client: MlflowClient, request: pytest.FixtureRequest) -> Study:
    """A small experiment of the test's own, to change."""
    return data.log_draft(client, request.node.name)


@contextmanager
def _logging_to(address: str) -> Iterator[None]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(address)
    yield
    mlflow.set_tracking_uri(before)


@pytest.fixture
def context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """A user's browser as they come to it: nothing remembered but that they train models."""
    context = browser.new_context(base_url=address, viewport={"width": 1500, "height": 1000})
    context.set_default_timeout(PATIENCE)
    context.add_init_script(f"if (window.origin !== 'null') {{ {TRAINING} }}")
    yield context
    context.close()


@pytest.fixture
def watch(context: BrowserContext, address: str) -> Iterator[Watch]:
    """Fails the test at its end if anything went wrong in the browser that the test did not expect."""
    watch = Watch(context, address)
    yield watch
    assert watch.troubles() == []


@pytest.fixture
def page(context: BrowserContext, watch: Watch, look: Callable[[Page], None]) -> Iterator[Page]:
    page = context.new_page()
    yield page
    look(page)


@pytest.fixture
def look(request: pytest.FixtureRequest) -> Callable[[Page], None]:
    """Takes a picture of a page, named after the test; the last of `page` is taken without asking."""
    numbers = itertools.count(1)
    name = re.sub(r"\W+", "-", request.node.name).strip("-")

    def take(page: Page) -> None:
        page.screenshot(path=SCREENSHOTS / f"{name}-{next(numbers)}.png")

    return take
