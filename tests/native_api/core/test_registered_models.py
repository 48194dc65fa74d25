"""Registered models: kept by name in a project, with their tags and aliases, and told of in the audit log."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection, select

from native_api.core import clock, db, model_aliases, model_versions, registered_models
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Conflict, Exists, Forbidden, Invalid, NotFound, UnknownAlias
from native_api.core.model_versions import Origin
from tests.conftest import make_actor

S3 = Origin("s3://bucket/model", "s3://bucket/model")


@pytest.fixture
def other(conn: Connection) -> Actor:
    """Somebody in a project of another organisation."""
    return make_actor(conn, "two")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a second later."""
    seconds = count(1_000, 1_000)
    monkeypatch.setattr(clock, "now", lambda: next(seconds))


def entries(conn: Connection) -> list[tuple[str, str, str, Any, Any]]:
    """(table, operation, id, before, after) of each change that the audit log is going to tell of."""
    return [
        (c.table_name, c.operation, c.row_pk, c.old_data and json.loads(c.old_data), json.loads(c.new_data or "null"))
        for c in db.pending(conn).changes
    ]


# A model


def test_a_model_is_what_was_said_of_it(conn: Connection, actor: Actor) -> None:
    made = registered_models.create(
        conn, actor, actor.project_id, "iris", description="flowers", tags={"b": "2", "a": "1"}
    )
    assert (made.name, made.description, made.created_by) == ("iris", "flowers", actor.user_id)
    assert made.created_at == made.updated_at
    assert registered_models.get(conn, actor, actor.project_id, "iris") == made


@pytest.mark.parametrize("name", ["ünï cödé", "a*b", "a.b", "a\nb", "n" * 256])
def test_any_name_that_is_no_path(name: str) -> None:
    assert registered_models.checked_name(name) == name


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", ".", "..", "..a", "/", "n" * 257])
def test_not_a_name(name: str) -> None:
    with pytest.raises(Invalid):
        registered_models.checked_name(name)


def test_a_name_is_taken_once_in_a_project(conn: Connection, actor: Actor, other: Actor) -> None:
    registered_models.create(conn, actor, actor.project_id, "iris", description="first")
    with pytest.raises(Exists, match="iris"):
        registered_models.create(conn, actor, actor.project_id, "iris")
    assert registered_models.get(conn, actor, actor.project_id, "iris").description == "first"
    registered_models.create(conn, actor, actor.project_id, "Iris")
    registered_models.create(conn, other, other.project_id, "iris")


def test_a_change_sets_what_it_names_and_nothing_else(conn: Connection, actor: Actor) -> None:
    p = actor.project_id
    made = registered_models.create(conn, actor, p, "iris", description="flowers", tags={"a": "1"})
    renamed = registered_models.change(conn, actor, p, "iris", {"name": "lily"})
    assert (renamed.name, renamed.description, renamed.tags) == ("lily", "flowers", {"a": "1"})
    assert renamed.updated_at > made.updated_at
    assert registered_models.get(conn, actor, p, "lily") == renamed
    assert registered_models.change(conn, actor, p, "lily", {"description": ""}).description == ""
    with pytest.raises(NotFound):
        registered_models.get(conn, actor, p, "iris")


def test_a_new_name_is_a_change_of_its_versions_and_must_be_free(conn: Connection, actor: Actor) -> None:
    p = actor.project_id
    for name in ("iris", "lily"):
        registered_models.create(conn, actor, p, name)
    before = model_versions.create(conn, actor, p, "iris", S3)
    with pytest.raises(Exists, match="lily"):
        registered_models.change(conn, actor, p, "iris", {"name": "lily"})
    assert model_versions.get(conn, actor, p, "iris", 1) == before
    registered_models.change(conn, actor, p, "iris", {"name": "rose"})
    after = model_versions.get(conn, actor, p, "rose", 1)
    assert after.updated_at > before.updated_at
    assert after.created_at == before.created_at


