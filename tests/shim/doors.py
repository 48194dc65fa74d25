"""Doors: rows of our lists under their prefixes, with a good request to each, and what their refusals look like."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from typing import Any, NamedTuple

from native_api.web.endpoint import Row, Surface
from tests.asgi import Answer, Caller

TRACKING = "/api/2.0/mlflow"
WORKSPACES = "/api/3.0/mlflow/workspaces"
WORKSPACE = "door"
numbers = itertools.count()


REFUSED = {
    **dict.fromkeys(["/mpu/create/{folder:path}", "/mpu/complete/{folder:path}", "/mpu/abort/{folder:path}"], 501),
    **dict.fromkeys(["/artifacts/presigned-upload-url", "/artifacts/presigned-download-url"], 400),
    "/presigned/{path:path}": 404,
    "/static-files/{path:path}": 404,
    "/users/current": 404,
    "/users/update-password": 403,
}
"""How good requests are refused: a folder has no addresses, and what is in the place of the path is not there. Where
nobody needs credentials the UI has no user.
"""


class Door(NamedTuple):
    """One row of one surface, under one of its prefixes."""

    surface: Surface
    prefix: str
    row: Row

    @property
    def path(self) -> str:
        """Its whole path, with something in the place of parameters."""
        path = self.row.path.replace("{path:path}", "a.txt").replace("{workspace_name}", WORKSPACE)
        path = path.replace("{folder:path}", "0/a").replace("{tag_key:path}", "k")
        return self.prefix + re.sub("{[a-z_]*}", "f" * 32, path)

    def of(self, target: Target) -> str:
        """The same, with the target's own in the place of parameters."""
        return self._replace(row=replace(self.row, path=self.row.path.replace("{model_id}", target.model))).path

    @property
    def status(self) -> int:
        """What it answers to a good request."""
        if self.row.path in ("/login", "/logout"):
            return 401 if (self.row.method, self.row.path) == ("POST", "/login") else 303
        return REFUSED.get(self.row.path) or getattr(self.row, "status", None) or 200

    def __repr__(self) -> str:
        return f"{self.row.method} {self.path}"


class Target(NamedTuple):
    """An experiment, a run and a model in it, and a registered model with a version 1 and an alias `best`.

    Each has a tag `k`. Beside them there is an empty workspace.
    """

    experiment: str
    run: str
    model: str
    registered: str


async def make_target(call: Caller) -> Target:
    async def made(path: str, fields: dict[str, Any]) -> Any:
        return (await call("POST", TRACKING + path, json.dumps(fields).encode())).json

    tags = [{"key": "k", "value": "v"}]
    experiment = await made("/experiments/create", {"name": f"door {next(numbers)}", "tags": tags})
    run = await made("/runs/create", {**experiment, "tags": tags})
    model = await made("/logged-models", {**experiment, "tags": tags})
    name = {"name": f"door {next(numbers)}"}
    await made("/registered-models/create", name | {"tags": tags})
    await made("/model-versions/create", name | {"source": "s3://b/m", "tags": tags})
    await made("/registered-models/alias", name | {"alias": "best", "version": "1"})
    await call("POST", WORKSPACES, b'{"name": "%s"}' % WORKSPACE.encode())  # if it is not there
    run_id, model_id = run["run"]["info"]["run_id"], model["model"]["info"]["model_id"]
    return Target(experiment["experiment_id"], run_id, model_id, name["name"])


NOTHING = Target("987654321", "f" * 32, "f" * 32, "nothing")


WITHOUT_FIELDS = [
    *("/gateway-proxy", "/ui-telemetry", "/assistant/config", "/assistant/providers"),
    *("/traces/search", "/datasets/search", "/scorers/list", "/webhooks", "/mcp-servers"),
    *("/label-schemas/list", "/review-queues/list"),
    *(f"/gateway/{name}/list" for name in ("secrets", "endpoints", "model-definitions", "endpoints/bindings")),
]


