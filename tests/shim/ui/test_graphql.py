"""GraphQL as MLflow's UI speaks it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio

Answer = dict[str, Any]


async def ask(http: httpx.AsyncClient, operation: str, variable: str = "data", **given: Any) -> Answer:
    """The answer to an operation, which is told of with status 200 whatever it says."""
    body = {"operationName": operation, "query": f"query {operation}", "variables": {variable: given}}
    answer = await http.post("/graphql", json=body)
    assert answer.status_code == 200, answer.text
    told: Answer = answer.json()
    return told


async def test_a_run_is_shown_whole(http: httpx.AsyncClient, mlflow: MLflow) -> None:
    experiment_id = await mlflow.experiment()
    run_id = await mlflow.run(experiment_id, run_name="the run", user_id="ada", start_time=5)
    points = [
        {"key": "loss", "value": 0.5, "timestamp": 7, "step": 3},
        {"key": "odd", "value": "NaN", "timestamp": 8, "step": 0},
    ]
    await mlflow("runs/log-batch", run_id=run_id, metrics=points, params=[{"key": "lr", "value": "0.1"}])
    dataset = {"name": "d", "digest": "1", "source_type": "local", "source": "{}", "schema": "{}", "profile": "{}"}
    tags = [{"key": "mlflow.data.context", "value": "training"}]
    await mlflow("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": tags}])
    await mlflow("registered-models/create", name=f"model of {run_id}")
    await mlflow("model-versions/create", name=f"model of {run_id}", source="s3://b/m", run_id=run_id)

    told = await ask(http, "GetRun", runId=run_id)
    assert told["errors"] is None
    got = told["data"]["mlflowGetRun"]
    assert got["apiError"] is None
    run = got["run"]
    info = run["info"]
    assert (info["runUuid"], info["runName"], info["userId"]) == (run_id, "the run", "ada")
    assert (info["startTime"], info["status"], info["experimentId"]) == ("5", "RUNNING", experiment_id)
    assert run["experiment"]["experimentId"] == experiment_id
    assert run["experiment"]["tags"] == []
    metrics = {point["key"]: point for point in run["data"]["metrics"]}
    assert metrics["loss"] == {"key": "loss", "value": 0.5, "timestamp": "7", "step": "3"}
    assert metrics["odd"]["value"] == "NaN"
    assert run["data"]["params"] == [{"key": "lr", "value": "0.1"}]
    (used,) = run["inputs"]["datasetInputs"]
    assert (used["dataset"]["sourceType"], used["tags"]) == ("local", tags)
    (version,) = run["modelVersions"]
    assert (version["name"], version["version"], version["status"]) == (f"model of {run_id}", "1", "READY")


async def test_an_experiment_is_shown(http: httpx.AsyncClient, mlflow: MLflow) -> None:
    experiment_id = await mlflow.experiment()
    await mlflow("experiments/set-experiment-tag", experiment_id=experiment_id, key="mlflow.note.content", value="n")
    told = await ask(http, "MlflowGetExperimentQuery", "input", experimentId=experiment_id)
    shown = told["data"]["mlflowGetExperiment"]["experiment"]
    assert (shown["experimentId"], shown["lifecycleStage"]) == (experiment_id, "active")
    assert shown["tags"] == [{"key": "mlflow.note.content", "value": "n"}]
    assert shown["creationTime"].isdigit()
    assert shown["effectiveTraceArchivalRetention"] == ""


async def test_runs_are_found_with_their_experiments_and_versions(http: httpx.AsyncClient, mlflow: MLflow) -> None:
    homes = [await mlflow.experiment(), await mlflow.experiment()]
    run_ids = [await mlflow.run(home) for home in homes]
    told = await ask(http, "SearchRuns", experimentIds=homes, filter="", orderBy=["start_time ASC"])
    found = {run["info"]["runUuid"]: run for run in told["data"]["mlflowSearchRuns"]["runs"]}
    assert [found[run_id]["experiment"]["experimentId"] for run_id in run_ids] == homes
    assert [found[run_id]["modelVersions"] for run_id in run_ids] == [[], []]
    none = await ask(http, "SearchRuns", experimentIds=homes, filter="params.x = 'y'")
    assert none["data"]["mlflowSearchRuns"]["runs"] == []


async def test_the_points_of_charts_are_sampled(http: httpx.AsyncClient, mlflow: MLflow) -> None:
    run_id = await mlflow.run()
    points = [{"key": "m", "value": step / 2, "timestamp": 9, "step": step} for step in range(100)]
    await mlflow("runs/log-batch", run_id=run_id, metrics=points)
    asked: Answer = {"runIds": [run_id], "metricKey": "m", "maxResults": 10}
    told = await ask(http, "GetMetricHistoryBulkInterval", **asked)
    found = told["data"]["mlflowGetMetricHistoryBulkInterval"]["metrics"]
    assert [found[0]["step"], found[-1]["step"]] == ["0", "99"]
    assert found[-1] == {"key": "m", "value": 49.5, "timestamp": "9", "step": "99", "runId": run_id}


@pytest.mark.parametrize(
    ("operation", "variable", "given", "words"),
    [
        ("GetRun", "data", {"runId": "f" * 32}, "was found"),
        ("GetRun", "data", {}, "Missing value for required parameter 'run_id'"),
        ("MlflowGetExperimentQuery", "input", {"experimentId": "987654321"}, "was found"),
        ("MlflowGetExperimentQuery", "input", {"experimentId": "x"}, "Invalid value"),
        ("SearchRuns", "data", {"experimentIds": ["0"], "filter": "nonsense"}, "Invalid attribute key"),
    ],
)
async def test_what_is_wrong_is_told_in_the_answer(
    http: httpx.AsyncClient, operation: str, variable: str, given: Answer, words: str
) -> None:
    told = await ask(http, operation, variable, **given)
    assert list(told["data"].values()) == [None]
    (error,) = told["errors"]
    assert words in error


async def test_an_operation_without_a_name_is_known_by_its_field(http: httpx.AsyncClient, mlflow: MLflow) -> None:
    run_id = await mlflow.run()
    query = "query($data: MlflowGetRunInput!) { mlflowGetRun(input: $data) { run { info { runUuid } } } }"
    answer = await http.post("/graphql", json={"query": query, "variables": {"data": {"runId": run_id}}})
    assert answer.json()["data"]["mlflowGetRun"]["run"]["info"]["runUuid"] == run_id


@pytest.mark.parametrize("body", [{}, {"operationName": "Other"}, {"query": "{ test }"}, {"variables": None}])
async def test_any_other_operation_is_told_so(http: httpx.AsyncClient, body: Answer) -> None:
    answer = await http.post("/graphql", json=body)
    assert (answer.status_code, answer.json()["data"]) == (200, None)
    assert len(answer.json()["errors"]) == 1
