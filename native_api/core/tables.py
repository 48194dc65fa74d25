"""Every table: the schema on one page.

Public ids are 32 lower hex digits, kept as text. Some tables, such as runs, experiments and metric keys, also have a
small integer key `id`; a foreign key to one of these (`run_tags.run_id`, `runs.experiment_id` ...) refers to that
integer, which never leaves the server but for `experiments.id`, the short experiment id that MLflow clients see.
Times are milliseconds since 1970, UTC.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Named,
    SmallInteger,
    String,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = String(32).with_variant(String(32, collation="C"), "postgresql")
Bytewise = Text().with_variant(Text(collation="C"), "postgresql")
Serial = BigInteger().with_variant(Integer, "sqlite")
Time = BigInteger
Json: TypeEngine[Any] = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

INDEXED_VALUE_LENGTH = 128
"""How much of a tag's or param's value its index holds: PostgreSQL refuses index rows above 2.7 kB."""


def one_of(column: str, *values: str) -> CheckConstraint:
    """A check that the column holds one of these values, or null."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


# Who: accounts and tenants


class UserColumns(TypedColumns):
    """A person, or a service account, which has tokens and no password."""

    user_id: Named[str] = Column(Id, primary_key=True)
    email: Named[str] = Column(Text, unique=True)  # in lower case
    full_name: Named[str] = Column(Text, index=True)
    password_hash: Named[str | None] = Column(Text)
    is_active: Named[bool]
    is_administrator: Named[bool]  # of this server: looks after accounts, and sees no project for that
    is_service: Named[bool]
    created_at: Named[int] = Column(Time)
    created_by: Named[str | None] = Column(Id, ForeignKey("users.user_id"))
    signed_out_at: Named[int] = Column(Time)  # access tokens made before this moment do not count


users = Table("users", metadata, UserColumns)


class ApiTokenColumns(TypedColumns):
    """A personal API token; of its secret only a digest is kept."""

    token_id: Named[str] = Column(Id, primary_key=True)
    user_id: Named[str] = Column(Id, ForeignKey("users.user_id"), index=True)
    name: Named[str] = Column(Text)
    digest: Named[str] = Column(Text, unique=True)  # sha256 of the whole token, 64 hex digits
    hint: Named[str] = Column(Text)  # its first characters, to tell it from others
    scope: Named[str] = Column(Text)
    created_at: Named[int] = Column(Time)
    created_by: Named[str] = Column(Id, ForeignKey("users.user_id"))
    expires_at: Named[int | None] = Column(Time)
    last_used_at: Named[int | None] = Column(Time)  # to the minute
    revoked_at: Named[int | None] = Column(Time)


api_tokens = Table("api_tokens", metadata, ApiTokenColumns, one_of("scope", "read", "write", "admin"))


class EndedLoginColumns(TypedColumns):
    """A login that was ended before its access token's time was over, kept until then."""

    login_id: Named[str] = Column(Text, primary_key=True)  # the token's `jti`
    expires_at: Named[int] = Column(Time, index=True)


ended_logins = Table("ended_logins", metadata, EndedLoginColumns)


class OrganizationColumns(TypedColumns):
    org_id: Named[str] = Column(Id, primary_key=True)
    name: Named[str] = Column(Text, unique=True)
    description: Named[str | None] = Column(Text)
    created_at: Named[int] = Column(Time)
    created_by: Named[str | None] = Column(Id, ForeignKey("users.user_id"))
    deleted_at: Named[int | None] = Column(Time)


organizations = Table("organizations", metadata, OrganizationColumns)


class OrgMemberColumns(TypedColumns):
    org_member_id: Named[str] = Column(Id, primary_key=True)
    org_id: Named[str] = Column(Id, ForeignKey("organizations.org_id"))
    user_id: Named[str] = Column(Id, ForeignKey("users.user_id"), index=True)
    role: Named[str] = Column(Text)
    joined_at: Named[int] = Column(Time)
    is_active: Named[bool]


org_members = Table(
    "org_members",
    metadata,
    OrgMemberColumns,
    UniqueConstraint("org_id", "user_id"),
    one_of("role", "owner", "admin", "member", "viewer"),
)


