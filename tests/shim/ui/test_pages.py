"""The pages that people open: the UI, logging in and logging out."""

from __future__ import annotations

import re
from typing import cast

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from native_api.core.access import NOBODY
from native_api.core.access_tokens import Keys
from native_api.core.errors import NoSuchEndpoint
from native_api.web.auth import Guard
from native_api.web.endpoint import Door
from native_api.web.sessions import Sessions
from shim.ui.pages import Pages
from tests.asgi import Caller
from tests.shim.ui.conftest import HOST, PASSWORD, Browser, log_in

pytestmark = pytest.mark.anyio

SEARCH = "/ajax-api/2.0/mlflow/experiments/search"
CREATE = "/ajax-api/2.0/mlflow/experiments/create"


# Where nobody needs to log in


async def test_the_ui_is_at_the_root_of_the_server_and_of_each_workspace(http: httpx.AsyncClient) -> None:
    for path in ("/", "/workspaces/default/"):
        page = await http.get(path)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert page.headers["cache-control"] == "no-cache"
        (script,) = re.findall(r'src="(static-files/[^"]+)"', page.text)
        assert (await http.get(path + script)).status_code == 200


async def test_a_path_without_its_last_slash_leads_to_the_one_with_it(http: httpx.AsyncClient) -> None:
    """Else what the page names would not be found."""
    answer = await http.get("/workspaces/a%20b")
    assert (answer.status_code, answer.headers["location"]) == (303, "a%20b/")


async def test_nothing_of_the_ui_leaves_the_machine(http: httpx.AsyncClient) -> None:
    policy = (await http.get("/")).headers["content-security-policy"]
    sources = {source for directive in policy.split(";") for source in directive.split()[1:]}
    assert sources == {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"}


async def test_there_is_nothing_to_log_in_to(http: httpx.AsyncClient) -> None:
    answer = await http.get("/login")
    assert (answer.status_code, answer.headers["location"]) == (303, "./")


async def test_without_the_files_of_the_ui_there_is_a_page_that_says_so() -> None:
    pages = Pages(None, Guard(Keys(["k" * 32]), is_open=True), Sessions(5))

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request({**scope, "path_params": {"path": "static/main.js"}}, receive)
        handler = pages.index if scope["path"] == "/" else pages.file
        await (await handler(cast(Door, None), NOBODY, request))(scope, receive, send)

    call = Caller(application)
    page = await call("GET", "/")
    assert page.status == 200
    for words in (b"pip install --no-deps mlflow", b"api/2.0/mlflow", b'href="api/docs"'):
        assert words in page.body
    with pytest.raises(NoSuchEndpoint):
        await call("GET", "/static-files/static/main.js")


# Logging in


async def test_who_is_not_known_is_sent_to_log_in(browser: Browser) -> None:
    async with browser() as page:
        for path in ("/", "/workspaces/default/"):
            answer = await page.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "login")
        form = await page.get("/login")
        assert (form.status_code, form.headers["cache-control"]) == (200, "no-store")
        assert (await page.get(SEARCH, params={"max_results": 5})).status_code == 401


@pytest.mark.parametrize("name", ["viewer@example.org", "VIEWER@example.org", "The viewer"])
async def test_who_logs_in_is_let_in(browser: Browser, name: str) -> None:
    async with browser() as page:
        answer = await log_in(page, name)
        assert (answer.status_code, answer.headers["location"]) == (303, "./")
        assert (await page.get("/")).status_code == 200
        assert (await page.get(SEARCH, params={"max_results": 5})).status_code == 200


async def test_a_session_is_in_a_cookie_that_no_script_reads_and_no_other_site_uses(browser: Browser) -> None:
    async with browser() as page:
        session, companion = (await log_in(page, "viewer@example.org")).headers.get_list("set-cookie")
        assert session.startswith("mlflow_shim_session=")
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=43200"} <= set(session.split("; "))
        assert companion.startswith("mlflow_user=viewer%40example.org;")
        assert "HttpOnly" not in companion
        assert "Secure" not in session + companion


async def test_over_https_the_cookies_are_for_https_only(browser: Browser) -> None:
    async with browser() as page:
        page.headers["origin"] = "https://tracking.example.org"
        for cookie in (await log_in(page, "viewer@example.org")).headers.get_list("set-cookie"):
            assert "Secure" in cookie.split("; ")


async def test_a_wrong_password_shows_the_form_again(browser: Browser) -> None:
    async with browser() as page:
        answer = await log_in(page, 'nobody"><script>alert(1)</script>', "wrong")
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        assert "The user name or the password is wrong" in answer.text
        assert 'value="nobody&quot;&gt;&lt;script&gt;' in answer.text
        assert (await page.get("/")).status_code == 303


async def test_who_tries_too_often_has_to_wait(browser: Browser) -> None:
    async with browser() as page:
        answers = [await log_in(page, "somebody@example.org", f"guess {number}") for number in range(12)]
        assert {answer.status_code for answer in answers} == {401, 429}
        assert "try again in" in answers[-1].text


