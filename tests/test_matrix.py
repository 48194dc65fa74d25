"""Who may do what: every endpoint of both lists, asked by everybody for the things of one project."""

# ruff: noqa: E501 - one row, one line

from __future__ import annotations

import itertools
import re
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, event

from native_api.core import access, audit, db, schema
from native_api.core.access import Scope
from native_api.core.access_tokens import Keys
from native_api.settings import Settings
from native_api.web.auth import Guard
from native_api.web.endpoint import Log, Read, Row, Steps, Stream, Surface, Write
from shim.app import create_app, surfaces
from tests.world import World, build

pytestmark = pytest.mark.anyio

KEY = "the key of this test: long enough to sign"


class Least(IntEnum):
    """The least of P's people for whom a request succeeds."""

    VIEWER = 1
    EDITOR = 2
    ADMIN = 3
    OWNER = 4  # of the organisation, and administrator of the server
    FOUNDER = 5  # of another, which is empty


VIEWER, EDITOR, ADMIN, OWNER, FOUNDER = Least
OF_SCOPE = {Scope.READ: VIEWER, Scope.WRITE: EDITOR, Scope.ADMIN: ADMIN}


@dataclass(frozen=True)
class Ask:
    """A well-formed request for things of P. `{names}` in it are those of the world's ids; so are those in the path.

    With `anyone` others are answered as well, about what is their own. `least` is what the row needs, if not given.
    """

    fields: Any = field(default_factory=dict)
    least: Least | None = None
    anyone: bool = False
    shows: bool = True
    """Whether the answer to a GET shows something of P."""
    sent: dict[str, Any] = field(default_factory=dict)
    """A body that is no JSON, as the client takes it."""
    refused: int | None = None
    """How even those are refused who may: a folder of files is not reached past the server, one's own account only by
    oneself, and the pages send who is not logged in elsewhere.
    """


RUN, NUMBER = {"run_id": "{run_id}"}, {"experiment_id": "{experiment}"}
MODEL = {"name": "{registered_model}"}
VERSION = MODEL | {"version": "1"}
LIST = Ask(anyone=True)
EMPTY = Ask(anyone=True, shows=False)
POINT = {"key": "m", "value": 1, "timestamp": 1, "step": 1}
DATASET = {"dataset": {"name": "d{fresh}", "digest": "1", "source_type": "local", "source": "s"}}

