"""What an export holds: its files, their columns, and how both stand to the tables. docs/export.md tells of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    PrimaryKeyConstraint,
    Select,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    case,
    select,
)

from native_api.core import db
from native_api.core import tables as t

FORMAT = "mlflow-shim export"
VERSION = 1
MANIFEST = "manifest.json"
ARTIFACTS = "artifacts"
"""The folder of the artifacts' files, in an export that has them; `FILES` lists them."""
FILES = "files.parquet"

SCOPES = ("none", "train", "val", "test")
"""The words for the numbers of `core.metrics.MetricScope`."""


class Reference(NamedTuple):
    """How a foreign key leaves the server: in the words of these public columns of the row that it refers to."""

    table: Table
    key: str
    public: tuple[str, ...]


ORG = Reference(t.organizations, "org_id", ("org_id",))
PROJECT = Reference(t.ml_projects, "project_id", ("project_id",))
ACCOUNT = Reference(t.users, "user_id", ("email",))
DATASET = Reference(t.datasets, "dataset_id", ("dataset_id",))
DATASET_VERSION = Reference(t.dataset_versions, "dataset_version_id", ("dataset_version_id",))
EXPERIMENT = Reference(t.experiments, "id", ("experiment_id",))
RUN = Reference(t.runs, "id", ("run_id",))
METRIC = Reference(t.metric_keys, "id", ("key",))
ARTIFACT = Reference(t.artifacts, "artifact_id", ("artifact_id",))
LOGGED_MODEL = Reference(t.logged_models, "id", ("model_id",))
REGISTERED_MODEL = Reference(t.registered_models, "registered_model_id", ("registered_model_id",))
MODEL_VERSION = Reference(t.model_versions, "id", ("registered_model_id", "version"))


class Part(NamedTuple):
    """A column of a table and the columns of the file that say what is in it."""

    column: Column[Any]
    names: tuple[str, ...]
    to: Reference | None


@dataclass(frozen=True)
class Kept:
    """A table in an export. `home` is the column that says whose a row is; `key` are those that tell rows apart.

    Rows stand in the order of `order`, else of their key, as the file has it. `rank` is a column that orders rows of
    one home but stays on the server. `links` are references that are no foreign keys. `needs` is what a row refers to
    by several columns, whose names are the same there.
    """

    table: Table
    home: str
    key: tuple[str, ...]
    order: tuple[str, ...] = ()
    rank: str | None = None
    hidden: frozenset[str] = frozenset({"id", "revision", "is_nan"})
    links: dict[str, Reference] = field(default_factory=dict)
    needs: Reference | None = None

    @property
    def file(self) -> str:
        return f"{self.table.name}.parquet"

    @property
    def parts(self) -> list[Part]:
        """The columns that leave the server, in the table's order."""
        return [_part(column, self.links.get(column.name)) for column in self.table.c if self._is_shown(column.name)]

    def _is_shown(self, name: str) -> bool:
        return name not in self.hidden

    @property
    def fields(self) -> list[tuple[str, Column[Any]]]:
        """The columns of the file: each one's name, and the column that has its type."""
        return [
            (name, part.to.table.c[public] if part.to else part.column)
            for part in self.parts
            for name, public in zip(part.names, part.to.public if part.to else part.names, strict=True)
        ]

    def part(self, column: str) -> Part:
        """The one of this column of the table."""
        return next(part for part in self.parts if part.column.name == column)

    @property
    def references(self) -> list[Reference]:
        """All that rows refer to."""
        return [to for to in (*(part.to for part in self.parts), self.needs) if to is not None]

    @property
    def of_run(self) -> bool:
        """Whether its rows are a run's."""
        return self.part(self.home).to is RUN

    @property
    def is_points(self) -> bool:
        """Whether its rows are points of metrics, of which there are many, and which are told apart by all they say."""
        return "is_nan" in self.table.c


def _part(column: Column[Any], link: Reference | None) -> Part:
    to = link or next((_PUBLIC.get(str(key.target_fullname)) for key in column.foreign_keys), None)
    if to is None:
        return Part(column, ("short_id",) if column.name == "id" else (column.name,), None)
    # The names that the files use all over; but an account is named for what it did.
    return Part(column, ("created_by",) if to is ACCOUNT else to.public, to)


_PUBLIC = {
    f"{to.table.name}.{to.key}": to
    for to in (
        *(ORG, PROJECT, ACCOUNT, DATASET, DATASET_VERSION, EXPERIMENT, RUN),
        *(ARTIFACT, LOGGED_MODEL, REGISTERED_MODEL, MODEL_VERSION),
    )
}

