"""Users and tenants of a fresh server."""

from __future__ import annotations

from sqlalchemy import Connection, select

from native_api.core import clock, db
from native_api.core import tables as t
from native_api.core.access import Actor, Scope

DEFAULT = "default"
OWNER_EMAIL = "owner@localhost"


def set_up(conn: Connection, artifact_root: str) -> None:
    """Give an empty database its local owner, its organisation and project `default`, and the experiment Default, id 0.

    Safe to do at every start, by several processes at once; a database that has a project is left as it is.
    """
    if conn.execute(select(t.ml_projects.c.project_id).limit(1)).first() is not None:
        return
    now = clock.now()
    user_id, org_id, project_id = clock.new_id(), clock.new_id(), clock.new_id()
    rows = (
        (t.users, {"user_id": user_id, "email": OWNER_EMAIL, "full_name": "Local owner", "is_active": True}),
        (t.organizations, {"org_id": org_id, "name": DEFAULT, "created_by": user_id}),
        (
            t.ml_projects,
            {"project_id": project_id, "org_id": org_id, "name": DEFAULT, "slug": DEFAULT, "status": "active"},
        ),
    )
    for table, row in rows:
        insert = db.insert(conn, table).values(row | {"created_at": now}).on_conflict_do_nothing()
        if (
            conn.execute(insert.returning(*table.primary_key)).first() is None
        ):  # another process was first, and does the rest
            return
    member = {"user_id": user_id, "is_active": True}
    conn.execute(
        t.org_members.insert(),
        member | {"org_member_id": clock.new_id(), "org_id": org_id, "role": "owner", "joined_at": now},
    )
    conn.execute(
        t.project_members.insert(),
        member | {"project_member_id": clock.new_id(), "project_id": project_id, "role": "admin", "added_at": now},
    )
    conn.execute(
        t.experiments.insert(),
        {
            "id": 0,
            "experiment_id": clock.new_id(),
            "project_id": project_id,
            "name": "Default",
            "artifact_location": f"{artifact_root.rstrip('/')}/0",
            "created_by": user_id,
            "created_at": now,
            "updated_at": now,
        },
    )


def local_owner(conn: Connection) -> Actor:
    """Who a caller without credentials is, where that is allowed: the owner of the project `default`."""
    p, m = t.ml_projects.c, t.org_members.c
    row = conn.execute(
        select(m.user_id, p.project_id)
        .join(t.ml_projects, p.org_id == m.org_id)
        .where(p.slug == DEFAULT, m.role == "owner", m.is_active)
        .order_by(m.joined_at, m.user_id)
    ).first()
    if row is None:
        raise LookupError("the project `default` has no owner")
    return Actor(row.user_id, row.project_id, {row.project_id: Scope.ADMIN})