class ProjectColumns(TypedColumns):
    project_id: Named[str] = Column(Id, primary_key=True)
    org_id: Named[str] = Column(Id, ForeignKey("organizations.org_id"))
    name: Named[str] = Column(Text)
    slug: Named[str] = Column(Text, unique=True)  # the workspace name of MLflow clients
    description: Named[str | None] = Column(Text)
    status: Named[str] = Column(Text)
    created_at: Named[int] = Column(Time)
    deleted_at: Named[int | None] = Column(Time)


ml_projects = Table(
    "ml_projects",
    metadata,
    ProjectColumns,
    UniqueConstraint("org_id", "name"),
    one_of("status", "active", "archived"),
)


class ProjectMemberColumns(TypedColumns):
    project_member_id: Named[str] = Column(Id, primary_key=True)
    project_id: Named[str] = Column(Id, ForeignKey("ml_projects.project_id"))
    user_id: Named[str] = Column(Id, ForeignKey("users.user_id"), index=True)
    role: Named[str] = Column(Text)
    added_at: Named[int] = Column(Time)
    is_active: Named[bool]


project_members = Table(
    "project_members",
    metadata,
    ProjectMemberColumns,
    UniqueConstraint("project_id", "user_id"),
    one_of("role", "admin", "editor", "viewer"),
)


# What is tracked: datasets, experiments, runs


class DatasetColumns(TypedColumns):
    dataset_id: Named[str] = Column(Id, primary_key=True)
    project_id: Named[str] = Column(Id, ForeignKey("ml_projects.project_id"))
    name: Named[str] = Column(Text)
    task_type: Named[str] = Column(Text)
    description: Named[str | None] = Column(Text)
    created_at: Named[int] = Column(Time)


datasets = Table(
    "datasets",
    metadata,
    DatasetColumns,
    UniqueConstraint("project_id", "name"),
    one_of("task_type", "classification", "regression", "ranking", "segmentation", "nlp", "other"),
)


class DatasetVersionColumns(TypedColumns):
    dataset_version_id: Named[str] = Column(Id, primary_key=True)
    dataset_id: Named[str] = Column(Id, ForeignKey("datasets.dataset_id"))
    version_label: Named[str] = Column(Text)
    storage_uri: Named[str | None] = Column(Text)
    source_type: Named[str | None] = Column(Text)
    content_hash: Named[str] = Column(Text)
    row_count: Named[int | None] = Column(BigInteger)
    size_bytes: Named[int | None] = Column(BigInteger)
    schema_json: Named[str | None] = Column(Text)  # the text as it was logged
    profile_json: Named[str | None] = Column(Text)
    created_at: Named[int] = Column(Time)


dataset_versions = Table(
    "dataset_versions",
    metadata,
    DatasetVersionColumns,
    UniqueConstraint("dataset_id", "version_label"),
    UniqueConstraint("dataset_id", "content_hash"),
    CheckConstraint("row_count >= 0", name="row_count"),
    CheckConstraint("size_bytes >= 0", name="size_bytes"),
)


class ExperimentColumns(TypedColumns):
    id: Named[int] = Column(Serial, Identity(minvalue=0, start=1), primary_key=True)
    experiment_id: Named[str] = Column(Id, unique=True)
    project_id: Named[str] = Column(Id, ForeignKey("ml_projects.project_id"))
    name: Named[str] = Column(Text)
    objective: Named[str | None] = Column(Text)
    artifact_location: Named[str] = Column(Bytewise, index=True)
    created_by: Named[str | None] = Column(Id, ForeignKey("users.user_id"))
    created_at: Named[int] = Column(Time)
    updated_at: Named[int] = Column(Time)
    deleted_at: Named[int | None] = Column(Time)


experiments = Table(
    "experiments", metadata, ExperimentColumns, UniqueConstraint("project_id", "name"), sqlite_autoincrement=True
)


class ExperimentTagColumns(TypedColumns):
    experiment_id: Named[int] = Column(Serial, ForeignKey("experiments.id"), primary_key=True)
    key: Named[str] = Column(Text, primary_key=True)
    value: Named[str] = Column(Text)


experiment_tags = Table("experiment_tags", metadata, ExperimentTagColumns, sqlite_with_rowid=False)


