"""A server that wants credentials, with an administrator, an editor and a viewer of its default project."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx
import pytest

from native_api.core import audit, db, passwords, users
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.members import OF_PROJECTS
from native_api.core.users import NewUser
from native_api.settings import Settings
from shim.app import create_app
from shim.cli import prepare_accounts

PASSWORD = "correct horse battery"
HOST = "http://tracking.example.org"

Browser = Callable[[], httpx.AsyncClient]


@pytest.fixture(scope="session")
async def browser(settings: Settings) -> AsyncIterator[Browser]:
    """`async with browser() as page:` is a new browser, which says on whose page a form or a call begins."""
    required = replace(settings, access="required", admin_email="boss@example.org", admin_password=PASSWORD)
    engine = db.create_writer(db.parse_url(settings.database_url))
    prepare_accounts(engine, required)
    with audit.transaction(engine) as conn:
        (boss,) = conn.exec_driver_sql("SELECT user_id FROM users WHERE email = 'boss@example.org'").scalars()
        project_id, org_id = conn.exec_driver_sql(
            "SELECT project_id, org_id FROM ml_projects WHERE slug = 'default'"
        ).one()
        actor = Actor(boss, project_id, {project_id: Scope.ADMIN}, Scope.ADMIN, {org_id: OrgRole.OWNER})
        for role in ("editor", "viewer"):
            new = NewUser(f"{role}@example.org", f"The {role}", passwords.make_hash(PASSWORD))
            OF_PROJECTS.add(conn, actor, project_id, users.register(conn, new).user_id, role)
        outsider = NewUser("outsider@example.org", "An outsider", passwords.make_hash(PASSWORD))
        users.register(conn, outsider)
    engine.dispose()
    app = create_app(required)
    async with app.lifespan():
        transport = httpx.ASGITransport(app)
        yield lambda: httpx.AsyncClient(transport=transport, base_url=HOST, headers={"origin": HOST})


async def log_in(page: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    """What the form to log in answers."""
    return await page.post("/login", data={"name": name, "password": password})
