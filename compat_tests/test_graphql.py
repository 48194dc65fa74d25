"""The GraphQL operations of MLflow's UI, as its files send them, answered as MLflow's own server answers."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, Metric, Param, RunTag

NAMES = ("GetRun", "MlflowGetExperimentQuery", "SearchRuns", "GetMetricHistoryBulkInterval")
START = 1_700_000_000_000

Answer = Any


@pytest.fixture(scope="module")
def queries() -> dict[str, str]:
    """The text of each operation in the UI's files."""
    spec = find_spec("mlflow")
    assert spec is not None
    assert spec.origin is not None
    scripts = (Path(spec.origin).parent / "server" / "js" / "build" / "static" / "js").glob("*.js")
    text = "\n".join(script.read_text() for script in scripts)
    return {match[2]: match[1] for match in re.finditer(r"`\s*(query (\w+)\(\$[^`]*)`", text)}


def test_the_ui_has_the_operations_that_we_know(queries: dict[str, str]) -> None:
    assert set(queries) == set(NAMES)


class Place:
    """A server with an experiment, a run with something of everything, and an empty run beside it."""

    def __init__(self, uri: str) -> None:
        self.uri, client = uri, MlflowClient(uri)
        self.experiment = client.create_experiment("graphql", tags={"mlflow.note.content": "about it"})
        tags = {"mlflow.user": "ada", "team": "vision", "mlflow.source.name": "train.py"}
        run = client.create_run(self.experiment, START, tags, "the run")
        self.run = run.info.run_id
        points = [Metric("loss", 1 / (step + 1), START + step, step) for step in range(50)]
        points += [Metric("best", float("inf"), START, 0), Metric("whole", 2.0, START, 2**40)]
        client.log_batch(self.run, points, [Param("lr", "0.1"), Param("empty", "")], [RunTag("long", "x" * 500)])
        model = client.create_logged_model(self.experiment, "net", source_run_id=self.run)
        self.model = model.model_id
        dataset = Dataset("train", "abc", "local", '{"uri": "file"}', '{"mlflow_colspec": []}', '{"num_rows": 2}')
        used = [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        client.log_inputs(self.run, used, [LoggedModelInput(self.model)])
        client.create_registered_model("graphql net")
        client.create_model_version("graphql net", f"runs:/{self.run}/net", self.run)
        client.set_terminated(self.run, "FINISHED", START + 90_000)
        self.other = client.create_run(self.experiment, START + 1, {"mlflow.user": "ada"}, "the other").info.run_id
        client.delete_run(self.other)

    def ask(self, name: str, queries: dict[str, str], **given: Any) -> Answer:
        """The answer to an operation. What differs from server to server in it is the same here."""
        variable = "input" if name == "MlflowGetExperimentQuery" else "data"
        body = {"operationName": name, "variables": {variable: given}, "query": queries[name]}
        request = Request(f"{self.uri}/graphql", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urlopen(request) as answer:
            text = answer.read().decode()
        for own, known in ((self.run, "RUN"), (self.other, "OTHER"), (self.model, "MODEL")):
            text = text.replace(own, known)
        return json.loads(re.sub(r'(experimentId": ?"|mlflow-artifacts:/)\d+', r"\1N", text))


@pytest.fixture(scope="module")
def ours(tracking_uri: str) -> Place:
    return Place(tracking_uri)


@pytest.fixture(scope="module")
def stock(stock_uri: str) -> Place:
    return Place(stock_uri)


TIMES = ("creationTime", "lastUpdateTime", "creationTimestamp")


def same(expected: Answer, found: Answer, where: str = "") -> list[str]:
    """What of the expected answer is not in the found one. More may be in it: the UI reads what it asked for."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return [f"{where}: {found} instead of {expected}"]
        asked = {name: part for name, part in expected.items() if name != "__typename"}  # which the UI does without
        return [line for name, part in asked.items() for line in same(part, found.get(name), f"{where}.{name}")]
    if where.endswith("modelInputs") and not expected:  # MLflow's databases leave models out of what a search finds
        return []
    if isinstance(expected, list):
        expected, found = (sorted(some or [], key=by_key) for some in (expected, found))
        if len(expected) != len(found):
            return [f"{where}: {found} instead of {expected}"]
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for number, (one, other) in pairs for line in same(one, other, f"{where}[{number}]")]
    if where.endswith(TIMES):
        return [] if re.fullmatch(r"\d{13}", found) else [f"{where}: {found}"]
    return [] if (expected or None) == (found or None) else [f"{where}: {found!r} instead of {expected!r}"]


def by_key(item: Answer) -> str:
    """Params, tags and metrics have no order of their own."""
    return str(item.get("key", "")) + str(item.get("step", "")).rjust(20) if isinstance(item, dict) else ""


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("GetRun", lambda place: {"runId": place.run}),
        ("GetRun", lambda place: {"runId": place.other}),
        ("MlflowGetExperimentQuery", lambda place: {"experimentId": place.experiment}),
        ("SearchRuns", lambda place: {"experimentIds": [place.experiment], "filter": "attributes.status = 'FINISHED'"}),
        ("SearchRuns", lambda place: {"experimentIds": [place.experiment], "filter": "metrics.loss > 5"}),
        *(
            ("GetMetricHistoryBulkInterval", lambda place, more=more: {"runIds": [place.run], **more})
            for more in (
                {"metricKey": "loss", "maxResults": 320},  # of fewer MLflow takes no notice here
                {"metricKey": "nothing", "maxResults": 320},
            )
        ),
    ],
)
def test_each_operation_is_answered_as_by_mlflow(
    ours: Place, stock: Place, queries: dict[str, str], name: str, given: Any
) -> None:
    expected, found = (place.ask(name, queries, **given(place)) for place in (stock, ours))
    assert expected["data"] is not None, expected
    assert same(expected, found) == []


@pytest.mark.parametrize(
    ("name", "given"),
    [("GetRun", {"runId": "f" * 32}), ("MlflowGetExperimentQuery", {"experimentId": "987654321"})],
)
def test_what_is_not_there_is_told_as_by_mlflow(
    ours: Place, stock: Place, queries: dict[str, str], name: str, given: Any
) -> None:
    for place in (ours, stock):
        told = place.ask(name, queries, **given)
        assert list(told["data"].values()) == [None]
        assert len(told["errors"]) == 1
        assert isinstance(told["errors"][0], str)
