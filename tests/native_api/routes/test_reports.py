"""Reports on the native surface, over runs of both surfaces."""

from __future__ import annotations

from typing import Any

import pytest

from tests.native_api.routes.conftest import Api

pytestmark = pytest.mark.anyio


async def make_experiment(api: Api) -> tuple[str, str]:
    """A project, and an experiment in it."""
    project_id = await api.project()
    made = await api.post("/experiments", {"project_id": project_id, "name": "one"})
    return project_id, made["experiment_id"]


async def make_run(api: Api, experiment_id: str, name: str, *values: object) -> str:
    """A run with these values of the metric val/score, one a second."""
    new = {"experiment_id": experiment_id, "run_name": name, "started_at": "2024-05-01T00:00:00Z"}
    run_id: str = (await api.post("/runs", new))["run_id"]
    points = [
        {
            "metric_key": "score",
            "scope": "val",
            "step": step,
            "value": value,
            "recorded_at": f"2024-05-01T00:00:0{step}Z",
        }
        for step, value in enumerate(values)
    ]
    if points:
        await api.post(f"/runs/{run_id}/metrics", points)
    return run_id


async def board(api: Api, experiment_id: str, **query: Any) -> Any:
    return await api.get(f"/reports/experiments/{experiment_id}/leaderboard", metric_key="score", scope="val", **query)


async def test_a_leaderboard_comes_in_pages(api: Api) -> None:
    _, experiment_id = await make_experiment(api)
    runs = [await make_run(api, experiment_id, f"run {count}", *range(count)) for count in range(1, 4)]
    first = await board(api, experiment_id, limit=2)
    second = await board(api, experiment_id, limit=2, cursor=first["next_cursor"])
    assert [item["run_id"] for item in first["items"] + second["items"]] == runs[::-1]
    assert second["next_cursor"] is None
    (last,) = second["items"]
    assert last == {
        "run_id": runs[0],
        "run_name": "run 1",
        "metric_value": 0.0,
        "started_at": "2024-05-01T00:00:00.000Z",
        "status": "running",
    }


async def test_values_that_json_has_no_numbers_for_are_shown_as_text(api: Api) -> None:
    _, experiment_id = await make_experiment(api)
    for value in ("NaN", "Infinity", "-Infinity"):
        await make_run(api, experiment_id, value, value)
    items = (await board(api, experiment_id))["items"]
    assert {item["metric_value"] for item in items} == {"NaN", "Infinity", "-Infinity"}
    assert all(item["metric_value"] == item["run_name"] for item in items)
    assert items[-1]["metric_value"] == "NaN"


async def test_the_best_run_heads_the_leaderboard(api: Api) -> None:
    _, experiment_id = await make_experiment(api)
    path = f"/reports/experiments/{experiment_id}/best-run"
    missing = await api.get(path, expect=404, metric_key="score", scope="val")
    assert missing["error_code"] == "NOT_FOUND"
    await make_run(api, experiment_id, "early", 9.0)
    best = await make_run(api, experiment_id, "late", 1.0, 2.0)
    assert await api.get(path, metric_key="score", scope="val") == {"run_id": best}


async def test_a_dashboard_has_the_figures_of_a_project(api: Api) -> None:
    project_id, experiment_id = await make_experiment(api)
    empty = await api.get(f"/reports/projects/{project_id}/dashboard")
    assert {name for name, value in empty.items() if value is None} == {
        *("success_rate_pct", "median_train_seconds", "best_metric_value", "best_run_id")
    }
    run_id = await make_run(api, experiment_id, "only", 0.25)
    found = await api.get(f"/reports/projects/{project_id}/dashboard", metric_key="score", scope="val")
    expected = {"experiments_count": 1, "runs_count": 1, "best_metric_value": 0.25, "best_run_id": run_id}
    assert found == empty | expected


async def test_a_run_of_an_mlflow_client_is_on_the_same_leaderboard(api: Api) -> None:
    experiments = (await api.get("/experiments", limit=1000))["items"]
    (default,) = [found["experiment_id"] for found in experiments if found["name"] == "Default"]
    run = (await api.mlflow("runs/create", experiment_id="0", run_name="theirs", start_time=1_714_521_600_000))["run"]
    await api.mlflow("runs/log-metric", run_id=run["info"]["run_id"], key="val/score", value=0.5, timestamp=1, step=3)
    (item,) = [item for item in (await board(api, default))["items"] if item["run_name"] == "theirs"]
    assert (item["metric_value"], item["started_at"]) == (0.5, "2024-05-01T00:00:00.000Z")


async def test_reports_of_others_do_not_exist(api: Api) -> None:
    project_id, experiment_id = await make_experiment(api)
    stranger = await api.register()
    await stranger.get(f"/reports/projects/{project_id}/dashboard", expect=404)
    await stranger.get(f"/reports/experiments/{experiment_id}/leaderboard", expect=404, metric_key="score")
    await stranger.get(f"/reports/experiments/{experiment_id}/best-run", expect=404, metric_key="score")


@pytest.mark.parametrize("query", [{}, {"metric_key": ""}, {"metric_key": "x", "scope": "none"}])
async def test_what_is_asked_for_must_be_clear(api: Api, query: dict[str, str]) -> None:
    _, experiment_id = await make_experiment(api)
    answer = await api.get(f"/reports/experiments/{experiment_id}/leaderboard", expect=422, **query)
    assert answer["error_code"] == "INVALID"