@pytest.mark.parametrize(
    "content", [b"", b"name=viewer", b"\xff\xfe", b"name=%ff&password=x", b"a=1&" * 20, b"name=" + b"x" * 10_000]
)
async def test_what_is_no_form_lets_nobody_in(browser: Browser, content: bytes) -> None:
    async with browser() as page:
        answer = await page.post("/login", content=content)
        assert answer.status_code in (400, 401)
        assert "set-cookie" not in answer.headers


async def test_the_form_runs_and_shows_only_what_is_in_it(browser: Browser) -> None:
    async with browser() as page:
        form = await page.get("/login")
        policy = form.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert len(re.findall("'sha256-[^']+'", policy)) == form.text.count("<script>") + form.text.count("<style>")


# What a session may do, and from where


async def test_a_viewer_reads_and_an_editor_writes(browser: Browser) -> None:
    for name, status in (("viewer", 403), ("editor", 200)):
        async with browser() as page:
            await log_in(page, f"{name}@example.org")
            assert (await page.post(CREATE, json={"name": f"by {name}"})).status_code == status


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://tracking.example.org:3000", ""])
async def test_no_other_site_writes_with_a_session_or_begins_one(browser: Browser, origin: str) -> None:
    async with browser() as page:
        await log_in(page, "editor@example.org")
        page.headers["origin"] = origin
        assert (await page.post(CREATE, json={"name": f"from {origin}"})).status_code == 403
        assert (await log_in(page, "editor@example.org")).status_code == 403
        assert (await page.post("/logout")).status_code == 403


async def test_no_session_writes_without_saying_from_where(browser: Browser) -> None:
    async with browser() as page:
        await log_in(page, "editor@example.org")
        del page.headers["origin"]
        assert (await page.post(CREATE, json={"name": "from nowhere"})).status_code == 403
        clients = httpx.BasicAuth("editor@example.org", PASSWORD)
        page.cookies.clear()
        assert (await page.post(CREATE, json={"name": "by a client"}, auth=clients)).status_code == 200


async def test_no_browser_asks_for_a_password_in_its_own_way(browser: Browser) -> None:
    """Clients are told which credentials there are; the UI's calls are refused without it."""
    async with browser() as page:
        for path in (SEARCH, "/get-artifact?run_id=a&path=b", "/ajax-api/3.0/mlflow/server-info"):
            refused = await page.get(path)
            assert (refused.status_code, refused.headers.get("www-authenticate")) == (401, None)
        refused = await page.get(SEARCH.replace("ajax-api", "api"))
        assert refused.headers["www-authenticate"] == 'Basic realm="mlflow"'


# Logging out


async def test_who_logs_out_is_not_let_in_again_even_with_the_same_cookies(browser: Browser) -> None:
    async with browser() as page:
        await log_in(page, "viewer@example.org")
        kept = dict(page.cookies)
        answer = await page.post("/logout")
        assert (answer.status_code, answer.headers["location"], dict(page.cookies)) == (303, "login", {})
        page.cookies.update(kept)
        assert (await page.get("/")).status_code == 303
        assert (await page.get(SEARCH, params={"max_results": 5})).status_code == 401
        token = {"authorization": f"Bearer {kept['mlflow_shim_session']}"}
        assert (await page.get(SEARCH, params={"max_results": 5}, headers=token)).status_code == 401


async def test_the_ui_logs_out_by_deleting_its_own_cookie(browser: Browser) -> None:
    """And then asks once more who its user is, before it opens the page anew."""
    async with browser() as page:
        await log_in(page, "viewer@example.org")
        session = page.cookies["mlflow_shim_session"]
        page.cookies.delete("mlflow_user")
        assert (await page.get(SEARCH, params={"max_results": 5})).status_code == 401
        assert (await page.get("/ajax-api/2.0/mlflow/users/current")).status_code == 401
        assert dict(page.cookies) == {}
        page.cookies.update({"mlflow_shim_session": session, "mlflow_user": "viewer@example.org"})
        assert (await page.get("/")).status_code == 303


async def test_logging_out_ends_one_session_only(browser: Browser) -> None:
    async with browser() as page, browser() as other:
        await log_in(page, "viewer@example.org")
        await log_in(other, "viewer@example.org")
        await page.post("/logout")
        assert (await other.get("/")).status_code == 200
        assert (await page.post("/logout")).status_code == 303  # again, and without a session


async def test_forged_cookies_let_nobody_in(browser: Browser) -> None:
    async with browser() as page:
        for token in ("x", "a.b.c", HOST, ""):
            page.cookies.update({"mlflow_shim_session": token, "mlflow_user": "boss@example.org"})
            assert (await page.get("/")).status_code == 303
            assert (await page.get("/ajax-api/2.0/mlflow/users/current")).status_code == 401
            assert (await page.post("/logout")).status_code == 303
            page.cookies.clear()