# fmt: off
ASKS: dict[str, dict[str, Ask]] = {
    "tracking": {
        "POST /experiments/create":                Ask({"name": "e{fresh}"}),
        "POST /experiments/search":                Ask({"max_results": 10}),
        "GET /experiments/search":                 Ask({"max_results": 10}),
        "GET /experiments/list":                   Ask(),
        "GET /experiments/get":                    Ask(NUMBER),
        "GET /experiments/get-by-name":            Ask({"experiment_name": "{experiment_name}"}),
        "POST /experiments/delete":                Ask(NUMBER),
        "POST /experiments/restore":               Ask({"experiment_id": "{gone_experiment}"}),
        "POST /experiments/update":                Ask(NUMBER | {"new_name": "e{fresh}"}),
        "POST /experiments/set-experiment-tag":    Ask(NUMBER | {"key": "new", "value": "v"}),
        "POST /experiments/delete-experiment-tag": Ask(NUMBER | {"key": "k"}),
        "POST /experiments/search-datasets":       Ask({"experiment_ids": ["{experiment}"]}),
        "POST /runs/create":                       Ask(NUMBER),
        "POST /runs/update":                       Ask(RUN | {"status": "FINISHED"}),
        "POST /runs/delete":                       Ask(RUN),
        "POST /runs/restore":                      Ask({"run_id": "{gone_run_id}"}),
        "POST /runs/log-metric":                   Ask(RUN | POINT),
        "POST /runs/log-parameter":                Ask(RUN | {"key": "new", "value": "v"}),
        "POST /runs/set-tag":                      Ask(RUN | {"key": "new", "value": "v"}),
        "POST /runs/delete-tag":                   Ask(RUN | {"key": "k"}),
        "GET /runs/get":                           Ask(RUN),
        "POST /runs/search":                       Ask({"experiment_ids": ["{experiment}"]}),
        "POST /runs/log-batch":                    Ask(RUN | {"metrics": [POINT]}),
        "POST /runs/log-model":                    Ask(RUN | {"model_json": '{{"run_id": "{run_id}", "artifact_path": "m", "utc_time_created": "now", "flavors": {{}}}}'}),
        "POST /runs/log-inputs":                   Ask(RUN | {"datasets": [DATASET]}),
        "POST /runs/outputs":                      Ask(RUN | {"models": [{"model_id": "m-1"}]}),
        "GET /metrics/get-history":                Ask(RUN | {"metric_key": "{metric_key}"}),
        "GET /metrics/get-history-bulk":           Ask({"run_id": ["{run_id}"], "metric_key": "{metric_key}"}),
        "GET /metrics/get-history-bulk-interval":  Ask({"run_ids": ["{run_id}"], "metric_key": "{metric_key}"}),
        "GET /artifacts/list":                     Ask(RUN),
        "POST /artifacts/presigned-upload-url":    Ask(RUN | {"path": "new"}, refused=400),
        "POST /artifacts/presigned-download-url":  Ask(RUN | {"path": "{file}"}, refused=400),
        "POST /upload-artifact":                   Ask(sent={"params": {"run_uuid": "{run_id}", "path": "new"}, "content": b"new"}),
        "GET /logged-models/{model_id}/artifacts/directories": Ask(),
        "GET /logged-models/{model_id}/artifacts/files":       Ask({"artifact_file_path": "{file}"}),
    },
    "logged models": {
        "POST /logged-models":                     Ask(NUMBER | {"name": "new"}),
        "POST /logged-models/search":              Ask({"experiment_ids": ["{experiment}"]}),
        "GET /logged-models/{model_id}":           Ask(),
        "PATCH /logged-models/{model_id}":         Ask({"status": "LOGGED_MODEL_READY"}),
        "DELETE /logged-models/{model_id}":        Ask(),
        "PATCH /logged-models/{model_id}/tags":    Ask({"tags": [{"key": "new", "value": "v"}]}),
        "DELETE /logged-models/{model_id}/tags/{tag_key:path}": Ask({"tag_key": "k"}),
        "POST /logged-models/{model_id}/params":   Ask({"params": [{"key": "new", "value": "v"}]}),
    },
    "model registry": {
        "POST /registered-models/create":              Ask({"name": "m{fresh}"}),
        "POST /registered-models/rename":              Ask(MODEL | {"new_name": "m{fresh}"}),
        "PATCH /registered-models/update":             Ask(MODEL | {"description": "new"}),
        "DELETE /registered-models/delete":            Ask(MODEL),
        "GET /registered-models/get":                  Ask(MODEL),
        "GET /registered-models/search":               Ask(),
        "GET /registered-models/list":                 Ask(),
        "POST /registered-models/get-latest-versions": Ask(MODEL),
        "GET /registered-models/get-latest-versions":  Ask(MODEL),
        "POST /registered-models/set-tag":             Ask(MODEL | {"key": "new", "value": "v"}),
        "DELETE /registered-models/delete-tag":        Ask(MODEL | {"key": "k"}),
        "POST /registered-models/alias":               Ask(VERSION | {"alias": "new"}),
        "DELETE /registered-models/alias":             Ask(MODEL | {"alias": "best"}),
        "GET /registered-models/alias":                Ask(MODEL | {"alias": "best"}),
        "POST /model-versions/create":                 Ask(MODEL | {"source": "s3://new/model"}),
        "PATCH /model-versions/update":                Ask(VERSION | {"description": "new"}),
        "POST /model-versions/transition-stage":       Ask(VERSION | {"stage": "Staging"}),
        "DELETE /model-versions/delete":               Ask(VERSION),
        "GET /model-versions/get":                     Ask(VERSION),
        "GET /model-versions/search":                  Ask(),
        "GET /model-versions/get-download-uri":        Ask(VERSION),
        "POST /model-versions/set-tag":                Ask(VERSION | {"key": "new", "value": "v"}),
        "DELETE /model-versions/delete-tag":           Ask(VERSION | {"key": "k"}),
    },
    "tracking 3.0": {"GET /server-info": Ask()},
    "artifact proxy": {
        "GET /artifacts":                          Ask({"path": "{folder}"}),
        "GET /artifacts/{path:path}":              Ask(),
        "PUT /artifacts/{path:path}":              Ask(sent={"content": b"new"}),
        "DELETE /artifacts/{path:path}":           Ask(),
        "POST /mpu/create/{folder:path}":          Ask({"path": "new"}, refused=501),
        "POST /mpu/complete/{folder:path}":        Ask({"path": "new", "upload_id": "x", "parts": [{"part_number": 1}]}, refused=501),
        "POST /mpu/abort/{folder:path}":           Ask({"path": "new", "upload_id": "x"}, refused=501),
        "GET /presigned/{path:path}":              Ask(refused=501),
    },
    "UI at the root": {
        "POST /graphql":                           Ask({"operationName": "MlflowGetExperimentQuery", "variables": {"input": {"experimentId": "{experiment}"}}}),
        "GET /get-artifact":                       Ask(RUN | {"path": "{file}"}),
        "GET /model-versions/get-artifact":        Ask({"name": "{model_name}", "version": "1", "path": "{file}"}),
    },
    "UI 2.0": {
        "GET /users/current":                      Ask(refused=401),
        "PATCH /users/update-password":            Ask({"username": "another", "password": "correct horse", "current_password": "c"}, refused=403),
        "GET /gateway-proxy":                      EMPTY,
        "POST /gateway-proxy":                     EMPTY,
        "GET /webhooks":                           EMPTY,
    },
    "UI 3.0": {
        "GET /server-info":                        EMPTY,
        "GET /users/current/permissions":          LIST,
        "GET /users/roles/list":                   Ask({"username": "another"}, refused=403),
        "GET /ui-telemetry":                       EMPTY,
        "POST /ui-telemetry":                      EMPTY,
        "GET /assistant/config":                   EMPTY,
        "GET /assistant/providers":                EMPTY,
        "POST /traces/search":                     EMPTY,
        "POST /traces/metrics":                    EMPTY,
        "POST /datasets/search":                   EMPTY,
        "GET /scorers/list":                       EMPTY,
        "GET /label-schemas/list":                 EMPTY,
        "GET /review-queues/list":                 EMPTY,
        "GET /mcp-servers":                        EMPTY,
        "GET /gateway/secrets/list":               EMPTY,
        "GET /gateway/endpoints/list":             EMPTY,
        "GET /gateway/model-definitions/list":     EMPTY,
        "GET /gateway/endpoints/bindings/list":    EMPTY,
    },
    "pages": {
        "GET /":                                   Ask(refused=303),
        "GET /static-files/{path:path}":           Ask({"path": "nothing.js"}, refused=404),
        "GET /login":                              Ask(),
        "POST /login":                             Ask(sent={"data": {"name": "nobody", "password": "wrong"}}, refused=401),
        "POST /logout":                            Ask(refused=303),
        "GET /health":                             Ask(),
        "GET /ready":                              Ask(),
        "GET /version":                            Ask(),
    },
    "workspaces": {
        "GET /workspaces":                         LIST,
        "POST /workspaces":                        Ask({"name": "w{fresh}"}, OWNER, anyone=True),
        "GET /workspaces/{workspace_name}":        Ask(),
        "PATCH /workspaces/{workspace_name}":      Ask({"description": "new"}),
        "DELETE /workspaces/{workspace_name}":     Ask({"mode": "CASCADE"}),
    },
    "native": {
        "POST /auth/register":                     Ask({"email": "new{fresh}@example.org", "full_name": "new", "password": "correct horse"}),
        "POST /auth/login":                        Ask({"email": "nobody", "password": "wrong"}, refused=401),
        "POST /auth/token":                        Ask(sent={"data": {"username": "nobody", "password": "wrong"}}, refused=401),
        "GET /users":                              LIST,
        "POST /users":                             Ask({"email": "new{fresh}@example.org", "full_name": "new"}, OWNER),
        "GET /users/{user_id}":                    Ask(),
        "PUT /users/{user_id}":                    Ask({"full_name": "new"}, OWNER),
        "POST /users/{user_id}/deactivate":        Ask({}, OWNER),
        "GET /tokens":                             Ask({}, ADMIN, anyone=True),
        "POST /tokens":                            Ask({"name": "new", "user_id": "{service_id}"}, ADMIN),
        "GET /tokens/{token_id}":                  Ask({}, ADMIN),
        "DELETE /tokens/{token_id}":               Ask({}, ADMIN),
        "GET /orgs":                               Ask({}, OWNER, anyone=True),
        "POST /orgs":                              Ask({"name": "o{fresh}"}, VIEWER, anyone=True),
        "GET /orgs/{org_id}":                      Ask({}, OWNER),
        "PUT /orgs/{org_id}":                      Ask({"description": "new"}, OWNER),
        "DELETE /orgs/{org_id}":                   Ask({"org_id": "{empty_org_id}"}, FOUNDER),
        "GET /org-members":                        Ask({"org_id": "{org_id}"}, OWNER, anyone=True),
        "POST /org-members":                       Ask({"org_id": "{org_id}", "user_id": "{newcomer_id}", "role": "member"}, OWNER),
        "GET /org-members/{org_member_id}":        Ask({}, OWNER),
        "PUT /org-members/{org_member_id}":        Ask({"role": "admin"}, OWNER),
        "DELETE /org-members/{org_member_id}":     Ask({}, OWNER),
        "GET /projects":                           LIST,
        "POST /projects":                          Ask({"org_id": "{org_id}", "name": "p{fresh}"}, OWNER),
        "GET /projects/{project_id}":              Ask(),
        "PUT /projects/{project_id}":              Ask({"description": "new"}),
        "DELETE /projects/{project_id}":           Ask(),
        "GET /project-members":                    Ask({"project_id": "{project_id}"}, anyone=True),
        "POST /project-members":                   Ask({"project_id": "{project_id}", "user_id": "{newcomer_id}", "role": "viewer"}),
        "GET /project-members/{project_member_id}":    Ask(),
        "PUT /project-members/{project_member_id}":    Ask({"role": "admin"}),
        "DELETE /project-members/{project_member_id}": Ask(),
        "GET /datasets":                           LIST,
        "POST /datasets":                          Ask({"project_id": "{project_id}", "name": "new"}),
        "GET /datasets/{dataset_id}":              Ask(),
        "PUT /datasets/{dataset_id}":              Ask({"description": "new"}),
        "DELETE /datasets/{dataset_id}":           Ask({"dataset_id": "{unused_dataset_id}"}),
        "GET /dataset-versions":                   Ask({"dataset_id": "{dataset_id}"}, anyone=True),
        "POST /dataset-versions":                  Ask({"dataset_id": "{dataset_id}", "version_label": "new", "content_hash": "new"}),
        "GET /dataset-versions/{dataset_version_id}":    Ask(),
        "PUT /dataset-versions/{dataset_version_id}":    Ask({"row_count": 1}),
        "DELETE /dataset-versions/{dataset_version_id}": Ask(),
        "GET /metric-definitions":                 Ask({}, VIEWER, anyone=True, shows=False),
        "POST /metric-definitions":                Ask({"key": "k{fresh}"}, EDITOR, anyone=True),
        "GET /metric-definitions/{metric_id}":     Ask({}, VIEWER, anyone=True, shows=False),
        "PUT /metric-definitions/{metric_id}":     Ask({"unit": "m"}, ADMIN),
        "DELETE /metric-definitions/{metric_id}":  Ask({}, ADMIN),
        "GET /experiments":                        LIST,
        "POST /experiments":                       Ask({"project_id": "{project_id}", "name": "new"}),
        "GET /experiments/{experiment_id}":        Ask(),
        "PUT /experiments/{experiment_id}":        Ask({"objective": "new"}),
        "DELETE /experiments/{experiment_id}":     Ask(),
        "GET /runs":                               LIST,
        "POST /runs":                              Ask({"experiment_id": "{experiment_id}"}),
        "GET /runs/{run_id}":                      Ask(),
        "PUT /runs/{run_id}":                      Ask({"notes": "new"}),
        "DELETE /runs/{run_id}":                   Ask(),
        "POST /runs/{run_id}/complete":            Ask(),
        "POST /runs/{run_id}/metrics":             Ask([{"metric_key": "new", "value": 1.0, "step": 1}]),
        "GET /runs/{run_id}/metrics":              Ask(),
        "GET /run-configs/{run_id}":               Ask(),
        "PUT /run-configs/{run_id}":               Ask({"seed": 1}),
        "GET /artifacts":                          LIST,
        "POST /artifacts":                         Ask({"project_id": "{project_id}", "uri": "s3://new"}),
        "GET /artifacts/{artifact_id}":            Ask(),
        "PUT /artifacts/{artifact_id}":            Ask({"uri": "s3://new"}),
        "DELETE /artifacts/{artifact_id}":         Ask(),
        "GET /run-artifacts":                      Ask({"run_id": "{run_id}"}, anyone=True),
        "POST /run-artifacts":                     Ask({"run_id": "{run_id}", "artifact_id": "{artifact_id}"}),
        "GET /run-artifacts/{run_artifact_id}":    Ask(),
        "PUT /run-artifacts/{run_artifact_id}":    Ask({"alias": "new"}),
        "DELETE /run-artifacts/{run_artifact_id}": Ask(),
        "GET /models":                             LIST,
        "POST /models":                            Ask({"project_id": "{project_id}", "name": "m{fresh}"}),
        "GET /models/{name}":                      Ask(MODEL),
        "PUT /models/{name}":                      Ask(MODEL | {"description": "new"}),
        "DELETE /models/{name}":                   Ask(MODEL),
        "GET /models/{name}/versions":             Ask(MODEL),
        "POST /models/{name}/versions":            Ask(MODEL | {"source": "s3://new/model"}),
        "GET /models/{name}/versions/{version}":   Ask(VERSION),
        "PUT /models/{name}/versions/{version}":   Ask(VERSION | {"stage": "staging"}),
        "DELETE /models/{name}/versions/{version}": Ask(VERSION),
        "GET /models/{name}/aliases/{alias}":      Ask(MODEL | {"alias": "best"}),
        "PUT /models/{name}/aliases/{alias}":      Ask(MODEL | {"alias": "new", "version": 1}),
        "DELETE /models/{name}/aliases/{alias}":   Ask(MODEL | {"alias": "best"}),
        "POST /batch-import":                      Ask({}, EDITOR, anyone=True, sent={"data": {"job_type": "datasets", "format": "csv"}, "files": {"file": ("d.csv", "project_id,name\n{project_id},new\n")}}),
        "GET /batch-import-jobs":                  Ask({}, ADMIN, anyone=True),
        "GET /batch-import-jobs/{job_id}":         Ask({}, ADMIN),
        "GET /batch-import-errors":                Ask({"job_id": "{job_id}"}, ADMIN, shows=False),
        "GET /reports/experiments/{experiment_id}/leaderboard": Ask({"metric_key": "{metric_key}"}),
        "GET /reports/experiments/{experiment_id}/best-run":    Ask({"metric_key": "{metric_key}"}),
        "GET /reports/projects/{project_id}/dashboard":         Ask(),
        "GET /audit-log":                          LIST,
        "GET /openapi.json":                       Ask(),
        "GET /docs":                               Ask(),
        "GET /docs/page.js":                       Ask(),
        "GET /docs/page.css":                      Ask(),
    },
}
# fmt: on