def test_tags_are_set_and_taken_away_without_an_update(conn: Connection, actor: Actor) -> None:
    p = actor.project_id
    made = registered_models.create(conn, actor, p, "iris", tags={"a": "1"})
    registered_models.put_tag(conn, actor, p, "iris", "a", "2")
    registered_models.put_tag(conn, actor, p, "iris", "b", "")
    registered_models.delete_tag(conn, actor, p, "iris", "never")
    found = registered_models.get(conn, actor, p, "iris")
    assert (found.tags, found.updated_at) == ({"a": "2", "b": ""}, made.updated_at)
    registered_models.delete_tag(conn, actor, p, "iris", "a")
    assert registered_models.get(conn, actor, p, "iris").tags == {"b": ""}


def test_what_is_deleted_is_gone_with_all_that_was_in_it(conn: Connection, actor: Actor) -> None:
    p = actor.project_id
    for name in ("iris", "stays"):
        registered_models.create(conn, actor, p, name, tags={"a": "1"})
        model_versions.create(conn, actor, p, name, S3, tags={"b": "2"})
        model_aliases.put(conn, actor, p, name, "best", 1)
    registered_models.delete(conn, actor, p, "iris")
    for table in (t.registered_models, t.registered_model_tags, t.model_versions, t.model_version_tags):
        assert len(conn.execute(select(table)).all()) == 1, table
    assert model_aliases.get(conn, actor, p, "stays", "best").tags == {"b": "2"}
    with pytest.raises(NotFound):
        registered_models.get(conn, actor, p, "iris")
    registered_models.create(conn, actor, p, "iris")
    assert model_versions.create(conn, actor, p, "iris", S3).version == 1


def test_every_change_is_told_in_the_audit_log(conn: Connection, actor: Actor) -> None:
    p = actor.project_id
    own = registered_models.create(conn, actor, p, "iris").registered_model_id
    model_versions.create(conn, actor, p, "iris", S3)
    model_versions.create(conn, actor, p, "iris", S3)
    model_aliases.put(conn, actor, p, "iris", "best", 1)
    model_aliases.put(conn, actor, p, "iris", "best", 2)
    model_aliases.put(conn, actor, p, "iris", "best", 2)
    model_versions.move(conn, actor, p, "iris", 2, "production", archive_others=False)
    registered_models.change(conn, actor, p, "iris", {"name": "lily"})
    model_versions.delete(conn, actor, p, "lily", 2)
    registered_models.delete(conn, actor, p, "lily")
    told = entries(conn)
    assert [entry[:3] for entry in told] == [
        ("registered_models", "I", own),
        ("model_versions", "I", f"{own}/1"),
        ("model_versions", "I", f"{own}/2"),
        ("registered_model_aliases", "I", f"{own}/best"),
        ("registered_model_aliases", "U", f"{own}/best"),
        ("model_versions", "U", f"{own}/2"),
        ("registered_models", "U", own),
        ("registered_model_aliases", "D", f"{own}/best"),
        ("model_versions", "D", f"{own}/2"),
        ("model_versions", "D", f"{own}/1"),
        ("registered_models", "D", own),
    ]
    assert told[4][3:] == ({"version": 1}, {"version": 2})
    assert told[5][3:] == ({"stage": "none"}, {"stage": "production"})
    assert told[6][3:] == ({"name": "iris"}, {"name": "lily"})
    assert told[8][3]["source"] == "s3://bucket/model"


# Aliases


def test_an_alias_is_of_one_version_and_moves(conn: Connection, actor: Actor) -> None:
    p = actor.project_id
    made = registered_models.create(conn, actor, p, "iris")
    for _ in range(2):
        model_versions.create(conn, actor, p, "iris", S3)
    before = registered_models.get(conn, actor, p, "iris").updated_at
    model_aliases.put(conn, actor, p, "iris", "best", 1)
    assert model_aliases.get(conn, actor, p, "iris", "best").version == 1
    model_aliases.put(conn, actor, p, "iris", "best", 2)
    model_aliases.put(conn, actor, p, "iris", "also", 2)
    assert model_aliases.get(conn, actor, p, "iris", "best").aliases == ("also", "best")
    found = registered_models.get(conn, actor, p, "iris")
    assert (found.aliases, found.updated_at) == ({"also": 2, "best": 2}, before)
    assert before > made.updated_at
    model_aliases.delete(conn, actor, p, "iris", "best")
    model_aliases.delete(conn, actor, p, "iris", "best")
    with pytest.raises(UnknownAlias, match="best"):
        model_aliases.get(conn, actor, p, "iris", "best")
    with pytest.raises(NotFound):
        model_aliases.put(conn, actor, p, "iris", "best", 3)


