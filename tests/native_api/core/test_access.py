"""What keeps tenants apart, tried on every function of the core that is told who asks."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, select

from native_api import core
from native_api.core import (
    access,
    api_tokens,
    artifacts,
    audit,
    dataset_versions,
    datasets,
    definitions,
    experiments,
    held_runs,
    import_rows,
    import_runs,
    imports,
    listings,
    logged_model_metrics,
    logged_model_search,
    logged_models,
    model_aliases,
    model_search,
    model_sources,
    model_versions,
    orgs,
    places,
    projects,
    registered_models,
    reports,
    run_artifacts,
    run_configs,
    run_views,
    runs,
    users,
)
from native_api.core import tables as t
from native_api.core.access import NOBODY, Actor, OrgRole, Scope
from native_api.core.datasets import NewInput
from native_api.core.errors import Conflict, Forbidden, NotFound
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.logged_models import NewModel
from native_api.core.metrics import Name, Point
from native_api.core.model_versions import Origin
from native_api.core.places import InRun, Place
from native_api.core.run_configs import NewConfig
from native_api.core.runs import LogEntry, NewRun
from native_api.core.search import View
from tests import model_rows
from tests.conftest import make_actor

ROOT = "mlflow-artifacts:/"
MODEL = "m-" + "d" * 32
LOSS = Name(0, "loss")


class Things(NamedTuple):
    """An experiment and a run, with something of everything."""

    owner: Actor
    experiment: int
    run_id: str
    key: str
    place: Place
    dataset: str  # without versions
    version: str
    artifact: str  # of no run
    link: str


def uuid_of(conn: Connection, of: Things) -> str:
    """The public id of the experiment."""
    return experiments.get(conn, of.owner, of.experiment).experiment_id


@pytest.fixture
def things(conn: Connection, actor: Actor) -> Things:
    experiment = experiments.create(
        conn, actor, actor.project_id, "e", artifact_root=ROOT, objective="o", tags_={"k": "v"}
    )
    run = runs.create(conn, actor, NewRun(experiment, run_name="r", notes="n", tags={"k": "v"}))
    run_id = run.info.run_id
    runs.add_inputs(conn, actor, run_id, [NewInput("d", "1")], ["m-1"])
    runs.log(conn, [LogEntry(actor, run_id, {LOSS: [Point(1, 1, 0.5)]})])
    key = f"{experiment}/{run_id}/artifacts/a.txt"
    in_run = InRun(run.info.id, run_id, run.info.artifact_uri, "a.txt")
    place = Place(key, experiment, actor.project_id, in_run)
    artifacts.record(conn, actor, place, 1, "0" * 64)
    home = f"{ROOT}{experiment}/models/{MODEL}/artifacts"
    model_rows.add_model(conn, experiment, MODEL, home)
    logged_models.put_tags(conn, actor, MODEL, {"k": "v"})
    registered_models.create(conn, actor, actor.project_id, "m", tags={"k": "v"})
    model_versions.create(conn, actor, actor.project_id, "m", Origin(home, home), tags={"k": "v"})
    model_aliases.put(conn, actor, actor.project_id, "m", "best", 1)
    return Things(actor, experiment, run_id, key, place, *add_by_hand(conn, actor, run_id))


def add_by_hand(conn: Connection, actor: Actor, run_id: str) -> tuple[str, str, str, str]:
    """The ids of a dataset, a version of another, an artifact, and the run's link to another."""
    empty, other = (datasets.create(conn, actor, actor.project_id, name).dataset_id for name in ("empty", "other"))
    version = dataset_versions.create(conn, actor, other, "v1", "hash")
    free, linked = (artifacts.create(conn, actor, actor.project_id, uri).artifact_id for uri in ("s3://1", "s3://2"))
    link = run_artifacts.create(conn, actor, run_id, linked)
    return empty, version.dataset_version_id, free, link.run_artifact_id


Call = Callable[[Connection, Actor, Things], Any]


