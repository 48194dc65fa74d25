"""Lists of runs and of experiments: which, in what order, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Table,
    and_,
    case,
    exists,
    func,
    select,
    type_coerce,
)

from native_api.core import db
from native_api.core import tables as t
from native_api.core.access import Actor, visible
from native_api.core.errors import Invalid
from native_api.core.pages import Column, Page, Part, Statement, fingerprint, read
from native_api.core.search import (
    Attribute,
    Condition,
    Field,
    Input,
    Metric,
    Param,
    SortKey,
    Tag,
    View,
    experiment_clause,
    of_metric,
    run_clause,
)

MAX_SORT_KEYS = 10
"""Each may join a table, and the comparison with the last row of a page grows with their square."""


def page_of_runs(
    conn: Connection,
    actor: Actor,
    experiment_ids: Sequence[int],
    view: View,
    condition: Condition | None,
    sort_keys: Sequence[SortKey],
    limit: int,
    token: str | None,
) -> Page[tuple[int, int]]:
    """One page of the visible runs of the experiments, each as (runs.id, runs.revision).

    They come by the sort keys, then newest first, then by run_id.
    """
    experiments = sorted(set(experiment_ids))
    if not experiments:
        return Page([], None)
    runs = t.runs.c
    statement = (
        select(runs.id, runs.revision)
        .join(t.experiments, t.experiments.c.id == runs.experiment_id)
        .where(visible(actor), _within(conn, runs.experiment_id, experiments), *_of_view(view, runs.deleted_at))
    )
    if condition is not None:
        statement = statement.where(run_clause(conn, condition))
    newest_first = SortKey(Attribute("started_at"), descending=True)
    first, *rest = _distinct([*sort_keys, newest_first, SortKey(Attribute("run_id"))])
    if isinstance(first.field, Metric):
        parts = _parts_by_metric(conn, statement, experiments, first.field, first.descending, rest)
    else:
        parts = [_part(conn, statement, [first, *rest])]
    page = read(conn, parts, fingerprint("runs", experiments, view, condition, sort_keys), limit, token)
    return Page([(row[0], row[1]) for row in page.items], page.next_token)


def page_of_experiments(
    conn: Connection,
    actor: Actor,
    view: View,
    condition: Condition | None,
    sort_keys: Sequence[SortKey],
    limit: int,
    token: str | None,
) -> Page[int]:
    """One page of the visible experiments, each as experiments.id: by the sort keys, or newest first, then by id."""
    experiments = t.experiments.c
    statement = select(experiments.id).where(visible(actor), *_of_view(view, experiments.deleted_at))
    if condition is not None:
        statement = statement.where(experiment_clause(conn, condition))
    by = sort_keys or [SortKey(Attribute("created_at"), descending=True)]
    columns = [
        _attribute_column(conn, t.experiments, key)
        for key in _distinct([*by, SortKey(Attribute("id"), descending=bool(sort_keys))])
    ]
    query = fingerprint("experiments", view, condition, sort_keys)
    page = read(conn, [Part(statement, columns)], query, limit, token)
    return Page([row[0] for row in page.items], page.next_token)


def _of_view(view: View, deleted_at: ColumnElement[int | None]) -> list[ColumnElement[bool]]:
    match view:
        case View.ACTIVE:
            return [deleted_at.is_(None)]
        case View.DELETED:
            return [deleted_at.is_not(None)]
        case View.ALL:
            return []


def _within(conn: Connection, column: ColumnElement[int], numbers: Sequence[int]) -> ColumnElement[bool]:
    """One experiment is compared with `=`, so that an index can give its rows in order."""
    return column == numbers[0] if len(numbers) == 1 else db.among(conn, column, numbers)


def _distinct(keys: Sequence[SortKey]) -> list[SortKey]:
    """The keys without those whose field came before: they would not change the order."""
    firsts: dict[Field, SortKey] = {}
    for key in keys:
        firsts.setdefault(key.field, key)
    if len(firsts) > MAX_SORT_KEYS:
        raise Invalid(f"There are more than {MAX_SORT_KEYS} fields to sort by")
    return list(firsts.values())


def _parts_by_metric(
    conn: Connection,
    statement: Statement,
    experiments: Sequence[int],
    metric: Metric,
    descending: bool,
    rest: Sequence[SortKey],
) -> list[Part]:
    """The runs with a number for the metric, then those with a NaN, then those without it.

    So that of the first, which nearly always fill the page, only as many are read as it takes, from the index.
    """
    latest = t.run_metric_latest.alias()
    has_metric = of_metric(latest, metric)
    having = statement.join(latest, and_(has_metric, _within(conn, latest.c.experiment_id, experiments)))
    value = Column(latest.c.value, float, descending)
    return [
        _part(conn, having.where(latest.c.is_nan == 0), rest, [value]),
        _part(conn, having.where(latest.c.is_nan == 1), rest),
        _part(conn, statement.where(~exists().where(has_metric)), rest),
    ]


def _part(conn: Connection, statement: Statement, keys: Sequence[SortKey], before: Sequence[Column] = ()) -> Part:
    """The statement's runs in the order of the columns `before`, then of the keys."""
    columns = list(before)
    for key in keys:
        match key.field:
            case Attribute():
                columns.append(_attribute_column(conn, t.runs, key))
            case Metric():
                latest = t.run_metric_latest.alias()
                statement = statement.outerjoin(latest, of_metric(latest, key.field))
                rank = type_coerce(func.coalesce(latest.c.is_nan, 2), BigInteger)
                columns += [Column(rank, int), Column(latest.c.value, float, key.descending, nullable=True)]
            case Param(name) | Tag(name):
                pairs = (t.run_params if isinstance(key.field, Param) else t.run_tags).alias()
                statement = statement.outerjoin(pairs, and_(pairs.c.run_id == t.runs.c.id, pairs.c.key == name))
                columns.append(Column(db.bytewise(conn, pairs.c.value), str, key.descending, nullable=True))
            case Input():
                raise Invalid("Runs cannot be sorted by their datasets")
    return Part(statement, columns)


_STATUSES = ("failed", "finished", "killed", "running", "queued")
"""In the order of MLflow's names, whose last is SCHEDULED."""


def _attribute_column(conn: Connection, table: Table, key: SortKey) -> Column:
    if not isinstance(key.field, Attribute):
        raise Invalid(f"{table.name.capitalize()} cannot be sorted by {type(key.field).__name__.lower()}s")
    column = table.c[key.field.name]
    if key.field.name == "status":
        rank = case({status: place for place, status in enumerate(_STATUSES)}, value=column)
        return Column(type_coerce(rank, BigInteger), int, key.descending)
    nullable = bool(column.nullable)
    if column.type.python_type is int:
        return Column(column, int, key.descending, nullable)
    if key.field.name == "run_id":  # compares so by itself, and its index is made for that
        return Column(column, str, key.descending, nullable)
    return Column(db.bytewise(conn, column), str, key.descending, nullable)
