"""A project with something of everything in it, and people who have more or less to do with it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from native_api.core import (
    api_tokens,
    artifacts,
    clock,
    dataset_versions,
    datasets,
    definitions,
    experiments,
    imports,
    orgs,
    projects,
    run_artifacts,
    runs,
    users,
)
from native_api.core.access import Actor, OrgRole, Scope
from native_api.core.members import OF_ORGS, OF_PROJECTS
from native_api.core.metrics import Name, Point
from native_api.core.places import InRun, Place
from native_api.core.runs import LogEntry, NewRun
from native_api.core.users import NewUser
from tests import model_rows

ROOT = "mlflow-artifacts:/"

_numbers = itertools.count(1)


@dataclass
class World:
    """The ids of things of the project P by the names that requests have for them.

    What people name themselves holds `mark`, so that it is seen where something of P is shown.
    """

    mark: str
    callers: dict[str, str] = field(default_factory=dict)
    """Their user ids."""
    workspaces: dict[str, str] = field(default_factory=dict)
    """The one of P, and the stranger's own elsewhere."""
    ids: dict[str, str] = field(default_factory=dict)


def build(conn: Connection, files: Path) -> World:
    """A new P, in a new organisation. `files` is where the artifact proxy keeps its own."""
    number = next(_numbers)
    w = World(f"mark{number}x")
    for name in ("owner", "admin", "editor", "viewer", "colleague", "newcomer", "founder", "stranger"):
        of = number if name in ("newcomer", "stranger") else w.mark
        new = NewUser(f"{name}@{of}.org", f"{name} {of}", is_administrator=name == "owner")
        w.callers[name] = users.register(conn, new).user_id
    owner = Actor(w.callers["owner"], "", {}, Scope.ADMIN)
    ids = w.ids
    ids["org_id"] = orgs.create(conn, owner, f"org {w.mark}").org_id
    founder = Actor(w.callers["founder"], "", {}, Scope.ADMIN)
    ids["empty_org_id"] = orgs.create(conn, founder, f"empty {w.mark}").org_id
    owner = Actor(owner.user_id, "", {}, Scope.ADMIN, orgs={ids["org_id"]: OrgRole.OWNER})
    project = projects.create(conn, owner, ids["org_id"], f"project {w.mark}")
    p = ids["project_id"] = project.project_id
    _admit(conn, w, Actor(owner.user_id, p, {p: Scope.ADMIN}, Scope.ADMIN, owner.orgs))
    admin = Actor(w.callers["admin"], p, {p: Scope.ADMIN}, Scope.ADMIN)
    _track(conn, w, admin, files)
    _account(conn, w, admin)
    stranger = Actor(w.callers["stranger"], "", {}, Scope.ADMIN)
    elsewhere = orgs.create(conn, stranger, f"elsewhere {number}").org_id
    stranger = Actor(stranger.user_id, "", {}, Scope.ADMIN, orgs={elsewhere: OrgRole.OWNER})
    w.workspaces = {"P": project.slug, "elsewhere": projects.create(conn, stranger, elsewhere, "another").slug}
    ids["workspace_name"] = project.slug
    return w


def _admit(conn: Connection, w: World, owner: Actor) -> None:
    """The members of P and of its organisation."""
    colleague = w.callers["colleague"]
    for role in ("admin", "editor", "viewer"):
        OF_PROJECTS.add(conn, owner, owner.project_id, w.callers[role], role)
    w.ids["project_member_id"] = OF_PROJECTS.add(conn, owner, owner.project_id, colleague, "viewer").member_id
    w.ids["org_member_id"] = OF_ORGS.add(conn, owner, w.ids["org_id"], colleague, "member").member_id
    w.ids |= {"user_id": colleague, "newcomer_id": w.callers["newcomer"]}


