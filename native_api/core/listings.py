"""Lists of runs and of experiments: which, in what order, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import eq

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Table,
    and_,
    case,
    exists,
    func,
    select,
    true,
    type_coerce,
)

from native_api.core import db
from native_api.core import tables as t
from native_api.core.access import Actor, visible
from native_api.core.errors import Invalid
from native_api.core.pages import Column, Page, Part, Statement, fingerprint, read
from native_api.core.search import (
    All,
    Attribute,
    Condition,
    Field,
    Input,
    Metric,
    Param,
    SortKey,
    Tag,
    View,
    conjuncts,
    experiment_clause,
    find_few,
    of_metric,
    require_number,
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
    asked = sorted(set(experiment_ids))
    experiments = visible_experiments(conn, actor, asked)
    if not experiments:
        return Page([], None)
    conditions = conjuncts(condition)
    wanted, groups = _wanted(conn, experiments, view, conditions)
    newest_first = SortKey(Attribute("started_at"), descending=True)
    first, *rest = _distinct([*sort_keys, newest_first, SortKey(Attribute("run_id"))])
    if isinstance(first.field, Metric):
        parts = _parts_by_metric(conn, wanted, groups, first.field, first.descending, rest)
        if any(require_number(one, first.field) for one in conditions):
            del parts[1:]
    else:
        parts = [_part(conn, [wanted.where(group(t.runs.c.experiment_id)) for group in groups], [first, *rest])]
    page = read(conn, parts, fingerprint("runs", asked, view, condition, sort_keys), limit, token)
    return Page([(row[0], row[1]) for row in page.items], page.next_token)


def visible_experiments(conn: Connection, actor: Actor, asked: Sequence[int]) -> list[int]:
    """Those of the experiments that are in view, by short id."""
    return [number for number, project_id in _projects.rows(conn, asked) if project_id in actor.projects]


_projects = db.Prepared(
    lambda among: select(t.experiments.c.id, t.experiments.c.project_id).where(among(t.experiments.c.id))
)


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


Group = Callable[[ColumnElement[int]], ColumnElement[bool]]
"""Says of a column that it holds one of a group of experiments."""

MERGED = 20
"""Of up to so many experiments each gives its runs in the order of an index; with more, all their runs are sorted."""


def _wanted(
    conn: Connection, experiments: Sequence[int], view: View, conditions: Sequence[Condition]
) -> tuple[Statement, list[Group]]:
    """The runs that satisfy the conditions, and the groups of experiments by which to ask for them."""
    runs = t.runs.c
    wanted = select(runs.id, runs.revision).select_from(t.runs).where(*_of_view(view, runs.deleted_at))
    few = find_few(conn, conditions, experiments)
    groups: list[Group]
    if few is not None:
        conditions = [condition for condition in conditions if condition != few.comparison]
        # Of a sum there is no index that could be taken instead.
        of_experiments = db.among(conn, runs.experiment_id + 0, experiments)
        wanted = wanted.where(db.among(conn, runs.id, few.runs), of_experiments)
        groups = [lambda _: true()]
    elif len(experiments) <= MERGED:
        groups = [partial(eq, experiment) for experiment in experiments]
    else:
        groups = [lambda column: db.among(conn, column, experiments)]
    if conditions:
        wanted = wanted.where(run_clause(conn, All(tuple(conditions))))
    return wanted, groups


def _distinct(keys: Sequence[SortKey]) -> list[SortKey]:
    """The keys without those whose field came before: they would not change the order."""
    firsts: dict[Field, SortKey] = {}
    for key in keys:
        firsts.setdefault(key.field, key)
    if len(firsts) > MAX_SORT_KEYS:
        raise Invalid(f"There are more than {MAX_SORT_KEYS} fields to sort by")
    return list(firsts.values())


_RANKED = t.run_metric_latest.alias()
"""Made once: making it takes longer than reading a page."""


def _parts_by_metric(
    conn: Connection,
    wanted: Statement,
    groups: Sequence[Group],
    metric: Metric,
    descending: bool,
    rest: Sequence[SortKey],
) -> list[Part]:
    """The runs with a number for the metric, then those with a NaN, then those without it.

    So that of the first, which nearly always fill the page, only as many are read as it takes, from the index.
    """
    latest = _RANKED
    has_metric = of_metric(latest, metric)
    # The experiment is named once: PostgreSQL, told twice, expects a tenth of the runs of each tenth of them.
    having = [wanted.join(latest, and_(has_metric, group(latest.c.experiment_id))) for group in groups]
    without = [wanted.where(group(t.runs.c.experiment_id), ~exists().where(has_metric)) for group in groups]
    value = Column(latest.c.value, float, descending)  # the same for all NaNs, and asks for the index for them, too
    return [
        _part(conn, [statement.where(latest.c.is_nan == 0) for statement in having], rest, [value]),
        _part(conn, [statement.where(latest.c.is_nan == 1) for statement in having], rest, [value]),
        _part(conn, without, rest),
    ]


def _part(
    conn: Connection, statements: Sequence[Statement], keys: Sequence[SortKey], before: Sequence[Column] = ()
) -> Part:
    """The statements' runs in the order of the columns `before`, then of the keys."""
    columns = list(before)
    joins: list[tuple[FromClause, ColumnElement[bool]]] = []
    for key in keys:
        match key.field:
            case Attribute():
                columns.append(_attribute_column(conn, t.runs, key))
            case Metric():
                latest = t.run_metric_latest.alias()
                joins.append((latest, of_metric(latest, key.field)))
                rank = type_coerce(func.coalesce(latest.c.is_nan, 2), BigInteger)
                columns += [Column(rank, int), Column(latest.c.value, float, key.descending, nullable=True)]
            case Param(name) | Tag(name):
                pairs = (t.run_params if isinstance(key.field, Param) else t.run_tags).alias()
                joins.append((pairs, and_(pairs.c.run_id == t.runs.c.id, pairs.c.key == name)))
                columns.append(Column(db.bytewise(conn, pairs.c.value), str, key.descending, nullable=True))
            case Input():
                raise Invalid("Runs cannot be sorted by their datasets")
    first, *others = (reduce(lambda found, join: found.outerjoin(*join), joins, statement) for statement in statements)
    return Part(first, columns, others)


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
