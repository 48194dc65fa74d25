"""A fresh server's users and tenants, its local owner and its administrators."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from native_api.core import access, audit, clock, db, passwords, users
from native_api.core import tables as t
from native_api.core.access import NOBODY, Scope
from native_api.core.errors import Unauthenticated
from native_api.core.members import OF_ORGS
from native_api.core.projects import DEFAULT
from native_api.core.users import Identity, NewUser, User

OWNER_EMAIL = "owner@localhost"

Row = dict[str, object]


def set_up(conn: Connection, artifact_root: str) -> None:
    """Give an empty database its local owner, its organisation and project `default`, and the experiment Default, id 0.

    Safe to do at every start, by several processes at once; a database that has a project is left as it is.
    """
    if conn.execute(select(t.ml_projects.c.project_id).limit(1)).first() is not None:
        return
    now = clock.now()
    user_id, org_id, project_id = clock.new_id(), clock.new_id(), clock.new_id()
    owner: Row = {"user_id": user_id, "email": OWNER_EMAIL, "full_name": "Local owner", "is_active": True}
    owner |= {"is_administrator": True, "is_service": False, "signed_out_at": 0}
    org: Row = {"org_id": org_id, "name": DEFAULT, "created_by": user_id}
    project: Row = {"project_id": project_id, "org_id": org_id, "name": DEFAULT, "slug": DEFAULT, "status": "active"}
    for table, row in ((t.users, owner), (t.organizations, org), (t.ml_projects, project)):
        row["created_at"] = now
        adding = db.insert(conn, table).values(row).on_conflict_do_nothing().returning(*table.primary_key)
        if conn.execute(adding).first() is None:  # another process was first, and does the rest
            return
    member: Row = {"user_id": user_id, "is_active": True}
    of_org = member | {"org_member_id": clock.new_id(), "org_id": org_id, "role": "owner", "joined_at": now}
    of_project = member | {"project_member_id": clock.new_id(), "project_id": project_id, "role": "admin"}
    experiment: Row = {
        "id": 0,
        "experiment_id": clock.new_id(),
        "project_id": project_id,
        "name": "Default",
        "artifact_location": f"{artifact_root.rstrip('/')}/0",
        "created_by": user_id,
        "created_at": now,
        "updated_at": now,
    }
    conn.execute(insert(t.org_members), of_org)
    conn.execute(insert(t.project_members), of_project | {"added_at": now})
    conn.execute(insert(t.experiments), experiment)
    _tell(conn, owner, org, project, of_org, of_project | {"added_at": now}, experiment)


def _tell(conn: Connection, *rows: Row) -> None:
    """The first entries of the audit log."""
    tables = (t.users, t.organizations, t.ml_projects, t.org_members, t.project_members, t.experiments)
    for table, row in zip(tables, rows, strict=True):
        key = "experiment_id" if table is t.experiments else table.primary_key.columns[0].name
        place = {name: str(row[name]) for name in ("org_id", "project_id") if name in row}
        audit.inserted(
            conn,
            NOBODY,
            table.name,
            str(row[key]),
            row,
            org_id=place.get("org_id"),
            project_id=place.get("project_id"),
        )


def local_owner(conn: Connection) -> Identity:
    """Who a caller without credentials is, where that is allowed: the first owner of the project `default`.

    Unauthenticated where no owner is left who counts.
    """
    p, m, u = t.ml_projects.c, t.org_members.c, t.users.c
    row = conn.execute(
        select(m.user_id, u.is_administrator)
        .join(t.ml_projects, p.org_id == m.org_id)
        .join(t.users, u.user_id == m.user_id)
        .where(p.slug == DEFAULT, m.role == "owner", m.is_active, u.is_active)
        .order_by(m.joined_at, m.user_id)
    ).first()
    if row is None:
        raise Unauthenticated("The project `default` has no owner any more: credentials are needed")
    return Identity(row.user_id, "", Scope.ADMIN, row.is_administrator)


def make_administrator(conn: Connection, email: str, full_name: str, password: str) -> User | None:
    """A new administrator of this server, who also owns the organisation `default`; None if the email is taken."""
    u = t.users.c
    if conn.execute(select(u.user_id).where(u.email == email.lower())).first() is not None:
        return None
    hashed = passwords.make_hash(password)
    user = users.register(conn, NewUser(email, full_name, hashed, is_administrator=True))
    p = t.ml_projects.c
    org_id = conn.scalars(select(p.org_id).where(p.slug == DEFAULT)).one()
    owner = access.Actor(user.user_id, "", {}, orgs={org_id: access.OrgRole.OWNER})
    OF_ORGS.add(conn, owner, org_id, user.user_id, "owner")
    return user
