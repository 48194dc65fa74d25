"""What MLflow's UI is told of parts that this server does not have."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.shim.conftest import MLflow

pytestmark = pytest.mark.anyio


@pytest.fixture
def ui(http: httpx.AsyncClient) -> MLflow:
    return MLflow(http, "/ajax-api/3.0/mlflow/")


LOCATIONS = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]


async def test_there_are_no_traces_and_what_is_judged_by_them(ui: MLflow) -> None:
    assert await ui("traces/search", locations=LOCATIONS, max_results=25, order_by=["timestamp DESC"]) == {}
    assert await ui("datasets/search", experiment_ids=["0"]) == {}
    assert await ui.get("scorers/list", experiment_id="0") == {}


@pytest.mark.parametrize(
    ("asked", "points"),
    [
        ({"metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}]}, 1),
        (
            {
                "metric_name": "trace_count",
                "aggregations": [{"aggregation_type": "COUNT"}],
                "time_interval_seconds": 3600,
            },
            0,
        ),
        ({"metric_name": "latency", "aggregations": [{"aggregation_type": "PERCENTILE", "percentile_value": 50}]}, 0),
        ({"metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}], "dimensions": ["status"]}, 0),
    ],
)
async def test_there_are_none_to_count(ui: MLflow, asked: dict[str, Any], points: int) -> None:
    told = await ui("traces/metrics", experiment_ids=["0"], view_type="TRACES", **asked)
    assert told == {"data_points": [{"metric_name": "trace_count", "values": {"COUNT": 0.0}}] * points}


async def test_nothing_is_told_to_anybody(ui: MLflow) -> None:
    assert (await ui.get("ui-telemetry"))["disable_ui_telemetry"] is True
    assert await ui("ui-telemetry", records=[{"event_name": "click"}]) == {"status": "disabled"}


async def test_there_is_no_gateway_and_no_assistant(ui: MLflow, http: httpx.AsyncClient) -> None:
    assert (await ui.get("server-info"))["features_enabled"] == {"gateway": False}
    gateway = MLflow(http, "/ajax-api/2.0/mlflow/")
    assert await gateway.get("gateway-proxy", gateway_path="api/2.0/endpoints/") == {"endpoints": []}
    assert (await ui.get("assistant/config"))["remote_access_allowed"] is False
    assert await ui.get("assistant/providers") == {"providers": []}


@pytest.mark.parametrize(
    "path",
    [
        *("3.0/mlflow/mcp-servers", "3.0/mlflow/gateway/secrets/list", "3.0/mlflow/gateway/endpoints/list"),
        *("3.0/mlflow/gateway/model-definitions/list", "3.0/mlflow/gateway/endpoints/bindings/list"),
        *("2.0/mlflow/webhooks", "3.0/mlflow/review-queues/list", "3.0/mlflow/label-schemas/list"),
    ],
)
async def test_other_lists_are_empty(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(f"/ajax-api/{path}", params={"max_results": 25})
    assert (answer.status_code, answer.json()) == (200, {})


async def test_clients_are_told_that_there_is_none_of_it(http: httpx.AsyncClient) -> None:
    """They then fall back, or say so."""
    client = MLflow(http, "/api/3.0/mlflow/")
    for path in ("traces/search", "traces/metrics", "datasets/search"):
        assert "No endpoint" in await client.refused(path, "ENDPOINT_NOT_FOUND")
