"""Settings, read from the environment once."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from native_api.core import db, stores
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
    artifacts_destination: str = "data/artifacts"
    proxy_only: bool = False
    migrate: bool = False
    access: str = ""
    allowed_hosts: str = ""
    static_prefix: str = ""
    registration: str = "open"
    secret_key: str = field(default="", repr=False)
    secret_key_file: str = ""
    token_minutes: int = 720
    admin_email: str = ""
    admin_password: str = field(default="", repr=False)

    @classmethod
    def from_env(cls, given: Mapping[str, str | int | bool | None] | None = None) -> Settings:
        """The given options, else the environment's, else the defaults. Invalid for values that cannot be."""
        chosen: dict[str, str | int | bool] = {}
        try:
            for setting in fields(cls):
                value = (given or {}).get(setting.name)
                if value is None:
                    value = os.environ.get(PREFIX + setting.name.upper())
                if value is not None:
                    chosen[setting.name] = _converted(value, setting.default)
            settings = cls(**chosen)  # type: ignore[arg-type]
            settings.check()
        except ValueError as error:  # also of a port in the database's URL
            raise Invalid(f"A setting is not a number: {error}") from None
        return settings

    def check(self) -> None:
        """Raise Invalid for combinations that are not safe or cannot work."""
        url = db.parse_url(self.database_url)
        stores.check(self.artifacts_destination)
        if not 0 <= self.port <= 65535:
            raise Invalid("The port must be between 0 and 65535")
        if self.workers < 1:
            raise Invalid("At least one worker is needed")
        if self.workers > 1 and db.is_sqlite(url):
            raise Invalid("An SQLite database has one server process: use PostgreSQL for more than one worker")
        if self.access not in ("", OPEN, REQUIRED):
            raise Invalid(f"The access mode must be {OPEN} or {REQUIRED}")
        if self.access == OPEN and self.host not in LOOPBACK:
            raise Invalid(f"Open access is only for this machine ({', '.join(LOOPBACK)}), not for {self.host}")
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", self.static_prefix):
            raise Invalid("The static prefix must be a path like /mlflow, without a slash at its end")
        if self.is_open and self.allowed_hosts:
            raise Invalid("Open access answers only to the names of this machine: it takes no allowed hosts")
        if self.registration not in ("open", "closed"):
            raise Invalid("Registration must be open or closed")
        if not 1 <= self.token_minutes <= 525_600:
            raise Invalid("Access tokens must be good for between 1 minute and a year")
        if bool(self.admin_email) != bool(self.admin_password):
            raise Invalid("An administrator needs both an email and a password")

    @property
    def key_file(self) -> Path:
        """Where keys are kept if no setting has them: beside an SQLite database, else in `data`."""
        if self.secret_key_file:
            return Path(self.secret_key_file)
        url = db.parse_url(self.database_url)
        return (Path(url.database or "").parent if db.is_sqlite(url) else Path("data")) / "secret.key"

    @property
    def is_open(self) -> bool:
        """Whether callers without credentials act as the local owner: so by default, on this machine alone."""
        return self.access == OPEN or (not self.access and self.host in LOOPBACK)

    @property
    def hosts(self) -> Collection[str]:
        """The names that the server answers to, in lower case; none if it answers to any."""
        if self.is_open:
            return LOOPBACK
        return tuple(host.strip().lower() for host in self.allowed_hosts.split(",") if host.strip())


OPEN, REQUIRED = "open", "required"


def _converted(value: str | int | bool, default: object) -> str | int | bool:
    """The value as what the default is."""
    match default:
        case bool():
            return str(value).lower() in ("1", "true", "yes")
        case int():
            return int(value)
        case _:
            return str(value)