class RunColumns(TypedColumns):
    id: Named[int] = Column(Serial, Identity(), primary_key=True)
    run_id: Named[str] = Column(Id, unique=True)
    experiment_id: Named[int] = Column(Serial, ForeignKey("experiments.id"))
    dataset_version_id: Named[str | None] = Column(Id, ForeignKey("dataset_versions.dataset_version_id"))
    run_name: Named[str | None] = Column(Text)
    status: Named[str] = Column(Text)
    started_at: Named[int | None] = Column(Time)
    finished_at: Named[int | None] = Column(Time)
    created_by: Named[str | None] = Column(Id, ForeignKey("users.user_id"))
    user_name: Named[str] = Column(Text)  # who ran it, in the client's words
    git_commit: Named[str | None] = Column(Text)
    notes: Named[str | None] = Column(Text)
    artifact_uri: Named[str] = Column(Text)
    created_at: Named[int] = Column(Time)
    deleted_at: Named[int | None] = Column(Time)
    revision: Named[int] = Column(BigInteger)  # raised by every change to what the run's document shows


runs = Table(
    "runs",
    metadata,
    RunColumns,
    one_of("status", "queued", "running", "finished", "failed", "killed"),
    sqlite_autoincrement=True,
)
# The default order of a search. SQLite sorts nulls as the smallest by itself and does not take NULLS LAST in an index.
Index("ix_runs_newest", runs.c.experiment_id, runs.c.started_at.desc(), runs.c.run_id).ddl_if(dialect="sqlite")
Index("ix_runs_newest_first", runs.c.experiment_id, runs.c.started_at.desc().nulls_last(), runs.c.run_id).ddl_if(
    dialect="postgresql"
)


class RunConfigColumns(TypedColumns):
    run_id: Named[int] = Column(Serial, ForeignKey("runs.id"), primary_key=True, autoincrement=False)
    params_json: Named[dict[str, object]] = Column(Json)
    env_json: Named[dict[str, object] | None] = Column(Json)
    command_line: Named[str | None] = Column(Text)
    seed: Named[int | None] = Column(BigInteger)
    created_at: Named[int] = Column(Time)


run_configs = Table("run_configs", metadata, RunConfigColumns)


class RunParamColumns(TypedColumns):
    """Derived from `run_configs.params_json`, for searching: each param as its text."""

    run_id: Named[int] = Column(Serial, ForeignKey("runs.id"), primary_key=True)
    key: Named[str] = Column(Text, primary_key=True)
    value: Named[str] = Column(Text)


run_params = Table("run_params", metadata, RunParamColumns, sqlite_with_rowid=False)
Index(
    "ix_run_params_key_value",
    run_params.c.key,
    func.substr(run_params.c.value, text("1"), text(str(INDEXED_VALUE_LENGTH))),
)


class RunTagColumns(TypedColumns):
    run_id: Named[int] = Column(Serial, ForeignKey("runs.id"), primary_key=True)
    key: Named[str] = Column(Text, primary_key=True)
    value: Named[str] = Column(Text)


run_tags = Table("run_tags", metadata, RunTagColumns, sqlite_with_rowid=False)
Index(
    "ix_run_tags_key_value", run_tags.c.key, func.substr(run_tags.c.value, text("1"), text(str(INDEXED_VALUE_LENGTH)))
)


class RunInputColumns(TypedColumns):
    """A run's use of a dataset version."""

    run_id: Named[int] = Column(Serial, ForeignKey("runs.id"), primary_key=True)
    dataset_version_id: Named[str] = Column(
        Id, ForeignKey("dataset_versions.dataset_version_id"), primary_key=True, index=True
    )
    context: Named[str | None] = Column(Text)
    tags_json: Named[dict[str, str]] = Column(Json)
    source_type: Named[str | None] = Column(Text)  # where this run took it from, if not from the version's own place
    storage_uri: Named[str | None] = Column(Text)
    created_at: Named[int] = Column(Time)


run_inputs = Table("run_inputs", metadata, RunInputColumns, sqlite_with_rowid=False)


class RunModelColumns(TypedColumns):
    """A model that a run used (input) or made (output)."""

    id: Named[int] = Column(Serial, Identity(), primary_key=True)
    run_id: Named[int] = Column(Serial, ForeignKey("runs.id"), index=True)
    direction: Named[str] = Column(Text)
    model_id: Named[str] = Column(Text, index=True)
    step: Named[int] = Column(BigInteger)
    created_at: Named[int] = Column(Time)


run_models = Table("run_models", metadata, RunModelColumns, one_of("direction", "input", "output"))


