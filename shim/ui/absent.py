"""What MLflow's UI asks of parts that this server does not have: answers that say so, and show no error.

Traces, scorers, reviews, evaluation datasets, webhooks, the AI gateway, the assistant and MCP servers have empty lists.
Usage telemetry is off: nothing is recorded, and nothing leaves the machine. The shapes are those of an MLflow server
without any of these.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection

from native_api.core.access import Actor
from shim import messages as m

Answer = dict[str, Any]

LISTS = (
    *("label-schemas", "review-queues", "scorers"),
    *(f"gateway/{name}" for name in ("secrets", "endpoints", "model-definitions", "endpoints/bindings")),
)
"""What has lists, which are empty here."""


class Aggregation(m.Message):
    """One way in which numbers are summed up."""

    aggregation_type: m.Text | None = None


class TraceMetrics(m.Message):
    """Asks for numbers about traces."""

    metric_name: m.Text | None = None
    aggregations: Annotated[list[Aggregation], Field(max_length=100)] | None = None
    time_interval_seconds: m.Int64 | None = None
    dimensions: Annotated[list[m.Text], Field(max_length=100)] | None = None


def nothing(conn: Connection, actor: Actor, msg: m.Nothing) -> Answer:
    """A list without items, as protobuf's JSON has it."""
    return {}


def trace_metrics(conn: Connection, actor: Actor, msg: TraceMetrics) -> Answer:
    """No traces: a plain count of them is 0, and there are no other points."""
    kinds = [one.aggregation_type for one in msg.aggregations or ()]
    if msg.metric_name != "trace_count" or kinds != ["COUNT"] or msg.time_interval_seconds or msg.dimensions:
        return {"data_points": []}
    return {"data_points": [{"metric_name": "trace_count", "values": {"COUNT": 0.0}}]}


def gateway_endpoints(conn: Connection, actor: Actor, msg: m.Nothing) -> Answer:
    return {"endpoints": []}


def assistant_config(conn: Connection, actor: Actor, msg: m.Nothing) -> Answer:
    return {"providers": {}, "projects": {}, "remote_access_allowed": False}


def assistant_providers(conn: Connection, actor: Actor, msg: m.Nothing) -> Answer:
    return {"providers": []}


def telemetry(conn: Connection, actor: Actor, msg: m.Nothing) -> Answer:
    return {"disable_ui_telemetry": True, "disable_ui_events": [], "ui_rollout_percentage": 0}


def telemetry_records(conn: Connection, actor: Actor, msg: m.Nothing) -> Answer:
    return {"status": "disabled"}