# In the order in which they can be brought in.
KEPT = [
    Kept(t.organizations, "org_id", ("org_id",)),
    Kept(t.ml_projects, "org_id", ("project_id",)),
    Kept(t.metric_definitions, "metric_id", ("metric_id",)),
    Kept(t.datasets, "project_id", ("dataset_id",)),
    Kept(t.dataset_versions, "dataset_id", ("dataset_version_id",)),
    Kept(t.experiments, "project_id", ("experiment_id",), hidden=frozenset()),
    Kept(t.experiment_tags, "experiment_id", ("experiment_id", "key")),
    Kept(t.runs, "experiment_id", ("run_id",)),
    Kept(t.run_configs, "run_id", ("run_id",)),
    Kept(t.run_tags, "run_id", ("run_id", "key")),
    Kept(t.run_inputs, "run_id", ("run_id", "dataset_version_id")),
    Kept(t.run_models, "run_id", ("run_id", "direction", "model_id", "step"), order=("run_id",), rank="id"),
    Kept(
        t.run_metric_values,
        "run_id",
        ("run_id", "metric_id", "scope", "is_final", "step", "recorded_at", "value", "is_nan"),
        links={"run_id": RUN, "metric_id": METRIC},
    ),
    Kept(t.artifacts, "project_id", ("artifact_id",)),
    Kept(t.run_artifacts, "run_id", ("run_artifact_id",), order=("run_id", "run_artifact_id")),
    Kept(t.logged_models, "experiment_id", ("model_id",)),
    Kept(t.logged_model_params, "logged_model_id", ("logged_model_id", "key")),
    Kept(t.logged_model_tags, "logged_model_id", ("logged_model_id", "key")),
    Kept(
        t.logged_model_metrics,
        "logged_model_id",
        tuple(t.logged_model_metrics.primary_key.columns.keys()),
        links={"logged_model_id": LOGGED_MODEL, "metric_id": METRIC, "run_id": RUN},
    ),
    Kept(t.registered_models, "project_id", ("registered_model_id",)),
    Kept(t.registered_model_tags, "registered_model_id", ("registered_model_id", "key")),
    Kept(t.model_versions, "registered_model_id", ("registered_model_id", "version")),
    Kept(t.model_version_tags, "model_version_id", ("model_version_id", "key")),
    Kept(
        t.registered_model_aliases,
        "registered_model_id",
        ("registered_model_id", "alias"),
        links={"registered_model_id": REGISTERED_MODEL},
        needs=MODEL_VERSION,
    ),
]

DERIVED = [t.metric_keys, t.run_params, t.run_metric_latest]
"""What is made anew from the rest when it is brought in."""

LEFT = [
    *(t.users, t.api_tokens, t.ended_logins, t.org_members, t.project_members),
    *(t.audit_log, t.audit_head, t.batch_import_jobs, t.batch_import_errors),
    *(t.import_sources, t.import_marks, t.purges),
]
"""What is this server's own, and in no export: who may do what, who did what, and the record of its work."""


# Reading the tables


def rows(conn: Connection, kept: Kept, project_id: str | None) -> Select[*tuple[Any, ...]]:
    """The rows of the file, in its order; of one project, if it is named. A NaN is null, a scope its number."""
    source: FromClause = kept.table
    shown: dict[str, ColumnElement[Any]] = {}
    for part in kept.parts:
        if part.to is None:
            shown[part.names[0]] = _plain(part.column)
            continue
        other = part.to.table.alias()
        source = source.join(other, part.column == other.c[part.to.key], isouter=bool(part.column.nullable))
        shown |= {name: other.c[public] for name, public in zip(part.names, part.to.public, strict=True)}
    columns = [shown[name].label(name) for name, _ in kept.fields]
    order = [_ordered(conn, shown[name]) for name in _order(kept)]
    if kept.rank:
        order.append(kept.table.c[kept.rank])
    chosen = select(*columns).select_from(source).order_by(*order)
    return chosen if project_id is None else chosen.where(of_project(kept, project_id))


def _plain(column: Column[Any]) -> ColumnElement[Any]:
    if column.name == "value" and "is_nan" in column.table.c:
        return case((column.table.c.is_nan == 1, None), else_=column)
    return column


def _order(kept: Kept) -> Iterator[str]:
    for column in kept.order or kept.key:
        if column != "is_nan":
            yield from kept.part(column).names


def _ordered(conn: Connection, shown: ColumnElement[Any]) -> ColumnElement[Any]:
    return db.bytewise(conn, shown) if isinstance(shown.type, String) else shown


