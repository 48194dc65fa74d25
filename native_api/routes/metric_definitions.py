"""Metric definitions on the native surface: messages and handlers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator
from sqlalchemy import Connection

from native_api.core import definitions
from native_api.core.access import Actor
from native_api.routes.messages import Answer, Changes, Id, Listing, Message, Name, Page, ShownTime, page_of, text

Goal = Literal["min", "max", "last"]


def _unscoped(key: str) -> str:
    if key.startswith(("train/", "val/", "test/")):
        raise ValueError("train/, val/ and test/ are how MLflow's keys begin that have a scope: leave it out")
    return key


Key = Annotated[str, text(250, at_least=1)]
NewKey = Annotated[Key, AfterValidator(_unscoped)]


class MetricDefinition(Answer):
    """What is declared about the metrics with a key, on the whole server. The goal says which value is the best."""

    metric_id: Id
    key: str
    display_name: str | None
    unit: str | None
    goal: Goal
    created_at: ShownTime


class OneDefinition(Message):
    """Names a metric definition."""

    metric_id: Id


class ListDefinitions(Listing):
    """A page of the metric definitions."""

    key: Key | None = None


class CreateDefinition(Message):
    """A new metric definition."""

    key: NewKey
    display_name: Name | None = None
    unit: Name | None = None
    goal: Goal = "last"


class ChangeDefinition(Changes):
    """Changes of a metric definition."""

    metric_id: Id
    key: NewKey = ""
    display_name: Name | None = None
    unit: Name | None = None
    goal: Goal = "last"


def page(conn: Connection, actor: Actor, msg: ListDefinitions) -> Page[MetricDefinition]:
    """List the metric definitions, by key."""
    return page_of(definitions.page(conn, msg.limit, msg.cursor, key=msg.key), MetricDefinition.model_validate)


def create(conn: Connection, actor: Actor, msg: CreateDefinition) -> MetricDefinition:
    """Declare a metric. Needs write access to at least one project."""
    made = definitions.create(conn, actor, msg.key, display_name=msg.display_name, unit=msg.unit, goal=msg.goal)
    return MetricDefinition.model_validate(made)


def get(conn: Connection, actor: Actor, msg: OneDefinition) -> MetricDefinition:
    """Show a metric definition."""
    return MetricDefinition.model_validate(definitions.get(conn, msg.metric_id))


def change(conn: Connection, actor: Actor, msg: ChangeDefinition) -> MetricDefinition:
    """Change a metric definition of one's own; administrators of the server any."""
    return MetricDefinition.model_validate(definitions.change(conn, actor, msg.metric_id, msg.sent("metric_id")))


def delete(conn: Connection, actor: Actor, msg: OneDefinition) -> None:
    """Delete a metric definition of one's own; administrators of the server any. The points stay."""
    definitions.delete(conn, actor, msg.metric_id)
