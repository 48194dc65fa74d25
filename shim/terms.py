"""What the identifiers in a filter or an order stand for, and how their values are written and compared."""

from __future__ import annotations

import re
from collections.abc import Mapping

from native_api.core.errors import Invalid
from native_api.core.search import Attribute, Input, Metric, Op, Param, Tag
from shim import metric_names, reserved_tags
from shim.grammar import ORDERING, QUOTED, Kind, Term, Token, shown
from shim.logged_model_messages import STATUS_NAMES as MODEL_STATUS_NAMES
from shim.messages import STATUSES

# Values


def _text(token: Token) -> str | None:
    if token.kind == "string" or (token.kind == "name" and re.fullmatch(QUOTED, token.text) and token.text[0] == '"'):
        return token.text[1:-1]
    return None


def _text_or_number(token: Token) -> str | None:
    return token.text if token.kind == "number" else _text(token)


def _number(token: Token) -> float | None:
    return float(token.text) if token.kind == "number" else None


_DIGITS = 4_000
"""Python reads no more at once. Far fewer are too many for a column, and the others make no difference then."""


def _whole(token: Token) -> int | None:
    return int(token.text[:_DIGITS]) if token.kind == "number" and token.text.lstrip("-").isdigit() else None


def _time(token: Token) -> int | float | None:
    whole = _whole(token)
    return _number(token) if whole is None else whole


def _id(token: Token) -> int | None:
    return _whole_of(_text(token))


def _id_or_number(token: Token) -> int | None:
    return _whole_of(_text_or_number(token))


def _whole_of(text: str | None) -> int | None:
    return int(text[:_DIGITS]) if text is not None and re.fullmatch("-?[0-9]+", text) else None


def _number_of_version(token: Token) -> int | None:
    return _whole(token) if token.kind == "number" else _id(token)


_ALIKE = frozenset({Op.EQ, Op.NE, Op.LIKE, Op.ILIKE})
_LISTED = frozenset({Op.IN, Op.NOT_IN})
_NULL = frozenset({Op.IS_NULL, Op.NOT_NULL})

_METRIC = Kind(ORDERING | _NULL, _number, "a numeric value for a metric")
_PARAM = Kind(_ALIKE | _NULL, _text, "a quoted string value")
_STRING_ATTRIBUTE = Kind(_ALIKE, _text, "a quoted string value")
_LISTED_STRING = Kind(_ALIKE | _LISTED, _text, "a quoted string value")
_TIME = Kind(ORDERING, _time, "a numeric value")
_WHOLE_TIME = Kind(ORDERING, _whole, "a whole number")
_ID = Kind(frozenset({Op.EQ, Op.NE}) | _LISTED, _id, "a quoted whole number")
_REGISTRY_TAG = Kind(_ALIKE, _text, "a quoted string value")
_VERSION_NUMBER = Kind(ORDERING, _number_of_version, "a whole number")
_LISTED_TEXT = Kind(_ALIKE | _LISTED, _text_or_number, "a quoted string value")
_LISTED_PAIR = Kind(_ALIKE | _LISTED | _NULL, _text_or_number, "a quoted string value")
_LISTED_ID = Kind(frozenset({Op.EQ, Op.NE}) | _LISTED, _id_or_number, "a whole number")


_STARTED_AT = Term(Attribute("started_at"), _TIME)
_RUN_NAME = Term(Attribute("run_name"), _STRING_ATTRIBUTE)
_RUN_ATTRIBUTES = {
    "run_id": Term(Attribute("run_id"), _LISTED_STRING),
    "run_name": _RUN_NAME,
    "status": Term(Attribute("status"), _STRING_ATTRIBUTE, names=STATUSES),
    "artifact_uri": Term(Attribute("artifact_uri"), _STRING_ATTRIBUTE),
    "user_id": Term(Attribute("user_name"), _STRING_ATTRIBUTE),
    "start_time": _STARTED_AT,
    "end_time": Term(Attribute("finished_at"), _TIME),
    "created": _STARTED_AT,
    "Created": _STARTED_AT,
    "run name": _RUN_NAME,
    "Run name": _RUN_NAME,
    "Run Name": _RUN_NAME,
}
_DATASET_ATTRIBUTES = {key: Term(Input(key), _LISTED_STRING, sorts=False) for key in ("name", "digest", "context")}
_EXPERIMENT_ATTRIBUTES = {
    "name": Term(Attribute("name"), _STRING_ATTRIBUTE),
    "experiment_id": Term(Attribute("id"), _ID),
    "creation_time": Term(Attribute("created_at"), _WHOLE_TIME),
    "last_update_time": Term(Attribute("updated_at"), _WHOLE_TIME),
}
_NAME_OF_MODEL = Term(Attribute("name"), _LISTED_STRING)
_REGISTERED_MODEL_ATTRIBUTES = {"name": _NAME_OF_MODEL}
_REGISTERED_MODEL_SORTS = {
    "name": _NAME_OF_MODEL,
    "timestamp": Term(Attribute("updated_at"), _WHOLE_TIME),
    "last_updated_timestamp": Term(Attribute("updated_at"), _WHOLE_TIME),
}
_VERSION_OF_MODEL = Term(Attribute("version"), _VERSION_NUMBER)
_MODEL_VERSION_ATTRIBUTES = {
    "name": _NAME_OF_MODEL,
    "version_number": _VERSION_OF_MODEL,
    "run_id": Term(Attribute("run_id"), _LISTED_STRING),
    "source_path": Term(Attribute("source"), _STRING_ATTRIBUTE),
}
_MODEL_VERSION_SORTS = {
    "name": _NAME_OF_MODEL,
    "version_number": _VERSION_OF_MODEL,
    "creation_timestamp": Term(Attribute("created_at"), _WHOLE_TIME),
    "last_updated_timestamp": Term(Attribute("updated_at"), _WHOLE_TIME),
}