def _account(conn: Connection, w: World, admin: Actor) -> None:
    """The admin's own API token and service account."""
    w.ids["token_id"] = api_tokens.create(conn, admin, admin.user_id, f"token {w.mark}", Scope.READ, None)[0].token_id
    maker = Actor(admin.user_id, "", {}, Scope.ADMIN, is_administrator=True)
    service = users.create(conn, maker, NewUser(f"service@{w.mark}.org", f"service {w.mark}", is_service=True))
    w.ids["service_id"] = service.user_id


def _track(conn: Connection, w: World, admin: Actor, files: Path) -> None:
    """Experiments, runs, datasets and artifacts; one of each that is deleted, one that has nothing in it."""
    ids, mark, p = w.ids, w.mark, admin.project_id
    number, gone = (
        experiments.create(conn, admin, p, f"{name} {mark}", artifact_root=ROOT, objective=mark, tags_={"k": mark})
        for name in ("experiment", "gone")
    )
    experiments.delete(conn, admin, gone)
    ids |= {"experiment": str(number), "gone_experiment": str(gone), "experiment_name": f"experiment {mark}"}
    ids["experiment_id"] = experiments.get(conn, admin, number).experiment_id
    run = runs.create(conn, admin, NewRun(number, run_name=f"run {mark}", notes=mark, tags={"k": mark}))
    deleted = runs.create(conn, admin, NewRun(number, run_name=f"deleted {mark}"))
    runs.delete(conn, admin, deleted.info.run_id)
    run_id = ids["run_id"] = run.info.run_id
    ids["gone_run_id"] = deleted.info.run_id
    points = {Name(0, f"m{mark}"): [Point(1, 1_000, 0.5)]}
    (problem,) = runs.log(conn, [LogEntry(admin, run_id, points=points, params={"p": mark}, tags={"t": mark})])
    assert problem is None
    ids["metric_key"] = f"m{mark}"
    dataset = datasets.create(conn, admin, p, f"dataset {mark}")
    unused = datasets.create(conn, admin, p, f"unused {mark}")
    version = dataset_versions.create(conn, admin, dataset.dataset_id, f"v {mark}", f"h{mark}")
    ids |= {"dataset_id": dataset.dataset_id, "unused_dataset_id": unused.dataset_id}
    ids["dataset_version_id"] = version.dataset_version_id
    artifact, linked = (artifacts.create(conn, admin, p, f"s3://{name}/{mark}") for name in ("a", "b"))
    ids |= {"artifact_id": artifact.artifact_id}
    link = run_artifacts.create(conn, admin, run_id, linked.artifact_id, f"alias {mark}")
    ids["run_artifact_id"] = link.run_artifact_id
    ids["folder"] = f"{number}/{run_id}/artifacts"
    key = f"{ids['folder']}/{mark}.txt"
    (files / key).parent.mkdir(parents=True)
    (files / key).write_text(mark)
    in_run = InRun(run.info.id, run_id, run.info.artifact_uri, f"{mark}.txt")
    artifacts.record(conn, admin, Place(key, number, p, in_run), 1, "0" * 64)
    ids |= {"path": key, "file": f"{mark}.txt"}
    _keep_models(conn, w, admin, files)
    ids["metric_id"] = definitions.create(conn, admin, f"defined.{mark[4:]}").metric_id
    ids["job_id"] = imports.begin(conn, admin, "runs", "csv", f"file://{mark}")


def _keep_models(conn: Connection, w: World, admin: Actor, files: Path) -> None:
    """A logged model with a file, and a version of a registered model that has the same file."""
    model_id = w.ids["model_id"] = f"m-{clock.new_id()}"
    name = w.ids["model_name"] = f"registered {w.mark}"
    uri = f"{ROOT}{w.ids['experiment']}/models/{model_id}/artifacts"
    model_rows.add_model(conn, int(w.ids["experiment"]), model_id, uri, f"model {w.mark}")
    registered = clock.new_id()
    model_rows.add_registered(conn, registered, admin.project_id, name)
    model_rows.add_version(conn, registered, admin.project_id, 1, uri)
    key = f"{uri.removeprefix(ROOT)}/{w.mark}.txt"
    (files / key).parent.mkdir(parents=True)
    (files / key).write_text(w.mark)