def log(conn: Connection, entry: LogEntry) -> None:
    (problem,) = runs.log(conn, [entry])
    if problem is not None:
        raise problem


# What gives something to whoever may read, and NotFound or nothing to everybody else.
READS: dict[Callable[..., Any], Call] = {
    experiments.get: lambda conn, a, of: experiments.get(conn, a, of.experiment),
    experiments.get_by_name: lambda conn, a, of: experiments.get_by_name(conn, a, "e"),
    experiments.find_page: lambda conn, a, of: experiments.find_page(conn, a, View.ALL, None, (), 9, None).items,
    listings.page_of_experiments: lambda conn, a, of: (
        listings.page_of_experiments(conn, a, View.ALL, None, (), 9, None).items
    ),
    listings.page_of_runs: lambda conn, a, of: (
        listings.page_of_runs(conn, a, [of.experiment], View.ALL, None, (), 9, None).items
    ),
    experiments.find_number: lambda conn, a, of: experiments.find_number(conn, a, uuid_of(conn, of)),
    experiments.page: lambda conn, a, of: experiments.page(conn, a, 9, None).items,
    run_views.get: lambda conn, a, of: run_views.get(conn, a, of.run_id),
    run_views.page: lambda conn, a, of: run_views.page(conn, a, 9, None).items,
    run_configs.get: lambda conn, a, of: (
        run_configs.put(conn, of.owner, of.run_id, {"seed": 1}) and run_configs.get(conn, a, of.run_id)
    ),
    runs.find: lambda conn, a, of: runs.find(conn, a, of.run_id),
    runs.find_many: lambda conn, a, of: runs.find_many(conn, a, [of.run_id]),
    datasets.used_in: lambda conn, a, of: datasets.used_in(conn, a, [of.experiment], 9),
    datasets.get: lambda conn, a, of: datasets.get(conn, a, of.dataset),
    datasets.page: lambda conn, a, of: datasets.page(conn, a, 9, None).items,
    dataset_versions.get: lambda conn, a, of: dataset_versions.get(conn, a, of.version),
    dataset_versions.page: lambda conn, a, of: dataset_versions.page(conn, a, 9, None).items,
    artifacts.get: lambda conn, a, of: artifacts.get(conn, a, of.artifact),
    artifacts.page: lambda conn, a, of: artifacts.page(conn, a, 9, None).items,
    run_artifacts.get: lambda conn, a, of: run_artifacts.get(conn, a, of.link),
    run_artifacts.page: lambda conn, a, of: run_artifacts.page(conn, a, 9, None).items,
    places.root_of_run: lambda conn, a, of: places.root_of_run(conn, a, of.run_id),
    places.root_of_model: lambda conn, a, of: places.root_of_model(conn, a, MODEL),
    places.root_of_version: lambda conn, a, of: places.root_of_version(conn, a, "m", 1),
    places.get_place: lambda conn, a, of: places.get_place(conn, a, of.key),
    places.find_place: lambda conn, a, of: places.find_place(conn, a, of.key),
    logged_models.get: lambda conn, a, of: logged_models.get(conn, a, MODEL),
    logged_model_search.page_of_models: lambda conn, a, of: (
        logged_model_search.page_of_models(conn, a, [of.experiment], None, [], [], 9, None).items
    ),
    listings.visible_experiments: lambda conn, a, of: listings.visible_experiments(conn, a, [of.experiment]),
    registered_models.get: lambda conn, a, of: registered_models.get(conn, a, of.owner.project_id, "m"),
    registered_models.find_project: lambda conn, a, of: registered_models.find_project(conn, a, "m"),
    model_versions.get: lambda conn, a, of: model_versions.get(conn, a, of.owner.project_id, "m", 1),
    model_aliases.get: lambda conn, a, of: model_aliases.get(conn, a, of.owner.project_id, "m", "best"),
    model_search.find_models: lambda conn, a, of: model_search.find_models(conn, a, None, (), 9, None).items,
    model_search.find_versions: lambda conn, a, of: model_search.find_versions(conn, a, None, (), 9, None).items,
    reports.leaderboard: lambda conn, a, of: reports.leaderboard(conn, a, uuid_of(conn, of), LOSS, 9, None).items,
    reports.best_run: lambda conn, a, of: reports.best_run(conn, a, uuid_of(conn, of), LOSS),
    reports.dashboard: lambda conn, a, of: reports.dashboard(conn, a, of.owner.project_id, None, None),
    projects.get: lambda conn, a, of: projects.get(conn, a, of.owner.project_id),
    projects.get_by_slug: lambda conn, a, of: projects.get_by_slug(conn, a, "one"),
    projects.page: lambda conn, a, of: projects.page(conn, a, 9, None, slug="one").items,
}

