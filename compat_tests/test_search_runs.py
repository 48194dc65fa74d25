"""Searching runs: every kind of comparison, order, view and page, as a table and as objects."""

import math
import sys
from collections.abc import Sequence

import mlflow
import pandas
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Metric, Param, ViewType

# name: start time, status, metrics, params, tags
ZOO: dict[str, tuple[int, str, dict[str, float], dict[str, str], dict[str, str]]] = {
    "ant": (1000, "FINISHED", {"acc": 0.5, "val/acc": 0.4}, {"lr": "0.1", "net": "resnet"}, {"team": "red"}),
    "bee": (2000, "FINISHED", {"acc": 0.9}, {"lr": "0.01", "net": "ResNet"}, {"team": "Red"}),
    "cat": (3000, "FAILED", {"acc": 0.5}, {"lr": "0.1"}, {"team": "blue", "odd key/é": "x"}),
    "dog": (4000, "RUNNING", {"acc": math.nan}, {"net": "vgg"}, {}),
    "elk": (5000, "KILLED", {}, {}, {"team": ""}),
    "fox": (6000, "FINISHED", {"acc": math.inf}, {"lr": "10"}, {"team": "it's"}),
    "gnu": (7000, "FINISHED", {"acc": -1e-9}, {"lr": "100%"}, {"team": "100%"}),
}


@pytest.fixture(scope="module")
def zoo(client: MlflowClient) -> str:
    """The id of an experiment that holds the runs of the zoo, and a deleted one."""
    experiment_id = str(client.create_experiment("zoo of runs"))
    for name, (start, status, metrics, params, tags) in ZOO.items():
        run = client.create_run(experiment_id, start, {**tags, "mlflow.user": "keeper"}, name)
        client.log_batch(
            run.info.run_id,
            [Metric(key, value, 10, 1) for key, value in metrics.items()],
            [Param(key, value) for key, value in params.items()],
        )
        if status != "RUNNING":
            client.set_terminated(run.info.run_id, status, end_time=start + 500)
    client.delete_run(client.create_run(experiment_id, 8000, run_name="hen").info.run_id)
    return experiment_id


