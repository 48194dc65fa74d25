"""What keeps tenants apart, tried on every function of the core that is told who asks."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, select

from native_api import core
from native_api.core import access, artifacts, datasets, experiments, listings, runs
from native_api.core import tables as t
from native_api.core.access import NOBODY, Actor, Scope
from native_api.core.artifacts import InRun, Place
from native_api.core.datasets import NewInput
from native_api.core.errors import Forbidden, NotFound
from native_api.core.runs import LogEntry, NewRun
from native_api.core.search import View
from tests.conftest import make_actor

ROOT = "mlflow-artifacts:/"


class Things(NamedTuple):
    """An experiment and a run, with something of everything."""

    owner: Actor
    experiment: int
    run_id: str
    key: str
    place: Place


@pytest.fixture
def things(conn: Connection, actor: Actor) -> Things:
    experiment = experiments.create(conn, actor, "e", artifact_root=ROOT, objective="o", tags_={"k": "v"})
    run = runs.create(conn, actor, NewRun(experiment, "r", notes="n", tags={"k": "v"}))
    run_id = run.info.run_id
    runs.add_inputs(conn, actor, run_id, [NewInput("d", "1")], ["m-1"])
    key = f"{experiment}/{run_id}/artifacts/a.txt"
    in_run = InRun(run.info.id, run_id, run.info.artifact_uri, "a.txt")
    place = Place(key, experiment, actor.project_id, in_run)
    artifacts.record(conn, actor, place, 1, "0" * 64)
    return Things(actor, experiment, run_id, key, place)


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
    runs.find: lambda conn, a, of: runs.find(conn, a, of.run_id),
    runs.find_many: lambda conn, a, of: runs.find_many(conn, a, [of.run_id]),
    datasets.used_in: lambda conn, a, of: datasets.used_in(conn, a, [of.experiment], 9),
    artifacts.root_of_run: lambda conn, a, of: artifacts.root_of_run(conn, a, of.run_id),
    artifacts.get_place: lambda conn, a, of: artifacts.get_place(conn, a, of.key),
    artifacts.find_place: lambda conn, a, of: artifacts.find_place(conn, a, of.key),
}

# What whoever may only read is forbidden to do, and what is NotFound for everybody else.
WRITES: dict[Callable[..., Any], Call] = {
    experiments.rename: lambda conn, a, of: experiments.rename(conn, a, of.experiment, "new"),
    experiments.delete: lambda conn, a, of: experiments.delete(conn, a, of.experiment),
    experiments.restore: lambda conn, a, of: experiments.restore(conn, a, of.experiment),
    experiments.put_tags: lambda conn, a, of: experiments.put_tags(
        conn, a, of.experiment, {"objective": "x"}, {"t": "v"}
    ),
    experiments.delete_tag: lambda conn, a, of: experiments.delete_tag(conn, a, of.experiment, "k"),
    experiments.clear: lambda conn, a, of: experiments.clear(conn, a, of.experiment, "objective", "note"),
    experiments.active: lambda conn, a, of: experiments.active(conn, a, of.experiment),
    runs.create: lambda conn, a, of: runs.create(conn, a, NewRun(of.experiment, "new")),
    runs.change: lambda conn, a, of: runs.change(conn, a, of.run_id, {"status": "failed"}),
    runs.delete: lambda conn, a, of: runs.delete(conn, a, of.run_id),
    runs.restore: lambda conn, a, of: runs.restore(conn, a, of.run_id),
    runs.find_tag: lambda conn, a, of: runs.find_tag(conn, a, of.run_id, "k"),
    runs.put_tag: lambda conn, a, of: runs.put_tag(conn, a, of.run_id, "k", "new"),
    runs.delete_tag: lambda conn, a, of: runs.delete_tag(conn, a, of.run_id, "k"),
    runs.clear: lambda conn, a, of: runs.clear(conn, a, of.run_id, "notes", "note"),
    runs.add_inputs: lambda conn, a, of: runs.add_inputs(conn, a, of.run_id, [NewInput("new", "1")], ["m-2"]),
    runs.add_outputs: lambda conn, a, of: runs.add_outputs(conn, a, of.run_id, [("m-2", 1)]),
    runs.active: lambda conn, a, of: runs.active(conn, a, of.run_id),
    runs.log: lambda conn, a, of: log(conn, LogEntry(a, of.run_id, params={"p": "v"}, tags={"t": "v"})),
    artifacts.record: lambda conn, a, of: artifacts.record(conn, a, of.place, 2, "1" * 64),
    artifacts.forget: lambda conn, a, of: artifacts.forget(conn, a, of.place),
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
    assert set(told_who_asks()) - {access.visible, experiments.create} == READS.keys() | WRITES.keys()


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
    theirs = experiments.create(conn, stranger, "e", artifact_root=ROOT)
    assert experiments.get_by_name(conn, stranger, "e").id == theirs
    assert experiments.get_by_name(conn, things.owner, "e").id == things.experiment


def test_datasets_of_one_name_are_kept_apart(conn: Connection, things: Things) -> None:
    stranger = make_actor(conn, "two")
    experiment = experiments.create(conn, stranger, "e", artifact_root=ROOT)
    run = runs.create(conn, stranger, NewRun(experiment, "r"))
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


def test_who_may_only_read_may_not_begin_an_experiment(conn: Connection, things: Things) -> None:
    with pytest.raises(Forbidden):
        experiments.create(conn, reader(things), "new", artifact_root=ROOT)


@pytest.mark.parametrize("function", WRITES, ids=name_of)
def test_who_may_write_writes(conn: Connection, things: Things, function: Callable[..., Any]) -> None:
    if function is experiments.restore:
        experiments.delete(conn, things.owner, things.experiment)
    WRITES[function](conn, things.owner, things)


# Scopes


def test_each_scope_includes_the_ones_before_it() -> None:
    for held in Scope:
        somebody = Actor("u", "p", {"p": held})
        assert [needed for needed in Scope if somebody.may(needed)] == [needed for needed in Scope if needed <= held]


def test_a_scope_in_one_project_says_nothing_about_another() -> None:
    somebody = Actor("u", "p", {"p": Scope.READ, "q": Scope.ADMIN})
    assert not somebody.may(Scope.WRITE)
    somebody.require("q", Scope.ADMIN, "run", "x")
    with pytest.raises(Forbidden):
        somebody.require("p", Scope.WRITE, "run", "x")
    with pytest.raises(NotFound):
        somebody.require("r", Scope.READ, "run", "x")