# What whoever may only read is forbidden to do, and what is NotFound for everybody else.
WRITES: dict[Callable[..., Any], Call] = {
    experiments.create: lambda conn, a, of: experiments.create(conn, a, of.owner.project_id, "new", artifact_root=ROOT),
    experiments.change: lambda conn, a, of: experiments.change(conn, a, of.experiment, {"name": "new"}),
    experiments.delete: lambda conn, a, of: experiments.delete(conn, a, of.experiment),
    experiments.restore: lambda conn, a, of: experiments.restore(conn, a, of.experiment),
    experiments.put_tags: lambda conn, a, of: experiments.put_tags(
        conn, a, of.experiment, {"objective": "x"}, {"t": "v"}
    ),
    experiments.delete_tag: lambda conn, a, of: experiments.delete_tag(conn, a, of.experiment, "k"),
    experiments.clear: lambda conn, a, of: experiments.clear(conn, a, of.experiment, "objective", "note"),
    experiments.active: lambda conn, a, of: experiments.active(conn, a, of.experiment),
    runs.create: lambda conn, a, of: runs.create(conn, a, NewRun(of.experiment, run_name="new")),
    runs.change: lambda conn, a, of: runs.change(conn, a, of.run_id, {"status": "failed"}),
    runs.delete: lambda conn, a, of: runs.delete(conn, a, of.run_id),
    runs.restore: lambda conn, a, of: runs.restore(conn, a, of.run_id),
    runs.find_tag: lambda conn, a, of: runs.find_tag(conn, a, of.run_id, "k"),
    runs.put_tag: lambda conn, a, of: runs.put_tag(conn, a, of.run_id, "k", "new"),
    runs.delete_tag: lambda conn, a, of: runs.delete_tag(conn, a, of.run_id, "k"),
    runs.clear: lambda conn, a, of: runs.clear(conn, a, of.run_id, "notes", "note"),
    runs.add_inputs: lambda conn, a, of: runs.add_inputs(conn, a, of.run_id, [NewInput("new", "1")], ["m-2"]),
    runs.add_outputs: lambda conn, a, of: runs.add_outputs(conn, a, of.run_id, [("m-2", 1)]),
    runs.revise: lambda conn, a, of: runs.revise(conn, a, of.run_id, {"dataset_version_id": of.version}),
    runs.complete: lambda conn, a, of: runs.complete(conn, a, of.run_id, "finished"),
    run_configs.put: lambda conn, a, of: run_configs.put(conn, a, of.run_id, {"seed": 1}),
    run_configs.create: lambda conn, a, of: run_configs.create(
        conn, a, held_runs.many(conn, [of.run_id])[of.run_id], NewConfig()
    ),
    held_runs.permitted: lambda conn, a, of: held_runs.permitted(held_runs.many(conn, [of.run_id])[of.run_id], a, ""),
    held_runs.active: lambda conn, a, of: held_runs.active(conn, a, of.run_id),
    held_runs.any_: lambda conn, a, of: held_runs.any_(conn, a, of.run_id),
    runs.log: lambda conn, a, of: log(conn, LogEntry(a, of.run_id, params={"p": "v"}, tags={"t": "v"})),
    datasets.create: lambda conn, a, of: datasets.create(conn, a, of.owner.project_id, "new"),
    datasets.change: lambda conn, a, of: datasets.change(conn, a, of.dataset, {"name": "new"}),
    datasets.delete: lambda conn, a, of: datasets.delete(conn, a, of.dataset),
    datasets.add_inputs: lambda conn, a, of: datasets.add_inputs(conn, a, of.owner.project_id, 1, []),
    dataset_versions.create: lambda conn, a, of: dataset_versions.create(conn, a, of.dataset, "v", "h"),
    dataset_versions.record: lambda conn, a, of: dataset_versions.record(
        conn, a, of.owner.project_id, of.dataset, "h", source_type=None, source=None, schema=None, profile=None
    ),
    dataset_versions.change: lambda conn, a, of: dataset_versions.change(conn, a, of.version, {"row_count": 1}),
    dataset_versions.delete: lambda conn, a, of: dataset_versions.delete(conn, a, of.version),
    artifacts.create: lambda conn, a, of: artifacts.create(conn, a, of.owner.project_id, "s3://new"),
    artifacts.change: lambda conn, a, of: artifacts.change(conn, a, of.artifact, {"uri": "s3://new"}),
    artifacts.delete: lambda conn, a, of: artifacts.delete(conn, a, of.artifact),
    artifacts.hold: lambda conn, a, of: artifacts.hold(conn, a, of.artifact),
    run_artifacts.create: lambda conn, a, of: run_artifacts.create(conn, a, of.run_id, of.artifact),
    run_artifacts.change: lambda conn, a, of: run_artifacts.change(conn, a, of.link, {"alias": "new"}),
    run_artifacts.delete: lambda conn, a, of: run_artifacts.delete(conn, a, of.link),
    logged_models.create: lambda conn, a, of: logged_models.create(conn, a, NewModel(of.experiment, "new")),
    logged_models.set_status: lambda conn, a, of: logged_models.set_status(conn, a, MODEL, "failed"),
    logged_models.delete: lambda conn, a, of: logged_models.delete(conn, a, MODEL),
    logged_models.add_params: lambda conn, a, of: logged_models.add_params(conn, a, MODEL, {"p": "v"}),
    logged_models.put_tags: lambda conn, a, of: logged_models.put_tags(conn, a, MODEL, {"k": "new"}),
    logged_models.delete_tag: lambda conn, a, of: logged_models.delete_tag(conn, a, MODEL, "k"),
    logged_model_metrics.permit: lambda conn, a, of: logged_model_metrics.permit(
        logged_model_metrics.find_models(conn, [MODEL]), a, [ModelPoint(MODEL, LOSS, 1, 1, 0.5)]
    ),
    registered_models.create: lambda conn, a, of: registered_models.create(conn, a, of.owner.project_id, "new"),
    registered_models.change: lambda conn, a, of: registered_models.change(
        conn, a, of.owner.project_id, "m", {"description": "new"}
    ),
    registered_models.delete: lambda conn, a, of: registered_models.delete(conn, a, of.owner.project_id, "m"),
    registered_models.put_tag: lambda conn, a, of: registered_models.put_tag(
        conn, a, of.owner.project_id, "m", "k", "new"
    ),
    registered_models.delete_tag: lambda conn, a, of: registered_models.delete_tag(
        conn, a, of.owner.project_id, "m", "k"
    ),
    registered_models.hold: lambda conn, a, of: registered_models.hold(conn, a, of.owner.project_id, "m"),
    registered_models.drop_aliases: lambda conn, a, of: registered_models.drop_aliases(
        conn, a, registered_models.hold(conn, a, of.owner.project_id, "m")
    ),
    model_sources.find_origin: lambda conn, a, of: model_sources.find_origin(
        conn, a, of.owner.project_id, f"models:/{MODEL}", model_id=MODEL
    ),
    model_versions.create: lambda conn, a, of: model_versions.create(
        conn, a, of.owner.project_id, "m", Origin("s3://new", "s3://new")
    ),
    model_versions.change: lambda conn, a, of: model_versions.change(
        conn, a, of.owner.project_id, "m", 1, {"description": "new"}
    ),
    model_versions.move: lambda conn, a, of: model_versions.move(
        conn, a, of.owner.project_id, "m", 1, "staging", archive_others=False
    ),
    model_versions.delete: lambda conn, a, of: model_versions.delete(conn, a, of.owner.project_id, "m", 1),
    model_versions.put_tag: lambda conn, a, of: model_versions.put_tag(conn, a, of.owner.project_id, "m", 1, "k", "n"),
    model_versions.delete_tag: lambda conn, a, of: model_versions.delete_tag(conn, a, of.owner.project_id, "m", 1, "k"),
    model_aliases.put: lambda conn, a, of: model_aliases.put(conn, a, of.owner.project_id, "m", "new", 1),
    model_aliases.delete: lambda conn, a, of: model_aliases.delete(conn, a, of.owner.project_id, "m", "best"),
    artifacts.record: lambda conn, a, of: artifacts.record(conn, a, of.place, 2, "1" * 64),
    artifacts.forget: lambda conn, a, of: artifacts.forget(conn, a, of.place),
}


