"""Configs of runs on the native surface: messages and handlers."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, Field
from sqlalchemy import Connection

from native_api.core import run_configs
from native_api.core.access import Actor
from native_api.core.params import text_of
from native_api.routes.messages import Answer, Changes, Id, LongText, Message, ShownTime, Whole, text

MAX_PARAMS = 1000
MAX_PARAM = 6000
"""Characters of a param's text: what MLflow clients see of it, and can log themselves."""
MAX_ENV = 1_048_575
"""Characters of JSON."""
MAX_DEPTH = 32

EXACT = 1e16
"""From here on PostgreSQL gives a float back as the digits of a whole number, and so does SQLite if it gets those."""


def _plain(value: Any, depth: int = 0) -> Any:
    """A JSON value as both databases keep it and give it back."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    match value:
        case str() if "\0" in value:
            raise ValueError("a text with a NUL character, which no database keeps")
        case bool():
            return value
        case int() | float():
            return _plain_number(value)
        case list():
            return [_plain(item, depth + 1) for item in value]
        case dict():
            return {_plain(key): _plain(item, depth + 1) for key, item in value.items()}
        case _:
            return value


def _plain_number(value: float) -> float:
    try:
        finite = math.isfinite(value)
    except OverflowError:
        finite = False
    if not finite:
        raise ValueError("a number beyond 64 bits")
    if isinstance(value, int):
        return value
    return int(Decimal(repr(value))) if abs(value) >= EXACT else value + 0.0


def _params(given: dict[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = _plain(given)
    for key, value in params.items():
        if len(text_of(value)) > MAX_PARAM:
            raise ValueError(f"{key!r} has more than {MAX_PARAM} characters")
    return params


def _env(given: dict[str, Any]) -> dict[str, Any]:
    env: dict[str, Any] = _plain(given)
    if len(msgspec.json.encode(env)) > MAX_ENV:
        raise ValueError(f"more than {MAX_ENV} characters of JSON")
    return env


ParamKey = Annotated[str, text(250, at_least=1)]
Params = Annotated[dict[ParamKey, Any], Field(max_length=MAX_PARAMS), AfterValidator(_params)]
Env = Annotated[dict[str, Any], AfterValidator(_env)]


class NewRunConfig(Message):
    """What a run is started with. MLflow clients see each param as its text."""

    params_json: Params = Field(default_factory=dict)
    env_json: Env | None = None
    command_line: LongText | None = None
    seed: Whole | None = None


class RunConfig(Answer):
    """What a run was started with; `params_json` holds its params with their types."""

    params_json: dict[str, Any]
    env_json: dict[str, Any] | None
    command_line: str | None
    seed: int | None
    created_at: ShownTime


class OneRunConfig(Message):
    """Names a run."""

    run_id: Id


class ChangeRunConfig(Changes):
    """Changes of a run's config. Params are replaced as a whole."""

    run_id: Id
    params_json: Params = Field(default_factory=dict)
    env_json: Env | None = None
    command_line: LongText | None = None
    seed: Whole | None = None


def get(conn: Connection, actor: Actor, msg: OneRunConfig) -> RunConfig:
    """Show a run's config."""
    return RunConfig.model_validate(run_configs.get(conn, actor, msg.run_id))


def put(conn: Connection, actor: Actor, msg: ChangeRunConfig) -> RunConfig:
    """Change a run's config, or give it one."""
    return RunConfig.model_validate(run_configs.put(conn, actor, msg.run_id, msg.sent("run_id")))
