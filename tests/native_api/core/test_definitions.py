"""Metric definitions belong to the whole server, and change only by the hand that made them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from native_api.core import db, definitions, metrics
from native_api.core import tables as t
from native_api.core.access import NOBODY, Actor, Scope
from native_api.core.errors import Exists, Forbidden, NotFound
from native_api.core.metrics import Name, Point
from tests.conftest import make_actor


@pytest.fixture
def other(conn: Connection) -> Actor:
    """Somebody in a project of another organisation."""
    return make_actor(conn, "two")


def test_a_definition_is_what_was_said_of_it(conn: Connection, actor: Actor) -> None:
    made = definitions.create(conn, actor, "acc", display_name="Accuracy", unit="%", goal="max")
    assert made[1:5] == ("acc", "Accuracy", "%", "max")
    assert made.created_by == actor.user_id
    assert definitions.get(conn, made.metric_id) == made
    assert definitions.create(conn, actor, "loss").goal == "last"


def test_a_key_is_declared_once_on_the_whole_server(conn: Connection, actor: Actor, other: Actor) -> None:
    definitions.create(conn, actor, "acc")
    second = definitions.create(conn, actor, "loss").metric_id
    for somebody in (actor, other):
        with pytest.raises(Exists, match="'acc'"):
            definitions.create(conn, somebody, "acc")
    with pytest.raises(Exists, match="'acc'"):
        definitions.change(conn, actor, second, {"key": "acc"})
    assert definitions.get(conn, second).key == "loss"


def test_who_may_write_nowhere_declares_nothing(conn: Connection, actor: Actor) -> None:
    reader = Actor("reader", "", {actor.project_id: Scope.READ}, Scope.WRITE)
    for somebody in (reader, NOBODY):
        with pytest.raises(Forbidden):
            definitions.create(conn, somebody, "acc")
    administrator = Actor(actor.user_id, "", {}, Scope.ADMIN, is_administrator=True)
    definitions.create(conn, administrator, "acc")
    definitions.create(conn, replace(actor, projects={"p": Scope.READ, actor.project_id: Scope.WRITE}), "loss")


def test_only_who_declared_it_or_an_administrator_changes_a_definition(
    conn: Connection, actor: Actor, other: Actor
) -> None:
    made = definitions.create(conn, actor, "acc")
    for somebody in (other, NOBODY):
        with pytest.raises(Forbidden):
            definitions.change(conn, somebody, made.metric_id, {"goal": "min"})
        with pytest.raises(Forbidden):
            definitions.delete(conn, somebody, made.metric_id)
    assert definitions.change(conn, actor, made.metric_id, {"goal": "max"}) == made._replace(goal="max")
    administrator = Actor(other.user_id, "", {}, Scope.ADMIN, is_administrator=True)
    changed = definitions.change(conn, administrator, made.metric_id, {"unit": "%"})
    assert definitions.get(conn, made.metric_id) == changed == made._replace(goal="max", unit="%")
    assert definitions.change(conn, actor, made.metric_id, {}) == changed
    definitions.delete(conn, administrator, made.metric_id)
    with pytest.raises(NotFound, match="No metric definition"):
        definitions.get(conn, made.metric_id)


def test_what_nobody_declared_is_not_there(conn: Connection, actor: Actor) -> None:
    for attempt in (
        lambda: definitions.get(conn, "f" * 32),
        lambda: definitions.change(conn, actor, "f" * 32, {"goal": "min"}),
        lambda: definitions.delete(conn, actor, "f" * 32),
    ):
        with pytest.raises(NotFound):
            attempt()


def test_the_points_of_a_metric_outlive_its_definition(conn: Connection, actor: Actor) -> None:
    metrics.append(conn, [(1, 1, {Name(0, "acc"): [Point(0, 1, 0.5)]})])
    made = definitions.create(conn, actor, "acc")
    definitions.delete(conn, actor, made.metric_id)
    for table in (t.run_metric_values, t.run_metric_latest):
        assert conn.scalar(select(func.count()).select_from(table)) == 1


def test_the_log_tells_of_every_change(conn: Connection, actor: Actor) -> None:
    made = definitions.create(conn, actor, "acc")
    pk = made.metric_id
    definitions.change(conn, actor, pk, {"goal": "max", "unit": None})
    definitions.delete(conn, actor, pk)
    told: list[tuple[str, str, Any, Any]] = [
        (c.operation, c.row_pk, c.old_data and json.loads(c.old_data), c.new_data and json.loads(c.new_data))
        for c in db.pending(conn).changes
        if c.table_name == "metric_definitions" and c.project_id is None
    ]
    assert told == [
        ("I", pk, None, made._asdict()),
        ("U", pk, {"goal": "last"}, {"goal": "max"}),
        ("D", pk, made._replace(goal="max")._asdict(), None),
    ]


def test_definitions_are_listed_by_key(conn: Connection, actor: Actor, other: Actor) -> None:
    keys = ["é", "b", "B", "a/b", "a"]
    made = {key: definitions.create(conn, whose, key) for key, whose in zip(keys, [actor, other] * 3, strict=False)}
    assert [found.key for found in definitions.page(conn, 9, None).items] == sorted(keys)
    assert definitions.page(conn, 9, None, key="b").items == [made["b"]]
    first = definitions.page(conn, 3, None)
    assert [found.key for found in definitions.page(conn, 3, first.next_token).items] == ["b", "é"]
