"""What new versions of registered models may be made from: a place in a run, a logged model, another version.

Whoever registers a version lets all who see the model read the files at its source. So what a client names must be of
the run or the logged model that it names as well, in view; what is outside this server is none of its business.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from sqlalchemy import Connection, select

from native_api.core import model_aliases, model_versions, registered_models
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Invalid, NotFound
from native_api.core.model_versions import STAGES, ModelVersion, Origin
from native_api.core.registered_models import IS_PROMPT

PROMPT_SOURCES = frozenset({"dummy-source", "prompt-template"})
"""What MLflow's clients write where a version of a prompt has no source."""

MAX_DECODED = 10
"""How often what is encoded may be encoded again."""

MAX_SOURCE = 2_048


def find_origin(
    conn: Connection,
    actor: Actor,
    project_id: str,
    source: str,
    *,
    run_id: str | None = None,
    model_id: str | None = None,
) -> Origin:
    """The origin that a caller names, if it may be one (rules of MLflow's `_validate_source_run` and `..._model`).

    `run_id` and `model_id` say which run or logged model the source is of: None is not said, and empty is none. Raises
    Invalid for a source that is of neither, NotFound for a version or a logged model that is not in the project.
    """
    actor.require(project_id, Scope.WRITE, "project", project_id)
    parts = _split(source)
    if parts.scheme == "models" and (version := _find_version(conn, actor, project_id, source)):
        return _copied(source, version, run_id, model_id)
    model = _find_logged_model(conn, project_id, model_id) if model_id else None
    root = model and model.artifact_uri if model_id else _find_run_root(conn, project_id, run_id)
    match parts.scheme:
        case "models":
            is_named = parts.path == f"/{model_id}"
        case "runs":
            is_named = not model_id and root is not None and parts.path.split("/")[1] == run_id
        case "" | "file":
            is_named = root is not None and _is_local_below(parts, root)
        case _:
            is_named = not _is_proxied(parts) or (root is not None and _is_below(parts, root))
    if not is_named:
        raise Invalid(
            f"Invalid model version source: {source!r}. The run_id or model_id request parameter must identify the run "
            "or the logged model that contains the source."
        )
    if not model_id:
        return Origin(source, source, run_id or "")
    if model is None:
        raise NotFound("logged model", model_id)
    storage_uri = model.artifact_uri if parts.scheme == "models" else source
    return Origin(source, storage_uri, run_id or model.source_run_id or "", model_id, model.id)


def prompt_origin(source: str, run_id: str = "") -> Origin:
    """The origin of a version of a prompt, which has no files: Invalid for a source that is one."""
    if source not in PROMPT_SOURCES:
        raise Invalid(f"Invalid prompt source: {source!r}. Prompt sources must use an MLflow placeholder.")
    return Origin(source, source, run_id)


# Reading a source


def _split(source: str) -> SplitResult:
    """The parts of a source. Invalid for a path that is not plain and absolute, however it is encoded."""
    decoded = source
    for _ in range(MAX_DECODED):
        if unquote_plus(decoded) == decoded:
            break
        decoded = unquote_plus(decoded)
    else:
        raise Invalid("Invalid model version source: it is encoded too often")
    try:
        parts, plain = urlsplit(source), urlsplit(decoded)
    except ValueError:
        raise Invalid(f"Invalid model version source: {source!r}") from None
    names = [name for name in plain.path.split("/") if name]
    is_absolute = parts.path.startswith("/") and plain.path.startswith("/")
    is_plain = not {".", ".."} & {*names, *decoded.split("/")} and not re.search(r"[\\\x00-\x1f\x7f]", decoded)
    if not (names and is_absolute and is_plain):
        raise Invalid(
            f"Invalid model version source: {source!r}. It must be a URI or an absolute path, without '.', '..', "
            "backslashes or control characters in it."
        )
    if parts.scheme in ("models", "runs", "file", "") and parts.netloc:
        raise Invalid(f"Invalid model version source: {source!r} must not name a host.")
    return parts


