"""The version of the schema: where a database is, whether this release can work with it, and how to move it."""

from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine import URL

from native_api.core import db

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
"""Every revision that this release knows, oldest first: the files of migrations/versions."""

HEAD = REVISIONS[-1]


class SchemaError(Exception):
    """The database's schema is not the one that this release works with. The message says what to do."""


def current(conn: Connection) -> str | None:
    """The revision the database is at; None where nothing of ours has been created yet."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar()


def check(engine: Engine) -> None:
    """Raise SchemaError unless the database is at the revision of this release."""
    with engine.connect() as conn:
        found = known(conn)
    if found != HEAD:
        raise SchemaError(
            f"The database is at schema revision {found}, this release needs {HEAD}: run `mlflow-shim db upgrade`"
        )


def known(conn: Connection) -> str:
    """The revision the database is at. Raises SchemaError for none, and for one that this release does not know."""
    found = current(conn)
    _refuse_unknown(found)
    if found is None:
        raise SchemaError("The database has no tables yet: `mlflow-shim db upgrade` creates them")
    return found


def _refuse_unknown(found: str | None) -> None:
    if found is not None and found not in REVISIONS:
        raise SchemaError(
            f"The database is at schema revision {found}, which this release does not know:"
            " it was made by a newer release, or by another program"
        )


def upgrade(url: URL, revision: str = "head") -> None:
    """Bring the database up to a revision, creating it from nothing if need be. Two at once wait for each other."""
    _move(url, "upgrade", revision)


def downgrade(url: URL, revision: str) -> None:
    """Take the database back to a revision, or to `base`: nothing at all. What older revisions cannot hold is lost."""
    _move(url, "downgrade", revision)


def _move(url: URL, direction: Literal["upgrade", "downgrade"], revision: str) -> None:
    engine = db.create_writer(url)
    try:
        with engine.begin() as conn:
            found = current(conn)
            _refuse_unknown(found)
            if (direction, revision, found) != ("upgrade", "head", HEAD):
                _run_alembic(conn, direction, revision)
    finally:
        engine.dispose()


def _run_alembic(conn: Connection, direction: Literal["upgrade", "downgrade"], revision: str) -> None:
    from alembic import command  # 0.2 s, which a start on an upgraded database does not pay
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": conn})
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    try:
        getattr(command, direction)(config, revision)
    except CommandError as error:
        raise SchemaError(str(error)) from error


def _scripts() -> Path:
    """The folder `migrations`: beside the packages in the repository, inside this one in a wheel."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"
