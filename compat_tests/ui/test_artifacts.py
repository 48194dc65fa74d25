"""What a user sees of the files of a run."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Page, expect

from compat_tests.ui.data import CONFIG, NOTES, Study


@pytest.fixture
def files(page: Page, digits: Study) -> Page:
    """The tab of the files of the first run."""
    page.goto(f"/#/experiments/{digits.experiment_id}/runs/{digits.runs['run-0']}/artifacts")
    expect(page.get_by_text("Select a file to preview")).to_be_visible()
    return page


def test_an_image(files: Page) -> None:
    _choose(files, "plots")
    _choose(files, "line.png")
    image = files.get_by_role("img", name="plots/line.png")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640


def test_a_link_to_a_file_shows_it(page: Page, digits: Study) -> None:
    page.goto(f"/#/experiments/{digits.experiment_id}/runs/{digits.runs['run-0']}/artifacts/plots/line.png")
    expect(page.get_by_role("img", name="plots/line.png")).to_be_visible()


def test_a_text(files: Page) -> None:
    _choose(files, "notes.txt")
    expect(files.get_by_role("code")).to_have_text(NOTES.strip())


def test_json_is_laid_out(files: Page) -> None:
    _choose(files, "config.json")
    code = files.get_by_role("code")
    expect(code).to_contain_text("activation")
    assert json.loads(code.inner_text()) == CONFIG


def test_a_table(files: Page) -> None:
    _choose(files, "scores.csv")
    expect(files.get_by_text("Previewing the first 2 rows")).to_be_visible()
    expect(files.get_by_role("columnheader", name="score")).to_be_visible()
    expect(files.get_by_role("row", name="2 0.75", exact=True)).to_be_visible()


def test_the_script_of_an_html_file_runs_in_its_box(files: Page) -> None:
    _choose(files, "report.html")
    report = files.frame_locator("iframe")
    expect(report.get_by_role("heading")).to_have_text("The script ran")
    expect(report.locator("body")).to_contain_text("kept in its box")
    expect(files).not_to_have_title("taken over")


@pytest.mark.parametrize("name", ["notes.txt", "report.html", "plots/line.png"])
def test_downloading_a_file(files: Page, name: str, digits: Study, client: MlflowClient, tmp_path: Path) -> None:
    for part in name.split("/"):
        _choose(files, part)
    with files.expect_download() as download:
        files.locator("button[data-component-id*=artifactview]").click()  # it has a picture and no name
    logged = Path(client.download_artifacts(digits.runs["run-0"], name, str(tmp_path)))
    assert download.value.suggested_filename == logged.name
    assert download.value.path().read_bytes() == logged.read_bytes()


def _choose(page: Page, name: str) -> None:
    page.get_by_role("listitem").get_by_text(name, exact=True).click()
