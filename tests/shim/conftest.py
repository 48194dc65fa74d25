"""The whole application, driven over ASGI, on a database of its own of each kind."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from native_api.core import db, schema
from native_api.settings import Settings
from shim.app import create_app
from tests.conftest import fresh_postgres

_numbers = itertools.count()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A server's settings, with a database at the schema of this release."""
    folder = tmp_path_factory.mktemp("server")
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'test.db'}"
    else:
        url = fresh_postgres(request.getfixturevalue("postgres_url"), "server")
    schema.upgrade(db.parse_url(url))
    return Settings(
        database_url=url, artifacts_destination=str(folder / "artifacts"), secret_key_file=str(folder / "secret.key")
    )


@pytest.fixture(scope="session")
async def http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running application."""
    app = create_app(settings)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:5000") as client,
    ):
        yield client


@dataclass
class MLflow:
    """MLflow's API as calls: `await mlflow("runs/get", run_id=...)`."""

    http: httpx.AsyncClient
    prefix: str = "/api/2.0/mlflow/"

    async def send(self, path: str, method: str, fields: dict[str, Any]) -> httpx.Response:
        """A GET with the fields in its query, anything else with them in a JSON body."""
        if method == "GET":
            return await self.http.get(self.prefix + path, params=fields)
        return await self.http.request(method, self.prefix + path, json=fields)

    async def __call__(self, path: str, expect: int = 200, method: str = "POST", **fields: Any) -> Any:
        """The answer's JSON; fails unless its status is the expected one."""
        answer = await self.send(path, method, fields)
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def get(self, path: str, expect: int = 200, **fields: Any) -> Any:
        """The same with a GET."""
        return await self(path, expect, "GET", **fields)

    async def refused(
        self, path: str, code: str = "INVALID_PARAMETER_VALUE", method: str = "POST", **fields: Any
    ) -> str:
        """The message of a refusal with this code."""
        answer = await self.send(path, method, fields)
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.json()["error_code"] == code, answer.text
        message: str = answer.json()["message"]
        return message

    async def experiment(self) -> str:
        """The id of a new experiment."""
        answer = await self("experiments/create", name=f"experiment {next(_numbers)}")
        number: str = answer["experiment_id"]
        return number

    async def run(self, experiment_id: str | None = None, **fields: Any) -> str:
        """The id of a new run."""
        answer = await self("runs/create", experiment_id=experiment_id or await self.experiment(), **fields)
        run_id: str = answer["run"]["info"]["run_id"]
        return run_id

    async def data(self, run_id: str) -> dict[str, dict[str, Any]]:
        """A run's metrics, params and tags by key."""
        run = (await self.get("runs/get", run_id=run_id))["run"]
        return {
            part: {item["key"]: item["value"] for item in run["data"].get(part, [])}
            for part in ("metrics", "params", "tags")
        }


@pytest.fixture
def mlflow(http: httpx.AsyncClient) -> MLflow:
    return MLflow(http)
