"""Projects: their workspace names, who may make and change them, and what is left of deleted ones."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from native_api.core import accounts, experiments, orgs, projects, registered_models
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.errors import Conflict, Exists, Forbidden, NotFound
from native_api.core.members import OF_PROJECTS
from native_api.core.projects import Project
from tests.conftest import make_actor

WORKSPACE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])")
"""MLflow's WorkspaceNameValidator."""


@pytest.fixture
def owner(conn: Connection) -> Actor:
    """The owner of an organisation `Big Org`."""
    return _owner(conn, "one", "Big Org")


def _owner(conn: Connection, name: str, org: str) -> Actor:
    founder = make_actor(conn, f"{name}-first")
    org_id = orgs.create(conn, founder, org).org_id
    return Actor(founder.user_id, "", {}, Scope.ADMIN, orgs={org_id: OrgRole.OWNER})


def make(conn: Connection, owner: Actor, name: str, **given: str) -> Project:
    return projects.create(conn, owner, next(iter(owner.orgs)), name, **given)


def admin_of(owner: Actor, *made: Project) -> Actor:
    return replace(owner, projects={project.project_id: Scope.ADMIN for project in made})


# Workspace names


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("churn", "churn"),
        ("Customer Churn (2026)", "customer-churn-2026"),
        ("--a__b--", "a-b"),
        ("x", "big-org-x"),
        ("日本語", "project"),
        ("Größe", "gr-e"),
        ("...", "project"),
        ("api", "big-org-api"),
        ("Workspaces", "big-org-workspaces"),
        ("static files", "big-org-static-files"),
        ("n" * 200, "n" * 63),
        ("n" * 62 + " m", "n" * 62),
    ],
)
def test_a_project_is_a_workspace_by_its_name(conn: Connection, owner: Actor, name: str, slug: str) -> None:
    assert make(conn, owner, name).slug == slug


def test_names_that_clash_get_their_organisations_before_them_and_then_numbers(conn: Connection, owner: Actor) -> None:
    assert [make(conn, owner, name).slug for name in ("Churn", "churn", "churn!", "churn?")] == [
        *("churn", "big-org-churn", "big-org-churn-2", "big-org-churn-3")
    ]
    other = _owner(conn, "two", "Other")
    assert make(conn, other, "Churn").slug == "other-churn"


def test_a_long_name_leaves_room_for_a_number(conn: Connection, owner: Actor) -> None:
    made = [make(conn, owner, f"{'n' * 100}{number}").slug for number in range(4)]
    assert len(set(made)) == 4
    assert all(WORKSPACE_NAME.fullmatch(slug) for slug in made)


def test_nobody_takes_the_name_of_the_default_workspace(conn: Connection, owner: Actor) -> None:
    accounts.set_up(conn, "mlflow-artifacts:/")  # changes nothing where there are projects
    first = make(conn, owner, "default").slug
    assert make(conn, _owner(conn, "two", "Other"), "default").slug == "other-default" != first


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(org=st.text(min_size=1, max_size=80), name=st.text(min_size=1, max_size=80))
def test_every_name_gives_workspace_names_that_mlflow_takes(org: str, name: str) -> None:
    candidates = projects._slugs(org, name)
    for slug in (next(candidates) for _ in range(4)):
        assert WORKSPACE_NAME.fullmatch(slug), (org, name, slug)
        assert slug not in projects.RESERVED


def test_a_workspace_name_that_is_asked_for_is_taken_or_refused(conn: Connection, owner: Actor) -> None:
    assert make(conn, owner, "one", slug="mine").slug == "mine"
    with pytest.raises(Exists, match="Workspace 'mine' already exists"):
        make(conn, _owner(conn, "two", "Other"), "one", slug="mine")


# Making


def test_whoever_makes_one_is_its_admin(conn: Connection, owner: Actor) -> None:
    project = make(conn, owner, "churn", description="why")
    (member,) = OF_PROJECTS.page(conn, admin_of(owner, project), 9, None, of=project.project_id, user_id=None).items
    assert (member.user_id, member.role) == (owner.user_id, "admin")
    assert (project.status, project.description) == ("active", "why")


@pytest.mark.parametrize("role", OrgRole)
def test_making_one_needs_the_role_admin(conn: Connection, owner: Actor, role: OrgRole) -> None:
    member = replace(owner, orgs=dict.fromkeys(owner.orgs, role))
    if role >= OrgRole.ADMIN:
        assert make(conn, member, "p")
    else:
        with pytest.raises(Forbidden):
            make(conn, member, "p")
    with pytest.raises(NotFound):
        projects.create(conn, replace(owner, orgs={}), next(iter(owner.orgs)), "q")


def test_a_name_is_taken_in_its_organisation(conn: Connection, owner: Actor) -> None:
    first, second = make(conn, owner, "churn"), make(conn, owner, "other")
    with pytest.raises(Exists):
        make(conn, owner, "churn")
    with pytest.raises(Exists):
        projects.change(conn, admin_of(owner, first, second), second.project_id, {"name": "churn"})
    assert make(conn, _owner(conn, "two", "Other"), "churn").name == "churn"


