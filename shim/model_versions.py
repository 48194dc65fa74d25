"""Versions of registered models, and their aliases: MLflow's calls translated to the core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from native_api.core import model_aliases, model_search, model_sources, model_versions, registered_models
from native_api.core.access import Actor
from native_api.core.model_versions import STAGES, ModelVersion
from native_api.core.registered_models import IS_PROMPT
from shim import registry_filters
from shim import registry_messages as r
from shim.filters import parse_model_version_order

DEFAULT_PAGE = 200_000
"""MLflow's own, and the most there may be."""

STATUS_NAMES = {"pending": "PENDING_REGISTRATION", "ready": "READY", "failed": "FAILED_REGISTRATION"}

Answer = dict[str, Any]


# One version


def create(conn: Connection, actor: Actor, msg: r.CreateVersion) -> Answer:
    tags = r.tag_map(msg.tags)
    if tags.get(IS_PROMPT, "").lower() == "true":
        origin = model_sources.prompt_origin(msg.source, msg.run_id or "")
    else:
        origin = model_sources.find_origin(
            conn, actor, actor.project_id, msg.source, run_id=msg.run_id, model_id=msg.model_id
        )
    made = model_versions.create(
        conn,
        actor,
        actor.project_id,
        msg.name,
        origin,
        description=msg.description or "",
        run_link=msg.run_link or "",
        tags=tags,
    )
    return {"model_version": document(made)}


def get(conn: Connection, actor: Actor, msg: r.OneVersion) -> Answer:
    return {"model_version": document(model_versions.get(conn, actor, actor.project_id, msg.name, msg.version))}


def update(conn: Connection, actor: Actor, msg: r.UpdateVersion) -> Answer:
    """A description that is left out is taken away, as in MLflow."""
    changes = {"description": msg.description}
    changed = model_versions.change(conn, actor, actor.project_id, msg.name, msg.version, changes)
    return {"model_version": document(changed)}


def move(conn: Connection, actor: Actor, msg: r.TransitionStage) -> Answer:
    archive = bool(msg.archive_existing_versions)
    moved = model_versions.move(conn, actor, actor.project_id, msg.name, msg.version, msg.stage, archive_others=archive)
    return {"model_version": document(moved)}


def delete(conn: Connection, actor: Actor, msg: r.OneVersion) -> Answer:
    model_versions.delete(conn, actor, actor.project_id, msg.name, msg.version)
    return {}


def download_uri(conn: Connection, actor: Actor, msg: r.OneVersion) -> Answer:
    found = model_versions.get(conn, actor, actor.project_id, msg.name, msg.version)
    return {"artifact_uri": found.storage_uri}


def set_tag(conn: Connection, actor: Actor, msg: r.SetVersionTag) -> Answer:
    model_versions.put_tag(conn, actor, actor.project_id, msg.name, msg.version, msg.key, msg.value or "")
    return {}


def delete_tag(conn: Connection, actor: Actor, msg: r.DeleteVersionTag) -> Answer:
    model_versions.delete_tag(conn, actor, actor.project_id, msg.name, msg.version, msg.key)
    return {}


# Many versions


def search(conn: Connection, actor: Actor, msg: r.SearchVersions) -> Answer:
    wanted = registry_filters.of_versions(msg.filter or "")
    page = model_search.find_versions(
        conn,
        actor,
        wanted.condition,
        parse_model_version_order(msg.order_by or []),
        msg.max_results or DEFAULT_PAGE,
        msg.page_token or None,
        prompts=wanted.prompts,
    )
    answer: Answer = {"model_versions": [document(version) for version in page.items]} if page.items else {}
    return answer | ({"next_page_token": page.next_token} if page.next_token else {})


def latest(conn: Connection, actor: Actor, msg: r.GetLatestVersions) -> Answer:
    model = registered_models.get(conn, actor, actor.project_id, msg.name)
    found = model_versions.latest(conn, [model]).get(model.registered_model_id, [])
    wanted = [version for version in found if version.stage in (msg.stages or STAGES)]
    shown = [document(version) for version in model_versions.with_aliases(conn, wanted)]
    return {"model_versions": shown} if shown else {}


# Aliases


def set_alias(conn: Connection, actor: Actor, msg: r.SetAlias) -> Answer:
    model_aliases.put(conn, actor, actor.project_id, msg.name, msg.alias, msg.version)
    return {}


def delete_alias(conn: Connection, actor: Actor, msg: r.OneAlias) -> Answer:
    model_aliases.delete(conn, actor, actor.project_id, msg.name, msg.alias)
    return {}


def get_by_alias(conn: Connection, actor: Actor, msg: r.OneAlias) -> Answer:
    return {"model_version": document(model_aliases.get(conn, actor, actor.project_id, msg.name, msg.alias))}


# MLflow's ModelVersion


def document(version: ModelVersion) -> Answer:
    """A version as MLflow shows it; what is null is left out, and so are lists without items."""
    shown = {
        "name": version.name,
        "version": str(version.version),
        "creation_timestamp": version.created_at,
        "last_updated_timestamp": version.updated_at,
        "current_stage": r.STAGE_NAMES[version.stage],
        "description": version.description,
        "source": version.source,
        "run_id": version.run_id,
        "run_link": version.run_link,
        "status": STATUS_NAMES[version.status],
        "status_message": version.status_message,
        "tags": tag_documents(version.tags) or None,
        "aliases": list(version.aliases) or None,
    }
    return {name: part for name, part in shown.items() if part is not None}


def tag_documents(tags: Mapping[str, str]) -> list[Answer]:
    """MLflow's list of tags."""
    return [{"key": key, "value": value} for key, value in tags.items()]
