"""Metric histories: order, paging, and the numbers that are not."""

import math
import sys

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

INT64_MAX = 2**63 - 1


def logged(client: MlflowClient, run_id: str, *points: tuple[float, int, int]) -> list[tuple[float, int, int]]:
    """The history of a metric after points (value, timestamp, step) were logged to it."""
    for value, timestamp, step in points:
        client.log_metric(run_id, "m", value, timestamp=timestamp, step=step)
    return [(point.value, point.timestamp, point.step) for point in client.get_metric_history(run_id, "m")]


def test_a_history_is_in_order_of_time(client: MlflowClient, run_id: str) -> None:
    history = logged(client, run_id, (0.3, 30, 1), (0.1, 10, 3), (0.2, 20, 2))
    assert history == [(0.1, 10, 3), (0.2, 20, 2), (0.3, 30, 1)]


def test_a_repeated_point_counts_once(client: MlflowClient, run_id: str) -> None:
    assert logged(client, run_id, (0.5, 10, 1), (0.5, 10, 1), (0.6, 10, 1)) == [(0.5, 10, 1), (0.6, 10, 1)]


def test_the_latest_has_the_greatest_step_then_time_then_value(client: MlflowClient, run_id: str) -> None:
    logged(client, run_id, (1.0, 50, 1), (3.0, 20, 2), (2.0, 20, 2), (9.0, 10, 2))
    assert client.get_run(run_id).data.metrics == {"m": 3.0}


def test_nan_stays_nan(client: MlflowClient, run_id: str) -> None:
    [(value, timestamp, step)] = logged(client, run_id, (math.nan, 10, 1))
    assert math.isnan(value)
    assert (timestamp, step) == (10, 1)
    assert math.isnan(client.get_run(run_id).data.metrics["m"])


@pytest.mark.parametrize(
    ("infinite", "shown"), [(math.inf, sys.float_info.max), (-math.inf, -sys.float_info.max)], ids=["+inf", "-inf"]
)
def test_an_infinity_is_the_largest_number(client: MlflowClient, run_id: str, infinite: float, shown: float) -> None:
    assert logged(client, run_id, (infinite, 10, 1)) == [(shown, 10, 1)]
    assert client.get_run(run_id).data.metrics == {"m": shown}


@pytest.mark.parametrize("value", [0.1, -0.0, 5e-324, sys.float_info.max, 1 / 3, 2**53 + 1.0])
def test_a_number_comes_back_as_it_was(client: MlflowClient, run_id: str, value: float) -> None:
    assert logged(client, run_id, (value, 10, 1)) == [(value, 10, 1)]


@pytest.mark.parametrize("step", [-INT64_MAX - 1, -1, 2**53 + 1, INT64_MAX])
def test_steps_and_times_are_64_bits_wide(client: MlflowClient, run_id: str, step: int) -> None:
    assert logged(client, run_id, (1.0, 2**53 + 1, step)) == [(1.0, 2**53 + 1, step)]


def test_a_key_nobody_logged_has_no_history(client: MlflowClient, run_id: str) -> None:
    assert client.get_metric_history(run_id, "never") == []


def test_a_history_longer_than_the_client_s_page_is_complete(client: MlflowClient, run_id: str) -> None:
    count = 25_500  # the client asks for 25,000 at a time
    for start in range(0, count, 1000):
        client.log_batch(run_id, [Metric("m", i / 7, i, i) for i in range(start, min(start + 1000, count))])
    history = client.get_metric_history(run_id, "m")
    assert [(point.value, point.timestamp, point.step) for point in history] == [(i / 7, i, i) for i in range(count)]
