"""Metrics on the native surface, and what MLflow clients see of them: in both directions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio

T1, T2 = "2024-01-01T00:00:01.000Z", "2024-01-01T00:00:02.500Z"
T1_MS, T2_MS = 1_704_067_201_000, 1_704_067_202_500


@pytest.fixture
async def run_id(home: Api) -> str:
    """An id of 32 hex digits."""
    number = (await home.mlflow("experiments/create", name="e"))["experiment_id"]
    made: str = (await home.mlflow("runs/create", experiment_id=number))["run"]["info"]["run_id"]
    return made


async def log(api: Api, run_id: str, *points: dict[str, Any], expect: int = 201) -> Any:
    return await api.post(f"/runs/{run_id}/metrics", list(points), expect)


async def values(api: Api, run_id: str, **query: Any) -> list[Any]:
    return list((await api.get(f"/runs/{run_id}/metrics", **query))["items"])


async def latest(api: Api, run_id: str) -> dict[str, Any]:
    """What an MLflow client sees of the run's metrics."""
    run = (await api.mlflow("runs/get", method="GET", run_id=run_id))["run"]
    return {item.pop("key"): item for item in run["data"].get("metrics", [])}


async def history(api: Api, run_id: str, key: str) -> list[tuple[Any, ...]]:
    answer = await api.mlflow("metrics/get-history", method="GET", run_id=run_id, metric_key=key)
    return [(item["step"], item["timestamp"], item["value"]) for item in answer.get("metrics", [])]


async def test_what_is_logged_is_shown_to_mlflow_clients(home: Api, run_id: str) -> None:
    logged = [
        {"metric_key": "loss", "scope": "train", "step": 1, "value": 0.5, "recorded_at": T1},
        {"metric_key": "loss", "scope": "train", "step": 2, "value": 0.25, "recorded_at": T2},
        {"metric_key": "loss", "step": -7, "value": 3, "recorded_at": T1},
        {"metric_key": "a/b", "scope": "test", "value": 1e-300, "recorded_at": T2},
    ]
    assert await log(home, run_id, *logged) == {"logged": 4}
    assert await latest(home, run_id) == {
        "train/loss": {"value": 0.25, "timestamp": T2_MS, "step": 2},
        "loss": {"value": 3.0, "timestamp": T1_MS, "step": -7},
        "test/a/b": {"value": 1e-300, "timestamp": T2_MS, "step": 0},
    }
    assert await history(home, run_id, "train/loss") == [(1, T1_MS, 0.5), (2, T2_MS, 0.25)]
    shown = await values(home, run_id)
    plain = {"scope": None, "step": None, "metric_id": None}
    assert [item for item in shown if item["scope"] == "train"] == [plain | item for item in logged[:2]]
    assert sorted(shown, key=str) == sorted([plain | item for item in logged], key=str)


async def test_what_mlflow_clients_log_is_shown(home: Api, run_id: str) -> None:
    for key, step in (("val/accuracy", 1), ("val/accuracy", 0), ("values/x", 5), ("other", 2)):
        await home.mlflow("runs/log-metric", run_id=run_id, key=key, value=0.5, timestamp=T1_MS, step=step)
    point = {"metric_id": None, "value": 0.5, "recorded_at": T1}
    accuracy = {"metric_key": "accuracy", "scope": "val"}
    assert await values(home, run_id, metric_key="accuracy") == [accuracy | point | {"step": step} for step in (0, 1)]
    assert await values(home, run_id, metric_key="values/x") == [
        {"metric_key": "values/x", "scope": None, "step": 5} | point
    ]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
async def test_what_is_no_finite_number_is_kept_exactly(home: Api, run_id: str, word: str) -> None:
    await log(home, run_id, {"metric_key": "m", "step": 1, "value": word})
    (shown,) = await values(home, run_id)
    assert shown["value"] == word
    await home.mlflow("runs/log-metric", run_id=run_id, key="n", value=word, timestamp=1, step=1)
    (shown,) = await values(home, run_id, metric_key="n")
    assert shown["value"] == word


async def test_a_final_value_is_the_latest_and_the_later_of_two_counts(home: Api, run_id: str) -> None:
    final = {"metric_key": "m", "value": 0.9, "recorded_at": T2}
    await log(home, run_id, final, {"metric_key": "m", "step": 100, "value": 0.1, "recorded_at": T2})
    assert await latest(home, run_id) == {"m": {"value": 0.9, "timestamp": T2_MS, "step": 0}}
    await log(home, run_id, final | {"value": 0.95, "recorded_at": T1})
    assert (await latest(home, run_id))["m"]["value"] == 0.9
    await log(home, run_id, final | {"value": 0.8, "recorded_at": "2030-01-01T00:00:00Z"})
    assert (await latest(home, run_id))["m"]["value"] == 0.8
    assert [item["step"] for item in await values(home, run_id)] == [100, None, None, None]


