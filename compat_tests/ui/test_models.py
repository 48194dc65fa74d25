"""What a user reads and changes of registered models, their versions, and the models that runs have logged."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import mlflow
import numpy
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from playwright.sync_api import Locator, Page, expect
from sklearn.linear_model import LinearRegression

from compat_tests.ui.watch import Watch

NAME, EMPTY = "wine quality", "nothing yet"


@dataclass(frozen=True)
class Models:
    """An experiment whose runs `fit-1` and `fit-2` logged a model each, both of them versions of one name."""

    experiment_id: str
    model_ids: tuple[str, str]


@pytest.fixture(scope="module")
def models(address: str) -> Iterator[Models]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(address)
    experiment_id = str(mlflow.set_experiment("wine").experiment_id)
    inputs, outputs = numpy.array([[1.0], [2.0]]), numpy.array([1.0, 2.0])
    ids = []
    for number in (1, 2):
        with mlflow.start_run(run_name=f"fit-{number}"):
            fitted = LinearRegression().fit(inputs, outputs)
            mlflow.log_metric("rmse", 0.5 / number)
            signature = mlflow.models.infer_signature(inputs, outputs)
            info = mlflow.sklearn.log_model(fitted, name="regressor", signature=signature, registered_model_name=NAME)
            ids.append(str(info.model_id))
    client = MlflowClient(address)
    client.set_registered_model_alias(NAME, "champion", 1)
    client.create_registered_model(EMPTY)
    yield Models(experiment_id, (ids[0], ids[1]))
    mlflow.set_tracking_uri(before)


# The registry


def test_models_are_listed_and_searched(page: Page, models: Models) -> None:
    _open_list(page)
    row = page.get_by_role("row", name=NAME)
    expect(row).to_contain_text("Version 2")
    expect(row.get_by_role("link", name="champion")).to_contain_text("Version 1")
    expect(page.get_by_role("link", name=EMPTY)).to_be_visible()
    page.get_by_role("textbox", name="Search registered models").fill("QUALITY")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("link", name=EMPTY)).to_have_count(0)
    expect(row).to_be_visible()


def test_creating_and_deleting_a_model(page: Page, models: Models, client: MlflowClient, watch: Watch) -> None:
    _open_list(page)
    page.get_by_role("button", name="Create Model").click()
    dialog = page.get_by_role("dialog", name="Create Model")
    dialog.get_by_role("textbox", name="Model name").fill("made by hand")
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="made by hand")).to_be_visible()
    assert client.get_registered_model("made by hand").latest_versions == []
    page.get_by_role("button", name="Open header dropdown menu").click()
    page.get_by_role("menuitem", name="Delete").click()
    watch.expect("404 GET /ajax-api/2.0/mlflow/registered-models/get")  # the UI looks for it once more
    page.get_by_role("dialog", name="Delete Model").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Registered Models")).to_be_visible()
    expect(page.get_by_role("link", name=NAME)).to_be_visible()
    expect(page.get_by_role("link", name="made by hand")).to_have_count(0)
    with pytest.raises(MlflowException, match="made by hand"):
        client.get_registered_model("made by hand")


def test_an_alias_goes_from_one_version_to_another(
    page: Page, models: Models, client: MlflowClient, look: Callable[[Page], None]
) -> None:
    _open_model(page)
    for version, other in (("2", "1"), ("1", "2")):
        _version(page, version).locator("[data-component-id*=alias], button").last.click()
        dialog = page.get_by_role("dialog", name=f"Add/Edit alias for model version {version}")
        dialog.get_by_role("combobox").fill("champion")
        dialog.get_by_role("combobox").press("Enter")
        look(page)
        dialog.get_by_role("button", name="Save aliases").click()
        expect(dialog).to_have_count(0)
        page.reload()  # the UI does not look again by itself
        expect(_version(page, version)).to_contain_text("champion")
        expect(_version(page, other)).not_to_contain_text("champion")
        assert str(client.get_model_version_by_alias(NAME, "champion").version) == version


def test_the_page_of_a_version(page: Page, models: Models) -> None:
    _open_version(page, "2")
    expect(page.get_by_role("link", name="fit-2")).to_be_visible()
    expect(page.get_by_role("link", name="regressor")).to_be_visible()
    for part in ("Inputs (1)", "Outputs (1)"):
        page.get_by_text(part).click()
    expect(page.get_by_text("Tensor (dtype: float64, shape: [-1,1])")).to_be_visible()
    expect(page.get_by_text("Tensor (dtype: float64, shape: [-1])")).to_be_visible()
    page.get_by_role("link", name="fit-2").click()
    expect(page.get_by_role("heading", name="fit-2")).to_be_visible()


def test_describing_and_tagging_a_version(page: Page, models: Models, client: MlflowClient) -> None:
    _open_version(page, "2")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.locator("textarea").fill("The *second* try")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("emphasis")).to_have_text("second")
    page.get_by_role("button", name="Tags").click()
    page.get_by_role("textbox", name="tag name").fill("checked")
    page.get_by_role("textbox", name="tag value").fill("yes")
    page.get_by_role("textbox", name="tag value").press("Enter")
    expect(page.get_by_role("row", name="checked yes")).to_be_visible()
    version = client.get_model_version(NAME, "2")
    assert (version.description, version.tags) == ("The *second* try", {"checked": "yes"})


# Logged models


def test_the_models_of_an_experiment(page: Page, models: Models) -> None:
    page.goto(f"/#/experiments/{models.experiment_id}/models")
    expect(page.get_by_role("link", name="regressor")).to_have_count(2)
    for run, value in (("fit-1", "0.5"), ("fit-2", "0.25")):
        expect(page.get_by_role("link", name=run)).to_be_visible()
        expect(page.get_by_role("gridcell", name=value, exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=NAME)).to_have_count(2)


def test_the_page_of_a_logged_model_and_its_files(page: Page, models: Models) -> None:
    page.goto(f"/#/experiments/{models.experiment_id}/models/{models.model_ids[1]}")
    expect(page.get_by_role("row", name="rmse")).to_contain_text("0.25")
    expect(page.get_by_role("link", name=NAME)).to_contain_text("v2")
    page.get_by_text("Artifacts", exact=True).click()
    page.get_by_text("MLmodel", exact=True).click()
    expect(page.get_by_text("loader_module: mlflow.sklearn")).to_be_visible()


def test_registering_a_logged_model(page: Page, models: Models, client: MlflowClient) -> None:
    page.goto(f"/#/experiments/{models.experiment_id}/models/{models.model_ids[0]}")
    page.get_by_role("button", name="Register model").click()
    dialog = page.get_by_role("dialog", name="Register model")
    dialog.get_by_role("combobox", name="Model").click()
    page.get_by_title(EMPTY).click()
    dialog.get_by_role("button", name="Register").click()
    expect(dialog).to_have_count(0)
    page.reload()  # as above
    expect(page.get_by_text("+1", exact=True)).to_be_visible()  # beside the one it was registered as already
    page.goto(f"/#/models/{EMPTY}")
    expect(page.get_by_role("link", name="Version 1")).to_be_visible()
    assert client.get_model_version(EMPTY, "1").source == f"models:/{models.model_ids[0]}"


def _open_list(page: Page) -> None:
    page.goto("/#/models")
    page.get_by_role("dialog", name="new Model Registry UI").get_by_role("button", name="Close").click()
    expect(page.get_by_role("heading", name="Registered Models")).to_be_visible()


def _open_model(page: Page) -> None:
    _open_list(page)
    page.get_by_role("link", name=NAME).click()
    expect(page.get_by_role("heading", name=NAME)).to_be_visible()


def _open_version(page: Page, version: str) -> None:
    _open_model(page)
    page.get_by_role("link", name=f"Version {version}").click()
    expect(page.get_by_role("heading", name=f"Version {version}")).to_be_visible()


def _version(page: Page, version: str) -> Locator:
    return page.get_by_role("row", name=f"Version {version}")