def of_project(kept: Kept, project_id: str) -> ColumnElement[bool]:
    """Whether a row is of the project; of what all projects share, whether it uses it."""
    table, p, latest = kept.table, t.ml_projects.c, t.run_metric_latest.c
    if table is t.organizations:
        return table.c.org_id.in_(select(p.org_id).where(p.project_id == project_id))
    if table is t.metric_definitions:
        of_experiments = latest.experiment_id.in_(
            select(t.experiments.c.id).where(t.experiments.c.project_id == project_id)
        )
        used = select(t.metric_keys.c.key).join(t.run_metric_latest, latest.metric_id == t.metric_keys.c.id)
        return table.c.key.in_(used.where(of_experiments))
    if "project_id" in table.c:
        return table.c.project_id == project_id
    home = kept.part(kept.home)
    assert home.to is not None, "what is of no project is named above"
    above = next(other for other in KEPT if home.to and other.table is home.to.table)
    return home.column.in_(select(above.table.c[home.to.key]).where(of_project(above, project_id)))


def project_of(to: Reference) -> tuple[FromClause, ColumnElement[Any]] | None:
    """Where the project of what is referred to is found: the tables to join, and its column; None if it has none."""
    table = to.table
    if "project_id" in table.c:
        return table, table.c.project_id
    for below, above, column, key in (
        (t.dataset_versions, t.datasets, "dataset_id", "dataset_id"),
        (t.runs, t.experiments, "experiment_id", "id"),
        (t.logged_models, t.experiments, "experiment_id", "id"),
    ):
        if table is below:
            return table.join(above, table.c[column] == above.c[key]), above.c.project_id
    return None


# What values may be

PATTERNS = {
    "public id": re.compile("[0-9a-f]{32}"),
    "model id": re.compile("m-[0-9a-f]{32}"),
    "email": re.compile(r"[^\s@]+@[^\s@]+"),
}
MAX_INDEXED_BYTES = 2048
"""PostgreSQL refuses index rows above 2.7 kB."""


class Rule(NamedTuple):
    """What a column of a file may hold, besides being of its type."""

    nullable: bool
    pattern: str | None = None
    words: Sequence[str] = ()
    least: int | None = None
    most_bytes: int | None = None
    is_json: bool = False


def rule_of(kept: Kept, name: str, column: Column[Any]) -> Rule:
    """The rule for a column of a file, from what the table says."""
    part = next(part for part in kept.parts if name in part.names)
    nullable = bool(part.column.nullable)
    if name == "scope":
        return Rule(nullable, words=SCOPES)
    if part.to is ACCOUNT:
        return Rule(nullable, "email", most_bytes=320)
    if name == "model_id" and column.table is t.logged_models:
        return Rule(nullable, "model id")
    kind = column.type
    if isinstance(kind, JSON):
        return Rule(nullable, is_json=True)
    if isinstance(kind, String) and kind.length:
        is_id = bool(column.primary_key or column.unique or column.foreign_keys)
        return Rule(nullable, "public id") if is_id else Rule(nullable, most_bytes=kind.length)
    if isinstance(kind, Text):
        return Rule(nullable, words=_words(column), most_bytes=MAX_INDEXED_BYTES if _is_indexed(column) else None)
    at_least_0 = name in ("short_id", "version", "last_version") or _has_check(column, ">= 0")
    return Rule(nullable, least=0 if at_least_0 else None)


def _words(column: Column[Any]) -> Sequence[str]:
    """Those of the table's check `one_of`."""
    return [word for text in _checks(column) for word in re.findall("'([^']*)'", text)]


def _has_check(column: Column[Any], text: str) -> bool:
    return any(text in check for check in _checks(column))


def _checks(column: Column[Any]) -> list[str]:
    return [
        str(check.sqltext)
        for check in column.table.constraints
        if isinstance(check, CheckConstraint) and str(check.sqltext).startswith(f"{column.name} ")
    ]


def _is_indexed(column: Column[Any]) -> bool:
    """Whether an index has the column as it is; some have the first characters of it only."""
    keys = [key.columns for key in column.table.constraints if isinstance(key, PrimaryKeyConstraint | UniqueConstraint)]
    plain = [expression for index in column.table.indexes for expression in index.expressions]
    return any(column.name in columns for columns in keys) or any(expression is column for expression in plain)


def is_float(column: Column[Any]) -> bool:
    return isinstance(column.type, Double)


def is_flag(column: Column[Any]) -> bool:
    """Whether it is 0 or 1, and true or false in the file."""
    return isinstance(column.type, SmallInteger) and column.name.startswith("is_")
