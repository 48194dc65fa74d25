"""MLflow servers as sources: this one, which speaks as they do, and made-up ones that are early, busy or none."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from typing import Any

import anyio.to_thread
import httpx
import pytest

from native_api.core.errors import Invalid, Unavailable
from native_api.core.metrics import Name
from native_api.transfer.records import LoggedModel, RegisteredModel, Run, RunModel
from shim.sources import connection, parts, server
from shim.sources.server import Server
from tests.shim.conftest import MLflow

RUN = "a" * 32


def bridge(http: httpx.AsyncClient) -> httpx.MockTransport:
    """The application for a client that is not asynchronous, and asks from threads."""
    loop = asyncio.get_running_loop()

    def handle(request: httpx.Request) -> httpx.Response:
        url = request.url.raw_path.decode()
        asked = http.request(request.method, url, content=request.read(), headers=[*request.headers.items()])
        answer = asyncio.run_coroutine_threadsafe(asked, loop).result(30)
        return httpx.Response(answer.status_code, content=answer.content)

    return httpx.MockTransport(handle)


class Contents:
    """All that a source holds, of one experiment and of one registered model."""

    def __init__(self, source: Server, experiment: str, name: str) -> None:
        self.counts = source.counts()
        (self.experiment,) = [found for found in source.experiments() if found.key == experiment]
        self.runs: dict[str, Run] = {}
        self.points: dict[str, dict[Name, list[Any]]] = {}
        for runs in source.runs():
            mine = [run for run in runs if run.experiment == experiment]
            self.runs.update((run.run_id, run) for run in mine)
            for part in source.points(mine):
                for run_id, points in part:
                    for metric, values in points.items():
                        self.points.setdefault(run_id, {}).setdefault(metric, []).extend(values)
        self.models: list[LoggedModel] = []
        for models in source.logged_models():
            self.models += [model for model in models if model.experiment == experiment]
        self.model_points = [part for parts in source.model_points(self.models) for part in parts]
        self.registered: dict[str, RegisteredModel] = {}
        for registered in source.registered_models():
            if registered.name.startswith(name):
                self.registered[registered.name] = registered
        source.close()


@pytest.mark.anyio
async def test_all_that_a_server_has_is_read(
    http: httpx.AsyncClient, mlflow: MLflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((server, "RUNS"), (server, "MODELS"), (server, "VERSIONS"), (server, "POINTS")):
        monkeypatch.setattr(module, name, 2)
    monkeypatch.setattr(parts, "CHUNK", 3)
    experiment = await mlflow.experiment()
    await mlflow("experiments/set-experiment-tag", experiment_id=experiment, key="team", value="blue")
    runs = [await mlflow.run(experiment, start_time=n, user_id="ada", run_name=f"run {n}") for n in range(1, 6)]
    first = runs[0]
    await mlflow("runs/log-batch", run_id=first, params=[{"key": "lr", "value": "0.1"}])
    await mlflow("runs/set-tag", run_id=first, key="colour", value="red")
    dataset = {"name": "wine", "digest": "abc", "source_type": "local", "source": "{}"}
    context = [{"key": "mlflow.data.context", "value": "training"}, {"key": "fold", "value": "1"}]
    await mlflow("runs/log-inputs", run_id=first, datasets=[{"dataset": dataset, "tags": context}])
    values = [0.5, "NaN", 1.7976931348623157e308, -1.7976931348623157e308, 5]
    metrics = [{"key": "val/acc", "value": value, "timestamp": 10 + n, "step": n} for n, value in enumerate(values)]
    metrics.append({"key": "loss", "value": 1, "timestamp": 7, "step": -1})
    await mlflow("runs/log-batch", run_id=first, metrics=metrics)
    await mlflow("runs/update", run_id=first, status="FINISHED", end_time=2000)
    await mlflow("runs/delete", run_id=runs[4])
    model = (await mlflow("logged-models", experiment_id=experiment, name="net", source_run_id=first))["model"]
    model_id = model["info"]["model_id"]
    await mlflow("runs/outputs", run_id=runs[1], models=[{"model_id": model_id, "step": 3}])
    await mlflow("runs/log-inputs", run_id=runs[2], models=[{"model_id": model_id}])
    told = {"model_id": model_id, "dataset_name": "wine", "dataset_digest": "abc"}
    await mlflow("runs/log-metric", run_id=runs[1], key="f1", value=0.25, timestamp=9, step=1, **told)
    name = f"net of {experiment}"
    tag = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    await mlflow("registered-models/create", name=name, description="a net", tags=[{"key": "k", "value": "v"}])
    await mlflow("registered-models/create", name=f"{name} prompt", tags=[tag])
    for _ in range(3):
        await mlflow("model-versions/create", name=name, source="s3://b/m", run_id=first)
    await mlflow("model-versions/create", name=f"{name} prompt", source="dummy-source", tags=[tag])
    await mlflow("registered-models/alias", name=name, alias="best", version="2")
    await mlflow("experiments/delete", experiment_id=experiment)

    transport = bridge(http)
    found = await anyio.to_thread.run_sync(
        lambda: Contents(Server("http://localhost:5000/", transport=transport), experiment, name)
    )

    assert found.experiment.tags == {"team": "blue"}
    assert found.experiment.deleted_at is not None
    assert [*found.runs] == runs
    run = found.runs[first]
    assert (run.run_name, run.status, run.started_at, run.finished_at) == ("run 1", "finished", 1, 2000)
    assert (run.user_name, run.params, run.tags) == ("ada", {"lr": "0.1"}, {"colour": "red"})
    (used,) = run.inputs
    assert (used.name, used.digest, used.context, used.tags) == ("wine", "abc", "training", {"fold": "1"})
    assert found.runs[runs[1]].models == [RunModel("output", model_id, 3)]
    assert found.runs[runs[2]].models == [RunModel("input", model_id, 0)]
    assert found.runs[runs[4]].deleted_at is not None
    points = found.points[first]
    assert points[Name(0, "loss")] == [(-1, 7, 1.0, 0, 0)]
    assert points[Name(2, "acc")] == [
        (0, 10, 0.5, 0, 0),
        (1, 11, 0.0, 1, 0),
        (2, 12, math.inf, 0, 0),
        (3, 13, -math.inf, 0, 0),
        (4, 14, 5.0, 0, 0),
    ]
    (net,) = found.models
    assert (net.model_id, net.name, net.source_run_id, net.status) == (model_id, "net", first, "pending")
    ((told_by, (point,)),) = found.model_points
    assert (told_by, point.model_id, point.step, point.value) == (runs[1], model_id, 1, 0.25)
    assert (point.dataset_name, point.dataset_digest) == ("wine", "abc")
    registered = found.registered[name]
    assert (registered.description, registered.tags, registered.aliases) == ("a net", {"k": "v"}, {"best": 2})
    assert [version.version for version in registered.versions] == [1, 2, 3]
    version = registered.versions[0]
    assert (version.source, version.run_id, version.description) == ("s3://b/m", first, "")
    assert [version.source for version in found.registered[f"{name} prompt"].versions] == ["dummy-source"]
    assert found.counts.runs >= 5
    assert found.counts.model_versions >= 4


Answer = Callable[[httpx.Request], httpx.Response]


def early(request: httpx.Request) -> httpx.Response:
    """A server of 1.27: experiments are listed, histories come whole, and nothing is known of logged models."""
    path = request.url.path.removeprefix("/base/api/2.0/mlflow/")
    fields = json.loads(request.content or b"{}")
    info = {"run_id": RUN, "run_uuid": RUN, "experiment_id": "0", "status": "RUNNING", "start_time": "5"}
    last = {"key": "loss", "value": "NaN", "timestamp": "10", "step": "4"}
    run = {"info": info, "data": {"metrics": [last], "tags": [{"key": "mlflow.runName", "value": "owl"}]}}
    points = [{"key": "loss", "value": value, "timestamp": n} for n, value in enumerate([1, "Infinity", "NaN", 2.5])]
    answers: dict[str, Any] = {
        "experiments/list": {"experiments": [{"experiment_id": "0", "name": "Default", "lifecycle_stage": "active"}]},
        "runs/search": {"runs": [run] if fields.get("run_view_type") == "ALL" else []},
        "runs/get": {"run": run},
        "metrics/get-history": {"metrics": points if request.url.params.get("metric_key") == "loss" else []},
        "registered-models/search": {},
    }
    if path not in answers:
        return httpx.Response(404, text="<h1>Not Found</h1>")
    if "prompt" in request.url.params.get("filter", ""):
        return httpx.Response(400, json={"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid filter"})
    return httpx.Response(200, json=answers[path])


def test_an_early_release_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "CHUNK", 3)
    source = Server("http://mlflow/base", transport=httpx.MockTransport(early))
    assert source.location == "http://mlflow/base"
    assert [experiment.name for experiment in source.experiments()] == ["Default"]
    ((run,),) = source.runs()
    assert (run.run_id, run.run_name, run.status, run.started_at) == (RUN, "owl", "running", 5)
    loss = Name(0, "loss")
    assert [*source.points([run])] == [
        [(RUN, {loss: [(0, 0, 1.0, 0, 0), (0, 1, math.inf, 0, 0), (0, 2, 0.0, 1, 0)]})],
        [(RUN, {loss: [(0, 3, 2.5, 0, 0)]})],
    ]
    assert [*source.logged_models()] == []
    assert [*source.registered_models()] == []
    assert source.counts() == (1, 1, None, 0, 0, 0)
    ((again,),) = source.runs()
    assert again == run
    source.close()


def test_a_busy_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WAITS", (0, 0, 0))
    troubles: list[object] = [httpx.ConnectError("away"), 503, 429]

    def handle(request: httpx.Request) -> httpx.Response:
        if not troubles:
            return early(request)
        trouble = troubles.pop()
        if isinstance(trouble, int):
            return httpx.Response(trouble)
        raise httpx.ConnectError("away")

    Server("http://mlflow/base", transport=httpx.MockTransport(handle)).close()
    troubles += [503] * 4
    with pytest.raises(Unavailable, match="http://mlflow/base is not available"):
        Server("http://ada:secret@mlflow/base", transport=httpx.MockTransport(handle))
    assert troubles == []


REFUSALS: dict[str, tuple[Answer, str]] = {
    "a web page": (lambda _: httpx.Response(200, text="<h1>Hello</h1>"), "no MLflow server"),
    "other JSON": (lambda _: httpx.Response(200, json={"experiments": [{"id": 5}]}), "no MLflow server"),
    "nothing": (lambda _: httpx.Response(404), "no MLflow server"),
    "a login": (lambda _: httpx.Response(401), "MLFLOW_TRACKING_USERNAME"),
    "a redirection": (lambda _: httpx.Response(302, headers={"location": "http://other"}), "with status 302"),
}


@pytest.mark.parametrize(("answer", "words"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_is_no_source_is_refused(answer: Answer, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        Server("http://mlflow", transport=httpx.MockTransport(answer))


@pytest.mark.parametrize("url", ["mlflow:5000", "ftp://mlflow", "http://", "http://[::1", "http://a:b:c"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Invalid, match="URL of the server"):
        Server(url)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "x"}, "Basic YWRhOng="),
        ({"MLFLOW_TRACKING_TOKEN": "secret"}, "Bearer secret"),
        ({}, "Basic dTpw"),
    ],
)
def test_credentials_and_workspace_are_sent(given: dict[str, str], sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    seen: list[httpx.Headers] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return early(request)

    source = Server("http://u:p@mlflow/base?x=1", "team-a", transport=httpx.MockTransport(handle))
    source.close()
    assert source.location == "http://mlflow/base"
    assert {headers["Authorization"] for headers in seen} == {sent}
    assert {headers["X-MLFLOW-WORKSPACE"] for headers in seen} == {"team-a"}
