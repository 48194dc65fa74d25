"""Models: those that runs made, and the registry."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import CheckConstraint as Check
from sqlalchemy import Column
from sqlalchemy import ForeignKeyConstraint as ForeignKey
from sqlalchemy import PrimaryKeyConstraint as PrimaryKey
from sqlalchemy import UniqueConstraint as Unique

revision = "0002"
down_revision = "0001"

Id = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")
Bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    create_logged_models()
    create_registry()


def downgrade() -> None:
    for table in (
        *("registered_model_aliases", "model_version_tags", "model_versions"),
        *("registered_model_tags", "registered_models"),
        *("logged_model_metrics", "logged_model_tags", "logged_model_params", "logged_models"),
    ):
        op.drop_table(table)


def create_logged_models() -> None:
    op.create_table(
        "logged_models",
        Column("id", Serial, sa.Identity(), nullable=False),
        Column("model_id", Bytewise, nullable=False),
        Column("experiment_id", Serial, nullable=False),
        Column("name", Bytewise, nullable=False),
        Column("model_type", sa.Text(), nullable=False),
        Column("source_run_id", Id, nullable=False),
        Column("artifact_uri", sa.Text(), nullable=False),
        Column("status", sa.Text(), nullable=False),
        Column("status_message", sa.Text(), nullable=True),
        Column("created_by", Id, nullable=True),
        Column("created_at", sa.BigInteger(), nullable=False),
        Column("updated_at", sa.BigInteger(), nullable=False),
        Column("deleted_at", sa.BigInteger(), nullable=True),
        Check("status IN ('unspecified', 'pending', 'ready', 'failed')", name=op.f("ck_logged_models_status")),
        ForeignKey(["created_by"], ["users.user_id"], name=op.f("fk_logged_models_created_by")),
        ForeignKey(["experiment_id"], ["experiments.id"], name=op.f("fk_logged_models_experiment_id")),
        PrimaryKey("id", name=op.f("pk_logged_models")),
        Unique("model_id", name=op.f("uq_logged_models_model_id")),
        sqlite_autoincrement=True,
    )
    newest = (sa.text("created_at DESC"), "model_id")
    op.create_index("ix_logged_models_newest", "logged_models", ["experiment_id", *newest])
    op.create_index("ix_logged_models_newest_of_name", "logged_models", ["experiment_id", "name", *newest])
    for part in ("params", "tags"):
        op.create_table(
            f"logged_model_{part}",
            Column("logged_model_id", Serial, nullable=False),
            Column("key", sa.Text(), nullable=False),
            Column("value", sa.Text(), nullable=False),
            ForeignKey(["logged_model_id"], ["logged_models.id"], name=op.f(f"fk_logged_model_{part}_logged_model_id")),
            PrimaryKey("logged_model_id", "key", name=op.f(f"pk_logged_model_{part}")),
            sqlite_with_rowid=False,
        )
    op.create_table(
        "logged_model_metrics",
        Column("logged_model_id", Serial, nullable=False),
        Column("metric_id", Serial, nullable=False),
        Column("scope", sa.SmallInteger(), nullable=False),
        Column("recorded_at", sa.BigInteger(), nullable=False),
        Column("step", sa.BigInteger(), nullable=False),
        Column("run_id", Serial, nullable=False),
        Column("value", sa.Double(), nullable=False),
        Column("is_nan", sa.SmallInteger(), nullable=False),
        Column("dataset_name", Bytewise, nullable=False),
        Column("dataset_digest", Bytewise, nullable=False),
        PrimaryKey(
            *("logged_model_id", "metric_id", "scope", "recorded_at", "step", "run_id"),
            *("value", "is_nan", "dataset_name", "dataset_digest"),
            name=op.f("pk_logged_model_metrics"),
        ),
        sqlite_with_rowid=False,
    )


def create_registry() -> None:
    op.create_table(
        "registered_models",
        Column("registered_model_id", Id, nullable=False),
        Column("project_id", Id, nullable=False),
        Column("name", Bytewise, nullable=False),
        Column("description", sa.Text(), nullable=True),
        Column("last_version", sa.BigInteger(), nullable=False),
        Column("created_by", Id, nullable=True),
        Column("created_at", sa.BigInteger(), nullable=False),
        Column("updated_at", sa.BigInteger(), nullable=False),
        ForeignKey(["created_by"], ["users.user_id"], name=op.f("fk_registered_models_created_by")),
        ForeignKey(["project_id"], ["ml_projects.project_id"], name=op.f("fk_registered_models_project_id")),
        PrimaryKey("registered_model_id", name=op.f("pk_registered_models")),
        Unique("project_id", "name", name=op.f("uq_registered_models_project_id_name")),
    )
    op.create_index(
        op.f("ix_registered_models_project_id_updated_at"), "registered_models", ["project_id", "updated_at"]
    )
    op.create_table(
        "registered_model_tags",
        Column("registered_model_id", Id, nullable=False),
        Column("key", sa.Text(), nullable=False),
        Column("value", sa.Text(), nullable=False),
        of_registered_model("registered_model_tags"),
        PrimaryKey("registered_model_id", "key", name=op.f("pk_registered_model_tags")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "model_versions",
        Column("id", Serial, sa.Identity(), nullable=False),
        Column("registered_model_id", Id, nullable=False),
        Column("version", sa.BigInteger(), nullable=False),
        Column("project_id", Id, nullable=False),
        Column("description", sa.Text(), nullable=True),
        Column("source", sa.Text(), nullable=False),
        Column("storage_uri", sa.Text(), nullable=False),
        Column("run_id", Bytewise, nullable=False),
        Column("run_link", sa.Text(), nullable=True),
        Column("model_id", Bytewise, nullable=True),
        Column("stage", sa.Text(), nullable=False),
        Column("status", sa.Text(), nullable=False),
        Column("status_message", sa.Text(), nullable=True),
        Column("created_by", Id, nullable=True),
        Column("created_at", sa.BigInteger(), nullable=False),
        Column("updated_at", sa.BigInteger(), nullable=False),
        Check("stage IN ('none', 'staging', 'production', 'archived')", name=op.f("ck_model_versions_stage")),
        Check("status IN ('pending', 'ready', 'failed')", name=op.f("ck_model_versions_status")),
        ForeignKey(["created_by"], ["users.user_id"], name=op.f("fk_model_versions_created_by")),
        ForeignKey(["project_id"], ["ml_projects.project_id"], name=op.f("fk_model_versions_project_id")),
        of_registered_model("model_versions"),
        PrimaryKey("id", name=op.f("pk_model_versions")),
        Unique("registered_model_id", "version", name=op.f("uq_model_versions_registered_model_id_version")),
        sqlite_autoincrement=True,
    )
    for columns in (
        ["registered_model_id", "stage", "version"],
        ["project_id", "updated_at"],
        ["run_id"],
    ):
        op.create_index(op.f(f"ix_model_versions_{'_'.join(columns)}"), "model_versions", columns)
    op.create_table(
        "model_version_tags",
        Column("model_version_id", Serial, nullable=False),
        Column("key", sa.Text(), nullable=False),
        Column("value", sa.Text(), nullable=False),
        ForeignKey(["model_version_id"], ["model_versions.id"], name=op.f("fk_model_version_tags_model_version_id")),
        PrimaryKey("model_version_id", "key", name=op.f("pk_model_version_tags")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "registered_model_aliases",
        Column("registered_model_id", Id, nullable=False),
        Column("alias", Bytewise, nullable=False),
        Column("version", sa.BigInteger(), nullable=False),
        ForeignKey(
            ["registered_model_id", "version"],
            ["model_versions.registered_model_id", "model_versions.version"],
            name=op.f("fk_registered_model_aliases_registered_model_id_version"),
        ),
        PrimaryKey("registered_model_id", "alias", name=op.f("pk_registered_model_aliases")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_registered_model_aliases_registered_model_id_version"),
        "registered_model_aliases",
        ["registered_model_id", "version"],
    )


def of_registered_model(table: str) -> ForeignKey:
    return ForeignKey(
        ["registered_model_id"],
        ["registered_models.registered_model_id"],
        name=op.f(f"fk_{table}_registered_model_id"),
    )
