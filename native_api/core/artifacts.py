"""Artifacts: whose place a key of the proxy is, and a row for each file that came in below a run."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select

from native_api.core import clock, db
from native_api.core import tables as t
from native_api.core.access import Actor, Scope, visible
from native_api.core.blobs import safe_key
from native_api.core.errors import Conflict, Invalid, NotFound

# Whose place it is


@dataclass(frozen=True)
class InRun:
    """A place in a run. `id` is internal; `path` is relative to the run's root, and empty for the root itself."""

    id: int
    run_id: str
    uri: str
    path: str


@dataclass(frozen=True)
class Place:
    """What a key of the proxy belongs to: an experiment, and a run where it is below one."""

    key: str
    experiment: int
    project_id: str
    run: InRun | None


class Root(NamedTuple):
    """Where a run keeps its artifacts, and the key of that place where it is on the proxy."""

    uri: str
    key: str | None


def root_of_run(conn: Connection, actor: Actor, run_id: str) -> Root:
    """Raises NotFound if there is no such run in view. A deleted run still has its artifacts."""
    r, e = t.runs.c, t.experiments.c
    joined = select(r.artifact_uri).join_from(t.runs, t.experiments, r.experiment_id == e.id)
    uri = conn.execute(joined.where(r.run_id == run_id, visible(actor))).scalar_one_or_none()
    if uri is None:
        raise NotFound("run", run_id)
    return Root(uri, proxied_key(uri))


def get_place(conn: Connection, actor: Actor, key: str, scope: Scope = Scope.READ) -> Place:
    """The place of a safe key. Raises NotFound where `find_place` finds none, Forbidden without the scope there."""
    place = find_place(conn, actor, key)
    if place is None:
        raise NotFound("artifact", key)
    actor.require(place.project_id, scope, "artifact", key)
    return place


def find_place(conn: Connection, actor: Actor, key: str) -> Place | None:
    """The place of a safe key; None if it is nobody's, or of a project out of view.

    As in MLflow it does not matter whether the run or the experiment is deleted.
    """
    place = _in_run(conn, key) or _in_experiment(conn, actor, key)
    return place if place and place.project_id in actor.projects else None


def _in_run(conn: Connection, key: str) -> Place | None:
    run_ids = [name for name in key.split("/") if re.fullmatch("[0-9a-f]{32}", name)]
    if not run_ids:
        return None
    r, e = t.runs.c, t.experiments.c
    rows = conn.execute(
        select(r.id, r.run_id, r.artifact_uri, e.id, e.project_id)
        .join_from(t.runs, t.experiments, r.experiment_id == e.id)
        .where(r.run_id.in_(run_ids))
    )
    found: dict[str, Place] = {}
    for run, run_id, uri, experiment, project_id in rows:
        root = proxied_key(uri)
        if root is None:
            continue
        if root == f"{key}/artifacts":  # whoever says `<location>/<run_id>` means all of it
            root = key
        if _is_below(key, root):
            found[root] = Place(key, experiment, project_id, InRun(run, run_id, uri, key[len(root) + 1 :]))
    return found[max(found, key=len)] if found else None


def _in_experiment(conn: Connection, actor: Actor, key: str) -> Place | None:
    names = key.split("/")[:MAX_LOCATION_DEPTH]
    above = {"/".join(names[:depth]) for depth in range(len(names) + 1)}
    location = t.experiments.c.artifact_location
    spelled = [spelling for prefix in above for spelling in _spellings(prefix)]
    owners = [held for held in _locations(conn, db.among(conn, location, spelled)) if held.key in above]
    # An experiment placed inside or around another tenant's gives no access to it. (The topmost place is around all.)
    if any(held.key and held.project_id not in actor.projects for held in owners):
        return None
    owner = max(owners, key=lambda held: len(held.key), default=None)
    return Place(key, owner.experiment, owner.project_id, None) if owner else None


# Where experiments are


MAX_LOCATION_DEPTH = 32
"""Places of experiments further down than this are not looked for."""


class Location(NamedTuple):
    """The key at which an experiment is placed."""

    key: str
    experiment: int
    project_id: str


def proxied_key(uri: str) -> str | None:
    """The key that `mlflow-artifacts:/key` or `mlflow-artifacts://host:port/key` names; None for any other URI."""
    if not uri.startswith("mlflow-artifacts:"):
        return None
    try:
        return safe_key(urlsplit(uri).path.lstrip("/"), folder=True)
    except (Invalid, ValueError):
        return None


def _spellings(key: str) -> Iterable[str]:
    """The usual ways to write the place of a key as a location."""
    plain, quoted = f"mlflow-artifacts:/{key}", f"mlflow-artifacts:/{quote(key)}"
    return {plain, quoted, f"{plain}/", f"{quoted}/"}


