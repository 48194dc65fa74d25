"""Settings, read from the environment once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from native_api.core import db
from native_api.core.errors import Invalid

PREFIX = "MLFLOW_SHIM_"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """How the server is run. Each field is an option of `serve` and an environment variable, `MLFLOW_SHIM_<NAME>`."""

    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 1
    database_url: str = "sqlite:///data/mlflow-shim.db"
    artifact_root: str = "mlflow-artifacts:/"
    artifacts_destination: Path = Path("data/artifacts")
    migrate: bool = False

    @classmethod
    def from_env(cls, given: Mapping[str, str | int | bool | None] | None = None) -> Settings:
        """The given options, else the environment's, else the defaults. Invalid for values that cannot be."""
        chosen: dict[str, str | int | bool] = {}
        for field in fields(cls):
            value = (given or {}).get(field.name)
            if value is None:
                value = os.environ.get(PREFIX + field.name.upper())
            if value is not None:
                chosen[field.name] = value
        try:
            settings = cls(
                host=str(chosen.get("host", cls.host)),
                port=int(chosen.get("port", cls.port)),
                workers=int(chosen.get("workers", cls.workers)),
                database_url=str(chosen.get("database_url", cls.database_url)),
                artifact_root=str(chosen.get("artifact_root", cls.artifact_root)),
                artifacts_destination=Path(str(chosen.get("artifacts_destination", cls.artifacts_destination))),
                migrate=str(chosen.get("migrate", cls.migrate)).lower() in ("1", "true", "yes"),
            )
            settings.check()
        except ValueError as error:  # also of a port in the database's URL
            raise Invalid(f"A setting is not a number: {error}") from None
        return settings

    def check(self) -> None:
        """Raise Invalid for combinations that are not safe or cannot work."""
        url = db.parse_url(self.database_url)
        if not 0 <= self.port <= 65535:
            raise Invalid("The port must be between 0 and 65535")
        if self.workers < 1:
            raise Invalid("At least one worker is needed")
        if self.workers > 1 and db.is_sqlite(url):
            raise Invalid("An SQLite database has one server process: use PostgreSQL for more than one worker")
        if self.host not in LOOPBACK:
            raise Invalid(
                f"This release has no accounts yet, so it only listens on this machine ({', '.join(LOOPBACK)}), "
                f"not on {self.host}"
            )
