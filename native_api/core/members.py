"""Members of organisations and of projects: who has which role there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, delete, select, update

from native_api.core import access, audit, clock, db, pages
from native_api.core import tables as t
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.errors import Conflict, Exists, NotFound
from native_api.core.pages import Page


class Member(NamedTuple):
    """One user's role in an organisation or a project. since is in milliseconds, UTC."""

    member_id: str
    of: str
    user_id: str
    role: str
    since: int
    is_active: bool


@dataclass(frozen=True)
class Members:
    """The members of every organisation, or of every project: two tables of one shape."""

    table: Table
    of: str
    key: str
    since: str

    # Reading

    def get(self, conn: Connection, actor: Actor, member_id: str) -> Member:
        """A member of what the actor has in view."""
        c = self.table.c
        statement = select(*self._columns()).where(c[self.key] == member_id, c[self.of].in_(self._in_view(actor)))
        row = conn.execute(statement).one_or_none()
        if row is None:
            raise NotFound("member", member_id)
        return Member._make(row)

    def page(
        self, conn: Connection, actor: Actor, limit: int, token: str | None, *, of: str | None, user_id: str | None
    ) -> Page[Member]:
        """The members of what the actor has in view, in the order they came."""
        c, columns = self.table.c, self._columns()
        wanted = {self.of: of, "user_id": user_id}
        clauses = [c[name] == value for name, value in wanted.items() if value is not None]
        statement = select(*columns).where(c[self.of].in_(self._in_view(actor)), *clauses)
        order = [pages.Column(c[self.since], int), pages.Column(c[self.key], str)]
        query = pages.fingerprint(self.table.name, actor.user_id, wanted)
        found = pages.read(conn, [pages.Part(statement, order)], query, limit, token)
        return Page([Member._make(row[: len(columns)]) for row in found.items], found.next_token)

    # Changing

    def add(self, conn: Connection, actor: Actor, of: str, user_id: str, role: str, is_active: bool = True) -> Member:
        """A new member. Raises Exists if the user is one already."""
        self._require_admin(actor, of, role)
        u = t.users.c
        if conn.execute(select(u.user_id).where(u.user_id == user_id)).first() is None:
            raise NotFound("user", user_id)
        row = {
            self.key: clock.new_id(),
            self.of: of,
            "user_id": user_id,
            "role": role,
            self.since: clock.now(),
            "is_active": is_active,
        }
        insert = db.insert(conn, self.table).values(row).on_conflict_do_nothing(index_elements=[self.of, "user_id"])
        made = conn.execute(insert.returning(*self._columns())).one_or_none()
        if made is None:
            raise Exists("The user is a member already")
        audit.inserted(conn, actor, self.table.name, made[0], row, **{self.of: of})
        access.changed(conn)
        return Member._make(made)

    def change(self, conn: Connection, actor: Actor, member_id: str, changes: Mapping[str, Any]) -> Member:
        """Another role, or set active or not. An organisation keeps an active owner."""
        held = self._hold(conn, actor, member_id)
        self._require_admin(actor, held.of, held.role, changes.get("role", held.role))
        new = held._replace(role=changes.get("role", held.role), is_active=changes.get("is_active", held.is_active))
        if not (new.role == "owner" and new.is_active):
            self._refuse_last_owner(conn, held)
        if changes:
            conn.execute(update(self.table).where(self.table.c[self.key] == member_id).values(dict(changes)))
            old = {"role": held.role, "is_active": held.is_active}
            audit.updated(conn, actor, self.table.name, member_id, old, changes, **{self.of: held.of})
            access.changed(conn)
        return new

    def remove(self, conn: Connection, actor: Actor, member_id: str) -> None:
        """No member any more; whoever is one may leave. An organisation keeps an active owner."""
        held = self._hold(conn, actor, member_id)
        if held.user_id != actor.user_id:
            self._require_admin(actor, held.of, held.role)
        self._refuse_last_owner(conn, held)
        conn.execute(delete(self.table).where(self.table.c[self.key] == member_id))
        row = {self.of: held.of, "user_id": held.user_id, "role": held.role, "is_active": held.is_active}
        audit.deleted(conn, actor, self.table.name, member_id, row, **{self.of: held.of})
        access.changed(conn)

    # What differs between the two

    def _columns(self) -> list[Any]:
        c = self.table.c
        return [c[self.key], c[self.of], c.user_id, c.role, c[self.since], c.is_active]

    def _in_view(self, actor: Actor) -> list[str]:
        return list(actor.orgs if self.of == "org_id" else actor.projects)

    def _require_admin(self, actor: Actor, of: str, *roles: str) -> None:
        """Admins look after members; only an owner makes or unmakes owners."""
        if self.of == "project_id":
            actor.require(of, Scope.ADMIN, "project", of)
        else:
            actor.require_org(of, OrgRole.OWNER if "owner" in roles else OrgRole.ADMIN)

    def _hold(self, conn: Connection, actor: Actor, member_id: str) -> Member:
        c = self.table.c
        statement = select(*self._columns()).where(c[self.key] == member_id, c[self.of].in_(self._in_view(actor)))
        row = conn.execute(db.hold(conn, statement, self.table)).one_or_none()
        if row is None:
            raise NotFound("member", member_id)
        return Member._make(row)

    def _refuse_last_owner(self, conn: Connection, held: Member) -> None:
        if held.role != "owner" or not held.is_active:
            return
        c = self.table.c
        others = select(c[self.key]).where(
            c[self.of] == held.of, c.role == "owner", c.is_active, c[self.key] != held.member_id
        )
        if conn.execute(db.hold(conn, others, self.table)).first() is None:
            raise Conflict("An organization keeps at least one active owner")


OF_ORGS = Members(t.org_members, "org_id", "org_member_id", "joined_at")
OF_PROJECTS = Members(t.project_members, "project_id", "project_member_id", "added_at")