def valid(target: Target) -> dict[str, dict[str, Any]]:
    """A good request to every endpoint that takes a message, with nearly every field."""
    run, experiment = {"run_id": target.run}, {"experiment_id": target.experiment}
    registered = {"name": target.registered}
    version = registered | {"version": "1"}
    tag = {"key": "t", "value": "v"}
    measured = {"model_id": target.model, "dataset_name": "n", "dataset_digest": "d"}
    point = {"key": "m", "value": 0.5, "timestamp": 7, "step": 3} | measured
    dataset = {"name": "n", "digest": "d", "source_type": "t", "source": "s", "schema": "{}", "profile": "{}"}
    model = {"artifact_path": "m", "flavors": {}, "utc_time_created": "now", "run_id": target.run}
    return {
        "/experiments/create": {"name": f"made {next(numbers)}", "artifact_location": "s3://b/p", "tags": [tag]},
        "/experiments/search": {"max_results": 5, "filter": "name LIKE 'd%'", "order_by": ["name"], "view_type": "ALL"},
        "/experiments/list": {"max_results": 5, "filter": "name LIKE 'd%'", "order_by": ["name"], "view_type": "ALL"},
        "/experiments/get": experiment,
        "/experiments/get-by-name": {"experiment_name": "Default"},
        "/experiments/delete": experiment,
        "/experiments/restore": experiment,
        "/experiments/update": experiment | {"new_name": f"renamed {next(numbers)}"},
        "/experiments/set-experiment-tag": experiment | tag,
        "/experiments/delete-experiment-tag": experiment | {"key": "k"},
        "/experiments/search-datasets": {"experiment_ids": [target.experiment]},
        "/runs/create": experiment | {"user_id": "u", "run_name": "n", "start_time": 5, "tags": [tag]},
        "/runs/update": run | {"status": "FINISHED", "end_time": 9, "run_name": "new"},
        "/runs/delete": run,
        "/runs/restore": run,
        "/runs/log-metric": run | point,
        "/runs/log-parameter": run | {"key": "p", "value": "v"},
        "/runs/set-tag": run | tag,
        "/runs/delete-tag": run | {"key": "k"},
        "/runs/get": run,
        "/runs/search": {
            **{"experiment_ids": [target.experiment], "filter": "metrics.m > 0", "order_by": ["metrics.m DESC"]},
            **{"max_results": 5, "run_view_type": "ALL"},
        },
        "/runs/log-batch": run | {"metrics": [point], "params": [{"key": "q", "value": "v"}], "tags": [tag]},
        "/runs/log-model": run | {"model_json": json.dumps(model)},
        "/runs/log-inputs": run | {"datasets": [{"dataset": dataset, "tags": [tag]}], "models": [{"model_id": "m-1"}]},
        "/runs/outputs": run | {"models": [{"model_id": "m-1", "step": 1}]},
        "/metrics/get-history": run | {"metric_key": "m", "max_results": 5},
        "/metrics/get-history-bulk": {"run_id": [target.run], "metric_key": "m", "max_results": 5},
        "/metrics/get-history-bulk-interval": {
            **{"run_ids": [target.run], "metric_key": "m"},
            **{"start_step": 0, "end_step": 9, "max_results": 5},
        },
        "/artifacts": {"path": f"{target.experiment}/{target.run}/artifacts"},
        "/artifacts/list": run | {"path": "a/b"},
        "/artifacts/presigned-upload-url": run | {"path": "a", "expiration": 5},
        "/artifacts/presigned-download-url": run | {"path": "a", "expiration": 5},
        "/logged-models/{model_id}/artifacts/directories": {"artifact_directory_path": "a"},
        "/mpu/create/{folder:path}": {"path": "a", "num_parts": 2},
        "/mpu/complete/{folder:path}": {"path": "a", "upload_id": "u", "parts": [{"part_number": 1, "etag": "e"}]},
        "/mpu/abort/{folder:path}": {"path": "a", "upload_id": "u"},
        "/presigned/{path:path}": {},
        "/logged-models": {
            **(experiment | {"name": "m", "model_type": "t", "source_run_id": target.run}),
            **{"params": [tag], "tags": [tag]},
        },
        "/logged-models/search": {
            **{"experiment_ids": [target.experiment], "filter": "metrics.m > 0", "max_results": 5},
            **{"datasets": [{"dataset_name": "n", "dataset_digest": "d"}]},
            **{"order_by": [{"field_name": "metrics.m", "dataset_name": "n", "dataset_digest": "d"}]},
        },
        "/logged-models/{model_id}": {"status": "LOGGED_MODEL_READY"},
        "/logged-models/{model_id}/tags": {"tags": [tag]},
        "/logged-models/{model_id}/tags/{tag_key:path}": {},
        "/logged-models/{model_id}/params": {"params": [tag]},
        "/registered-models/create": {"name": f"made {next(numbers)}", "tags": [tag], "description": "d"},
        "/registered-models/rename": registered | {"new_name": f"renamed {next(numbers)}"},
        "/registered-models/update": registered | {"description": "d"},
        "/registered-models/delete": registered,
        "/registered-models/get": registered,
        "/registered-models/search": {"filter": "name LIKE 'd%'", "max_results": 5, "order_by": ["name"]},
        "/registered-models/list": {"max_results": 5, "filter": "name LIKE 'd%'", "order_by": ["name"]},
        "/registered-models/get-latest-versions": registered | {"stages": ["None"]},
        "/registered-models/set-tag": registered | tag,
        "/registered-models/delete-tag": registered | {"key": "k"},
        "/registered-models/alias": version | {"alias": "best"},
        "/model-versions/create": {
            **registered,
            **{"source": "s3://b/m", "run_id": target.run, "run_link": "l", "tags": [tag], "description": "d"},
        },
        "/model-versions/update": version | {"description": "d"},
        "/model-versions/transition-stage": version | {"stage": "Staging", "archive_existing_versions": True},
        "/model-versions/delete": version,
        "/model-versions/get": version,
        "/model-versions/get-download-uri": version,
        "/model-versions/search": {"filter": "name LIKE 'd%'", "max_results": 5, "order_by": ["name"]},
        "/model-versions/set-tag": version | tag,
        "/model-versions/delete-tag": version | {"key": "k"},
        "/server-info": {},
        "/graphql": {"operation_name": "GetRun", "query": "query GetRun", "variables": {"data": {"runId": target.run}}},
        "/users/update-password": {"username": "a", "password": "a" * 8, "current_password": "b"},
        "/users/current/permissions": {},
        "/users/roles/list": {"username": ""},
        "/traces/metrics": {
            **{"metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}]},
            **{"time_interval_seconds": 60, "dimensions": ["name"]},
        },
        **{path: {} for path in WITHOUT_FIELDS},
        "/workspaces": {"name": f"door-{next(numbers)}", "description": "d"},
        "/workspaces/{workspace_name}": {"description": "d"},
    }


# What a refusal looks like

LEAK = re.compile(rb"Traceback|SELECT |INSERT |UPDATE |psycopg|sqlite|sqlalchemy|pydantic|site-packages|\.py\b|/tmp/")


def check(answer: Answer, door: Door, *statuses: int) -> None:
    """One of the statuses; without any, all but those of failures. And a refusal is in the shape of its surface."""
    refused = REFUSED.get(door.row.path)
    assert answer.status in statuses or (not statuses and (200 <= answer.status < 500 or answer.status == refused)), (
        door.path,
        answer,
    )
    assert answer.headers[b"x-content-type-options"] == b"nosniff"
    if answer.status < 300:
        return
    assert not LEAK.search(answer.body), answer.body
    if answer.status == 303 or answer.headers[b"content-type"].startswith(b"text/html"):
        assert door.row.path in ("/login", "/logout")  # pages, whose tests are in ui/test_pages.py
        return
    assert answer.headers[b"content-type"] == b"application/json"
    told = answer.json
    assert told.keys() == {"error_code", "message"}
    assert re.fullmatch("[A-Z_]+", told["error_code"])
    assert told["message"]