PUBLIC = {
    *("GET /", "GET /static-files/{path:path}", "GET /login", "POST /login", "POST /logout"),
    *("GET /health", "GET /ready", "GET /version"),
    *("GET /api/3.0/mlflow/server-info", "GET /ajax-api/2.0/mlflow/users/current"),
    *("POST /api/auth/register", "POST /api/auth/login", "POST /api/auth/token"),
    *("GET /api/openapi.json", "GET /api/docs", "GET /api/docs/page.js", "GET /api/docs/page.css"),
}
"""What needs no caller."""


class Listed(NamedTuple):
    """A row of one of the lists, under one of its prefixes."""

    surface: str
    prefix: str
    row: Row

    def __str__(self) -> str:
        return f"{self.row.method} {self.prefix}{self.row.path}"

    @property
    def name(self) -> str:
        return f"{self.row.method} {self.row.path}"

    @property
    def is_mlflow(self) -> bool:
        """Whether it works in the workspace that the caller names."""
        return self.surface not in ("native", "workspaces", "UI 2.0", "UI 3.0")

    @property
    def only_reads(self) -> bool:
        return isinstance(self.row, Read) or self.row.method == "GET"


def listed() -> list[Listed]:
    """Every row of every surface, under each prefix."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(artifacts_destination=folder)
        found: list[Surface] = surfaces(settings, Guard(Keys([KEY]), is_open=False))
    return [Listed(s.name, prefix, row) for s in found for prefix in s.prefixes for row in s.endpoints]


LISTED = listed()


# The server and what is in it


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Place:
    """A running server that wants credentials, and its database."""

    client: httpx.AsyncClient
    engine: Engine
    files: Path
    keys: Keys
    raw: sqlite3.Connection
    fresh: Iterator[int] = field(default_factory=itertools.count)

    def world(self) -> World:
        with self.engine.connect() as conn:
            with conn.begin():
                world = build(conn, self.files)
                audit.write(conn)
            db.run_after_commit(conn)
            db.memory(conn, access.Changes).note()
        return world

    def version(self) -> int:
        """Another one whenever somebody has changed the database."""
        (version,) = self.raw.execute("PRAGMA data_version").fetchone()
        return int(version)

    def contents(self) -> dict[str, set[tuple[Any, ...]]]:
        """Every row of every table."""
        return {name: set(self.raw.execute(f'SELECT * FROM "{name}"')) for name in self.tables()}

    def tables(self) -> list[str]:
        rows = self.raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return [name for (name,) in rows]

    async def ask(self, row: Listed, world: World, caller: str | None, workspace: str = "P") -> httpx.Response:
        """The answer to the row's request, sent by a caller of that world."""
        token = f"Bearer {self.keys.issue(world.callers[caller], 5)}" if caller else ""
        return await self.send(row, world, {"Authorization": token} if token else {}, workspace)

    async def send(self, row: Listed, world: World, headers: dict[str, str], workspace: str = "P") -> httpx.Response:
        request, names = ASKS[row.surface][row.name], world.ids | {"fresh": str(next(self.fresh))}
        fields = filled(request.fields, names)
        in_path = re.findall(r"{(\w+)(?::path)?}", row.row.path)
        path = row.prefix + row.row.path
        for name in in_path:
            value = fields.pop(name, None) if isinstance(fields, dict) else None
            path = re.sub(rf"{{{name}(:path)?}}", value or names[name], path)
        sent = filled(request.sent, names)
        if not sent and row.row.method in ("GET", "DELETE"):
            sent = {"params": fields}
        elif not sent:
            sent = {"json": fields}
        headers = headers | {"X-MLFLOW-WORKSPACE": world.workspaces[workspace]}
        return await self.client.request(row.row.method, path, headers=headers, **sent)