# Metrics


class MetricKeyColumns(TypedColumns):
    """Metric names as small integers. Shared by all tenants, so never listed."""

    id: Named[int] = Column(Serial, Identity(), primary_key=True)
    key: Named[str] = Column(Text, unique=True)


metric_keys = Table("metric_keys", metadata, MetricKeyColumns)


class MetricDefinitionColumns(TypedColumns):
    """What people declare about a metric; joined by key."""

    metric_id: Named[str] = Column(Id, primary_key=True)
    key: Named[str] = Column(Text, unique=True)
    display_name: Named[str | None] = Column(Text)
    unit: Named[str | None] = Column(Text)
    goal: Named[str] = Column(Text)
    created_at: Named[int] = Column(Time)
    created_by: Named[str | None] = Column(Id, ForeignKey("users.user_id"))  # who may change it


metric_definitions = Table(
    "metric_definitions", metadata, MetricDefinitionColumns, one_of("goal", "min", "max", "last")
)


class MetricValueColumns(TypedColumns):
    """Every point, clustered by run and metric. A NaN is value 0 with is_nan 1; infinities are stored as such.

    scope: 0 none, 1 train, 2 val, 3 test. is_final: 1 for a final value, whose step is 0.
    """

    run_id: Named[int] = Column(Serial, primary_key=True)
    metric_id: Named[int] = Column(Serial, primary_key=True)
    scope: Named[int] = Column(SmallInteger, primary_key=True)
    is_final: Named[int] = Column(SmallInteger, primary_key=True)
    step: Named[int] = Column(BigInteger, primary_key=True)
    recorded_at: Named[int] = Column(Time, primary_key=True)
    value: Named[float] = Column(Double, primary_key=True)
    is_nan: Named[int] = Column(SmallInteger, primary_key=True)


# No foreign keys: they would be looked up for each point. The writer holds the run's row while it adds them.
run_metric_values = Table("run_metric_values", metadata, MetricValueColumns, sqlite_with_rowid=False)


class MetricLatestColumns(TypedColumns):
    """Of each metric of a run the latest point, by (is_final, step, recorded_at, value), and sums over all points."""

    run_id: Named[int] = Column(Serial, primary_key=True)
    metric_id: Named[int] = Column(Serial, primary_key=True)
    scope: Named[int] = Column(SmallInteger, primary_key=True)
    experiment_id: Named[int] = Column(Serial)
    is_final: Named[int] = Column(SmallInteger)
    step: Named[int] = Column(BigInteger)
    recorded_at: Named[int] = Column(Time)
    value: Named[float] = Column(Double)
    is_nan: Named[int] = Column(SmallInteger)
    count: Named[int] = Column(BigInteger)
    min_value: Named[float | None] = Column(Double)  # of the points that are numbers
    max_value: Named[float | None] = Column(Double)
    first_value: Named[float | None] = Column(Double)  # of the least point, null for a NaN
    first_step: Named[int] = Column(BigInteger)
    first_recorded_at: Named[int] = Column(Time)


run_metric_latest = Table("run_metric_latest", metadata, MetricLatestColumns, sqlite_with_rowid=False)
Index(
    "ix_run_metric_latest_order",
    run_metric_latest.c.experiment_id,
    run_metric_latest.c.metric_id,
    run_metric_latest.c.scope,
    run_metric_latest.c.is_nan,
    run_metric_latest.c.value,
    run_metric_latest.c.recorded_at,  # only read along: for the goal `last`
)


# Artifacts


class ArtifactColumns(TypedColumns):
    artifact_id: Named[str] = Column(Id, primary_key=True)
    project_id: Named[str] = Column(Id, ForeignKey("ml_projects.project_id"))
    artifact_type: Named[str] = Column(Text)
    uri: Named[str] = Column(Text)
    checksum: Named[str | None] = Column(Text)  # sha256, 64 hex digits
    size_bytes: Named[int | None] = Column(BigInteger)
    created_at: Named[int] = Column(Time)


artifacts = Table(
    "artifacts",
    metadata,
    ArtifactColumns,
    CheckConstraint("size_bytes >= 0", name="size_bytes"),
    one_of("artifact_type", "model", "plot", "log", "report", "dataset-sample", "other"),
    Index(None, "project_id", "created_at", "artifact_id"),  # the order of its list
)