# What is tried elsewhere: it belongs to no project, is about those of others, or needs more than to write.
ELSEWHERE = {
    access.visible,
    *(audit.inserted, audit.updated, audit.deleted, audit.page),
    *(projects.create, projects.change, projects.delete),
    *(orgs.create, orgs.change, orgs.delete, orgs.get, orgs.page),
    *(users.create, users.change, users.deactivate, users.get, users.page),
    *(api_tokens.create, api_tokens.revoke, api_tokens.get, api_tokens.page),
    *(imports.begin, imports.add, imports.get, imports.page, imports.errors_page),
    *(import_rows.put_datasets, import_rows.put_artifacts, import_runs.put_runs, import_runs.put_metrics),
    places.experiments_below,
    places.refuse_foreign_location,
    definitions.create,
    definitions.change,
    definitions.delete,
}


def told_who_asks() -> Iterator[Callable[..., Any]]:
    """Every public function of the core with an actor, and the one whose entries hold theirs."""
    yield runs.log
    for found in pkgutil.iter_modules(core.__path__):
        module = import_module(f"{core.__name__}.{found.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            ours = function.__module__ == module.__name__ and not name.startswith("_")
            if ours and "actor" in inspect.signature(function).parameters:
                yield function


def test_every_function_that_is_told_who_asks_is_tried_here() -> None:
    assert set(told_who_asks()) - ELSEWHERE == READS.keys() | WRITES.keys()


def contents(conn: Connection) -> dict[str, list[Any]]:
    tables = t.metadata.tables.items()
    return {name: list(conn.execute(select(table).order_by(*table.primary_key))) for name, table in tables}


def name_of(function: Callable[..., Any]) -> str:
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


# Another project's


@pytest.fixture(params=["another project", "nobody"])
def stranger(request: pytest.FixtureRequest, conn: Connection, things: Things) -> Actor:
    """Who has nothing to do with the project of these things, and may do everything in another."""
    return NOBODY if request.param == "nobody" else make_actor(conn, "two", Scope.ADMIN)


@pytest.mark.parametrize("function", READS, ids=name_of)
def test_what_belongs_to_another_project_is_not_there(
    conn: Connection, things: Things, stranger: Actor, function: Callable[..., Any]
) -> None:
    assert READS[function](conn, things.owner, things)  # so that there was something to see
    with suppress(NotFound):
        assert not READS[function](conn, stranger, things)


@pytest.mark.parametrize("function", WRITES, ids=name_of)
def test_what_belongs_to_another_project_cannot_be_changed_as_it_is_not_there(
    conn: Connection, things: Things, stranger: Actor, function: Callable[..., Any]
) -> None:
    before = contents(conn)
    with pytest.raises(NotFound):
        WRITES[function](conn, stranger, things)
    assert contents(conn) == before


def test_a_name_is_taken_only_in_its_own_project(conn: Connection, things: Things) -> None:
    stranger = make_actor(conn, "two")
    theirs = experiments.create(conn, stranger, stranger.project_id, "e", artifact_root=ROOT)
    assert experiments.get_by_name(conn, stranger, "e").id == theirs
    assert experiments.get_by_name(conn, things.owner, "e").id == things.experiment


def test_datasets_of_one_name_are_kept_apart(conn: Connection, things: Things) -> None:
    stranger = make_actor(conn, "two")
    experiment = experiments.create(conn, stranger, stranger.project_id, "e", artifact_root=ROOT)
    run = runs.create(conn, stranger, NewRun(experiment, run_name="r"))
    runs.add_inputs(conn, stranger, run.info.run_id, [NewInput("d", "1", source="theirs")], [])
    rows = conn.execute(select(t.datasets.c.project_id).where(t.datasets.c.name == "d")).all()
    assert sorted(rows) == sorted([(things.owner.project_id,), (stranger.project_id,)])


# One's own


def reader(things: Things) -> Actor:
    """Who may only read in the project of these things."""
    return Actor("reader", things.owner.project_id, {things.owner.project_id: Scope.READ})


@pytest.mark.parametrize("function", READS, ids=name_of)
def test_who_may_read_reads(conn: Connection, things: Things, function: Callable[..., Any]) -> None:
    assert READS[function](conn, reader(things), things)


@pytest.mark.parametrize("function", WRITES, ids=name_of)
def test_who_may_only_read_may_not_write(conn: Connection, things: Things, function: Callable[..., Any]) -> None:
    before = contents(conn)
    with pytest.raises(Forbidden):
        WRITES[function](conn, reader(things), things)
    assert contents(conn) == before


@pytest.mark.parametrize("function", WRITES, ids=name_of)
def test_who_may_write_writes(conn: Connection, things: Things, function: Callable[..., Any]) -> None:
    if function is experiments.restore:
        experiments.delete(conn, things.owner, things.experiment)
    WRITES[function](conn, things.owner, things)


# Scopes


def test_each_scope_includes_the_ones_before_it() -> None:
    for held in Scope:
        somebody = Actor("u", "p", {"p": held}, held)
        assert [needed for needed in Scope if somebody.may(needed)] == [needed for needed in Scope if needed <= held]


def test_a_scope_in_one_project_says_nothing_about_another() -> None:
    somebody = Actor("u", "p", {"p": Scope.READ, "q": Scope.ADMIN}, Scope.ADMIN)
    somebody.require("q", Scope.ADMIN, "run", "x")
    with pytest.raises(Forbidden):
        somebody.require("p", Scope.WRITE, "run", "x")
    with pytest.raises(NotFound):
        somebody.require("r", Scope.READ, "run", "x")


@pytest.mark.parametrize("function", WRITES, ids=name_of)
def test_nothing_in_an_archived_project_is_changed(
    conn: Connection, things: Things, function: Callable[..., Any]
) -> None:
    late = replace(things.owner, archived=frozenset(things.owner.projects))
    before = contents(conn)
    with pytest.raises(Conflict, match="archived"):
        WRITES[function](conn, late, things)
    assert contents(conn) == before


def test_what_an_archived_project_still_takes() -> None:
    admin = Actor("u", "", {"p": Scope.ADMIN}, Scope.ADMIN, archived=frozenset("p"))
    admin.require("p", Scope.READ, "run", "x")
    admin.require("p", Scope.ADMIN, "project", "p")


# Organisations


def test_each_role_in_an_organisation_includes_the_ones_before_it() -> None:
    for held in OrgRole:
        somebody = Actor("u", "", {}, orgs={"o": held})
        for needed in OrgRole:
            with nullcontext() if needed <= held else pytest.raises(Forbidden):
                somebody.require_org("o", needed)
        with pytest.raises(NotFound):
            somebody.require_org("other", OrgRole.VIEWER)
