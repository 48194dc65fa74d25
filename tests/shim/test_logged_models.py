"""Logged models over MLflow's API, on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from shim import logged_models
from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio


async def make(mlflow: MLflow, experiment: str, **fields: Any) -> dict[str, Any]:
    """What is told of a new model: its info."""
    info: dict[str, Any] = (await mlflow("logged-models", experiment_id=experiment, **fields))["model"]["info"]
    return info


async def measure(mlflow: MLflow, run_id: str, model_id: str, value: object, **fields: Any) -> None:
    point: dict[str, Any] = {"key": "acc", "value": value, "timestamp": 1, "step": 1} | fields
    await mlflow("runs/log-metric", run_id=run_id, model_id=model_id, **point)


async def found(mlflow: MLflow, experiment: str, **fields: Any) -> list[str]:
    """The names of the models that a search finds."""
    answer = await mlflow("logged-models/search", experiment_ids=[experiment], **fields)
    return [model["info"]["name"] for model in answer.get("models", [])]


async def test_a_model_is_made_finished_and_shown_as_mlflow_does(mlflow: MLflow) -> None:
    run_id = await mlflow.run(experiment := await mlflow.experiment())
    lr, team = {"key": "lr", "value": "0.1"}, {"key": "team", "value": "red"}
    info = await make(mlflow, experiment, name="m", model_type="T", source_run_id=run_id, params=[lr], tags=[team])
    path = f"logged-models/{info['model_id']}"
    done = (await mlflow(path, method="PATCH", model_id=info["model_id"], status="LOGGED_MODEL_READY"))["model"]
    assert done == (await mlflow.get(path))["model"]
    assert done["info"].pop("last_updated_timestamp_ms") >= done["info"].pop("creation_timestamp_ms")
    assert done == {
        "info": {
            "model_id": info["model_id"],
            "experiment_id": experiment,
            "name": "m",
            "artifact_uri": f"mlflow-artifacts:/{experiment}/models/{info['model_id']}/artifacts",
            "status": "LOGGED_MODEL_READY",
            "model_type": "T",
            "source_run_id": run_id,
            "tags": [team],
        },
        "data": {"params": [lr]},
    }


async def test_a_model_without_a_name_gets_one(mlflow: MLflow) -> None:
    experiment = await mlflow.experiment()
    variants: list[dict[str, Any]] = [{}, {"name": ""}, {"name": None}]
    for fields in variants:
        assert (await make(mlflow, experiment, **fields))["name"].count("-") == 2


@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "a%b", 'a"b', "a'b", "n" * 501])
async def test_a_name_that_would_be_no_part_of_a_path_is_refused(mlflow: MLflow, name: str) -> None:
    assert "name" in await mlflow.refused("logged-models", experiment_id="0", name=name)


async def test_points_show_their_run_and_their_dataset(mlflow: MLflow) -> None:
    run_id = await mlflow.run(experiment := await mlflow.experiment())
    model_id = (await make(mlflow, experiment, name="m"))["model_id"]
    dataset = {"dataset_name": "train", "dataset_digest": "1"}
    await measure(mlflow, run_id, model_id, "NaN")
    of_val = {"key": "val/acc", "value": 0.5, "timestamp": 2, "model_id": model_id, "run_id": "ignored"} | dataset
    plain = {"key": "loss", "value": 1, "timestamp": 2}
    await mlflow("runs/log-batch", run_id=run_id, metrics=[plain, of_val], params=[{"key": "p", "value": "1"}])
    await mlflow("runs/log-batch", run_id=run_id, metrics=[of_val | {"value": 0.75}])
    points = (await mlflow.get(f"logged-models/{model_id}"))["model"]["data"]["metrics"]
    own = {"model_id": model_id, "run_id": run_id}
    assert points == [
        {"key": "acc", "value": "NaN", "timestamp": 1, "step": 1} | own,
        {"key": "val/acc", "value": 0.5, "timestamp": 2, "step": 0} | own | dataset,
        {"key": "val/acc", "value": 0.75, "timestamp": 2, "step": 0} | own | dataset,
    ]
    assert (await mlflow.data(run_id))["metrics"] == {"acc": "NaN", "loss": 1.0, "val/acc": 0.75}


async def test_a_point_of_an_unknown_model_writes_nothing(mlflow: MLflow) -> None:
    """MLflow's own server answers 400 with what its database said, and keeps the run's metrics of a batch."""
    run_id = await mlflow.run()
    point: dict[str, Any] = {"key": "acc", "value": 1, "timestamp": 1, "model_id": "m-" + "0" * 32}
    await mlflow.refused("runs/log-metric", "RESOURCE_DOES_NOT_EXIST", run_id=run_id, **point)
    metrics = [{"key": "loss", "value": 1, "timestamp": 1}, point]
    tags = [{"key": "t", "value": "v"}]
    await mlflow.refused("runs/log-batch", "RESOURCE_DOES_NOT_EXIST", run_id=run_id, metrics=metrics, tags=tags)
    data = await mlflow.data(run_id)
    assert data["metrics"] == {}
    assert "t" not in data["tags"]


@pytest.mark.parametrize("half", [{"dataset_name": "d"}, {"dataset_digest": "1"}])
async def test_half_a_dataset_is_refused(mlflow: MLflow, half: dict[str, str]) -> None:
    run_id = await mlflow.run(experiment := await mlflow.experiment())
    model_id = (await make(mlflow, experiment))["model_id"]
    point: dict[str, Any] = {"key": "acc", "value": 1, "timestamp": 1} | half
    of_model = point | {"model_id": model_id}
    for path, fields in (
        ("runs/log-metric", point),
        ("runs/log-metric", of_model),
        ("runs/log-batch", {"metrics": [of_model]}),
    ):
        assert "Both dataset_name and dataset_digest" in await mlflow.refused(path, run_id=run_id, **fields)


async def test_what_comes_twice_is_refused_in_a_new_model_and_in_params_and_else_the_last_counts(
    mlflow: MLflow,
) -> None:
    experiment = await mlflow.experiment()
    twice = [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}]
    await mlflow.refused("logged-models", experiment_id=experiment, params=twice)
    await mlflow.refused("logged-models", experiment_id=experiment, tags=twice)
    path = f"logged-models/{(await make(mlflow, experiment))['model_id']}"
    await mlflow.refused(f"{path}/params", params=twice)
    await mlflow(f"{path}/tags", method="PATCH", tags=twice)
    assert (await mlflow.get(path))["model"]["info"]["tags"] == [{"key": "k", "value": "2"}]


async def test_a_deleted_model_is_found_by_none_and_shown_to_who_asks_for_it(mlflow: MLflow) -> None:
    experiment = await mlflow.experiment()
    path = f"logged-models/{(await make(mlflow, experiment, name='m'))['model_id']}"
    for _ in range(2):
        await mlflow(path, method="DELETE")
    assert await found(mlflow, experiment) == []
    for allowed in ("false", "1", "yes"):
        assert await mlflow.refused(path, "RESOURCE_DOES_NOT_EXIST", "GET", allow_deleted=allowed)
    assert (await mlflow.get(path, allow_deleted="True"))["model"]["info"]["name"] == "m"


async def test_a_search_goes_by_names_metrics_and_datasets(mlflow: MLflow) -> None:
    run_id = await mlflow.run(experiment := await mlflow.experiment())
    train, test = ({"dataset_name": name, "dataset_digest": "1"} for name in ("train", "test"))
    models = {name: (await make(mlflow, experiment, name=name))["model_id"] for name in "abc"}
    await measure(mlflow, run_id, models["a"], 0.9, timestamp=1, **train)
    await measure(mlflow, run_id, models["a"], 0.1, timestamp=2, **test)
    await measure(mlflow, run_id, models["b"], 0.5, **train)
    by_acc = {"field_name": "metrics.acc"}
    assert await found(mlflow, experiment, filter="name = 'b'") == ["b"]
    assert await found(mlflow, experiment, filter="metrics.acc > 0.8") == ["a"]
    assert await found(mlflow, experiment, filter="metrics.acc > 0.8", datasets=[test]) == []
    assert await found(mlflow, experiment, datasets=[{"dataset_name": "test"}]) == ["a"]
    assert await found(mlflow, experiment, order_by=[by_acc]) == ["a", "b", "c"]
    assert await found(mlflow, experiment, order_by=[by_acc | train]) == ["b", "a", "c"]
    assert await found(mlflow, experiment, order_by=[by_acc | train | {"ascending": False}]) == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a%b", "'", "\\", "a\nb", "a;b", "%", "é😀", "a\0b", "x" * 100_000])
async def test_any_name_in_a_filter_is_answered_as_clients_send_it(mlflow: MLflow, name: str) -> None:
    """They put the first part of whatever path is downloaded in single quotes, as it is."""
    query = {"experiment_ids": ["0"], "filter": f"name = '{name}'"}
    answer = await mlflow.send("logged-models/search", "POST", query)
    assert (answer.status_code == 200 and answer.json() == {}) or answer.status_code == 400


async def test_a_page_has_50_models_or_as_many_as_asked_for_up_to_a_bound(
    mlflow: MLflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = await mlflow.experiment()
    for number in range(52):
        await make(mlflow, experiment, name=f"m{number}")
    assert len(await found(mlflow, experiment)) == 50
    assert len(await found(mlflow, experiment, max_results=0)) == 52
    monkeypatch.setattr(logged_models, "LARGEST_PAGE", 10)
    first = await mlflow("logged-models/search", experiment_ids=[experiment], max_results=1000)
    assert len(first["models"]) == 10
    rest = await found(mlflow, experiment, max_results=2, page_token=first["next_page_token"])
    assert rest == ["m41", "m40"]


async def test_both_prefixes_serve_them(mlflow: MLflow) -> None:
    ui = MLflow(mlflow.http, "/ajax-api/2.0/mlflow/")
    info = await make(mlflow, await mlflow.experiment(), name="m")
    assert (await ui.get(f"logged-models/{info['model_id']}"))["model"]["info"] == info
