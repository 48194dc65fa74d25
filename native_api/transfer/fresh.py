"""A fresh server: what is there before anything is tracked, and how it gives way to what an export has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, func, select, update

from native_api.core import access, accounts, audit, clock
from native_api.core import tables as t
from native_api.core.access import NOBODY
from native_api.core.projects import DEFAULT
from native_api.transfer import authors

Row = dict[str, Any]


def make_room(conn: Connection, artifact_root: str, orgs: Sequence[Row], projects: Sequence[Row]) -> None:
    """Set the server up if need be; and where its project `default` is as new, let that be the export's.

    The export's `default` and its organisation take the place of the server's own, whose members they keep; the empty
    experiment Default goes. So a fresh server has the same ids as the one that was exported.
    """
    accounts.set_up(conn, artifact_root)
    project = next((row for row in projects if row["slug"] == DEFAULT), None)
    if project is None or not _is_fresh(conn):
        return
    org = next((row for row in orgs if row["org_id"] == project["org_id"]), None)
    own = conn.execute(select(t.ml_projects)).one()
    if org is None or own.project_id == project["project_id"]:
        return
    for row in conn.execute(t.experiments.delete().returning(t.experiments)):
        old = {name: value for name, value in row._mapping.items() if name != "id"}
        audit.deleted(conn, NOBODY, "experiments", row.experiment_id, old, project_id=own.project_id)
    if own.org_id != org["org_id"]:
        author = None if org["created_by"] is None else authors.ids_of(conn, [org["created_by"]])[org["created_by"]]
        _renew(conn, t.organizations, own.org_id, org | {"created_by": author}, [t.org_members, t.ml_projects])
    _renew(conn, t.ml_projects, own.project_id, project, [t.project_members])
    access.changed(conn)


def _is_fresh(conn: Connection) -> bool:
    """Whether there is nothing but what `accounts.set_up` makes."""
    p, o, e = t.ml_projects.c, t.organizations.c, t.experiments.c
    holding = (
        *(t.runs, t.experiment_tags, t.datasets, t.artifacts, t.logged_models, t.registered_models),
        t.batch_import_jobs,
    )
    return (
        conn.scalars(select(p.slug)).all() == [DEFAULT]
        and conn.scalars(select(o.name)).all() == [DEFAULT]
        and {tuple(row) for row in conn.execute(select(e.id, e.name))} <= {(0, "Default")}
        and not any(
            conn.scalar(select(func.count()).select_from(select(table).limit(1).subquery())) for table in holding
        )
    )


def _renew(conn: Connection, table: Table, old_id: str, new: Row, moved: Sequence[Table]) -> None:
    """Put the export's row in the place of the own one, and let what referred to that refer to it."""
    key = next(iter(table.primary_key.columns))
    old = conn.execute(select(table).where(key == old_id)).one()._asdict()
    aside = {name: clock.new_id() for name in ("name", "slug") if name in table.c}
    conn.execute(update(table).where(key == old_id).values(aside))
    conn.execute(table.insert(), new)
    for other in moved:
        conn.execute(update(other).where(other.c[key.name] == old_id).values({key.name: new[key.name]}))
    conn.execute(table.delete().where(key == old_id))
    audit.deleted(conn, NOBODY, table.name, old_id, old, **_place(old))
    audit.inserted(conn, NOBODY, table.name, new[key.name], new, **_place(new))


def _place(row: Mapping[str, Any]) -> Row:
    return {name: row[name] for name in ("org_id", "project_id") if name in row}