def filled(value: Any, names: dict[str, str]) -> Any:
    """The value with the names in its texts filled in."""
    if isinstance(value, str):
        return value.format_map(names)
    if isinstance(value, dict):
        return {key: filled(part, names) for key, part in value.items()}
    return type(value)(filled(part, names) for part in value) if isinstance(value, list | tuple) else value


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("matrix")
    url = f"sqlite:///{folder / 'test.db'}"
    schema.upgrade(db.parse_url(url))
    settings = Settings(
        database_url=url, access="required", secret_key=KEY, artifacts_destination=str(folder / "artifacts")
    )
    app = create_app(settings)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    engine = db.create_writer(db.parse_url(url))
    event.listen(engine, "connect", lambda conn, _: conn.execute("PRAGMA synchronous = OFF"))
    raw = sqlite3.connect(folder / "test.db", isolation_level=None)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost:5000") as client:
        yield Place(client, engine, folder / "artifacts", Keys([KEY]), raw)
    engine.dispose()
    raw.close()


def shown(answer: httpx.Response, world: World) -> bool:
    """Whether the answer holds something of P."""
    ids = [text for text in world.ids.values() if len(text) == 32]
    return any(text in answer.text for text in (world.mark, *ids, *(str(UUID(text)) for text in ids)))


