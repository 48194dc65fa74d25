"""The four GraphQL operations that MLflow's UI sends, dispatched by their name.

An answer is whole whatever the query selects: the UI reads the fields it asked for and leaves the others. Names are in
camelCase, and 64-bit integers are text, as MLflow's own schema has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from sqlalchemy import Connection

from native_api.core import experiments, runs
from native_api.core.access import Actor
from native_api.core.errors import Problem
from native_api.core.model_search import find_versions
from native_api.core.search import Attribute, Comparison, Op
from shim import documents, metrics, model_versions
from shim import messages as m
from shim.errors import sentence
from shim.runs import find_page

MAX_VERSIONS = 1000
"""The most versions of registered models that are told of the runs of an answer."""

Answer = dict[str, Any]


class Operation(NamedTuple):
    """What an operation is called with, in which variable, and which field of the answer its handler fills."""

    field: str
    variable: str
    message: type[BaseModel]
    handler: Callable[[Connection, Actor, Any], Answer]


def answer(conn: Connection, actor: Actor, msg: m.GraphQL) -> Answer:
    """GraphQL's answer. As from MLflow's server, what goes wrong is told in it as plain text, with status 200."""
    operation = _named(msg)
    if operation is None:
        return {"data": None, "errors": ["This server answers only the operations of MLflow's own UI"]}
    given = (msg.variables or {}).get(operation.variable)
    try:
        message = operation.message.model_validate(given if isinstance(given, Mapping) else {})
        found = operation.handler(conn, actor, message)
    except ValidationError as error:
        return {"data": {operation.field: None}, "errors": [sentence(error)]}
    except Problem as problem:
        return {"data": {operation.field: None}, "errors": [problem.message]}
    return {"data": {operation.field: {"apiError": None, **_in_camel_case(msgspec.to_builtins(found))}}, "errors": None}


def _named(msg: m.GraphQL) -> Operation | None:
    if msg.operation_name:
        return OPERATIONS.get(msg.operation_name)
    return next((operation for operation in OPERATIONS.values() if operation.field in (msg.query or "")), None)


def _in_camel_case(value: Any) -> Any:
    match value:
        case dict():
            return {to_camel(name): _in_camel_case(part) for name, part in value.items()}
        case list():
            return [_in_camel_case(item) for item in value]
        case int() if not isinstance(value, bool):
            return str(value)
        case _:
            return value


# The operations


def _get_experiment(conn: Connection, actor: Actor, msg: m.GetExperiment) -> Answer:
    return {"experiment": _experiment(conn, actor, msg.experiment_id)}


def _experiment(conn: Connection, actor: Actor, experiment_id: int) -> Answer:
    document = documents.of_experiment(experiments.get(conn, actor, experiment_id), actor.workspace)
    return {"tags": [], "effective_trace_archival_retention": "", **document}


def _get_run(conn: Connection, actor: Actor, msg: m.GetRun) -> Answer:
    (run,) = _runs(conn, actor, [runs.find(conn, actor, msg.run_id)])
    return {"run": run}


def _search_runs(conn: Connection, actor: Actor, msg: m.SearchRuns) -> Answer:
    page = find_page(conn, actor, msg)
    return {"runs": _runs(conn, actor, page.items), "next_page_token": page.next_token}


def _runs(conn: Connection, actor: Actor, wanted: Sequence[tuple[int, int]]) -> list[Answer]:
    """The documents of these (run, revision), each with its experiment and the versions of models that came of it."""
    found = [msgspec.json.decode(document) for document in documents.run_documents(conn, wanted)]
    homes = {run["info"]["experiment_id"] for run in found}
    shown = {home: _experiment(conn, actor, int(home)) for home in homes}
    made = _versions(conn, actor, tuple(run["info"]["run_id"] for run in found))
    return [
        run
        | {
            "info": {"end_time": 0} | run["info"],  # protobuf's default, which the UI takes for none
            "experiment": shown[run["info"]["experiment_id"]],
            "model_versions": made.get(run["info"]["run_id"], []),
        }
        for run in found
    ]


def _versions(conn: Connection, actor: Actor, run_ids: tuple[str, ...]) -> Mapping[str, list[Answer]]:
    if not run_ids:
        return {}
    of_runs = Comparison(Attribute("run_id"), Op.IN, run_ids)
    made: dict[str, list[Answer]] = {}
    for version in find_versions(conn, actor, of_runs, [], MAX_VERSIONS, None).items:
        made.setdefault(version.run_id or "", []).append(model_versions.document(version))
    return made


OPERATIONS = {
    "GetRun": Operation("mlflowGetRun", "data", m.GetRun, _get_run),
    "MlflowGetExperimentQuery": Operation("mlflowGetExperiment", "input", m.GetExperiment, _get_experiment),
    "SearchRuns": Operation("mlflowSearchRuns", "data", m.SearchRuns, _search_runs),
    "GetMetricHistoryBulkInterval": Operation(
        "mlflowGetMetricHistoryBulkInterval", "data", m.GetHistoryInterval, metrics.history_interval
    ),
}