_MODEL_CREATED_AT = Term(Attribute("created_at"), _TIME)
_MODEL_UPDATED_AT = Term(Attribute("updated_at"), _TIME)
_MODEL_ARTIFACT_URI = Term(Attribute("artifact_uri"), _LISTED_TEXT)
_MODEL_ATTRIBUTES = {
    **{
        name: Term(Attribute(name), _LISTED_TEXT)
        for name in ("model_id", "name", "model_type", "source_run_id", "status_message")
    },
    "experiment_id": Term(Attribute("experiment_id"), _LISTED_ID),
    "status": Term(Attribute("status"), _LISTED_TEXT, names=MODEL_STATUS_NAMES),
    "artifact_location": _MODEL_ARTIFACT_URI,
    "artifact_uri": _MODEL_ARTIFACT_URI,
    "creation_timestamp_ms": _MODEL_CREATED_AT,
    "creation_timestamp": _MODEL_CREATED_AT,
    "creation_time": _MODEL_CREATED_AT,
    "last_updated_timestamp_ms": _MODEL_UPDATED_AT,
    "last_updated_timestamp": _MODEL_UPDATED_AT,
}


def run_term(entity: str, key: str) -> Term:
    match entity:
        case "metric" | "metrics":
            return Term(Metric(*metric_names.split(key)), _METRIC)
        case "parameter" | "parameters" | "param" | "params":
            return Term(Param(key), _PARAM)
        case "tag" | "tags":
            column = reserved_tags.RUN_COLUMNS.get(key)
            return Term(Attribute(column) if column else Tag(key), _PARAM)
        case "attribute" | "attributes" | "attr" | "run":
            return _known(_RUN_ATTRIBUTES, "attribute", key)
        case "dataset" | "datasets":
            return _known(_DATASET_ATTRIBUTES, "dataset", key)
    raise Invalid(f"Invalid entity type '{shown(entity)}'. Valid values are metric, parameter, tag, attribute, dataset")


def experiment_term(entity: str, key: str) -> Term:
    match entity:
        case "tag" | "tags":
            column = reserved_tags.EXPERIMENT_COLUMNS.get(key)
            return Term(Attribute(column) if column else Tag(key), _PARAM, sorts=False)
        case "attribute":
            return _known(_EXPERIMENT_ATTRIBUTES, "attribute", key)
    raise Invalid(f"Invalid entity type '{shown(entity)}'. Valid entity types are attribute, tag, tags")


def registered_model_term(entity: str, key: str) -> Term:
    return _registry_term(_REGISTERED_MODEL_ATTRIBUTES, entity, key)


def registered_model_sort_term(entity: str, key: str) -> Term:
    return _registry_term(_REGISTERED_MODEL_SORTS, entity, key)


def model_version_term(entity: str, key: str) -> Term:
    return _registry_term(_MODEL_VERSION_ATTRIBUTES, entity, key)


def model_version_sort_term(entity: str, key: str) -> Term:
    return _registry_term(_MODEL_VERSION_SORTS, entity, key)


def _registry_term(attributes: Mapping[str, Term], entity: str, key: str) -> Term:
    match entity:
        case "tag" | "tags":
            return Term(Tag(key), _REGISTRY_TAG, sorts=False)
        case "attribute":
            return _known(attributes, "attribute", key)
    raise Invalid(f"Invalid entity type '{shown(entity)}'. Valid entity types are attribute, tag, tags")


def logged_model_term(entity: str, key: str) -> Term:
    match entity:
        case "metrics":
            return Term(Metric(*metric_names.split(key)), _METRIC)
        case "params":
            return Term(Param(key), _LISTED_PAIR)
        case "tags":
            return Term(Tag(key), _LISTED_PAIR)
        case "attribute" | "attributes":
            return _known(_MODEL_ATTRIBUTES, "attribute", key)
    raise Invalid(f"Invalid entity type '{shown(entity)}'. Expected one of attributes, metrics, params, tags")


def _known(terms: Mapping[str, Term], noun: str, key: str) -> Term:
    if key not in terms:
        raise Invalid(f"Invalid {noun} key '{shown(key)}' specified. Valid keys are {', '.join(terms)}")
    return terms[key]