Contents = dict[str, set[tuple[Any, ...]]]


def is_unharmed(before: Contents, after: Contents, world: World) -> bool:
    """Whether all that was there is there as it was, and nothing new has to do with P."""
    ids = {text for text in world.ids.values() if len(text) == 32} - {world.ids["newcomer_id"]}
    for table in after.keys() - {"audit_head", "batch_import_errors"}:  # that quotes what the caller sent
        new = after[table] - before[table]
        if not before[table] <= after[table] or any(text in repr(row) for row in new for text in ids):
            return False
    return True


# The rows


def test_every_row_has_a_request_and_every_request_a_row() -> None:
    rows: dict[str, set[str]] = {}
    for row in LISTED:
        rows.setdefault(row.surface, set()).add(row.name)
    assert rows == {surface: set(asks) for surface, asks in ASKS.items()}


def test_what_needs_no_caller_is_known() -> None:
    assert {str(row) for row in LISTED if row.row.needs is Scope.PUBLIC} == PUBLIC


@pytest.mark.parametrize("kind", [Read, Write, Steps])
def test_a_row_cannot_leave_out_what_it_needs(kind: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="needs"):
        kind("GET", "/x", object, print)


@pytest.mark.parametrize("kind", [Stream, Log])
def test_nor_can_one_of_the_other_kinds(kind: Callable[..., object]) -> None:
    given = ("GET", "/x", print) if kind is Stream else ("GET", "/x", object, print)
    with pytest.raises(TypeError, match="needs"):
        kind(*given)


