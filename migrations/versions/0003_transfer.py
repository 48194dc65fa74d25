"""Imports from elsewhere: which sources were read, and what came from them. Purges that were begun."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column
from sqlalchemy import ForeignKeyConstraint as ForeignKey
from sqlalchemy import PrimaryKeyConstraint as PrimaryKey
from sqlalchemy import UniqueConstraint as Unique

revision = "0003"
down_revision = "0002"

Id = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "import_sources",
        Column("id", Serial, sa.Identity(), nullable=False),
        Column("project_id", Id, nullable=False),
        Column("location", sa.Text(), nullable=False),
        Column("created_at", sa.BigInteger(), nullable=False),
        ForeignKey(["project_id"], ["ml_projects.project_id"], name=op.f("fk_import_sources_project_id")),
        PrimaryKey("id", name=op.f("pk_import_sources")),
        Unique("project_id", "location", name=op.f("uq_import_sources_project_id_location")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "import_marks",
        Column("source_id", Serial, nullable=False),
        Column("kind", sa.Text(), nullable=False),
        Column("key", sa.Text(), nullable=False),
        Column("own_key", sa.Text(), nullable=False),
        Column("fingerprint", sa.String(64), nullable=False),
        ForeignKey(["source_id"], ["import_sources.id"], name=op.f("fk_import_marks_source_id")),
        PrimaryKey("source_id", "kind", "key", name=op.f("pk_import_marks")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "purges",
        Column("id", Serial, sa.Identity(), nullable=False),
        Column("run_id", Serial, nullable=True),
        Column("logged_model_id", Serial, nullable=True),
        Column("artifact_key", sa.Text(), nullable=True),
        PrimaryKey("id", name=op.f("pk_purges")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("purges")
    op.drop_table("import_marks")
    op.drop_table("import_sources")