def found(client: MlflowClient, zoo: str, where: str = "", order: Sequence[str] = ("start_time",)) -> str:
    return " ".join(run.info.run_name for run in client.search_runs([zoo], where, order_by=list(order)))


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("", "ant bee cat dog elk fox gnu"),
        ("metrics.acc = 0.5", "ant cat"),
        ("metrics.acc != 0.5", "bee dog fox gnu"),
        ("metrics.acc > 0.5", "bee fox"),
        ("metrics.acc >= 0.5", "ant bee cat fox"),
        ("metrics.acc < 0.5", "gnu"),
        ("metrics.acc <= 0.5", "ant cat gnu"),
        ("metrics.acc > -1e-3 and metrics.acc < 1e2", "ant bee cat gnu"),
        ("metric.`val/acc` < 1", "ant"),
        ('metrics."val/acc" < 1', "ant"),
        ("params.lr = '0.1'", "ant cat"),
        ("params.lr != '0.1'", "bee fox gnu"),
        ("param.net LIKE 'res%'", "ant"),
        ("parameters.net ILIKE 'res%'", "ant bee"),
        ("params.lr LIKE '0._'", "ant cat"),
        ("params.lr = '100%'", "gnu"),
        ("params.net IS NULL", "cat elk fox gnu"),
        ("params.net IS NOT NULL", "ant bee dog"),
        ("tags.team = 'red'", "ant"),
        ("tag.team ILIKE 'RED'", "ant bee"),
        ("tags.team != 'red'", "bee cat elk fox gnu"),
        ("tags.team = ''", "elk"),
        ('tags.team = "it\'s"', "fox"),
        ("tags.team LIKE '%e%'", "ant bee cat"),
        ("tags.`odd key/é` = 'x'", "cat"),
        ("tags.team IS NULL", "dog"),
        ("tags.mlflow.user = 'keeper' AND tags.team IS NOT NULL", "ant bee cat elk fox gnu"),
        ("attributes.status = 'FINISHED'", "ant bee fox gnu"),
        ("status != 'FINISHED'", "cat dog elk"),
        ("attribute.status LIKE '%IN%'", "ant bee dog fox gnu"),
        ("run_name = 'dog'", "dog"),
        ("attributes.run_name LIKE '_o%'", "dog fox"),
        ("attributes.`Run name` ILIKE 'C%'", "cat"),
        ("start_time >= 6000", "fox gnu"),
        ("attributes.start_time < 2000", "ant"),
        ("end_time = 2500", "bee"),
        ("attributes.end_time > 0", "ant bee cat elk fox gnu"),
        ("attributes.artifact_uri LIKE '%artifacts'", "ant bee cat dog elk fox gnu"),
        ("metrics.acc > 0.1 AND params.lr = '0.1' AND tags.team = 'blue' AND status = 'FAILED'", "cat"),
    ],
)
def test_a_filter_finds(client: MlflowClient, zoo: str, where: str, names: str) -> None:
    assert found(client, zoo, where) == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (["metrics.acc"], "gnu cat ant bee fox dog elk"),
        (["metrics.acc ASC"], "gnu cat ant bee fox dog elk"),
        (["metrics.acc DESC"], "fox bee cat ant gnu dog elk"),
        (["metrics.acc DESC", "start_time ASC"], "fox bee ant cat gnu dog elk"),
        (["params.lr DESC", "params.net ASC"], "gnu fox ant cat bee dog elk"),
        (["params.lr ASC", "start_time DESC"], "bee cat ant fox gnu elk dog"),
        (["tags.team ASC"], "elk gnu bee cat fox ant dog"),
        (["tag.team DESC"], "ant fox cat bee gnu elk dog"),
        (["attributes.status", "attributes.run_name DESC"], "cat gnu fox bee ant elk dog"),
        (["end_time DESC"], "gnu fox elk cat bee ant dog"),
        (["attribute.start_time DESC"], "gnu fox elk dog cat bee ant"),
        ([], "gnu fox elk dog cat bee ant"),
    ],
)
def test_an_order_orders(client: MlflowClient, zoo: str, order: list[str], names: str) -> None:
    """Nothing comes last both ways, NaN just before it, and equals by start time, newest first."""
    assert found(client, zoo, order=order) == names


def test_run_ids_are_searched_for(client: MlflowClient, zoo: str) -> None:
    ids = [run.info.run_id for run in client.search_runs([zoo], order_by=["start_time"])]
    assert found(client, zoo, f"attributes.run_id = '{ids[0]}'") == "ant"
    assert found(client, zoo, f"attributes.run_id IN ('{ids[0]}', '{ids[2]}')") == "ant cat"
    assert found(client, zoo, f"run_id NOT IN ('{ids[0]}', '{ids[2]}')") == "bee dog elk fox gnu"
    assert found(client, zoo, order=["run_id"]) == " ".join(name for _, name in sorted(zip(ids, ZOO, strict=True)))


def test_equal_runs_come_in_order_of_their_ids(client: MlflowClient, zoo: str) -> None:
    experiment_id = client.create_experiment("zoo of equal runs")
    for _ in range(5):
        client.create_run(experiment_id, 1000)
    ids = [run.info.run_id for run in client.search_runs([experiment_id], order_by=["metrics.acc DESC"])]
    assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("view", "names"),
    [
        (ViewType.ACTIVE_ONLY, list(ZOO)),
        (ViewType.DELETED_ONLY, ["hen"]),
        (ViewType.ALL, [*ZOO, "hen"]),
    ],
)
def test_a_view_shows(client: MlflowClient, zoo: str, view: int, names: list[str]) -> None:
    runs = client.search_runs([zoo], "", view, order_by=["start_time"])
    assert [run.info.run_name for run in runs] == names


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("order", [["metrics.acc DESC"], ["params.lr ASC"], ["tags.team DESC"], ["end_time ASC"], []])
def test_pages_hold_each_run_once(client: MlflowClient, zoo: str, order: list[str], size: int) -> None:
    names: list[str] = []
    token = None
    while token or not names:
        page = client.search_runs([zoo], order_by=order, max_results=size, page_token=token)
        assert len(page) <= size
        names += [run.info.run_name for run in page]
        token = page.token
    assert " ".join(names) == found(client, zoo, order=order)