# Changing and deleting


def test_a_change_keeps_the_workspace_name(conn: Connection, owner: Actor) -> None:
    project = make(conn, owner, "churn")
    admin = admin_of(owner, project)
    changed = projects.change(conn, admin, project.project_id, {"name": "Loss", "status": "archived"})
    assert changed == project._replace(name="Loss", status="archived") == projects.get(conn, admin, project.project_id)
    assert projects.get_by_slug(conn, admin, "churn") == changed


@pytest.mark.parametrize("scope", [Scope.READ, Scope.WRITE])
def test_changing_and_deleting_needs_its_role_admin(conn: Connection, owner: Actor, scope: Scope) -> None:
    project = make(conn, owner, "churn")
    member = replace(owner, projects={project.project_id: scope})
    assert projects.get(conn, member, project.project_id) == project
    with pytest.raises(Forbidden):
        projects.change(conn, member, project.project_id, {"name": "x"})
    with pytest.raises(Forbidden):
        projects.delete(conn, member, project.project_id)


def test_it_is_not_there_for_others(conn: Connection, owner: Actor) -> None:
    project, stranger = make(conn, owner, "churn"), make_actor(conn, "stranger", Scope.ADMIN)
    for attempt in (
        lambda: projects.get(conn, stranger, project.project_id),
        lambda: projects.get_by_slug(conn, stranger, "churn"),
        lambda: projects.change(conn, stranger, project.project_id, {"name": "x"}),
        lambda: projects.delete(conn, stranger, project.project_id),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert "churn" not in [found.slug for found in projects.page(conn, stranger, 9, None).items]


def test_a_deleted_one_is_gone_and_its_names_are_free(conn: Connection, owner: Actor) -> None:
    project = make(conn, owner, "churn")
    admin = admin_of(owner, project)
    projects.delete(conn, admin, project.project_id)
    with pytest.raises(NotFound):
        projects.get(conn, admin, project.project_id)
    with pytest.raises(NotFound):
        projects.delete(conn, admin, project.project_id)
    assert projects.page(conn, admin, 9, None).items == []
    again = make(conn, owner, "churn")
    assert (again.name, again.slug) == ("churn", "churn")
    assert again.project_id != project.project_id


def test_nobody_can_take_the_workspace_name_that_a_deleted_one_gets(conn: Connection, owner: Actor) -> None:
    project = make(conn, owner, "churn")
    make(conn, _owner(conn, "two", "Other"), "thief", slug=project.project_id)
    projects.delete(conn, admin_of(owner, project), project.project_id)


def test_nothing_in_an_archived_one_changes_but_itself_and_its_members(conn: Connection, owner: Actor) -> None:
    project = make(conn, owner, "churn")
    admin = replace(admin_of(owner, project), archived=frozenset({project.project_id}))
    with pytest.raises(Conflict):
        experiments.create(conn, admin, project.project_id, "e", artifact_root="mlflow-artifacts:/")
    member = OF_PROJECTS.add(conn, admin, project.project_id, make_actor(conn, "two").user_id, "viewer")
    OF_PROJECTS.remove(conn, admin, member.member_id)
    assert projects.change(conn, admin, project.project_id, {"status": "active"}).status == "active"


def test_the_list_is_by_workspace_name_and_can_be_narrowed(conn: Connection, owner: Actor) -> None:
    b, a, c = (make(conn, owner, name) for name in ("b1", "a1", "c1"))
    admin = admin_of(owner, a, b, c)
    projects.change(conn, admin, c.project_id, {"status": "archived"})
    first = projects.page(conn, admin, 2, None)
    rest = projects.page(conn, admin, 2, first.next_token)
    assert [found.slug for found in [*first.items, *rest.items]] == ["a1", "b1", "c1"]
    for wanted, slugs in (
        ({"status": "archived"}, ["c1"]),
        ({"name": "b1"}, ["b1"]),
        ({"slug": "a1"}, ["a1"]),
        ({"org_id": a.org_id}, ["a1", "b1", "c1"]),
        ({"org_id": "0" * 32}, []),
    ):
        assert [found.slug for found in projects.page(conn, admin, 9, None, **wanted).items] == slugs


def test_one_is_empty_until_something_was_tracked_in_it(conn: Connection, owner: Actor) -> None:
    project = make(conn, owner, "churn")
    assert projects.is_empty(conn, project.project_id)
    number = experiments.create(
        conn, admin_of(owner, project), project.project_id, "e", artifact_root="mlflow-artifacts:/"
    )
    experiments.delete(conn, admin_of(owner, project), number)
    assert not projects.is_empty(conn, project.project_id)


def test_nor_is_one_in_which_a_model_is_registered(conn: Connection, owner: Actor) -> None:
    project = make(conn, owner, "churn")
    registered_models.create(conn, admin_of(owner, project), project.project_id, "iris")
    assert not projects.is_empty(conn, project.project_id)
