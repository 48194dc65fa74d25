"""Runs over MLflow's API, on both databases."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio


async def test_a_run_is_created_with_what_the_client_says(mlflow: MLflow) -> None:
    experiment = await mlflow.experiment()
    tags = [{"key": "mlflow.user", "value": "alice"}, {"key": "mlflow.source.git.commit", "value": "abc"}]
    run = (
        await mlflow("runs/create", experiment_id=experiment, user_id="alice", start_time=5, run_name="n", tags=tags)
    )["run"]
    info = run["info"]
    assert info["run_id"] == info["run_uuid"]
    assert info["artifact_uri"] == f"mlflow-artifacts:/{experiment}/{info['run_id']}/artifacts"
    assert (info["status"], info["start_time"], info["user_id"], info["run_name"]) == ("RUNNING", 5, "alice", "n")
    assert info["lifecycle_stage"] == "active"
    assert "end_time" not in info
    assert {tag["key"]: tag["value"] for tag in run["data"]["tags"]} == {
        "mlflow.user": "alice",
        "mlflow.source.git.commit": "abc",
        "mlflow.runName": "n",
    }
    assert (await mlflow.get("runs/get", run_id=info["run_id"]))["run"]["info"] == info


async def test_a_run_without_a_name_gets_one(mlflow: MLflow) -> None:
    data = await mlflow.data(await mlflow.run())
    assert data["tags"]["mlflow.runName"].count("-") == 2


async def test_name_and_name_tag_must_agree(mlflow: MLflow) -> None:
    experiment = await mlflow.experiment()
    tags = [{"key": "mlflow.runName", "value": "b"}]
    await mlflow.refused("runs/create", experiment_id=experiment, run_name="a", tags=tags)
    run = await mlflow("runs/create", experiment_id=experiment, tags=tags)
    assert run["run"]["info"]["run_name"] == "b"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("runs/update", {"run_name": "new"}),
        ("runs/set-tag", {"key": "mlflow.runName", "value": "new"}),
        ("runs/log-batch", {"tags": [{"key": "mlflow.runName", "value": "new"}]}),
    ],
)
async def test_every_way_to_rename_shows_in_info_and_tag(mlflow: MLflow, path: str, fields: dict[str, Any]) -> None:
    run_id = await mlflow.run()
    await mlflow(path, run_id=run_id, **fields)
    run = (await mlflow.get("runs/get", run_id=run_id))["run"]
    assert run["info"]["run_name"] == "new"
    assert {"key": "mlflow.runName", "value": "new"} in run["data"]["tags"]


async def test_update_changes_only_what_is_given(mlflow: MLflow) -> None:
    run_id = await mlflow.run(run_name="kept")
    done = (await mlflow("runs/update", run_id=run_id, status="FINISHED", end_time=9, run_name=""))["run_info"]
    assert (done["status"], done["end_time"], done["run_name"]) == ("FINISHED", 9, "kept")
    again = (await mlflow("runs/update", run_id=run_id, status=1))["run_info"]
    assert (again["status"], again["end_time"]) == ("RUNNING", 9)
    same = (await mlflow("runs/update", run_id=run_id, status="NO SUCH STATUS"))["run_info"]
    assert same["status"] == "RUNNING"


async def test_numbers_may_be_text_and_nan_and_infinity_are_kept(mlflow: MLflow) -> None:
    run_id = await mlflow.run()
    for key, value in (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity"), ("text", "3.25"), ("int", 1)):
        await mlflow("runs/log-metric", run_id=run_id, key=key, value=value, timestamp="1.7e+12", step="5")
    metrics = (await mlflow.data(run_id))["metrics"]
    largest = 1.7976931348623157e308
    assert metrics == {"nan": "NaN", "inf": largest, "-inf": -largest, "text": 3.25, "int": 1.0}


async def test_bare_nan_tokens_are_understood(mlflow: MLflow) -> None:
    run_id = await mlflow.run()
    body = f'{{"run_uuid":"{run_id}","key":"m","value":NaN,"timestamp":7,"step":-3}}'
    answer = await mlflow.http.post(
        "/api/2.0/mlflow/runs/log-metric", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 200
    history = await mlflow.get("metrics/get-history", run_id=run_id, metric_key="m")
    assert history == {"metrics": [{"key": "m", "value": "NaN", "timestamp": 7, "step": -3}]}


async def test_params_are_written_once(mlflow: MLflow) -> None:
    run_id = await mlflow.run()
    await mlflow("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    await mlflow("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    message = await mlflow.refused("runs/log-parameter", run_id=run_id, key="lr", value="0.2")
    assert message.startswith("Changing param values is not allowed.")
    assert (await mlflow.data(run_id))["params"] == {"lr": "0.1"}


async def test_a_batch_is_all_or_nothing(mlflow: MLflow) -> None:
    run_id = await mlflow.run()
    await mlflow("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    await mlflow.refused(
        "runs/log-batch",
        run_id=run_id,
        metrics=[{"key": "m", "value": 1, "timestamp": 1}],
        params=[{"key": "new", "value": "1"}, {"key": "lr", "value": "other"}],
        tags=[{"key": "t", "value": "v"}],
    )
    data = await mlflow.data(run_id)
    assert (data["metrics"], data["params"], "t" in data["tags"]) == ({}, {"lr": "0.1"}, False)


async def test_long_values_are_cut_and_compared_as_cut(mlflow: MLflow) -> None:
    run_id = await mlflow.run()
    for _ in range(2):
        params = [{"key": "p", "value": "x" * 7000}]
        await mlflow("runs/log-batch", run_id=run_id, params=params, tags=[{"key": "t", "value": "y" * 9000}])
    data = await mlflow.data(run_id)
    assert (len(data["params"]["p"]), len(data["tags"]["t"])) == (6000, 8000)


async def test_requests_that_wait_together_fail_alone(mlflow: MLflow) -> None:
    """Many at once make a group of the writer: bad ones among them keep nobody else out."""
    run_id = await mlflow.run()
    gone = await mlflow.run()
    await mlflow("runs/delete", run_id=gone)

    async def log(number: int) -> int:
        target = (run_id, gone, "f" * 32)[number % 3]
        fields = {"run_id": target, "key": "m", "value": number, "timestamp": number, "step": number}
        return (await mlflow.http.post("/api/2.0/mlflow/runs/log-metric", json=fields)).status_code

    assert await asyncio.gather(*map(log, range(90))) == [200, 400, 404] * 30
    history = await mlflow.get("metrics/get-history", run_id=run_id, metric_key="m")
    assert [point["step"] for point in history["metrics"]] == list(range(0, 90, 3))


async def test_nothing_is_written_to_a_deleted_run(mlflow: MLflow) -> None:
    run_id = await mlflow.run()
    for _ in range(2):
        await mlflow("runs/delete", run_id=run_id)
    for path, fields in (
        ("runs/log-metric", {"key": "m", "value": 1, "timestamp": 1}),
        ("runs/log-parameter", {"key": "p", "value": "1"}),
        ("runs/set-tag", {"key": "t", "value": "1"}),
        ("runs/delete-tag", {"key": "mlflow.runName"}),
        ("runs/log-batch", {}),
        ("runs/log-inputs", {}),
        ("runs/outputs", {"models": [{"model_id": "m-1", "step": 1}]}),
        ("runs/update", {"status": "FINISHED"}),
    ):
        message = await mlflow.refused(path, run_id=run_id, **fields)
        assert "must be in the 'active' state" in message
    assert (await mlflow.get("runs/get", run_id=run_id))["run"]["info"]["lifecycle_stage"] == "deleted"
    for _ in range(2):
        await mlflow("runs/restore", run_id=run_id)
    await mlflow("runs/set-tag", run_id=run_id, key="t", value="1")


async def test_tags_change_and_go(mlflow: MLflow) -> None:
    run_id = await mlflow.run()
    for key in ("plain", "mlflow.note.content"):
        await mlflow("runs/set-tag", run_uuid=run_id, key=key, value="1")
        await mlflow("runs/set-tag", run_uuid=run_id, key=key, value="2")
        assert (await mlflow.data(run_id))["tags"][key] == "2"
        await mlflow("runs/delete-tag", run_id=run_id, key=key)
        assert key not in (await mlflow.data(run_id))["tags"]
        await mlflow.refused("runs/delete-tag", "RESOURCE_DOES_NOT_EXIST", run_id=run_id, key=key)


async def test_inputs_and_outputs_keep_their_first_record(mlflow: MLflow) -> None:
    run_id = await mlflow.run()
    dataset = {"name": "iris", "digest": "d1", "source_type": "local", "source": "{}", "schema": "s", "profile": "p"}
    for context in ("training", "eval"):
        tags = [{"key": "mlflow.data.context", "value": context}, {"key": "other", "value": context}]
        await mlflow(
            "runs/log-inputs",
            run_id=run_id,
            datasets=[{"dataset": dataset, "tags": tags}],
            models=[{"model_id": "m-1"}],
        )
        for step in (4, 5):
            await mlflow("runs/outputs", run_id=run_id, models=[{"model_id": "m-2", "step": step}])
    run = (await mlflow.get("runs/get", run_id=run_id))["run"]
    (used,) = run["inputs"]["dataset_inputs"]
    assert used["dataset"] == dataset
    assert {tag["key"]: tag["value"] for tag in used["tags"]} == {
        "mlflow.data.context": "training",
        "other": "training",
    }
    assert run["inputs"]["model_inputs"] == [{"model_id": "m-1"}]
    assert run["outputs"] == {"model_outputs": [{"model_id": "m-2", "step": step} for step in (4, 5)]}


async def test_each_run_shows_the_source_it_logged(mlflow: MLflow) -> None:
    for source in ("here", "there"):
        run_id = await mlflow.run()
        dataset = {"name": "shared", "digest": "d", "source_type": "local", "source": source}
        await mlflow("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset}])
        run = (await mlflow.get("runs/get", run_id=run_id))["run"]
        assert run["inputs"]["dataset_inputs"] == [{"dataset": dataset}]


async def test_log_model_keeps_a_history_of_summaries(mlflow: MLflow) -> None:
    run_id = await mlflow.run()
    model = {"artifact_path": "m", "flavors": {}, "utc_time_created": "now", "run_id": run_id}
    for _ in range(2):
        await mlflow("runs/log-model", run_id=run_id, model_json=json.dumps(model))
    history = (await mlflow.data(run_id))["tags"]["mlflow.log-model.history"]
    assert json.loads(history) == [model, model]
    await mlflow.refused("runs/log-model", run_id=run_id, model_json=json.dumps({"flavors": {}}))
    await mlflow.refused("runs/log-model", run_id=run_id, model_json="{")


async def test_a_search_shows_what_changed_since_the_last(mlflow: MLflow) -> None:
    """Documents are kept by revision: every kind of change must raise it."""
    experiment = await mlflow.experiment()
    run_id = await mlflow.run(experiment)

    async def found() -> Any:
        runs = (await mlflow("runs/search", experiment_ids=[experiment], run_view_type="ALL"))["runs"]
        assert runs == [(await mlflow.get("runs/get", run_id=run_id))["run"]]
        return runs[0]

    dataset = {"name": "n", "digest": "d"}
    changes: list[tuple[str, dict[str, Any]]] = [
        ("runs/log-metric", {"key": "m", "value": 1, "timestamp": 1}),
        ("runs/log-parameter", {"key": "p", "value": "1"}),
        ("runs/set-tag", {"key": "t", "value": "1"}),
        ("runs/set-tag", {"key": "mlflow.note.content", "value": "1"}),
        ("runs/delete-tag", {"key": "t"}),
        ("runs/delete-tag", {"key": "mlflow.note.content"}),
        ("runs/log-batch", {"metrics": [{"key": "m", "value": 2, "timestamp": 2}]}),
        ("runs/log-inputs", {"datasets": [{"dataset": dataset}]}),
        ("runs/outputs", {"models": [{"model_id": "m-1"}]}),
        ("runs/update", {"status": "FINISHED"}),
        ("runs/delete", {}),
        ("runs/restore", {}),
    ]
    before = await found()
    for path, fields in changes:
        await mlflow(path, run_id=run_id, **fields)
        after = await found()
        assert after != before, path
        before = after
    for path in ("experiments/delete", "experiments/restore"):
        await mlflow(path, experiment_id=experiment)
        after = await found()
        assert after != before, path
        before = after
