"""The native API of the whole application, as its callers use it, on both databases."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
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
def native_settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A server's settings, with a database at the schema of this release."""
    folder = tmp_path_factory.mktemp("native")
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'test.db'}"
    else:
        url = fresh_postgres(request.getfixturevalue("postgres_url"), "native")
    schema.upgrade(db.parse_url(url))
    return Settings(
        database_url=url, artifacts_destination=str(folder / "artifacts"), secret_key_file=str(folder / "secret.key")
    )


@pytest.fixture(scope="session")
async def native_http(native_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running application, in access mode open: without credentials it is the local owner."""
    app = create_app(native_settings)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:5000") as client,
    ):
        yield client


@dataclass
class Api:
    """The native API as calls of one caller. Each fails unless the answer has the expected status."""

    http: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)
    user_id: str = ""

    async def call(self, method: str, path: str, expect: int, **sent: Any) -> Any:
        answer = await self.http.request(method, f"/api{path}", headers=self.headers, **sent)
        assert answer.status_code == expect, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    async def get(self, path: str, expect: int = 200, **query: Any) -> Any:
        return await self.call("GET", path, expect, params=query)

    async def post(self, path: str, body: object, expect: int = 201) -> Any:
        return await self.call("POST", path, expect, json=body)

    async def put(self, path: str, body: object, expect: int = 200) -> Any:
        return await self.call("PUT", path, expect, json=body)

    async def delete(self, path: str, expect: int = 204, **query: Any) -> Any:
        return await self.call("DELETE", path, expect, params=query)

    async def mlflow(self, path: str, expect: int = 200, method: str = "POST", **fields: Any) -> Any:
        """A call of MLflow's API by the same caller: a POST, or a GET with the fields in its query."""
        sent: dict[str, Any] = {"params": fields} if method == "GET" else {"json": fields}
        return await self.call(method, f"/2.0/mlflow/{path}", expect, **sent)

    async def org(self) -> str:
        """The id of a new organisation of this caller."""
        org_id: str = (await self.post("/orgs", {"name": f"org {next(_numbers)}"}))["org_id"]
        return org_id

    async def project(self) -> str:
        """The id of a new project of this caller, in an organisation of its own."""
        name = f"project {next(_numbers)}"
        project_id: str = (await self.post("/projects", {"org_id": await self.org(), "name": name}))["project_id"]
        return project_id

    async def register(self) -> Api:
        """Somebody else, with no role anywhere."""
        number = next(_numbers)
        account = {"email": f"user{number}@example.org", "full_name": f"User {number}", "password": "correct horse"}
        made = await self.post("/auth/register", account)
        return Api(self.http, {"Authorization": f"Bearer {made['access_token']}"}, made["user_id"])

    async def member(self, project_id: str, role: str) -> Api:
        """Somebody else, with this role in a project of this caller."""
        other = await self.register()
        await self.post("/project-members", {"project_id": project_id, "user_id": other.user_id, "role": role})
        return other


async def in_workspace(api: Api, project_id: str) -> Api:
    """The same caller, whose calls of MLflow's API are about this project."""
    slug = (await api.get(f"/projects/{project_id}"))["slug"]
    return replace(api, headers={**api.headers, "X-MLFLOW-WORKSPACE": slug})


@pytest.fixture
def api(native_http: httpx.AsyncClient) -> Api:
    """The local owner."""
    return Api(native_http)


@pytest.fixture
async def project_id(api: Api) -> str:
    """The id of a project of the local owner."""
    return await api.project()


@pytest.fixture
async def home(api: Api, project_id: str) -> Api:
    """The local owner, whose calls of MLflow's API are about that project."""
    return await in_workspace(api, project_id)


@pytest.fixture
async def experiment(home: Api, project_id: str) -> Any:
    """An experiment in that project."""
    return await home.post("/experiments", {"project_id": project_id, "name": "e"})
