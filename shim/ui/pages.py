"""The pages that people open in a browser: MLflow's UI, and logging in to it."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from native_api.core.access import Actor
from native_api.core.errors import Busy, Invalid, NoSuchEndpoint, TooManyAttempts, Unauthenticated
from native_api.web.auth import Guard
from native_api.web.endpoint import Caller, Door
from native_api.web.sessions import Sessions, token_in
from shim.ui.build import INDEX, Build

MAX_FORM = 8192

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; frame-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
"""What the UI may do. Nothing leaves the machine: no script, picture or call from elsewhere.

The plot of parallel coordinates wants 'unsafe-eval'. HTML files are shown in a sandbox that has no origin, but inherits
this policy: without 'unsafe-inline' their own scripts, such as those of plots that can be moved, would not run.
"""

LOGIN, PLAIN = (Template((Path(__file__).parent / name).read_text("utf-8")) for name in ("login.html", "plain.html"))


@dataclass(frozen=True)
class Pages:
    """The pages of a server. `build` is None where MLflow's UI is not installed."""

    build: Build | None
    guard: Guard
    sessions: Sessions

    async def index(self, door: Door, actor: Actor, request: Request) -> Response:
        """The UI, for those who are let in; who is not known yet is sent to log in."""
        last = request.scope["path"].rpartition("/")[2]
        if last:  # what the page names is relative to a path that ends in a slash
            return RedirectResponse(f"{quote(last)}/", 303)
        caller = Caller(dict(request.scope["headers"]), actor.address, None)
        if not self.guard.is_open and not await self.guard.knows(door, caller):
            return RedirectResponse("login", 303)
        if self.build is None:
            return _page(PLAIN, version=version("mlflow-shim"))
        response = await self.build.answer(INDEX, request)
        response.headers["content-security-policy"] = POLICY
        return response

    async def file(self, door: Door, actor: Actor, request: Request) -> Response:
        """One file of the UI."""
        if self.build is None:
            raise NoSuchEndpoint(request.method, request.scope["path"])
        return await self.build.answer(request.path_params["path"], request)

    async def login_form(self, door: Door, actor: Actor, request: Request) -> Response:
        """The form to log in with."""
        if self.guard.is_open:
            return RedirectResponse("./", 303)
        return _page(LOGIN, name="", problem="")

    async def login(self, door: Door, actor: Actor, request: Request) -> Response:
        """Begin a session and go on to the UI; or the form again, with what is wrong."""
        name, password = await _credentials(request)
        try:
            user = await self.guard.login(door, name, password, actor.address)
        except (Unauthenticated, TooManyAttempts, Busy) as problem:
            status = 401 if isinstance(problem, Unauthenticated) else 429
            return _page(LOGIN, status, name=name, problem=problem.message)
        response = RedirectResponse("./", 303)
        token = self.guard.issue(user.user_id, self.sessions.minutes)
        self.sessions.begin(response, request, token, user.email)
        return response

    async def logout(self, door: Door, actor: Actor, request: Request) -> Response:
        """End the session and go to where one logs in."""
        await self.guard.log_out(door, token_in(dict(request.scope["headers"])))
        response = RedirectResponse("login", 303)
        self.sessions.end(response)
        return response


async def _credentials(request: Request) -> tuple[str, str]:
    """The name and the password in a form. Raises Invalid if it is no such form."""
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > MAX_FORM:
                raise Invalid(f"The form may have at most {MAX_FORM} bytes")
        fields = parse_qs(content.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=10)
    except (ClientDisconnect, ValueError):
        raise Invalid("The form cannot be read") from None
    return fields.get("name", [""])[0], fields.get("password", [""])[0]


def _page(template: Template, status: int = 200, **words: str) -> Response:
    """A page of our own, which may run and show only what stands in it."""
    text = template.substitute({name: escape(word) for name, word in words.items()})
    sources = {
        kind: re.findall(f"<{kind}>(.*?)</{kind}>", template.template, re.DOTALL) for kind in ("script", "style")
    }
    allowed = [f"{kind}-src {' '.join(map(_hash, parts))}" for kind, parts in sources.items() if parts]
    policy = ["default-src 'none'", *allowed, "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"]
    headers = {"content-security-policy": "; ".join(policy), "cache-control": "no-store"}
    return HTMLResponse(text, status, headers)


def _hash(part: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'"