CLOSED = [row for row in LISTED if row.row.needs is not Scope.PUBLIC]


@pytest.mark.parametrize("row", [row for row in LISTED if row.row.needs is Scope.PUBLIC], ids=str)
async def test_what_needs_no_caller_shows_and_changes_nothing(place: Place, row: Listed) -> None:
    world = place.world()
    before = place.contents()
    answer = await place.ask(row, world, None)
    refused = ASKS[row.surface][row.name].refused
    assert answer.status_code == refused or (answer.is_success and not refused), answer.text
    assert not shown(answer, world)
    assert is_unharmed(before, place.contents(), world)


@pytest.mark.parametrize("row", CLOSED, ids=str)
async def test_everybody_gets_what_they_may_have_and_no_more(place: Place, row: Listed) -> None:
    request, world = ASKS[row.surface][row.name], place.world()
    least = request.least or OF_SCOPE[row.row.needs]
    takes_others = request.anyone or row.is_mlflow
    before, version = place.contents() if takes_others and not row.only_reads else {}, place.version()

    for credential in ("", "Bearer mls_unknown", f"Bearer {Keys(['x' * 40]).issue(world.callers['admin'], 5)}"):
        answer = await place.send(row, world, {"Authorization": credential} if credential else {})
        assert answer.status_code == 401, answer.text
    below = [who.name.lower() for who in Least if who < least]
    others = [(who, "P") for who in ("stranger", *below)]
    for who, workspace in [*others, *([("stranger", "elsewhere")] if row.is_mlflow else [])]:
        answer = await place.ask(row, world, who, workspace)
        said = f"{who} got {answer.status_code}: {answer.text}"
        if answer.is_success:
            assert request.anyone or workspace == "elsewhere", said
            assert who != "stranger" or not request.shows or not shown(answer, world), said
        elif who == "stranger" or request.least:
            assert answer.status_code in (403, 404), said
        else:
            assert answer.status_code == 403, said
    assert place.version() == version or (before and is_unharmed(before, place.contents(), world))

    version = place.version()
    for member in [member for member in Least if member == least or least < member <= ADMIN]:
        who = member.name.lower()
        if member > least and not row.only_reads:
            world = place.world()
        answer = await place.ask(row, world, who)
        if request.refused:
            assert answer.status_code == request.refused, f"{who} got {answer.status_code}: {answer.text}"
            continue
        assert answer.is_success, f"{who} got {answer.status_code}: {answer.text}"
        assert row.row.method != "GET" or not request.shows or shown(answer, world)
    assert not row.only_reads or place.version() == version
