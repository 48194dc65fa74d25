"""Params are written once."""

import mlflow
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Param


def test_the_same_value_again_is_fine(client: MlflowClient, run_id: str) -> None:
    client.log_param(run_id, "lr", 0.1)
    client.log_param(run_id, "lr", 0.1)
    client.log_batch(run_id, params=[Param("lr", "0.1"), Param("depth", "2")])
    assert client.get_run(run_id).data.params == {"lr": "0.1", "depth": "2"}


def test_another_value_is_refused_with_advice(client: MlflowClient, run_id: str) -> None:
    client.log_param(run_id, "lr", 0.1)
    with pytest.raises(MlflowException, match="Changing param values is not allowed") as caught:
        client.log_param(run_id, "lr", 0.2)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert "'lr'" in caught.value.message
    # The client adds this advice to INVALID_PARAMETER_VALUE only.
    assert "The cause of this error is typically due to repeated calls" in caught.value.message
    assert client.get_run(run_id).data.params == {"lr": "0.1"}


def test_a_batch_with_one_changed_value_writes_nothing(client: MlflowClient, run_id: str) -> None:
    client.log_param(run_id, "lr", 0.1)
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_batch(run_id, params=[Param("new", "1"), Param("lr", "0.2")])
    assert client.get_run(run_id).data.params == {"lr": "0.1"}


@pytest.mark.usefixtures("experiment")
def test_two_values_in_one_batch_are_refused() -> None:
    with mlflow.start_run() as active, pytest.raises(MlflowException, match=r"[Dd]uplicate"):
        MlflowClient().log_batch(active.info.run_id, params=[Param("lr", "1"), Param("lr", "2")])


@pytest.mark.parametrize(
    "value",
    ["", " ", "line\nbreak", "ünï ☃", "'quoted'", '{"json": [1, 2]}', pytest.param("x" * 6000, id="6000 characters")],
)
def test_any_text_is_kept(client: MlflowClient, run_id: str, value: str) -> None:
    client.log_param(run_id, "text", value)
    assert client.get_run(run_id).data.params == {"text": value}
