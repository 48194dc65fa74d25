"""A run is linked to artifacts of its project, to each once and under an alias of its own."""

from __future__ import annotations

from itertools import count

import pytest
from sqlalchemy import Connection, select

from native_api.core import artifacts, places, run_artifacts
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import Conflict, Exists, Invalid, NotFound
from tests.conftest import make_actor
from tests.native_api.core.test_places import OTHER_RUN, RUN, add_experiment

numbers = count()


@pytest.fixture
def runs(conn: Connection, actor: Actor) -> tuple[str, str]:
    """Two runs of an experiment."""
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN, OTHER_RUN)
    return RUN, OTHER_RUN


def add_artifact(conn: Connection, actor: Actor) -> str:
    return artifacts.create(conn, actor, actor.project_id, f"s3://bucket/{next(numbers)}").artifact_id


def revision(conn: Connection) -> int:
    return conn.scalars(select(t.runs.c.revision).where(t.runs.c.run_id == RUN)).one()


@pytest.mark.usefixtures("runs")
def test_a_link_names_its_run_and_artifact(conn: Connection, actor: Actor) -> None:
    artifact_id = add_artifact(conn, actor)
    made = run_artifacts.create(conn, actor, RUN, artifact_id, "model")
    assert made[1:4] == (RUN, artifact_id, "model")
    assert run_artifacts.get(conn, actor, made.run_artifact_id) == made


@pytest.mark.usefixtures("runs")
def test_a_run_is_linked_once_to_an_artifact_and_once_under_an_alias(conn: Connection, actor: Actor) -> None:
    one, two, three = (add_artifact(conn, actor) for _ in range(3))
    run_artifacts.create(conn, actor, RUN, one, "model")
    for artifact_id, alias in ((one, None), (one, "other"), (two, "model")):
        with pytest.raises(Exists):
            run_artifacts.create(conn, actor, RUN, artifact_id, alias)
    for artifact_id in (two, three):
        run_artifacts.create(conn, actor, RUN, artifact_id)
    run_artifacts.create(conn, actor, OTHER_RUN, one, "model")


@pytest.mark.usefixtures("runs")
def test_an_alias_is_changed_taken_away_and_kept_unique(conn: Connection, actor: Actor) -> None:
    first, second = (
        run_artifacts.create(conn, actor, RUN, add_artifact(conn, actor), alias) for alias in ("model", "plot")
    )
    with pytest.raises(Exists):
        run_artifacts.change(conn, actor, second.run_artifact_id, {"alias": "model"})
    assert run_artifacts.change(conn, actor, first.run_artifact_id, {"alias": None}) == first._replace(alias=None)
    changed = run_artifacts.change(conn, actor, second.run_artifact_id, {"alias": "model"})
    assert run_artifacts.get(conn, actor, second.run_artifact_id) == changed == second._replace(alias="model")
    assert run_artifacts.change(conn, actor, second.run_artifact_id, {}) == changed


@pytest.mark.usefixtures("runs")
def test_an_artifact_is_deleted_only_when_unlinked(conn: Connection, actor: Actor) -> None:
    artifact_id = add_artifact(conn, actor)
    link = run_artifacts.create(conn, actor, RUN, artifact_id).run_artifact_id
    with pytest.raises(Conflict, match="unlink"):
        artifacts.delete(conn, actor, artifact_id)
    run_artifacts.delete(conn, actor, link)
    with pytest.raises(NotFound, match="No run artifact"):
        run_artifacts.get(conn, actor, link)
    artifacts.delete(conn, actor, artifact_id)


@pytest.mark.usefixtures("runs")
def test_links_leave_the_document_of_the_run_as_it_is(conn: Connection, actor: Actor) -> None:
    before = revision(conn)
    link = run_artifacts.create(conn, actor, RUN, add_artifact(conn, actor)).run_artifact_id
    run_artifacts.change(conn, actor, link, {"alias": "model"})
    run_artifacts.delete(conn, actor, link)
    assert revision(conn) == before


@pytest.mark.usefixtures("runs")
def test_a_file_of_a_run_may_have_an_alias_and_is_not_unlinked(conn: Connection, actor: Actor) -> None:
    place = places.get_place(conn, actor, f"0/{RUN}/artifacts/model.pkl")
    artifacts.record(conn, actor, place, 1, "0" * 64)
    (link,) = run_artifacts.page(conn, actor, 9, None, run_id=RUN).items
    run_artifacts.change(conn, actor, link.run_artifact_id, {"alias": "model"})
    with pytest.raises(Conflict, match="artifacts API"):
        run_artifacts.delete(conn, actor, link.run_artifact_id)
    artifacts.record(conn, actor, place, 2, "1" * 64)
    assert run_artifacts.get(conn, actor, link.run_artifact_id).alias == "model"
    artifacts.forget(conn, actor, place)
    assert run_artifacts.page(conn, actor, 9, None).items == []


@pytest.mark.usefixtures("runs")
def test_a_run_and_an_artifact_of_two_projects_are_not_linked(conn: Connection, actor: Actor) -> None:
    other = make_actor(conn, "two")
    theirs = add_artifact(conn, other)
    with pytest.raises(NotFound, match="No artifact"):
        run_artifacts.create(conn, actor, RUN, theirs)
    with pytest.raises(NotFound, match="No run"):
        run_artifacts.create(conn, other, RUN, theirs)
    both = Actor(actor.user_id, "", {**actor.projects, **other.projects})
    with pytest.raises(Invalid, match="different projects"):
        run_artifacts.create(conn, both, RUN, theirs)


@pytest.mark.usefixtures("runs")
def test_a_deleted_run_gets_no_links(conn: Connection, actor: Actor) -> None:
    conn.execute(t.runs.update().values(deleted_at=1))
    with pytest.raises(Conflict, match="deleted"):
        run_artifacts.create(conn, actor, RUN, add_artifact(conn, actor))


@pytest.mark.usefixtures("runs")
def test_a_list_is_of_one_run_one_artifact_or_one_alias(
    conn: Connection, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (add_artifact(conn, actor) for _ in range(2))
    monkeypatch.setattr("native_api.core.clock.now", iter([1, 2, 3]).__next__)
    a = run_artifacts.create(conn, actor, RUN, one, "model")
    b = run_artifacts.create(conn, actor, RUN, two, "plot")
    c = run_artifacts.create(conn, actor, OTHER_RUN, one, "plot")
    assert run_artifacts.page(conn, actor, 9, None).items == [c, b, a]
    assert run_artifacts.page(conn, actor, 9, None, run_id=RUN).items == [b, a]
    assert run_artifacts.page(conn, actor, 9, None, artifact_id=one).items == [c, a]
    assert run_artifacts.page(conn, actor, 9, None, alias="plot").items == [c, b]
    assert run_artifacts.page(conn, actor, 9, None, alias="plot", run_id=RUN).items == [b]
    first = run_artifacts.page(conn, actor, 2, None)
    assert run_artifacts.page(conn, actor, 2, first.next_token).items == [a]
    with pytest.raises(Invalid, match="page token"):
        run_artifacts.page(conn, actor, 2, first.next_token, alias="plot")
