"""Experiments: names, tags, search, lifecycle."""

import mlflow
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Experiment, ViewType

from compat_tests.clients import needs


def test_rename(client: MlflowClient, experiment: Experiment) -> None:
    new_name = f"{experiment.name} renamed"
    client.rename_experiment(experiment.experiment_id, new_name)
    renamed = client.get_experiment(experiment.experiment_id)
    assert renamed.name == new_name
    assert renamed.last_update_time > renamed.creation_time
    assert client.get_experiment_by_name(experiment.name) is None
    assert client.create_experiment(experiment.name) != experiment.experiment_id


def test_a_name_in_use_is_refused(client: MlflowClient, experiment: Experiment) -> None:
    with pytest.raises(MlflowException) as caught:
        client.rename_experiment(experiment.experiment_id, "Default")
    assert caught.value.error_code in {"RESOURCE_ALREADY_EXISTS", "BAD_REQUEST"}
    assert client.get_experiment(experiment.experiment_id).name == experiment.name


def test_tags_change(client: MlflowClient, experiment: Experiment) -> None:
    client.set_experiment_tag(experiment.experiment_id, "a", "1")
    client.set_experiment_tag(experiment.experiment_id, "a", "2")
    client.set_experiment_tag(experiment.experiment_id, "b c/d", "x" * 20_000)
    assert client.get_experiment(experiment.experiment_id).tags == {"a": "2", "b c/d": "x" * 20_000}


@needs("mlflow.MlflowClient.delete_experiment_tag")
def test_a_tag_goes(client: MlflowClient, experiment: Experiment) -> None:
    for key in ("a", "b c/d"):
        client.set_experiment_tag(experiment.experiment_id, key, "1")
    client.delete_experiment_tag(experiment.experiment_id, "a")
    assert client.get_experiment(experiment.experiment_id).tags == {"b c/d": "1"}
    with pytest.raises(MlflowException) as caught:
        client.delete_experiment_tag(experiment.experiment_id, "a")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_deleted_experiment_takes_its_runs_along_and_brings_them_back(client: MlflowClient, run_id: str) -> None:
    experiment_id = client.get_run(run_id).info.experiment_id
    client.delete_experiment(experiment_id)
    deleted = client.get_experiment(experiment_id)
    assert deleted.lifecycle_stage == "deleted"
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    with pytest.raises(MlflowException, match="deleted"):
        mlflow.set_experiment(deleted.name)
    with pytest.raises(MlflowException) as caught:
        client.create_experiment(deleted.name)
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"
    with pytest.raises(MlflowException):
        client.create_run(experiment_id)
    client.restore_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "active"
    assert client.get_run(run_id).info.lifecycle_stage == "active"


@pytest.fixture(scope="module")
def zoo(client: MlflowClient) -> list[str]:
    """Names of experiments; the last of them is deleted."""
    names = ["zoo ant", "zoo bee", "zoo Cat", "zoo dog", "zoo elk"]
    for legs, name in zip([6, 6, 4, 4, 4], names, strict=True):
        experiment_id = client.create_experiment(name, tags={"legs": str(legs)} if name != "zoo dog" else {})
    client.delete_experiment(experiment_id)
    return names


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("name = 'zoo bee'", "bee"),
        ("attribute.name = 'zoo bee'", "bee"),
        ("name != 'zoo bee' AND name LIKE 'zoo %'", "ant Cat dog"),
        ("name LIKE 'zoo c%'", ""),
        ("name ILIKE 'ZOO c%'", "Cat"),
        ("name LIKE 'zoo ___'", "ant bee Cat dog"),
        ("tags.legs = '6' AND name LIKE 'zoo %'", "ant bee"),
        ("tags.`legs` != '6' AND name LIKE 'zoo %'", "Cat"),
        ("tags.legs LIKE '%'  AND name LIKE 'zoo %'", "ant bee Cat"),
        ("tags.legs IS NULL AND name LIKE 'zoo %'", "dog"),
        ("tags.legs IS NOT NULL AND name LIKE 'zoo %'", "ant bee Cat"),
        ("creation_time > 0 AND name LIKE 'zoo %'", "ant bee Cat dog"),
        ("last_update_time < 10 AND name LIKE 'zoo %'", ""),
    ],
)
def test_search_finds(client: MlflowClient, zoo: list[str], where: str, found: str) -> None:
    experiments = client.search_experiments(filter_string=where, order_by=["experiment_id ASC"])
    assert " ".join(experiment.name.removeprefix("zoo ") for experiment in experiments) == found


def test_search_sees_what_its_view_says(client: MlflowClient, zoo: list[str]) -> None:
    for view, names in [(ViewType.ACTIVE_ONLY, zoo[:-1]), (ViewType.DELETED_ONLY, zoo[-1:]), (ViewType.ALL, zoo)]:
        found = client.search_experiments(view, filter_string="name LIKE 'zoo %'", order_by=["creation_time"])
        assert [experiment.name for experiment in found] == names


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (["name ASC"], "Cat ant bee dog"),
        (["name DESC"], "dog bee ant Cat"),
        (["last_update_time DESC"], "dog Cat bee ant"),
        (None, "dog Cat bee ant"),
    ],
)
def test_search_orders(client: MlflowClient, zoo: list[str], order: list[str] | None, found: str) -> None:
    experiments = client.search_experiments(filter_string="name LIKE 'zoo %'", order_by=order)
    assert " ".join(experiment.name.removeprefix("zoo ") for experiment in experiments) == found


def test_search_by_small_pages_finds_each_once(client: MlflowClient, zoo: list[str]) -> None:
    names, token = [], None
    while True:
        page = client.search_experiments(
            filter_string="name LIKE 'zoo %'", order_by=["name DESC"], max_results=3, page_token=token
        )
        names += [experiment.name for experiment in page]
        token = page.token
        if not token:
            break
    assert names == ["zoo dog", "zoo bee", "zoo ant", "zoo Cat"]


@pytest.mark.parametrize("where", ["name", "name = zoo", "colour = 'red'", "name > 'a'", "creation_time = 'now'"])
def test_a_bad_filter_is_refused(client: MlflowClient, tracking_uri: str, where: str) -> None:
    with pytest.raises(MlflowException) as caught:
        client.search_experiments(filter_string=where)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
