"""Places: whose a key of the artifact proxy is, and where experiments keep their artifacts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy import ColumnElement, Connection, func, or_, select

from native_api.core import db
from native_api.core import tables as t
from native_api.core.access import NOBODY, Actor, Scope, visible
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
    """What a key of the proxy belongs to: an experiment, and a run where it is below one.

    `home` is what it was found by, where that is the id of a run or a logged model.
    """

    key: str
    experiment: int
    project_id: str
    run: InRun | None
    home: _Home | None = field(default=None, compare=False)


class _Home(NamedTuple):
    """What has a root of its own: a run, or a logged model, whose `run` is None."""

    name: str
    uri: str
    experiment: int
    project_id: str
    run: int | None = None


class Root(NamedTuple):
    """Where a run or a model keeps its artifacts, and the key of that place where it is on the proxy."""

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


def root_of_model(conn: Connection, actor: Actor, model_id: str) -> Root:
    """Raises NotFound if there is no such logged model in view, or it is deleted."""
    m, e = t.logged_models.c, t.experiments.c
    joined = select(m.artifact_uri).join_from(t.logged_models, t.experiments, m.experiment_id == e.id)
    held = joined.where(m.model_id == model_id, m.deleted_at.is_(None), visible(actor))
    uri = conn.execute(held).scalar_one_or_none()
    if uri is None:
        raise NotFound("logged model", model_id)
    return Root(uri, proxied_key(uri))


def root_of_version(conn: Connection, actor: Actor, name: str, version: int) -> Root:
    """Where a version of a registered model of the actor's project has its files.

    Raises NotFound if there is no such version in view, or its files are not.
    """
    v, r = t.model_versions.c, t.registered_models.c
    joined = select(v.storage_uri).join_from(
        t.model_versions, t.registered_models, v.registered_model_id == r.registered_model_id
    )
    in_view = r.project_id.in_({actor.project_id} & actor.projects.keys())
    held = joined.where(in_view, r.name == name, v.version == version)
    uri = conn.execute(held).scalar_one_or_none()
    if uri is None:
        raise NotFound("model version", f"{name} {version}")
    if uri.startswith("runs:/"):
        run_id, _, path = uri.removeprefix("runs:/").partition("/")
        root = root_of_run(conn, actor, run_id)
        return root if root.key is None else Root(uri, f"{root.key}/{safe_key(path)}")
    key = proxied_key(uri)
    if key is not None:
        get_place(conn, actor, key)  # it names whatever whoever made it said
    return Root(uri, key)


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
    place = _in_home(conn, key) or _in_experiment(conn, actor, key)
    return place if place and place.project_id in actor.projects else None


class Known:
    """Runs and logged models that places were found in before, by their ids: what is kept of them never changes once
    it is committed, until they are purged.

    Only the places of committed ones may be noted.
    """

    def __init__(self) -> None:
        self._homes: dict[str, _Home] = {}

    def note(self, place: Place) -> None:
        """Remember the run or the logged model of a place, if it is in one."""
        if place.home:
            if len(self._homes) >= MAX_KNOWN:
                self._homes.clear()
            self._homes[place.home.name] = place.home

    def forget(self, place: Place) -> None:
        """What the place is in has gone from the database. Something new may have its name."""
        if place.home:
            self._homes.pop(place.home.name, None)

    def get_place(self, actor: Actor, key: str, scope: Scope = Scope.READ) -> Place | None:
        """As `get_place`, without the database; None where it has to be asked."""
        names = _home_names(key)
        if not self._homes.keys() >= set(names):
            return None
        place = _innermost(key, [self._homes[name] for name in names])
        if place:
            actor.require(place.project_id, scope, "artifact", key)
        return place


MAX_KNOWN = 10_000


def _in_home(conn: Connection, key: str) -> Place | None:
    names = _home_names(key)
    if not names:
        return None
    run_ids = [name for name in names if not name.startswith("m-")]
    model_ids = [name for name in names if name.startswith("m-")]
    homes = [_Home(*row) for row in _runs.rows(conn, run_ids)] if run_ids else []
    homes += [_Home(*row) for row in _models.rows(conn, model_ids)] if model_ids else []
    return _innermost(key, homes)


_runs = db.Prepared(
    lambda among: (
        select(*t.runs.c["run_id", "artifact_uri"], *t.experiments.c["id", "project_id"], t.runs.c.id)
        .join_from(t.runs, t.experiments, t.runs.c.experiment_id == t.experiments.c.id)
        .where(among(t.runs.c.run_id))
    )
)
_models = db.Prepared(
    lambda among: (
        select(*t.logged_models.c["model_id", "artifact_uri"], *t.experiments.c["id", "project_id"])
        .join_from(t.logged_models, t.experiments, t.logged_models.c.experiment_id == t.experiments.c.id)
        .where(among(t.logged_models.c.model_id))
    )
)


def _home_names(key: str) -> list[str]:
    """The names in a key that may be the ids of runs or logged models."""
    return [name for name in key.split("/") if _HOME_NAME.fullmatch(name)]


_HOME_NAME = re.compile("(?:m-)?[0-9a-f]{32}")


def _innermost(key: str, homes: Iterable[_Home]) -> Place | None:
    """The place in that one of the homes whose root is the furthest down."""
    found: dict[str, Place] = {}
    for home in homes:
        root = proxied_key(home.uri)
        if root is None:
            continue
        if root == f"{key}/artifacts":  # whoever says `<location>/<run_id>` means all of it
            root = key
        if _is_below(key, root):
            within = home.run and InRun(home.run, home.name, home.uri, key[len(root) + 1 :])
            found[root] = Place(key, home.experiment, home.project_id, within or None, home)
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


_PLAIN = re.compile(r"mlflow-artifacts:/([\w-]{1,255}(?:/[\w-]{1,255})*)", re.ASCII)
"""How nearly all are written: there is nothing to decode or to check, which takes five times as long."""


def proxied_key(uri: str) -> str | None:
    """The key that `mlflow-artifacts:/key` or `mlflow-artifacts://host:port/key` names; None for any other URI."""
    plain = _PLAIN.fullmatch(uri)
    if plain:
        return plain[1]
    if not uri.startswith("mlflow-artifacts:"):
        return None
    try:
        return safe_key(unquote(urlsplit(uri).path.lstrip("/")), folder=True)
    except (Invalid, ValueError):
        return None


def refuse_foreign_location(conn: Connection, actor: Actor, location: str) -> None:
    """Raise Invalid for a location that is inside or around the place of an experiment out of view.

    Of two who ask at once both may be heard; `find_place` then shows neither what is in both of their places.
    """
    key = proxied_key(location)
    if key is None:
        return
    foreign = t.experiments.c.project_id.not_in(list(actor.projects))  # all of them: however they are spelled
    for held in _locations(conn, foreign):
        if held.project_id not in actor.projects and (_is_below(held.key, key) or _is_below(key, held.key)):
            raise Invalid("Invalid artifact location: it is inside or around a place that is taken")


def experiments_below(conn: Connection, actor: Actor, key: str) -> list[int]:
    """The short ids of all experiments placed there. Raises Conflict if any is out of view, Invalid for everything."""
    if not key:
        raise Invalid("Invalid path")
    location = t.experiments.c.artifact_location
    starts = or_(*(func.substr(location, 1, len(start)) == start for start in _spellings(key)))
    below = [held for held in _locations(conn, starts) if _is_below(held.key, key)]
    if any(held.project_id not in actor.projects for held in below):
        raise Conflict(f"Other experiments keep their artifacts below {key!r}")
    return [held.experiment for held in below]


def holds_experiments(conn: Connection, key: str) -> bool:
    """Whether any experiment is placed there or below."""
    try:
        return bool(experiments_below(conn, NOBODY, key))
    except Conflict:  # some are, and nobody sees them
        return True


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
