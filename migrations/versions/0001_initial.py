"""The first schema: every table, and three views for people.

Made from tables.py as it was; it stays as it is when tables.py moves on.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import CheckConstraint as Check
from sqlalchemy import Column
from sqlalchemy import ForeignKeyConstraint as ForeignKey
from sqlalchemy import PrimaryKeyConstraint as PrimaryKey
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

Id = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")
Bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    create_tables()
    create_views()


def downgrade() -> None:
    for view in ("project_metric_summary", "run_metrics_readable", "runs_readable"):
        op.execute(f"DROP VIEW {view}")
    for table in TABLES:
        op.drop_table(table)


def create_tables() -> None:
    op.create_table(
        "users",
        Column("user_id", Id, nullable=False),
        Column("email", sa.Text(), nullable=False),
        Column("full_name", sa.Text(), nullable=False),
        Column("password_hash", sa.Text(), nullable=True),
        Column("is_active", sa.Boolean(), nullable=False),
        Column("is_administrator", sa.Boolean(), nullable=False),
        Column("is_service", sa.Boolean(), nullable=False),
        Column("created_at", sa.BigInteger(), nullable=False),
        Column("created_by", Id, nullable=True),
        Column("signed_out_at", sa.BigInteger(), nullable=False),
        ForeignKey(["created_by"], ["users.user_id"], name=op.f("fk_users_created_by")),
        PrimaryKey("user_id", name=op.f("pk_users")),
        Unique("email", name=op.f("uq_users_email")),
    )
    op.create_index(op.f("ix_users_full_name"), "users", ["full_name"])
    op.create_table(
        "api_tokens",
        Column("token_id", Id, nullable=False),
        Column("user_id", Id, nullable=False),
        Column("name", sa.Text(), nullable=False),
        Column("digest", sa.Text(), nullable=False),
        Column("hint", sa.Text(), nullable=False),
        Column("scope", sa.Text(), nullable=False),
        Column("created_at", sa.BigInteger(), nullable=False),
        Column("created_by", Id, nullable=False),
        Column("expires_at", sa.BigInteger(), nullable=True),
        Column("last_used_at", sa.BigInteger(), nullable=True),
        Column("revoked_at", sa.BigInteger(), nullable=True),
        Check("scope IN ('read', 'write', 'admin')", name=op.f("ck_api_tokens_scope")),
        ForeignKey(["created_by"], ["users.user_id"], name=op.f("fk_api_tokens_created_by")),
        ForeignKey(["user_id"], ["users.user_id"], name=op.f("fk_api_tokens_user_id")),
        PrimaryKey("token_id", name=op.f("pk_api_tokens")),
        Unique("digest", name=op.f("uq_api_tokens_digest")),
    )
    op.create_index(op.f("ix_api_tokens_user_id"), "api_tokens", ["user_id"])
    op.create_table(
        "organizations",
        Column("org_id", Id, nullable=False),
        Column("name", sa.Text(), nullable=False),
        Column("description", sa.Text(), nullable=True),
        Column("created_at", sa.BigInteger(), nullable=False),
        Column("created_by", Id, nullable=True),
        Column("deleted_at", sa.BigInteger(), nullable=True),
        ForeignKey(["created_by"], ["users.user_id"], name=op.f("fk_organizations_created_by")),
        PrimaryKey("org_id", name=op.f("pk_organizations")),
        Unique("name", name=op.f("uq_organizations_name")),
    )
    op.create_table(
        "org_members",
        Column("org_member_id", Id, nullable=False),
        Column("org_id", Id, nullable=False),
        Column("user_id", Id, nullable=False),
        Column("role", sa.Text(), nullable=False),
        Column("joined_at", sa.BigInteger(), nullable=False),
        Column("is_active", sa.Boolean(), nullable=False),
        Check("role IN ('owner', 'admin', 'member', 'viewer')", name=op.f("ck_org_members_role")),
        ForeignKey(["org_id"], ["organizations.org_id"], name=op.f("fk_org_members_org_id")),
        ForeignKey(["user_id"], ["users.user_id"], name=op.f("fk_org_members_user_id")),
        PrimaryKey("org_member_id", name=op.f("pk_org_members")),
        Unique("org_id", "user_id", name=op.f("uq_org_members_org_id_user_id")),
    )
    op.create_index(op.f("ix_org_members_user_id"), "org_members", ["user_id"])
    op.create_table(
        "ml_projects",
        Column("project_id", Id, nullable=False),
        Column("org_id", Id, nullable=False),
        Column("name", sa.Text(), nullable=False),
        Column("slug", sa.Text(), nullable=False),
        Column("description", sa.Text(), nullable=True),
        Column("status", sa.Text(), nullable=False),
        Column("created_at", sa.BigInteger(), nullable=False),
        Column("deleted_at", sa.BigInteger(), nullable=True),
        Check("status IN ('active', 'archived')", name=op.f("ck_ml_projects_status")),
        ForeignKey(["org_id"], ["organizations.org_id"], name=op.f("fk_ml_projects_org_id")),
        PrimaryKey("project_id", name=op.f("pk_ml_projects")),
        Unique("org_id", "name", name=op.f("uq_ml_projects_org_id_name")),
        Unique("slug", name=op.f("uq_ml_projects_slug")),
    )
    op.create_table(
        "project_members",
        Column("project_member_id", Id, nullable=False),
        Column("project_id", Id, nullable=False),
        Column("user_id", Id, nullable=False),
        Column("role", sa.Text(), nullable=False),
        Column("added_at", sa.BigInteger(), nullable=False),
        Column("is_active", sa.Boolean(), nullable=False),
        Check("role IN ('admin', 'editor', 'viewer')", name=op.f("ck_project_members_role")),
        ForeignKey(["project_id"], ["ml_projects.project_id"], name=op.f("fk_project_members_project_id")),
        ForeignKey(["user_id"], ["users.user_id"], name=op.f("fk_project_members_user_id")),
        PrimaryKey("project_member_id", name=op.f("pk_project_members")),
        Unique("project_id", "user_id", name=op.f("uq_project_members_project_id_user_id")),
    )
    op.create_index(op.f("ix_project_members_user_id"), "project_members", ["user_id"])
    op.create_table(
        "datasets",
        Column("dataset_id", Id, nullable=False),
        Column("project_id", Id, nullable=False),
        Column("name", sa.Text(), nullable=False),
        Column("task_type", sa.Text(), nullable=False),
        Column("description", sa.Text(), nullable=True),
        Column("created_at", sa.BigInteger(), nullable=False),
        Check(
            "task_type IN ('classification', 'regression', 'ranking', 'segmentation', 'nlp', 'other')",
            name=op.f("ck_datasets_task_type"),
        ),
        ForeignKey(["project_id"], ["ml_projects.project_id"], name=op.f("fk_datasets_project_id")),
        PrimaryKey("dataset_id", name=op.f("pk_datasets")),
        Unique("project_id", "name", name=op.f("uq_datasets_project_id_name")),
    )
    op.create_table(
        "dataset_versions",
        Column("dataset_version_id", Id, nullable=False),
        Column("dataset_id", Id, nullable=False),
        Column("version_label", sa.Text(), nullable=False),
        Column("storage_uri", sa.Text(), nullable=True),
        Column("source_type", sa.Text(), nullable=True),
        Column("content_hash", sa.Text(), nullable=False),
        Column("row_count", sa.BigInteger(), nullable=True),
        Column("size_bytes", sa.BigInteger(), nullable=True),
        Column("schema_json", sa.Text(), nullable=True),
        Column("profile_json", sa.Text(), nullable=True),
        Column("created_at", sa.BigInteger(), nullable=False),
        Check("row_count >= 0", name=op.f("ck_dataset_versions_row_count")),
        Check("size_bytes >= 0", name=op.f("ck_dataset_versions_size_bytes")),
        ForeignKey(["dataset_id"], ["datasets.dataset_id"], name=op.f("fk_dataset_versions_dataset_id")),
        PrimaryKey("dataset_version_id", name=op.f("pk_dataset_versions")),
        Unique("dataset_id", "content_hash", name=op.f("uq_dataset_versions_dataset_id_content_hash")),
        Unique("dataset_id", "version_label", name=op.f("uq_dataset_versions_dataset_id_version_label")),
    )
    op.create_table(
        "experiments",
        Column("id", Serial, sa.Identity(start=1, minvalue=0), nullable=False),
        Column("experiment_id", Id, nullable=False),
        Column("project_id", Id, nullable=False),
        Column("name", sa.Text(), nullable=False),
        Column("objective", sa.Text(), nullable=True),
        Column("artifact_location", Bytewise, nullable=False),
        Column("created_by", Id, nullable=True),
        Column("created_at", sa.BigInteger(), nullable=False),
        Column("updated_at", sa.BigInteger(), nullable=False),
        Column("deleted_at", sa.BigInteger(), nullable=True),
        ForeignKey(["created_by"], ["users.user_id"], name=op.f("fk_experiments_created_by")),
        ForeignKey(["project_id"], ["ml_projects.project_id"], name=op.f("fk_experiments_project_id")),
        PrimaryKey("id", name=op.f("pk_experiments")),
        Unique("experiment_id", name=op.f("uq_experiments_experiment_id")),
        Unique("project_id", "name", name=op.f("uq_experiments_project_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_experiments_artifact_location"), "experiments", ["artifact_location"])
    op.create_table(
        "experiment_tags",
        Column("experiment_id", Serial, nullable=False),
        Column("key", sa.Text(), nullable=False),
        Column("value", sa.Text(), nullable=False),
        ForeignKey(["experiment_id"], ["experiments.id"], name=op.f("fk_experiment_tags_experiment_id")),
        PrimaryKey("experiment_id", "key", name=op.f("pk_experiment_tags")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "runs",
        Column("id", Serial, sa.Identity(), nullable=False),
        Column("run_id", Id, nullable=False),
        Column("experiment_id", Serial, nullable=False),
        Column("dataset_version_id", Id, nullable=True),
        Column("run_name", sa.Text(), nullable=True),
        Column("status", sa.Text(), nullable=False),
        Column("started_at", sa.BigInteger(), nullable=True),
        Column("finished_at", sa.BigInteger(), nullable=True),
        Column("created_by", Id, nullable=True),
        Column("user_name", sa.Text(), nullable=False),
        Column("git_commit", sa.Text(), nullable=True),
        Column("notes", sa.Text(), nullable=True),
        Column("artifact_uri", sa.Text(), nullable=False),
        Column("created_at", sa.BigInteger(), nullable=False),
        Column("deleted_at", sa.BigInteger(), nullable=True),
        Column("revision", sa.BigInteger(), nullable=False),
        Check("status IN ('queued', 'running', 'finished', 'failed', 'killed')", name=op.f("ck_runs_status")),
        ForeignKey(["created_by"], ["users.user_id"], name=op.f("fk_runs_created_by")),
        ForeignKey(
            ["dataset_version_id"], ["dataset_versions.dataset_version_id"], name=op.f("fk_runs_dataset_version_id")
        ),
        ForeignKey(["experiment_id"], ["experiments.id"], name=op.f("fk_runs_experiment_id")),
        PrimaryKey("id", name=op.f("pk_runs")),
        Unique("run_id", name=op.f("uq_runs_run_id")),
        sqlite_autoincrement=True,
    )
    if op.get_context().dialect.name == "sqlite":
        op.create_index("ix_runs_newest", "runs", ["experiment_id", sa.text("started_at DESC"), "run_id"])
    if op.get_context().dialect.name == "postgresql":
        op.create_index(
            "ix_runs_newest_first", "runs", ["experiment_id", sa.text("started_at DESC NULLS LAST"), "run_id"]
        )
    op.create_table(
        "run_configs",
        Column("run_id", Serial, autoincrement=False, nullable=False),
        Column("params_json", Json, nullable=False),
        Column("env_json", Json, nullable=True),
        Column("command_line", sa.Text(), nullable=True),
        Column("seed", sa.BigInteger(), nullable=True),
        Column("created_at", sa.BigInteger(), nullable=False),
        ForeignKey(["run_id"], ["runs.id"], name=op.f("fk_run_configs_run_id")),
        PrimaryKey("run_id", name=op.f("pk_run_configs")),
    )
    op.create_table(
        "run_params",
        Column("run_id", Serial, nullable=False),
        Column("key", sa.Text(), nullable=False),
        Column("value", sa.Text(), nullable=False),
        ForeignKey(["run_id"], ["runs.id"], name=op.f("fk_run_params_run_id")),
        PrimaryKey("run_id", "key", name=op.f("pk_run_params")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_params_key_value", "run_params", ["key", sa.text("substr(value, 1, 128)")])
    op.create_table(
        "run_tags",
        Column("run_id", Serial, nullable=False),
        Column("key", sa.Text(), nullable=False),
        Column("value", sa.Text(), nullable=False),
        ForeignKey(["run_id"], ["runs.id"], name=op.f("fk_run_tags_run_id")),
        PrimaryKey("run_id", "key", name=op.f("pk_run_tags")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_tags_key_value", "run_tags", ["key", sa.text("substr(value, 1, 128)")])
    op.create_table(
        "run_inputs",
        Column("run_id", Serial, nullable=False),
        Column("dataset_version_id", Id, nullable=False),
        Column("context", sa.Text(), nullable=True),
        Column("tags_json", Json, nullable=False),
        Column("source_type", sa.Text(), nullable=True),
        Column("storage_uri", sa.Text(), nullable=True),
        Column("created_at", sa.BigInteger(), nullable=False),
        ForeignKey(
            ["dataset_version_id"],
            ["dataset_versions.dataset_version_id"],
            name=op.f("fk_run_inputs_dataset_version_id"),
        ),
        ForeignKey(["run_id"], ["runs.id"], name=op.f("fk_run_inputs_run_id")),
        PrimaryKey("run_id", "dataset_version_id", name=op.f("pk_run_inputs")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_run_inputs_dataset_version_id"), "run_inputs", ["dataset_version_id"])
    op.create_table(
        "run_models",
        Column("id", Serial, sa.Identity(), nullable=False),
        Column("run_id", Serial, nullable=False),
        Column("direction", sa.Text(), nullable=False),
        Column("model_id", sa.Text(), nullable=False),
        Column("step", sa.BigInteger(), nullable=False),
        Column("created_at", sa.BigInteger(), nullable=False),
        Check("direction IN ('input', 'output')", name=op.f("ck_run_models_direction")),
        ForeignKey(["run_id"], ["runs.id"], name=op.f("fk_run_models_run_id")),
        PrimaryKey("id", name=op.f("pk_run_models")),
    )
    op.create_index(op.f("ix_run_models_model_id"), "run_models", ["model_id"])
    op.create_index(op.f("ix_run_models_run_id"), "run_models", ["run_id"])
    op.create_table(
        "metric_keys",
        Column("id", Serial, sa.Identity(), nullable=False),
        Column("key", sa.Text(), nullable=False),
        PrimaryKey("id", name=op.f("pk_metric_keys")),
        Unique("key", name=op.f("uq_metric_keys_key")),
    )
    op.create_table(
        "metric_definitions",
        Column("metric_id", Id, nullable=False),
        Column("key", sa.Text(), nullable=False),
        Column("display_name", sa.Text(), nullable=True),
        Column("unit", sa.Text(), nullable=True),
        Column("goal", sa.Text(), nullable=False),
        Column("created_at", sa.BigInteger(), nullable=False),
        Column("created_by", Id, nullable=True),
        Check("goal IN ('min', 'max', 'last')", name=op.f("ck_metric_definitions_goal")),
        ForeignKey(["created_by"], ["users.user_id"], name=op.f("fk_metric_definitions_created_by")),
        PrimaryKey("metric_id", name=op.f("pk_metric_definitions")),
        Unique("key", name=op.f("uq_metric_definitions_key")),
    )
    op.create_table(
        "run_metric_values",
        Column("run_id", Serial, nullable=False),
        Column("metric_id", Serial, nullable=False),
        Column("scope", sa.SmallInteger(), nullable=False),
        Column("is_final", sa.SmallInteger(), nullable=False),
        Column("step", sa.BigInteger(), nullable=False),
        Column("recorded_at", sa.BigInteger(), nullable=False),
        Column("value", sa.Double(), nullable=False),
        Column("is_nan", sa.SmallInteger(), nullable=False),
        PrimaryKey(
            "run_id",
            "metric_id",
            "scope",
            "is_final",
            "step",
            "recorded_at",
            "value",
            "is_nan",
            name=op.f("pk_run_metric_values"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "run_metric_latest",
        Column("run_id", Serial, nullable=False),
        Column("metric_id", Serial, nullable=False),
        Column("scope", sa.SmallInteger(), nullable=False),
        Column("experiment_id", Serial, nullable=False),
        Column("is_final", sa.SmallInteger(), nullable=False),
        Column("step", sa.BigInteger(), nullable=False),
        Column("recorded_at", sa.BigInteger(), nullable=False),
        Column("value", sa.Double(), nullable=False),
        Column("is_nan", sa.SmallInteger(), nullable=False),
        Column("count", sa.BigInteger(), nullable=False),
        Column("min_value", sa.Double(), nullable=True),
        Column("max_value", sa.Double(), nullable=True),
        Column("first_value", sa.Double(), nullable=True),
        Column("first_step", sa.BigInteger(), nullable=False),
        Column("first_recorded_at", sa.BigInteger(), nullable=False),
        PrimaryKey("run_id", "metric_id", "scope", name=op.f("pk_run_metric_latest")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_run_metric_latest_order",
        "run_metric_latest",
        ["experiment_id", "metric_id", "scope", "is_nan", "value", "recorded_at"],
    )
    op.create_table(
        "artifacts",
        Column("artifact_id", Id, nullable=False),
        Column("project_id", Id, nullable=False),
        Column("artifact_type", sa.Text(), nullable=False),
        Column("uri", sa.Text(), nullable=False),
        Column("checksum", sa.Text(), nullable=True),
        Column("size_bytes", sa.BigInteger(), nullable=True),
        Column("created_at", sa.BigInteger(), nullable=False),
        Check(
            "artifact_type IN ('model', 'plot', 'log', 'report', 'dataset-sample', 'other')",
            name=op.f("ck_artifacts_artifact_type"),
        ),
        Check("size_bytes >= 0", name=op.f("ck_artifacts_size_bytes")),
        ForeignKey(["project_id"], ["ml_projects.project_id"], name=op.f("fk_artifacts_project_id")),
        PrimaryKey("artifact_id", name=op.f("pk_artifacts")),
    )
    op.create_index(
        op.f("ix_artifacts_project_id_created_at_artifact_id"), "artifacts", ["project_id", "created_at", "artifact_id"]
    )
    op.create_table(
        "run_artifacts",
        Column("run_artifact_id", Id, nullable=False),
        Column("run_id", Serial, nullable=False),
        Column("artifact_id", Id, nullable=False),
        Column("alias", sa.Text(), nullable=True),
        Column("path", sa.Text(), nullable=True),
        Column("created_at", sa.BigInteger(), nullable=False),
        ForeignKey(["artifact_id"], ["artifacts.artifact_id"], name=op.f("fk_run_artifacts_artifact_id")),
        ForeignKey(["run_id"], ["runs.id"], name=op.f("fk_run_artifacts_run_id")),
        PrimaryKey("run_artifact_id", name=op.f("pk_run_artifacts")),
        Unique("run_id", "alias", name=op.f("uq_run_artifacts_run_id_alias")),
        Unique("run_id", "artifact_id", name=op.f("uq_run_artifacts_run_id_artifact_id")),
        Unique("run_id", "path", name=op.f("uq_run_artifacts_run_id_path")),
    )
    op.create_index(op.f("ix_run_artifacts_artifact_id"), "run_artifacts", ["artifact_id"])
    op.create_table(
        "audit_log",
        Column("audit_id", Serial, autoincrement=False, nullable=False),
        Column("table_name", sa.Text(), nullable=False),
        Column("operation", sa.String(1), nullable=False),
        Column("row_pk", sa.Text(), nullable=False),
        Column("changed_by", Id, nullable=True),
        Column("changed_at", sa.BigInteger(), nullable=False),
        Column("old_data", sa.Text(), nullable=True),
        Column("new_data", sa.Text(), nullable=True),
        Column("org_id", Id, nullable=True),
        Column("project_id", Id, nullable=True),
        Column("row_hash", sa.String(64), nullable=False),
        Check("operation IN ('I', 'U', 'D')", name=op.f("ck_audit_log_operation")),
        PrimaryKey("audit_id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_project_id_audit_id"), "audit_log", ["project_id", "audit_id"])
    op.create_index(op.f("ix_audit_log_table_name_row_pk"), "audit_log", ["table_name", "row_pk"])
    op.create_table(
        "audit_head",
        Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        Column("last_id", Serial, nullable=False),
        Column("last_hash", sa.String(64), nullable=False),
        PrimaryKey("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "batch_import_jobs",
        Column("job_id", Id, nullable=False),
        Column("job_type", sa.Text(), nullable=False),
        Column("status", sa.Text(), nullable=False),
        Column("source_format", sa.Text(), nullable=False),
        Column("source_uri", sa.Text(), nullable=True),
        Column("started_at", sa.BigInteger(), nullable=True),
        Column("finished_at", sa.BigInteger(), nullable=True),
        Column("created_by", Id, nullable=True),
        Column("stats_json", Json, nullable=False),
        Column("moved_at", sa.BigInteger(), nullable=False),
        Check("job_type IN ('datasets', 'runs', 'metrics', 'artifacts')", name=op.f("ck_batch_import_jobs_job_type")),
        Check("source_format IN ('csv', 'json')", name=op.f("ck_batch_import_jobs_source_format")),
        Check("status IN ('created', 'running', 'finished', 'failed')", name=op.f("ck_batch_import_jobs_status")),
        ForeignKey(["created_by"], ["users.user_id"], name=op.f("fk_batch_import_jobs_created_by")),
        PrimaryKey("job_id", name=op.f("pk_batch_import_jobs")),
    )
    op.create_table(
        "batch_import_errors",
        Column("error_id", Serial, sa.Identity(), nullable=False),
        Column("job_id", Id, nullable=False),
        Column("row_number", sa.BigInteger(), nullable=False),
        Column("raw_row", sa.Text(), nullable=False),
        Column("error_message", sa.Text(), nullable=False),
        Column("created_at", sa.BigInteger(), nullable=False),
        ForeignKey(["job_id"], ["batch_import_jobs.job_id"], name=op.f("fk_batch_import_errors_job_id")),
        PrimaryKey("error_id", name=op.f("pk_batch_import_errors")),
    )
    op.create_index(op.f("ix_batch_import_errors_job_id_error_id"), "batch_import_errors", ["job_id", "error_id"])


TABLES = (
    "batch_import_errors",
    "batch_import_jobs",
    "audit_head",
    "audit_log",
    "run_artifacts",
    "artifacts",
    "run_metric_latest",
    "run_metric_values",
    "metric_definitions",
    "metric_keys",
    "run_models",
    "run_inputs",
    "run_tags",
    "run_params",
    "run_configs",
    "runs",
    "experiment_tags",
    "experiments",
    "dataset_versions",
    "datasets",
    "project_members",
    "ml_projects",
    "org_members",
    "organizations",
    "api_tokens",
    "users",
)
"""Dependants first."""


def create_views() -> None:
    op.execute(f"""
        CREATE VIEW runs_readable AS
        SELECT runs.run_id,
               ml_projects.slug AS project,
               experiments.name AS experiment,
               runs.run_name,
               runs.status,
               {timestamp("runs.started_at")} AS started_at,
               {timestamp("runs.finished_at")} AS finished_at,
               runs.user_name,
               runs.git_commit,
               runs.notes,
               runs.artifact_uri,
               {timestamp("runs.created_at")} AS created_at,
               {timestamp("runs.deleted_at")} AS deleted_at
        FROM runs
        JOIN experiments ON experiments.id = runs.experiment_id
        JOIN ml_projects ON ml_projects.project_id = experiments.project_id
    """)
    op.execute(f"""
        CREATE VIEW run_metrics_readable AS
        SELECT runs.run_id,
               metric_keys.key,
               CASE points.scope WHEN 1 THEN 'train' WHEN 2 THEN 'val' WHEN 3 THEN 'test' END AS scope,
               CASE WHEN points.is_final = 0 THEN points.step END AS step,
               CASE WHEN points.is_nan = 0 THEN points.value END AS value,
               points.is_nan,
               {timestamp("points.recorded_at")} AS recorded_at
        FROM run_metric_values AS points
        JOIN runs ON runs.id = points.run_id
        JOIN metric_keys ON metric_keys.id = points.metric_id
    """)
    op.execute(f"""
        CREATE VIEW project_metric_summary AS
        SELECT project_id,
               metric_id,
               CASE scope WHEN 1 THEN 'train' WHEN 2 THEN 'val' WHEN 3 THEN 'test' END AS scope,
               best_value,
               best_run_id,
               {timestamp("updated_at")} AS updated_at,
               sample_size
        FROM (
            SELECT experiments.project_id,
                   metric_definitions.metric_id,
                   latest.scope,
                   latest.value AS best_value,
                   runs.run_id AS best_run_id,
                   max(latest.recorded_at) OVER all_runs AS updated_at,
                   count(*) OVER all_runs AS sample_size,
                   row_number() OVER (
                       all_runs
                       ORDER BY CASE metric_definitions.goal WHEN 'max' THEN -latest.value
                                                             WHEN 'min' THEN latest.value END,
                                CASE metric_definitions.goal WHEN 'last' THEN latest.recorded_at END DESC,
                                runs.run_id
                   ) AS place
            FROM run_metric_latest AS latest
            JOIN runs ON runs.id = latest.run_id
            JOIN experiments ON experiments.id = runs.experiment_id
            JOIN metric_keys ON metric_keys.id = latest.metric_id
            JOIN metric_definitions ON metric_definitions.key = metric_keys.key
            WHERE runs.deleted_at IS NULL AND latest.is_nan = 0
            WINDOW all_runs AS (
                PARTITION BY experiments.project_id, metric_definitions.metric_id, latest.scope
            )
        ) AS ranked
        WHERE place = 1
    """)


def timestamp(column: str) -> str:
    """SQL for the time that the column holds as milliseconds; null outside the years 1 to 9999."""
    if op.get_context().dialect.name == "sqlite":
        moment = f"strftime('%Y-%m-%dT%H:%M:%fZ', {column} / 1000.0, 'unixepoch')"
    else:
        moment = f"to_timestamp(0) + {column} * INTERVAL '1 millisecond'"
    return f"CASE WHEN {column} BETWEEN -62135596800000 AND 253402300799999 THEN {moment} END"
