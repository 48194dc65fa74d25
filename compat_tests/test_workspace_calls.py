"""The client's own calls for workspaces: made, listed, described, deleted."""

import itertools
from collections.abc import Iterator

import mlflow
import pytest
from mlflow import MlflowClient, MlflowException

numbers = itertools.count()


@pytest.fixture
def workspace(tracking_uri: str) -> Iterator[str]:
    """A new workspace."""
    name = f"crew-{next(numbers)}"
    mlflow.create_workspace(name, description="to try it")
    yield name
    mlflow.set_workspace(None)


def names() -> list[str]:
    return [found.name for found in mlflow.list_workspaces()]


def test_a_workspace_is_made_listed_and_described(workspace: str) -> None:
    assert {"default", workspace} <= set(names())
    assert mlflow.get_workspace(workspace).description == "to try it"
    mlflow.update_workspace(workspace, description="another word")
    assert mlflow.get_workspace(workspace).description == "another word"
    assert mlflow.get_workspace("default").name == "default"


def test_an_empty_one_is_deleted_and_may_be_made_again(workspace: str) -> None:
    mlflow.delete_workspace(workspace)
    assert workspace not in names()
    with pytest.raises(MlflowException, match=workspace):
        mlflow.get_workspace(workspace)
    assert mlflow.create_workspace(workspace).name == workspace


def test_one_with_something_in_it_is_deleted_only_if_that_is_meant(workspace: str) -> None:
    mlflow.set_workspace(workspace)
    MlflowClient().create_experiment("e")
    with pytest.raises(MlflowException, match="experiments"):
        mlflow.delete_workspace(workspace)
    mlflow.delete_workspace(workspace, mode="CASCADE")
    assert workspace not in names()
    with pytest.raises(MlflowException, match=workspace):
        MlflowClient().search_experiments()
    mlflow.create_workspace(workspace)
    assert MlflowClient().search_experiments() == []


def test_a_name_is_taken_once(workspace: str) -> None:
    with pytest.raises(MlflowException, match="exists") as refused:
        mlflow.create_workspace(workspace)
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"


@pytest.mark.parametrize("name", ["default", "api", "A", "a b", "x" * 64])
def test_a_bad_name_is_refused(tracking_uri: str, name: str) -> None:
    with pytest.raises(MlflowException) as refused:
        mlflow.create_workspace(name)
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_the_default_one_stays(tracking_uri: str) -> None:
    with pytest.raises(MlflowException, match="default"):
        mlflow.delete_workspace("default", mode="CASCADE")
    assert "default" in names()