class RunArtifactColumns(TypedColumns):
    run_artifact_id: Named[str] = Column(Id, primary_key=True)
    run_id: Named[int] = Column(Serial, ForeignKey("runs.id"))
    artifact_id: Named[str] = Column(Id, ForeignKey("artifacts.artifact_id"), index=True)
    alias: Named[str | None] = Column(Text)
    path: Named[str | None] = Column(Text)  # under the run's artifact_uri, for files that came in through the proxy
    created_at: Named[int] = Column(Time)


run_artifacts = Table(
    "run_artifacts",
    metadata,
    RunArtifactColumns,
    UniqueConstraint("run_id", "artifact_id"),
    UniqueConstraint("run_id", "alias"),
    UniqueConstraint("run_id", "path"),
)


# Models: those that runs made, and the registry


class LoggedModelColumns(TypedColumns):
    """A model as it was made: its files, params and metrics. `model_id` is `m-` and 32 hex digits."""

    id: Named[int] = Column(Serial, Identity(), primary_key=True)
    model_id: Named[str] = Column(Bytewise, unique=True)
    experiment_id: Named[int] = Column(Serial, ForeignKey("experiments.id"))
    name: Named[str] = Column(Bytewise)
    model_type: Named[str] = Column(Text)  # in the client's words, or empty
    source_run_id: Named[str] = Column(Id)  # the same; maybe of no run here
    artifact_uri: Named[str] = Column(Text)
    status: Named[str] = Column(Text)
    status_message: Named[str | None] = Column(Text)
    created_by: Named[str | None] = Column(Id, ForeignKey("users.user_id"))
    created_at: Named[int] = Column(Time)
    updated_at: Named[int] = Column(Time)  # of its status or its end: tags, params and metrics do not count
    deleted_at: Named[int | None] = Column(Time)


logged_models = Table(
    "logged_models",
    metadata,
    LoggedModelColumns,
    one_of("status", "unspecified", "pending", "ready", "failed"),
    sqlite_autoincrement=True,
)
# The default order of a search; clients look for the models of a run by their name, and SQLite then for an order first.
_newest = (logged_models.c.created_at.desc(), logged_models.c.model_id)
Index("ix_logged_models_newest", logged_models.c.experiment_id, *_newest)
Index("ix_logged_models_newest_of_name", logged_models.c.experiment_id, logged_models.c.name, *_newest)


class LoggedModelParamColumns(TypedColumns):
    logged_model_id: Named[int] = Column(Serial, ForeignKey("logged_models.id"), primary_key=True)
    key: Named[str] = Column(Text, primary_key=True)
    value: Named[str] = Column(Text)


logged_model_params = Table("logged_model_params", metadata, LoggedModelParamColumns, sqlite_with_rowid=False)


class LoggedModelTagColumns(TypedColumns):
    logged_model_id: Named[int] = Column(Serial, ForeignKey("logged_models.id"), primary_key=True)
    key: Named[str] = Column(Text, primary_key=True)
    value: Named[str] = Column(Text)


logged_model_tags = Table("logged_model_tags", metadata, LoggedModelTagColumns, sqlite_with_rowid=False)


class LoggedModelMetricColumns(TypedColumns):
    """The points of runs that tell of a model, beside the runs' own. Scope and is_nan as in `run_metric_values`.

    Clustered so that the newest point of a metric is the last of a range.
    """

    logged_model_id: Named[int] = Column(Serial, primary_key=True)
    metric_id: Named[int] = Column(Serial, primary_key=True)
    scope: Named[int] = Column(SmallInteger, primary_key=True)
    recorded_at: Named[int] = Column(Time, primary_key=True)
    step: Named[int] = Column(BigInteger, primary_key=True)
    run_id: Named[int] = Column(Serial, primary_key=True)
    value: Named[float] = Column(Double, primary_key=True)
    is_nan: Named[int] = Column(SmallInteger, primary_key=True)
    dataset_name: Named[str] = Column(Bytewise, primary_key=True)  # what it was measured on, or empty
    dataset_digest: Named[str] = Column(Bytewise, primary_key=True)


# No foreign keys, as in `run_metric_values`.
logged_model_metrics = Table(
    "logged_model_metrics",
    metadata,
    LoggedModelMetricColumns,
    Index(None, "run_id"),
    sqlite_with_rowid=False,
)