def _is_local_below(parts: SplitResult, root: str) -> bool:
    at = urlsplit(root)
    return at.scheme in ("", "file") and not at.netloc and _names(parts)[: len(_names(at))] == _names(at) != []


def _is_below(parts: SplitResult, root: str) -> bool:
    at = urlsplit(root)
    same = (parts.scheme, parts.netloc.lower()) == (at.scheme, at.netloc.lower())
    return same and _names(parts)[: len(_names(at))] == _names(at) != []


def _is_proxied(parts: SplitResult) -> bool:
    """Whether it names something behind an artifact proxy: that of this server, for all we know."""
    if parts.scheme == "mlflow-artifacts":
        return True
    path = "/".join(["", *_names(parts), ""])
    return parts.scheme in ("http", "https") and _PROXY.search(path) is not None


_PROXY = re.compile("/(?:ajax-)?api/2.0/mlflow-artifacts/artifacts/")


def _names(parts: SplitResult) -> list[str]:
    return [_unquoted(name) for name in parts.path.split("/") if name]


def _unquoted(name: str) -> str:
    while (plain := unquote(name)) != name:
        name = plain
    return name


# What it is of


class _LoggedModel(NamedTuple):
    id: int
    artifact_uri: str
    source_run_id: str | None


def _find_logged_model(conn: Connection, project_id: str, model_id: str) -> _LoggedModel | None:
    m, e = t.logged_models.c, t.experiments.c
    joined = select(m.id, m.artifact_uri, m.source_run_id).join_from(t.logged_models, t.experiments)
    which = m.model_id == model_id, m.deleted_at.is_(None), e.project_id == project_id
    row = conn.execute(joined.where(*which)).one_or_none()
    return _LoggedModel._make(row) if row else None


def _find_run_root(conn: Connection, project_id: str, run_id: str | None) -> str | None:
    """Where the run keeps its artifacts; None if there is no such run in the project."""
    r, e = t.runs.c, t.experiments.c
    joined = select(r.artifact_uri).join_from(t.runs, t.experiments, r.experiment_id == e.id)
    return conn.scalar(joined.where(r.run_id == run_id, e.project_id == project_id)) if run_id else None


def _find_version(conn: Connection, actor: Actor, project_id: str, source: str) -> ModelVersion | None:
    """The version that `models:/name/version`, `.../stage`, `.../latest` or `models:/name@alias` names.

    None for `models:/<model_id>`, which names a logged model.
    """
    name, slash, which = urlsplit(source).path[1:].partition("/")
    if not slash and "@" in name:
        name, _, which = name.rpartition("@")
    elif not slash:
        return None
    if not which.strip() or "/" in which:
        raise _not_of_a_model(source)
    model = registered_models.get(conn, actor, project_id, name)
    if model.tags.get(IS_PROMPT, "").lower() == "true":
        raise Invalid(f"Invalid model version source: {source!r}. Versions of prompts cannot be used as sources.")
    if not slash or which.lower() == model_aliases.LATEST:
        return model_aliases.get(conn, actor, project_id, name, which)
    if which.isdecimal():
        return model_versions.get(conn, actor, project_id, name, int(which))
    if which.lower() not in STAGES:
        raise _not_of_a_model(source)
    latest = model_versions.latest(conn, [model]).get(model.registered_model_id, [])
    for version in latest:
        if version.stage == which.lower():
            return version
    raise NotFound("model version", f"{name}/{which}")


def _not_of_a_model(source: str) -> Invalid:
    return Invalid(f"Invalid model version source: {source!r} names no version of a model, nor a logged model.")


def _copied(source: str, version: ModelVersion, run_id: str | None, model_id: str | None) -> Origin:
    """The origin of a copy: that of the version, which what else was said must not contradict."""
    said = ((run_id, version.run_id), (model_id, version.model_id))
    if any(given is not None and given != (own or "") for given, own in said):
        raise Invalid(
            f"Invalid model version source: {source!r}. The run_id and model_id request parameters must match the "
            "referenced model version."
        )
    uri = f"models:/{version.name}/{version.version}"
    return Origin(uri, version.storage_uri, version.run_id, version.model_id)
