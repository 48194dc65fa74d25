"""Params: each written once. The truth is `run_configs.params_json`; `run_params` is derived from it for searching."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection, select

from native_api.core import clock, db
from native_api.core import tables as t
from native_api.core.errors import Invalid

_put_config = db.BulkInsert(
    t.run_configs,
    ["run_id", "params_json", "created_at"],
    "ON CONFLICT (run_id) DO UPDATE SET params_json = excluded.params_json",
)
_put_params = db.BulkInsert(t.run_params, ["run_id", "key", "value"], "ON CONFLICT DO NOTHING")


def text_of(value: object) -> str:
    """A param as text: strings as they are, typed native values as their JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


class Params:
    """The params of some runs, whose rows are held, while a group of log entries adds to them."""

    def __init__(self, conn: Connection, runs: Iterable[int]) -> None:
        self._conn = conn
        self._added: dict[int, dict[str, str]] = {}
        c = t.run_configs.c
        rows = conn.execute(select(c.run_id, c.params_json).where(db.among(conn, c.run_id, set(runs))))
        self._params: dict[int, dict[str, object]] = {row.run_id: row.params_json for row in rows}

    def add(self, run: int, params: Mapping[str, str]) -> None:
        """Take these on; Invalid, and none of them taken, if one has another value already."""
        known = self._params.setdefault(run, {})
        for key, value in params.items():
            if key in known and text_of(known[key]) != value:
                raise Invalid(
                    f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                    f"value='{text_of(known[key])}' for this run. Attempted logging new value '{value}'."
                )
        new = {key: value for key, value in params.items() if key not in known}
        known.update(new)
        if new:
            self._added.setdefault(run, {}).update(new)

    def write(self) -> None:
        """Store what was taken on."""
        now = clock.now()
        whole = ((run, msgspec.json.encode(self._params[run]).decode(), now) for run in sorted(self._added))
        _put_config(self._conn, list(whole))
        _put_params(
            self._conn, sorted((run, key, value) for run, new in self._added.items() for key, value in new.items())
        )
