"""Run by alembic: on the connection core/schema.py hands over, else on the database of MLFLOW_SHIM_DATABASE_URL."""

import os

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.sql.schema import SchemaItem

from native_api.core import db, tables

LOCK = 0x6D6C666C6F77
"""Any number would do. It keeps two starts on one PostgreSQL apart; on SQLite BEGIN IMMEDIATE does that."""


def migrate(conn: Connection) -> None:
    """Do what alembic was asked for, all of it in the connection's transaction."""

    def concerned(item: SchemaItem, name: str | None, kind: str, reflected: bool, other: SchemaItem | None) -> bool:
        """Not an index that tables.py means for the other database: autogenerate does not know `ddl_if`."""
        rule = getattr(item, "_ddl_if", None)
        return rule is None or rule.dialect == conn.dialect.name

    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    context.configure(connection=conn, target_metadata=tables.metadata, include_object=concerned, render_as_batch=True)
    context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
elif url := os.environ.get("MLFLOW_SHIM_DATABASE_URL"):
    engine = db.create_writer(db.parse_url(url))
    with engine.begin() as conn:
        migrate(conn)
    engine.dispose()
else:
    raise SystemExit("Say which database: MLFLOW_SHIM_DATABASE_URL=sqlite:///data/mlflow-shim.db alembic ...")
