"""The model registry, by its client: versions, stages, aliases, copies, names, searches."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Experiment

from compat_tests.clients import needs

S3 = "s3://bucket/model"
_numbers = count(1)


@pytest.fixture
def name(client: MlflowClient, request: pytest.FixtureRequest) -> str:
    """The name of a fresh registered model."""
    return str(client.create_registered_model(f"{request.node.name} {next(_numbers)}").name)


def code_of(call: Callable[..., object], *args: object, **kwargs: object) -> str:
    """The code of the error that the call ends in."""
    with pytest.raises(MlflowException) as caught:
        call(*args, **kwargs)
    return str(caught.value.error_code)


# Models


@needs("mlflow.MlflowClient.set_registered_model_alias")
def test_a_model_as_it_was_made(client: MlflowClient) -> None:
    made = client.create_registered_model("as it was made", tags={"a": "1", "b": "2"}, description="why")
    found = client.get_registered_model("as it was made")
    assert dict(found) == dict(made)
    assert (found.name, found.description, found.tags) == ("as it was made", "why", {"a": "1", "b": "2"})
    assert (found.latest_versions, found.aliases) == ([], {})
    assert code_of(client.create_registered_model, "as it was made") == "RESOURCE_ALREADY_EXISTS"
    assert code_of(client.get_registered_model, "never made") == "RESOURCE_DOES_NOT_EXIST"
    assert code_of(client.create_registered_model, "a/b") == "INVALID_PARAMETER_VALUE"


@needs("mlflow.MlflowClient.set_registered_model_alias")
def test_a_model_changes_and_keeps_its_versions_under_a_new_name(client: MlflowClient, name: str) -> None:
    client.create_model_version(name, S3, tags={"k": "v"})
    client.set_registered_model_alias(name, "best", "1")
    client.update_registered_model(name, "described")
    client.set_registered_model_tag(name, "team", "red")
    client.rename_registered_model(name, f"{name}, renamed")
    renamed = client.get_registered_model(f"{name}, renamed")
    assert (renamed.description, renamed.tags, renamed.aliases) == ("described", {"team": "red"}, {"best": "1"})
    (version,) = renamed.latest_versions
    assert (version.name, version.version, version.tags) == (renamed.name, "1", {"k": "v"})
    assert version.last_updated_timestamp >= version.creation_timestamp
    assert code_of(client.get_registered_model, name) == "RESOURCE_DOES_NOT_EXIST"
    client.delete_registered_model_tag(renamed.name, "team")
    assert client.get_registered_model(renamed.name).tags == {}


def test_a_model_goes_with_its_versions(client: MlflowClient, name: str) -> None:
    client.create_model_version(name, S3)
    client.delete_registered_model(name)
    assert code_of(client.get_model_version, name, "1") == "RESOURCE_DOES_NOT_EXIST"
    client.create_registered_model(name)
    assert client.create_model_version(name, S3).version == "1"


# Versions


def test_a_version_as_it_was_made(client: MlflowClient, name: str) -> None:
    made = client.create_model_version(
        name, S3, run_id="0" * 32, tags={"a": "1"}, run_link="https://host/run", description="why"
    )
    found = client.get_model_version(name, made.version)
    assert dict(found) == dict(made)
    assert (found.source, found.run_id, found.run_link) == (S3, "0" * 32, "https://host/run")
    assert (found.version, found.current_stage, found.status) == ("1", "None", "READY")
    assert (found.tags, found.description) == ({"a": "1"}, "why")
    assert client.get_model_version_download_uri(name, "1") == S3


@needs("mlflow.MlflowClient.set_registered_model_alias")
def test_numbers_are_not_given_again(client: MlflowClient, name: str) -> None:
    assert [client.create_model_version(name, S3).version for _ in range(3)] == ["1", "2", "3"]
    client.set_registered_model_alias(name, "best", "3")
    client.delete_model_version(name, "3")
    assert code_of(client.get_model_version, name, "3") == "RESOURCE_DOES_NOT_EXIST"
    assert code_of(client.get_model_version_by_alias, name, "best") == "INVALID_PARAMETER_VALUE"
    assert client.create_model_version(name, S3).version == "4"
    assert {version.version for version in client.search_model_versions(f"name = '{name}'")} == {"1", "2", "4"}


def test_numbers_given_at_once_are_different(client: MlflowClient, name: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda _: client.create_model_version(name, S3).version, range(40))
        assert sorted(map(int, made)) == list(range(1, 41))


def test_tags_and_the_description_of_a_version(client: MlflowClient, name: str) -> None:
    client.create_model_version(name, S3)
    client.set_model_version_tag(name, "1", "a", "1")
    client.set_model_version_tag(name, "1", "b", "x" * 5000)
    client.update_model_version(name, "1", "described")
    found = client.get_model_version(name, "1")
    assert (found.tags, found.description) == ({"a": "1", "b": "x" * 5000}, "described")
    client.delete_model_version_tag(name, "1", "a")
    assert client.get_model_version(name, "1").tags.keys() == {"b"}


# Stages


@pytest.mark.filterwarnings("ignore:.*(stage|transition_model_version_stage|get_latest_versions).*:FutureWarning")
def test_stages(client: MlflowClient, name: str) -> None:
    for number, stage in (("1", "Staging"), ("2", "production"), ("3", "staging"), ("4", "None")):
        client.create_model_version(name, S3)
        client.transition_model_version_stage(name, number, stage)
    client.transition_model_version_stage(name, "4", "Staging", archive_existing_versions=True)
    stages = {version.version: version.current_stage for version in client.search_model_versions(f"name = '{name}'")}
    assert stages == {"1": "Archived", "2": "Production", "3": "Archived", "4": "Staging"}
    assert {version.version for version in client.get_latest_versions(name)} == {"2", "3", "4"}
    assert [version.version for version in client.get_latest_versions(name, ["Staging"])] == ["4"]
    assert client.get_latest_versions(name, ["None"]) == []
    assert code_of(client.transition_model_version_stage, name, "4", "Nowhere") == "INVALID_PARAMETER_VALUE"


# Aliases


@needs("mlflow.MlflowClient.set_registered_model_alias")
def test_aliases(client: MlflowClient, name: str) -> None:
    for _ in range(2):
        client.create_model_version(name, S3)
    client.set_registered_model_alias(name, "best", "1")
    client.set_registered_model_alias(name, "first", "1")
    assert client.get_model_version(name, "1").aliases == ["best", "first"]
    client.set_registered_model_alias(name, "best", "2")
    assert client.get_registered_model(name).aliases == {"best": "2", "first": "1"}
    assert client.get_model_version_by_alias(name, "best").version == "2"
    client.delete_registered_model_alias(name, "first")
    assert client.get_registered_model(name).aliases == {"best": "2"}
    assert code_of(client.get_model_version_by_alias, name, "first") == "INVALID_PARAMETER_VALUE"
    assert code_of(client.set_registered_model_alias, name, "best", "3") == "RESOURCE_DOES_NOT_EXIST"


# Copies, and where versions come from


@needs("mlflow.MlflowClient.copy_model_version")
def test_a_version_is_copied_to_another_model(client: MlflowClient, name: str) -> None:
    client.create_model_version(name, S3, run_id="1" * 32, tags={"k": "v"}, description="why")
    copied = client.copy_model_version(f"models:/{name}/1", f"{name}, copied")
    assert (copied.name, copied.version) == (f"{name}, copied", "1")
    assert (copied.source, copied.run_id, copied.tags) == (f"models:/{name}/1", "1" * 32, {"k": "v"})
    assert client.get_model_version_download_uri(copied.name, "1") == S3
    again = client.copy_model_version(f"models:/{copied.name}/1", name)
    assert (again.name, again.version) == (name, "2")
    assert client.get_model_version_download_uri(name, "2") == S3
    with pytest.raises(MlflowException, match="9"):
        client.copy_model_version(f"models:/{name}/9", copied.name)
    assert len(client.search_model_versions(f"name = '{copied.name}'")) == 1


@needs("mlflow.MlflowClient.set_registered_model_alias")
def test_a_model_of_a_run_is_registered_and_its_files_come_back(client: MlflowClient, run_id: str, name: str) -> None:
    for file in ("MLmodel", "weights.txt"):
        client.log_text(run_id, f"the {file}", f"model/{file}")
    version = mlflow.register_model(f"runs:/{run_id}/model", name)
    assert (version.name, version.version, version.run_id) == (name, "1", run_id)
    assert version.source == f"{client.get_run(run_id).info.artifact_uri}/model"
    client.set_registered_model_alias(name, "best", "1")
    for uri in (f"models:/{name}/1", f"models:/{name}@best", f"models:/{name}/latest"):
        folder = mlflow.artifacts.download_artifacts(uri)
        assert Path(folder, "weights.txt").read_text() == "the weights.txt"


@needs("mlflow.MlflowClient.create_logged_model")
def test_a_logged_model_is_registered_and_told_of_it(
    client: MlflowClient, experiment: Experiment, run_id: str, name: str
) -> None:
    model = client.create_logged_model(experiment.experiment_id, "made", source_run_id=run_id)
    uri = f"models:/{model.model_id}"
    client.finalize_logged_model(model.model_id, "READY")
    for number in ("1", "2"):
        version = mlflow.register_model(uri, name)
        assert (version.version, version.source, version.run_id) == (number, uri, run_id)
        assert client.get_model_version_download_uri(name, number) == model.artifact_location
    told = json.loads(client.get_logged_model(model.model_id).tags["mlflow.modelVersions"])
    assert {(entry["name"], str(entry["version"])) for entry in told} == {(name, "1"), (name, "2")}
    copied = client.copy_model_version(f"models:/{name}/1", f"{name}, copied")
    assert client.get_model_version_download_uri(copied.name, "1") == model.artifact_location
    other = client.create_logged_model(experiment.experiment_id, "other")
    assert code_of(client.create_model_version, name, uri, model_id=other.model_id) == "INVALID_PARAMETER_VALUE"
    assert code_of(client.create_model_version, name, uri) == "INVALID_PARAMETER_VALUE"


def test_a_version_of_what_is_of_another_run_is_refused(client: MlflowClient, run_id: str, name: str) -> None:
    root = client.get_run(run_id).info.artifact_uri
    for source in ("/etc", "file:///etc/passwd", f"{root}/../x", f"{root}x/model", "mlflow-artifacts:/", "runs:/x/y"):
        assert code_of(client.create_model_version, name, source, run_id) == "INVALID_PARAMETER_VALUE"
    assert code_of(client.create_model_version, name, f"{root}/model") == "INVALID_PARAMETER_VALUE"
    assert client.search_model_versions(f"name = '{name}'") == []


# Searches


def test_models_are_found_by_name_and_tag_a_page_at_a_time(client: MlflowClient) -> None:
    for number in range(5):
        team = "red" if number % 2 else "blue"
        client.create_registered_model(f"found {number}", tags={"team": team, "in/this test": "yes"})
    mine = "tags.`in/this test` = 'yes'"
    red = client.search_registered_models(f"{mine} AND tags.team = 'red'")
    assert [model.name for model in red] == ["found 1", "found 3"]
    first = client.search_registered_models(mine, max_results=3, order_by=["name DESC"])
    rest = client.search_registered_models(mine, max_results=3, order_by=["name DESC"], page_token=first.token)
    assert [model.name for model in [*first, *rest]] == [f"found {number}" for number in (4, 3, 2, 1, 0)]
    assert not rest.token
    assert code_of(client.search_registered_models, "description = 'x'") == "INVALID_PARAMETER_VALUE"


@needs("mlflow.MlflowClient.search_model_versions.max_results")
def test_versions_are_found_by_run_and_number_a_page_at_a_time(client: MlflowClient, name: str, run_id: str) -> None:
    for number in range(5):
        client.create_model_version(name, S3, run_id=run_id if number % 2 else None, tags={"even": str(number % 2)})
    found = client.search_model_versions(f"run_id = '{run_id}'")
    assert [version.version for version in found] == ["4", "2"]
    mine = f"name = '{name}' AND version_number > 1"
    first = client.search_model_versions(mine, max_results=3, order_by=["version_number ASC"])
    rest = client.search_model_versions(mine, max_results=3, order_by=["version_number ASC"], page_token=first.token)
    assert [version.version for version in [*first, *rest]] == ["2", "3", "4", "5"]
    assert not rest.token
    even = client.search_model_versions(f"name = '{name}' AND tags.even = '1'")
    assert {version.version for version in even} == {"2", "4"}