class RegisteredModelColumns(TypedColumns):
    """A name in a project under which versions of a model are kept; a prompt is one too."""

    registered_model_id: Named[str] = Column(Id, primary_key=True)
    project_id: Named[str] = Column(Id, ForeignKey("ml_projects.project_id"))
    name: Named[str] = Column(Bytewise)
    description: Named[str | None] = Column(Text)
    last_version: Named[int] = Column(BigInteger)  # the number given last, also if that version is gone
    created_by: Named[str | None] = Column(Id, ForeignKey("users.user_id"))
    created_at: Named[int] = Column(Time)
    updated_at: Named[int] = Column(Time)


registered_models = Table(
    "registered_models",
    metadata,
    RegisteredModelColumns,
    UniqueConstraint("project_id", "name"),
    Index(None, "project_id", "updated_at"),
)


class RegisteredModelTagColumns(TypedColumns):
    registered_model_id: Named[str] = Column(Id, ForeignKey("registered_models.registered_model_id"), primary_key=True)
    key: Named[str] = Column(Text, primary_key=True)
    value: Named[str] = Column(Text)


registered_model_tags = Table("registered_model_tags", metadata, RegisteredModelTagColumns, sqlite_with_rowid=False)


class ModelVersionColumns(TypedColumns):
    """A version of a registered model, 1, 2, 3 ...; numbers of deleted versions are not given again."""

    id: Named[int] = Column(Serial, Identity(), primary_key=True)
    registered_model_id: Named[str] = Column(Id, ForeignKey("registered_models.registered_model_id"))
    version: Named[int] = Column(BigInteger)
    project_id: Named[str] = Column(Id, ForeignKey("ml_projects.project_id"))  # the model's, for the indexes
    description: Named[str | None] = Column(Text)
    source: Named[str] = Column(Text)  # where it came from, in the client's words
    storage_uri: Named[str] = Column(Text)  # where its files are
    run_id: Named[str] = Column(Bytewise)  # as the client said: maybe of no run here; empty if it said none
    run_link: Named[str | None] = Column(Text)
    model_id: Named[str | None] = Column(Bytewise)  # of the logged model it was made from
    stage: Named[str] = Column(Text)
    status: Named[str] = Column(Text)
    status_message: Named[str | None] = Column(Text)
    created_by: Named[str | None] = Column(Id, ForeignKey("users.user_id"))
    created_at: Named[int] = Column(Time)
    updated_at: Named[int] = Column(Time)


model_versions = Table(
    "model_versions",
    metadata,
    ModelVersionColumns,
    one_of("stage", "none", "staging", "production", "archived"),
    one_of("status", "pending", "ready", "failed"),
    UniqueConstraint("registered_model_id", "version"),
    Index(None, "registered_model_id", "stage", "version"),  # the latest of each stage
    Index(None, "project_id", "updated_at"),  # the default order of a search
    Index(None, "run_id"),
    sqlite_autoincrement=True,
)


class ModelVersionTagColumns(TypedColumns):
    model_version_id: Named[int] = Column(Serial, ForeignKey("model_versions.id"), primary_key=True)
    key: Named[str] = Column(Text, primary_key=True)
    value: Named[str] = Column(Text)


model_version_tags = Table("model_version_tags", metadata, ModelVersionTagColumns, sqlite_with_rowid=False)


class ModelAliasColumns(TypedColumns):
    """A name for one version of a registered model, which may move to another."""

    registered_model_id: Named[str] = Column(Id, primary_key=True)
    alias: Named[str] = Column(Bytewise, primary_key=True)
    version: Named[int] = Column(BigInteger)


registered_model_aliases = Table(
    "registered_model_aliases",
    metadata,
    ModelAliasColumns,
    ForeignKeyConstraint(
        ["registered_model_id", "version"], ["model_versions.registered_model_id", "model_versions.version"]
    ),
    Index(None, "registered_model_id", "version"),  # the aliases of a version
    sqlite_with_rowid=False,
)


# The log, and batches brought in