async def test_a_definition_names_a_metric(home: Api, run_id: str) -> None:
    key = f"defined in {run_id}"
    metric_id = (await home.post("/metric-definitions", {"key": key, "goal": "max"}))["metric_id"]
    await log(home, run_id, {"metric_id": metric_id, "scope": "val", "value": 1}, {"metric_key": "m", "value": 2})
    shown = {item["metric_key"]: (item["metric_id"], item["scope"]) for item in await values(home, run_id)}
    assert shown == {key: (metric_id, "val"), "m": (None, None)}
    await log(home, run_id, {"metric_id": "f" * 32, "value": 1}, expect=404)


async def test_sent_again_nothing_changes(home: Api, run_id: str) -> None:
    points = [{"metric_key": "m", "step": step, "value": step, "recorded_at": T1} for step in range(3)]
    for _ in range(2):
        await log(home, run_id, *points)
    assert [item["step"] for item in await values(home, run_id)] == [0, 1, 2]
    await log(home, run_id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric_key": ""},
        {"metric_key": None},
        {"metric_key": "k" * 251},
        {"metric_key": "a\0b"},
        {"metric_key": "val/m"},
        {"metric_id": "f" * 32},
        {"value": None},
        {"value": "1"},
        {"value": "nan"},
        {"value": True},
        {"value": 10**400},
        {"step": 2**63},
        {"step": 1.5},
        {"step": "1"},
        {"scope": "none"},
        {"recorded_at": 5},
        {"unknown": 1},
    ],
    ids=str,
)
async def test_what_is_no_value_is_refused_with_all_that_came_with_it(
    home: Api, run_id: str, wrong: dict[str, Any]
) -> None:
    good = {"metric_key": "m", "value": 1}
    await log(home, run_id, good, good | wrong, expect=422)
    assert await values(home, run_id) == []


async def test_only_so_many_values_are_taken_at_once(home: Api, run_id: str) -> None:
    points = [{"metric_key": "m", "step": step, "value": step} for step in range(10_001)]
    await log(home, run_id, *points, expect=422)
    assert await log(home, run_id, *points[1:]) == {"logged": 10_000}
    for body in ({"points": points[:1]}, {"metric_key": "m", "value": 1}, None, 5):
        await home.post(f"/runs/{run_id}/metrics", body, expect=422)


async def test_values_are_read_in_pages_metric_by_metric(home: Api, run_id: str) -> None:
    points = [
        {"metric_key": key, "scope": scope, "step": step, "value": step or 0, "recorded_at": T1}
        for key in ("a", "b")
        for scope in (None, "val")
        for step in (3, 1, None, 2)
    ]
    await log(home, run_id, *points)

    async def paged(limit: int, **query: Any) -> list[tuple[Any, ...]]:
        found: list[Any] = []
        more: dict[str, Any] = {}
        while True:
            page = await home.get(f"/runs/{run_id}/metrics", limit=limit, **query, **more)
            found += [(item["metric_key"], item["scope"], item["step"]) for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            more = {"cursor": page["next_cursor"]}

    steps = (1, 2, 3, None)
    everything = await paged(1000)
    assert sorted(everything, key=str) == sorted(
        [(key, scope, step) for key in "ab" for scope in (None, "val") for step in steps], key=str
    )
    assert [step for _, _, step in everything] == [*steps] * 4
    for limit in (1, 3):
        assert await paged(limit) == everything
        assert await paged(limit, metric_key="b", scope="val") == [("b", "val", step) for step in steps]
        assert await paged(limit, scope="val") == [one for one in everything if one[1] == "val"]
        assert await paged(limit, metric_key="a") == [one for one in everything if one[0] == "a"]
    assert await paged(9, metric_key="never logged") == []


async def test_a_forged_cursor_is_refused(home: Api, run_id: str) -> None:
    await log(home, run_id, {"metric_key": "m", "step": 1, "value": 1}, {"metric_key": "m", "step": 2, "value": 1})
    cursor = (await home.get(f"/runs/{run_id}/metrics", limit=1))["next_cursor"]
    await home.get(f"/runs/{run_id}/metrics", cursor=cursor, metric_key="m", expect=422)
    await home.get(f"/runs/{run_id}/metrics", cursor="x" + cursor, expect=422)
    assert str(UUID(run_id)) not in cursor
