"""The files of MLflow's UI, as the installed `mlflow` package brings them. The package is found, not imported."""

from __future__ import annotations

import gzip
import re
from importlib.util import find_spec
from pathlib import Path

from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from native_api.core.errors import NoSuchEndpoint

INDEX = "index.html"

PACKED = (".css", ".js", ".json", ".mjs", ".svg", ".ttf", ".txt", ".cjs", ".html", ".eot")
"""The kinds of files that become smaller."""

LEVEL = 4
"""A twentieth larger than at the usual 6, in half the time: the first who opens the UI waits for it."""

FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
HASHED = re.compile(r"\.[0-9a-f]{8,}\.")
"""In the names of files that never change."""

TYPES = {".mjs": "text/javascript", ".cjs": "text/javascript", ".js": "text/javascript"}
"""Whatever the machine's own table of types says: with `nosniff`, browsers run nothing else."""


def find() -> Build | None:
    """The UI of the installed `mlflow` package; None where it is not installed."""
    spec = find_spec("mlflow")
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place) / "server" / "js" / "build"
        if (folder / INDEX).is_file():
            return Build(folder)
    return None


class Build:
    """The files below a folder. What can be packed is packed once, when it is first asked for, and kept: some 8 MB."""

    def __init__(self, folder: Path) -> None:
        self._files = StaticFiles(directory=folder)
        self._packed: dict[str, bytes] = {}

    async def answer(self, path: str, request: Request) -> Response:
        """One file, or 304 if the browser has it. Raises NoSuchEndpoint if there is none."""
        try:
            response = await self._files.get_response(path, request.scope)
        except HTTPException:
            raise NoSuchEndpoint(request.method, request.scope["path"]) from None
        name = path.rpartition("/")[2]
        suffix = Path(name).suffix
        response.headers["cache-control"] = FOREVER if HASHED.search(name) else ASK_AGAIN
        if suffix in TYPES:
            response.headers["content-type"] = TYPES[suffix]
        if suffix not in PACKED:
            return response
        response.headers["vary"] = "Accept-Encoding"
        if response.status_code != 200 or "gzip" not in request.headers.get("accept-encoding", ""):
            return response
        assert isinstance(response, FileResponse)
        file = str(response.path)  # one for all the ways to write a path
        packed = self._packed.get(file)
        if packed is None:
            packed = self._packed[file] = await run_sync(_pack, file)
        headers = dict(response.headers) | {"content-encoding": "gzip", "content-length": str(len(packed))}
        return Response(packed, headers=headers)


def _pack(file: str) -> bytes:
    return gzip.compress(Path(file).read_bytes(), LEVEL, mtime=0)