class AuditColumns(TypedColumns):
    """One change of an audited table. Each row's hash covers the row before it, so that none can be changed unseen."""

    audit_id: Named[int] = Column(Serial, primary_key=True, autoincrement=False)  # 1, 2, 3 ... without a gap
    table_name: Named[str] = Column(Text)
    operation: Named[str] = Column(String(1))
    row_pk: Named[str] = Column(Text)
    changed_by: Named[str | None] = Column(Id)
    changed_at: Named[int] = Column(Time)
    old_data: Named[str | None] = Column(Text)  # JSON, as text: what is hashed is what is stored
    new_data: Named[str | None] = Column(Text)
    org_id: Named[str | None] = Column(Id)  # whose rows these are; of neither, what belongs to the server
    project_id: Named[str | None] = Column(Id)
    row_hash: Named[str] = Column(String(64))


audit_log = Table(
    "audit_log",
    metadata,
    AuditColumns,
    one_of("operation", "I", "U", "D"),
    Index(None, "table_name", "row_pk"),
    Index(None, "project_id", "audit_id"),
)


class AuditHeadColumns(TypedColumns):
    """The one row that says how far the audit log goes; whoever adds to the log holds it."""

    id: Named[int] = Column(SmallInteger, primary_key=True, autoincrement=False)
    last_id: Named[int] = Column(Serial)
    last_hash: Named[str] = Column(String(64))


audit_head = Table("audit_head", metadata, AuditHeadColumns)


class ImportJobColumns(TypedColumns):
    job_id: Named[str] = Column(Id, primary_key=True)
    job_type: Named[str] = Column(Text)
    status: Named[str] = Column(Text)
    source_format: Named[str] = Column(Text)
    source_uri: Named[str | None] = Column(Text)
    started_at: Named[int | None] = Column(Time)
    finished_at: Named[int | None] = Column(Time)
    created_by: Named[str | None] = Column(Id, ForeignKey("users.user_id"))
    stats_json: Named[dict[str, int]] = Column(Json)
    moved_at: Named[int] = Column(Time)  # its last sign of life


batch_import_jobs = Table(
    "batch_import_jobs",
    metadata,
    ImportJobColumns,
    one_of("job_type", "datasets", "runs", "metrics", "artifacts"),
    one_of("status", "created", "running", "finished", "failed"),
    one_of("source_format", "csv", "json"),
)


class ImportErrorColumns(TypedColumns):
    error_id: Named[int] = Column(Serial, Identity(), primary_key=True)
    job_id: Named[str] = Column(Id, ForeignKey("batch_import_jobs.job_id"))
    row_number: Named[int] = Column(BigInteger)
    raw_row: Named[str] = Column(Text)
    error_message: Named[str] = Column(Text)
    created_at: Named[int] = Column(Time)


batch_import_errors = Table("batch_import_errors", metadata, ImportErrorColumns, Index(None, "job_id", "error_id"))


# What was brought in from elsewhere by a command


class ImportSourceColumns(TypedColumns):
    """A place outside this server that an import for a project has read, as a command names it."""

    id: Named[int] = Column(Serial, Identity(), primary_key=True)
    project_id: Named[str] = Column(Id, ForeignKey("ml_projects.project_id"))
    location: Named[str] = Column(Text)
    created_at: Named[int] = Column(Time)


import_sources = Table(
    "import_sources",
    metadata,
    ImportSourceColumns,
    UniqueConstraint("project_id", "location"),
    sqlite_autoincrement=True,
)


class ImportMarkColumns(TypedColumns):
    """What was brought in from a source, and as what: it is looked at again once its fingerprint there has changed."""

    source_id: Named[int] = Column(Serial, ForeignKey("import_sources.id"), primary_key=True)
    kind: Named[str] = Column(Text, primary_key=True)  # experiment, run, logged model, registered model, files
    key: Named[str] = Column(Text, primary_key=True)  # what names it there
    own_key: Named[str] = Column(Text)  # its public id here
    fingerprint: Named[str] = Column(String(64))


import_marks = Table("import_marks", metadata, ImportMarkColumns, sqlite_with_rowid=False)


# What gc has begun


class PurgeColumns(TypedColumns):
    """What is gone from the other tables, and has yet to be cleared away: points, which are many, and files."""

    id: Named[int] = Column(Serial, Identity(), primary_key=True)
    run_id: Named[int | None] = Column(Serial)
    logged_model_id: Named[int | None] = Column(Serial)
    artifact_key: Named[str | None] = Column(Text)  # of the folder in this server's store


purges = Table("purges", metadata, PurgeColumns, sqlite_autoincrement=True)