def test_a_table_has_a_column_for_each_key(client: MlflowClient, zoo: str) -> None:
    table = mlflow.search_runs([zoo], order_by=["start_time ASC"])
    assert list(table["tags.mlflow.runName"]) == list(ZOO)
    assert table["params.lr"].fillna("none").tolist() == ["0.1", "0.01", "0.1", "none", "none", "10", "100%"]
    assert table["metrics.acc"].fillna(-1).tolist() == [0.5, 0.9, 0.5, -1, -1, sys.float_info.max, -1e-9]
    assert list(table["status"]) == [status for _, status, *_ in ZOO.values()]
    assert (table["experiment_id"] == zoo).all()
    assert table["start_time"][0] == pandas.Timestamp(1, unit="s", tz="UTC")
    assert table["end_time"].isna().tolist() == [False, False, False, True, False, False, False]


def test_a_table_of_nothing_is_empty(client: MlflowClient, zoo: str) -> None:
    assert mlflow.search_runs([zoo], "metrics.acc > 1e400 AND params.lr = 'x'").empty


def test_experiments_are_searched_together_and_by_name(client: MlflowClient, zoo: str) -> None:
    other = client.create_experiment("zoo next door")
    client.create_run(other, 9000, run_name="ibex")
    for runs in (
        mlflow.search_runs([zoo, other], output_format="list"),
        mlflow.search_runs(experiment_names=["zoo of runs", "zoo next door"], output_format="list"),
    ):
        assert [run.info.run_name for run in runs] == ["ibex", *reversed(ZOO)]
    assert client.search_runs(["987654321"]) == []


def test_a_search_finds_all_of_a_run(client: MlflowClient, zoo: str) -> None:
    [found] = client.search_runs([zoo], "run_name = 'ant'")
    run = client.get_run(found.info.run_id)
    assert (found.info, found.data.metrics, found.data.params, found.data.tags) == (
        run.info,
        run.data.metrics,
        run.data.params,
        run.data.tags,
    )


@pytest.mark.parametrize(
    "where",
    [
        "metrics.acc",
        "metrics.acc > '0.5'",
        "metrics.acc LIKE '0.5'",
        "params.lr = 0.1",
        "params.lr > '0.1'",
        "attributes.colour = 'red'",
        "colour.red = 'x'",
        "start_time = 'now'",
        "status > 'A'",
        "run_id IN ()",
        "metrics.acc == 1",
        "metrics.acc > 1 OR",
        "params.lr = 'unclosed",
        "'0.1' = params.lr",
        "; DROP TABLE runs",
    ],
)
def test_a_bad_filter_is_refused(client: MlflowClient, zoo: str, where: str) -> None:
    with pytest.raises(MlflowException) as caught:
        client.search_runs([zoo], where)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize("order", ["acc", "metrics.acc UP", "colour.red", "dataset.name", "start_time NULLS LAST"])
def test_a_bad_order_is_refused(client: MlflowClient, zoo: str, order: str) -> None:
    with pytest.raises(MlflowException) as caught:
        client.search_runs([zoo], order_by=[order])
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize("page", [{"max_results": 0}, {"max_results": 50_001}, {"page_token": "no token"}])
def test_a_bad_page_is_refused(client: MlflowClient, zoo: str, page: dict[str, object]) -> None:
    with pytest.raises(MlflowException) as caught:
        client.search_runs([zoo], **page)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