def _locations(conn: Connection, which: ColumnElement[bool]) -> Iterator[Location]:
    """The experiments that satisfy the condition, and all whose location names a host: it may be ours."""
    e = t.experiments.c
    bytewise = db.bytewise(conn, e.artifact_location)
    names_host = (bytewise >= "mlflow-artifacts://") & (bytewise < "mlflow-artifacts:/0")  # "0" comes after "/"
    for number, project_id, location in conn.execute(
        select(e.id, e.project_id, e.artifact_location).where(or_(which, names_host))
    ):
        key = proxied_key(location)
        if key is not None:
            yield Location(key, number, project_id)


def _is_below(key: str, root: str) -> bool:
    return not root or key == root or key.startswith(f"{root}/")


# Rows


_put_artifact = db.BulkInsert(
    t.artifacts,
    ["artifact_id", "project_id", "artifact_type", "uri", "checksum", "size_bytes", "created_at"],
    "ON CONFLICT (artifact_id) DO UPDATE SET checksum = excluded.checksum, size_bytes = excluded.size_bytes",
)
_put_run_artifact = db.BulkInsert(
    t.run_artifacts, ["run_artifact_id", "run_id", "artifact_id", "path", "created_at"], "ON CONFLICT DO NOTHING"
)


def record(conn: Connection, actor: Actor, place: Place, size: int, sha256: str) -> None:
    """Note a file that has arrived at a place below a run, or has been replaced; nothing for places elsewhere."""
    actor.require(place.project_id, Scope.WRITE, "artifact", place.key)
    run, now = place.run, clock.now()
    if run is None or not run.path:
        return
    uri = f"{run.uri}/{run.path}"
    # The id comes from the place: two who upload the same file at once meet in one row.
    artifact_id = uuid5(UUID(run.run_id), run.path).hex
    _put_artifact(conn, [(artifact_id, place.project_id, kind_of(run.path), uri, sha256, size, now)])
    _put_run_artifact(conn, [(clock.new_id(), run.id, artifact_id, run.path, now)])


def forget(conn: Connection, actor: Actor, place: Place) -> None:
    """Remove the rows of the file at a place, or of all files below it; not of what another run was linked to as well.

    To be called before the files go: it raises Conflict where experiments out of view keep files there too.
    """
    actor.require(place.project_id, Scope.WRITE, "artifact", place.key)
    c = t.run_artifacts.c
    which: ColumnElement[bool]
    if place.run is None:
        below = _experiments_below(conn, actor, place.key)
        which = c.run_id.in_(select(t.runs.c.id).where(db.among(conn, t.runs.c.experiment_id, below)))
    else:
        which = c.run_id == place.run.id
        if path := place.run.path:
            which &= (c.path == path) | (func.substr(c.path, 1, len(path) + 1) == f"{path}/")
    gone = conn.scalars(delete(t.run_artifacts).where(which, c.path.is_not(None)).returning(c.artifact_id)).all()
    a = t.artifacts.c
    linked = select(c.run_artifact_id).where(c.artifact_id == a.artifact_id).exists()
    conn.execute(delete(t.artifacts).where(db.among(conn, a.artifact_id, gone), ~linked))


def _experiments_below(conn: Connection, actor: Actor, key: str) -> list[int]:
    if not key:
        raise Invalid("Invalid path")
    location = t.experiments.c.artifact_location
    starts = or_(*(func.substr(location, 1, len(start)) == start for start in _spellings(key)))
    below = [held for held in _locations(conn, starts) if _is_below(held.key, key)]
    if any(held.project_id not in actor.projects for held in below):
        raise Conflict(f"Other experiments keep their artifacts below {key!r}")
    return [held.experiment for held in below]


# Kinds of files, by their names


KINDS = {
    "model": "bst cbm ckpt gguf h5 joblib keras mlmodel model onnx pb pickle pkl pt pth safetensors skops tflite ubj",
    "plot": "bmp gif jpeg jpg png svg tif tiff webp",
    "report": "htm html ipynb md pdf rst",
    "log": "err log out txt",
}
KIND_BY_ENDING = {ending: kind for kind, endings in KINDS.items() for ending in endings.split()}


def kind_of(path: str) -> str:
    """The artifact_type of a file: model, plot, report, log or other."""
    return KIND_BY_ENDING.get(_ending(path).lower(), "other")


TEXT_ENDINGS = {  # those of MLflow's utils/mime_type_utils.py
    *("txt", "log", "err", "cfg", "conf", "cnf", "cf", "ini", "properties", "prop", "hocon", "toml", "yaml", "yml"),
    *("xml", "json", "js", "py", "py3", "csv", "tsv", "md", "rst", "ipynb", "MLmodel", "MLproject", "mlproject"),
}
_types = mimetypes.MimeTypes()  # Python's own table: what the machine adds to it would differ from one to the next


def content_type(path: str) -> str:
    """The media type a file is sent as: text of any kind as text/plain, what is not known as octet-stream."""
    if _ending(path) in TEXT_ENDINGS:
        return "text/plain"
    return _types.guess_type(path.rpartition("/")[2], strict=False)[0] or "application/octet-stream"


def _ending(path: str) -> str:
    """What follows the last dot of the name, or the whole name: MLmodel has none."""
    return path.rpartition("/")[2].rpartition(".")[2]
