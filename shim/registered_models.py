"""Registered models: MLflow's calls translated to the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from native_api.core import model_search, model_versions, registered_models
from native_api.core.access import Actor
from native_api.core.registered_models import RegisteredModel
from shim import registry_filters
from shim import registry_messages as r
from shim.filters import parse_registered_model_order
from shim.model_versions import document as document_of_version
from shim.model_versions import tag_documents

DEFAULT_PAGE = 100

Answer = dict[str, Any]


def create(conn: Connection, actor: Actor, msg: r.CreateModel) -> Answer:
    made = registered_models.create(
        conn, actor, actor.project_id, msg.name, description=msg.description, tags=r.tag_map(msg.tags)
    )
    return _answer(conn, made)


def get(conn: Connection, actor: Actor, msg: r.OneModel) -> Answer:
    return _answer(conn, registered_models.get(conn, actor, actor.project_id, msg.name))


def update(conn: Connection, actor: Actor, msg: r.UpdateModel) -> Answer:
    """A description that is left out is emptied, as in MLflow."""
    changes = {"description": msg.description or ""}
    return _answer(conn, registered_models.change(conn, actor, actor.project_id, msg.name, changes))


def rename(conn: Connection, actor: Actor, msg: r.RenameModel) -> Answer:
    return _answer(conn, registered_models.change(conn, actor, actor.project_id, msg.name, {"name": msg.new_name}))


def delete(conn: Connection, actor: Actor, msg: r.OneModel) -> Answer:
    registered_models.delete(conn, actor, actor.project_id, msg.name)
    return {}


def search(conn: Connection, actor: Actor, msg: r.SearchModels) -> Answer:
    wanted = registry_filters.of_models(msg.filter or "")
    page = model_search.find_models(
        conn,
        actor,
        wanted.condition,
        parse_registered_model_order(msg.order_by or []),
        msg.max_results or DEFAULT_PAGE,
        msg.page_token or None,
        prompts=wanted.prompts,
    )
    answer: Answer = {"registered_models": _documents(conn, page.items)} if page.items else {}
    return answer | ({"next_page_token": page.next_token} if page.next_token else {})


def set_tag(conn: Connection, actor: Actor, msg: r.SetModelTag) -> Answer:
    registered_models.put_tag(conn, actor, actor.project_id, msg.name, msg.key, msg.value or "")
    return {}


def delete_tag(conn: Connection, actor: Actor, msg: r.DeleteModelTag) -> Answer:
    registered_models.delete_tag(conn, actor, actor.project_id, msg.name, msg.key)
    return {}


def _answer(conn: Connection, model: RegisteredModel) -> Answer:
    (found,) = _documents(conn, [model])
    return {"registered_model": found}


def _documents(conn: Connection, models: Sequence[RegisteredModel]) -> list[Answer]:
    """MLflow's RegisteredModels, each with its latest version in each stage."""
    latest = model_versions.latest(conn, models)
    return [_document(model, latest.get(model.registered_model_id, [])) for model in models]


def _document(model: RegisteredModel, latest: Sequence[model_versions.ModelVersion]) -> Answer:
    shown: Answer = {
        "name": model.name,
        "creation_timestamp": model.created_at,
        "last_updated_timestamp": model.updated_at,
    }
    parts: Answer = {
        "description": model.description,
        "latest_versions": [document_of_version(version) for version in latest],
        "tags": tag_documents(model.tags),
        "aliases": [{"alias": alias, "version": str(version)} for alias, version in model.aliases.items()],
    }
    return shown | {name: part for name, part in parts.items() if part}