def test_the_latest_is_the_highest_number(conn: Connection, actor: Actor) -> None:
    p = actor.project_id
    registered_models.create(conn, actor, p, "iris")
    with pytest.raises(NotFound):
        model_aliases.get(conn, actor, p, "iris", "latest")
    for _ in range(3):
        model_versions.create(conn, actor, p, "iris", S3)
    model_versions.move(conn, actor, p, "iris", 1, "production", archive_others=False)
    model_versions.delete(conn, actor, p, "iris", 3)
    assert model_aliases.get(conn, actor, p, "iris", "Latest").version == 2


@pytest.mark.parametrize("alias", ["best", "a-b_c", "Ünï", "v", "v1x", "1", "a" * 255])
def test_an_alias_that_may_be_given(alias: str) -> None:
    assert model_aliases.checked_to_give(alias) == alias


@pytest.mark.parametrize("alias", ["", "a b", "a.b", "a\n", "a/b", "latest", "LATEST", "v1", "V12", "a" * 256])
def test_an_alias_that_may_not(alias: str) -> None:
    with pytest.raises(Invalid):
        model_aliases.checked_to_give(alias)


# Whose they are


CHANGES: list[Callable[..., object]] = [
    registered_models.create,
    partial(registered_models.change, changes={"description": "x"}),
    registered_models.delete,
    partial(registered_models.put_tag, key="k", value="v"),
    partial(registered_models.delete_tag, key="k"),
    partial(model_versions.create, origin=S3),
    partial(model_versions.change, version=1, changes={"description": "x"}),
    partial(model_versions.move, version=1, stage="staging", archive_others=False),
    partial(model_versions.delete, version=1),
    partial(model_versions.put_tag, version=1, key="k", value="v"),
    partial(model_versions.delete_tag, version=1, key="k"),
    partial(model_aliases.put, alias="best", version=1),
    partial(model_aliases.delete, alias="best"),
]
READS: list[Callable[..., object]] = [
    registered_models.get,
    partial(model_versions.get, version=1),
    partial(model_aliases.get, alias="best"),
]


@pytest.fixture
def kept(conn: Connection, actor: Actor) -> None:
    """A model with one of everything."""
    registered_models.create(conn, actor, actor.project_id, "iris")
    model_versions.create(conn, actor, actor.project_id, "iris", S3)
    model_aliases.put(conn, actor, actor.project_id, "iris", "best", 1)


@pytest.mark.parametrize("call", [*READS, *CHANGES])
def test_elsewhere_there_is_no_such_model(
    conn: Connection, actor: Actor, other: Actor, kept: None, call: Callable[..., object]
) -> None:
    with pytest.raises(NotFound):
        call(conn, other, actor.project_id, name="iris")
    if call is not registered_models.create:
        with pytest.raises(NotFound):
            call(conn, other, other.project_id, name="iris")


@pytest.mark.parametrize("call", CHANGES)
def test_who_only_reads_changes_nothing(
    conn: Connection, actor: Actor, kept: None, call: Callable[..., object]
) -> None:
    reader = Actor(actor.user_id, actor.project_id, {actor.project_id: Scope.READ}, Scope.READ)
    with pytest.raises(Forbidden):
        call(conn, reader, actor.project_id, name="iris")
    archived = Actor(
        actor.user_id, actor.project_id, actor.projects, Scope.WRITE, archived=frozenset({actor.project_id})
    )
    with pytest.raises(Conflict, match="archived"):
        call(conn, archived, actor.project_id, name="iris")
    for read in READS:
        read(conn, reader, actor.project_id, name="iris")
