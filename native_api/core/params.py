"""Params as text. The truth is `run_configs.params_json`; `run_params` is derived from it for searching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, delete

from native_api.core import db
from native_api.core import tables as t

_put_params = db.BulkInsert(t.run_params, ["run_id", "key", "value"], "ON CONFLICT DO NOTHING")


def text_of(value: object) -> str:
    """A param as text: strings as they are, typed native values as their JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()


def put(conn: Connection, added: Sequence[tuple[int, Mapping[str, object]]]) -> None:
    """Let what can be searched follow the params that were added to some runs."""
    _put_params(conn, sorted((run, key, text_of(value)) for run, new in added for key, value in new.items()))


def replace(conn: Connection, run: int, params: Mapping[str, object]) -> None:
    """Let what can be searched follow the params that a run has now."""
    conn.execute(delete(t.run_params).where(t.run_params.c.run_id == run))
    put(conn, [(run, params)])
