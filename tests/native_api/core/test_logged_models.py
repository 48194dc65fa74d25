"""Logged models in the core, and the points that runs log of them, on both databases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from native_api.core import experiments, logged_model_metrics, logged_models, run_views, runs
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Conflict, Forbidden, Invalid, NotFound
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.logged_models import NewModel
from native_api.core.metrics import MetricScope, Name, Point
from native_api.core.runs import LogEntry, NewRun
from tests.conftest import make_actor
from tests.native_api.core.test_runs import changes, counted

ACC = Name(MetricScope.NONE, "acc")
VAL_ACC = Name(MetricScope.VAL, "acc")


@pytest.fixture
def experiment(conn: Connection, actor: Actor) -> int:
    return experiments.create(conn, actor, actor.project_id, "e", artifact_root="mlflow-artifacts:/")


@pytest.fixture
def model_id(conn: Connection, actor: Actor, experiment: int) -> str:
    return make(conn, actor, experiment)


@pytest.fixture
def run_id(conn: Connection, actor: Actor, experiment: int) -> str:
    return runs.create(conn, actor, NewRun(experiment)).info.run_id


def make(conn: Connection, actor: Actor, experiment: int, name: str = "m", **fields: Any) -> str:
    return logged_models.create(conn, actor, NewModel(experiment, name, **fields)).info.model_id


# One model


def test_a_new_model_is_pending_and_has_a_place_below_its_experiment(
    conn: Connection, actor: Actor, experiment: int
) -> None:
    new = NewModel(experiment, "m", "T", "r" * 32, {"lr": "0.1"}, {"team": "red"})
    made = logged_models.create(conn, actor, new)
    info = made.info
    assert info.model_id[:2] == "m-"
    assert int(info.model_id[2:], 16) > 0
    assert len(info.model_id) == 34
    assert info.artifact_uri == f"mlflow-artifacts:/{experiment}/models/{info.model_id}/artifacts"
    assert (info.status, info.deleted_at, info.created_at) == ("pending", None, info.updated_at)
    assert logged_models.get(conn, actor, info.model_id) == made
    (entry,) = changes(conn, "logged_models")
    assert (entry.operation, entry.row_pk, entry.project_id) == ("I", info.model_id, actor.project_id)


def test_its_place_stands_before_the_query_of_the_experiment_s_own(conn: Connection, actor: Actor) -> None:
    at = "s3://bucket/x/?a=1"
    experiment = experiments.create(conn, actor, actor.project_id, "q", artifact_root="", artifact_location=at)
    model = logged_models.create(conn, actor, NewModel(experiment, "m")).info
    assert model.artifact_uri == f"s3://bucket/x/models/{model.model_id}/artifacts?a=1"


def test_a_deleted_experiment_takes_no_new_models_and_keeps_those_it_has(
    conn: Connection, actor: Actor, experiment: int, model_id: str
) -> None:
    experiments.delete(conn, actor, experiment)
    with pytest.raises(Conflict):
        make(conn, actor, experiment)
    assert logged_models.set_status(conn, actor, model_id, "ready").info.status == "ready"
    with pytest.raises(NotFound):
        make(conn, actor, experiment + 1)


def test_a_change_of_status_is_audited_once(conn: Connection, actor: Actor, model_id: str) -> None:
    changes(conn, "logged_models")
    for _ in range(2):
        assert logged_models.set_status(conn, actor, model_id, "failed").info.status == "failed"
    (entry,) = changes(conn, "logged_models")
    assert (entry.operation, entry.old_data, entry.new_data) == ("U", '{"status":"pending"}', '{"status":"failed"}')


def test_a_deleted_model_is_shown_to_who_asks_for_it(conn: Connection, actor: Actor, model_id: str) -> None:
    changes(conn, "logged_models")
    logged_models.delete(conn, actor, model_id)
    deleted = logged_models.get(conn, actor, model_id, include_deleted=True)
    logged_models.delete(conn, actor, model_id)
    assert deleted.info.deleted_at is not None
    assert logged_models.get(conn, actor, model_id, include_deleted=True) == deleted
    with pytest.raises(NotFound):
        logged_models.get(conn, actor, model_id)
    assert [entry.operation for entry in changes(conn, "logged_models")] == ["U"]


def test_params_are_written_once(conn: Connection, actor: Actor, model_id: str) -> None:
    logged_models.add_params(conn, actor, model_id, {"lr": "0.1"})
    logged_models.add_params(conn, actor, model_id, {"lr": "0.1", "net": "vgg"})
    with pytest.raises(Invalid, match="Changing param values is not allowed"):
        logged_models.add_params(conn, actor, model_id, {"new": "x", "lr": "0.2"})
    assert logged_models.get(conn, actor, model_id).params == {"lr": "0.1", "net": "vgg"}


def test_tags_are_put_and_deleted(conn: Connection, actor: Actor, model_id: str) -> None:
    logged_models.put_tags(conn, actor, model_id, {"a": "1", "b": "1"})
    logged_models.put_tags(conn, actor, model_id, {"a": "2"})
    assert logged_models.get(conn, actor, model_id).tags == {"a": "2", "b": "1"}
    logged_models.delete_tag(conn, actor, model_id, "b")
    with pytest.raises(NotFound):
        logged_models.delete_tag(conn, actor, model_id, "b")
    assert logged_models.get(conn, actor, model_id).tags == {"a": "2"}


CHANGES: dict[str, Callable[[Connection, Actor, str], object]] = {
    "status": lambda conn, actor, model_id: logged_models.set_status(conn, actor, model_id, "ready"),
    "deletion": logged_models.delete,
    "params": lambda conn, actor, model_id: logged_models.add_params(conn, actor, model_id, {"p": "1"}),
    "tags": lambda conn, actor, model_id: logged_models.put_tags(conn, actor, model_id, {"t": "1"}),
    "a tag": lambda conn, actor, model_id: logged_models.delete_tag(conn, actor, model_id, "k"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_who_may_only_read_changes_nothing_and_who_sees_nothing_finds_nothing(
    conn: Connection, actor: Actor, experiment: int, change: Callable[[Connection, Actor, str], object]
) -> None:
    model_id = make(conn, actor, experiment, tags={"k": "v"})
    before = logged_models.get(conn, actor, model_id)
    reader = Actor(actor.user_id, actor.project_id, {actor.project_id: Scope.READ}, Scope.READ)
    assert logged_models.get(conn, reader, model_id) == before
    with pytest.raises(Forbidden):
        change(conn, reader, model_id)
    stranger = make_actor(conn, "two")
    for ask in (change, logged_models.get):
        with pytest.raises(NotFound):
            ask(conn, stranger, model_id)
    with pytest.raises(NotFound):
        change(conn, actor, "m-" + "0" * 32)
    assert logged_models.get(conn, actor, model_id) == before


# Points


def entry(actor: Actor, run_id: str, *points: ModelPoint) -> LogEntry:
    """The points, logged to the run as well."""
    of_run: dict[Name, list[Point]] = {}
    for point in points:
        of_run.setdefault(point.name, []).append(Point(point.step, point.recorded_at, point.value, point.is_nan))
    return LogEntry(actor, run_id, of_run, model_points=points)


def shown(conn: Connection, actor: Actor, model_id: str) -> list[tuple[object, ...]]:
    """What is shown of its points, without what is the same for all of them here."""
    return [point[1:7] + point[8:] for point in logged_models.get(conn, actor, model_id).points]


def count(conn: Connection) -> int:
    return int(conn.scalar(select(func.count()).select_from(t.logged_model_metrics)) or 0)


def test_points_of_a_model_are_kept_beside_those_of_the_run(
    conn: Connection, actor: Actor, model_id: str, run_id: str
) -> None:
    points = [
        ModelPoint(model_id, ACC, 2, 20, math.inf, 0, "train", "1"),
        ModelPoint(model_id, ACC, 1, 10, 0.5),
        ModelPoint(model_id, VAL_ACC, 0, 10, 0.0, 1),
    ]
    assert runs.log(conn, [entry(actor, run_id, *points)]) == [None]
    assert shown(conn, actor, model_id) == [
        (0, "acc", 1, 10, 0.5, 0, "", ""),
        (0, "acc", 2, 20, math.inf, 0, "train", "1"),
        (2, "acc", 0, 10, 0.0, 1, "", ""),
    ]
    assert {point.run_id for point in logged_models.get(conn, actor, model_id).points} == {run_id}
    (run,) = run_views.load(conn, [runs.find(conn, actor, run_id)[0]])
    assert {(point.scope, point.value, point.is_nan) for point in run.latest} == {(0, math.inf, 0), (2, 0.0, 1)}


def test_a_point_that_comes_again_is_dropped_and_any_other_is_kept(
    conn: Connection, actor: Actor, model_id: str, run_id: str
) -> None:
    point = ModelPoint(model_id, ACC, 1, 10, 0.5)
    others = [
        point._replace(value=0.75),
        point._replace(value=0.0, is_nan=1),
        point._replace(dataset_name="train", dataset_digest="1"),
        point._replace(dataset_name="train", dataset_digest="2"),
    ]
    for _ in range(2):
        assert runs.log(conn, [entry(actor, run_id, point, point), entry(actor, run_id, *others)]) == [None, None]
    other_run = runs.create(conn, actor, NewRun(logged_models.get(conn, actor, model_id).info.experiment_id))
    runs.log(conn, [entry(actor, other_run.info.run_id, point)])
    assert count(conn) == 6


def test_a_point_of_no_model_in_view_keeps_its_entry_out_and_no_other(
    conn: Connection, actor: Actor, model_id: str, run_id: str
) -> None:
    stranger = make_actor(conn, "two")
    theirs = experiments.create(conn, stranger, stranger.project_id, "theirs", artifact_root="mlflow-artifacts:/")
    of_stranger = make(conn, stranger, theirs)
    good, lost, foreign = (ModelPoint(id_, ACC, 1, 1, 0.5) for id_ in (model_id, "m-" + "0" * 32, of_stranger))
    entries = [entry(actor, run_id, good._replace(step=2), bad) for bad in (lost, foreign)]
    problems = runs.log(conn, [*entries, entry(actor, run_id, good)])
    assert [type(problem) for problem in problems] == [NotFound, NotFound, type(None)]
    assert shown(conn, actor, model_id) == [(0, "acc", 1, 1, 0.5, 0, "", "")]
    assert logged_models.get(conn, stranger, of_stranger).points == ()
    (run,) = run_views.load(conn, [runs.find(conn, actor, run_id)[0]])
    assert [point.step for point in run.latest] == [1]


def test_of_a_project_where_one_may_only_read_no_model_takes_points(
    conn: Connection, actor: Actor, run_id: str
) -> None:
    stranger = make_actor(conn, "two")
    theirs = experiments.create(conn, stranger, stranger.project_id, "theirs", artifact_root="mlflow-artifacts:/")
    model_id = make(conn, stranger, theirs)
    both = {actor.project_id: Scope.WRITE, stranger.project_id: Scope.READ}
    guest = Actor(actor.user_id, actor.project_id, both, Scope.WRITE)
    (problem,) = runs.log(conn, [entry(guest, run_id, ModelPoint(model_id, ACC, 1, 1, 0.5))])
    assert isinstance(problem, Forbidden)
    assert count(conn) == 0


def test_points_of_models_cost_two_statements_however_many_and_nothing_without(
    conn: Connection, actor: Actor, experiment: int, run_id: str
) -> None:
    models = [make(conn, actor, experiment) for _ in range(5)]
    sent = []
    for step, told_of in enumerate([[], models[:1], models]):
        points = [ModelPoint(model_id, ACC, step, 1, 0.5) for model_id in told_of]
        entries = [LogEntry(actor, run_id, {ACC: [Point(step, 0, 1.0)]}), *(entry(actor, run_id, p) for p in points)]
        runs.log(conn, entries[:1])  # so that the metric's key is known
        with counted(conn) as statements:
            runs.log(conn, entries)
        sent.append(len([one for one in statements if "logged_model" in one]))
    assert sent == [0, 2, 2]


def test_of_many_points_the_newest_of_each_metric_are_shown(
    conn: Connection, actor: Actor, experiment: int, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [make(conn, actor, experiment) for _ in range(2)]
    points = [
        ModelPoint(model_id, name, step, step // 2, float(step))
        for model_id in models
        for name in (ACC, VAL_ACC)
        for step in range(7)
    ]
    runs.log(conn, [entry(actor, run_id, *points)])

    def steps() -> list[list[int]]:
        infos = [logged_models.get(conn, actor, model_id).info for model_id in models]
        return [[point.step for point in model.points] for model in logged_models.load(conn, infos)]

    assert steps() == [[*range(7)] * 2] * 2
    monkeypatch.setattr(logged_model_metrics, "SHOWN_OF_METRIC", 3)
    assert steps() == [[4, 5, 6] * 2] * 2
    monkeypatch.setattr(logged_model_metrics, "SHOWN", 4)
    assert steps() == [[6, 6]] * 2


# Models of runs


def test_what_a_run_made_or_used_is_recorded_once(conn: Connection, actor: Actor, run_id: str) -> None:
    for _ in range(2):
        runs.add_outputs(conn, actor, run_id, [("m-1", 1), ("m-1", 2), ("m-1", 1)])
        runs.add_inputs(conn, actor, run_id, [], ["m-2", "m-2"])
    (run,) = run_views.load(conn, [runs.find(conn, actor, run_id)[0]])
    assert [(link.direction, link.model_id, link.step) for link in run.models] == [
        ("output", "m-1", 1),
        ("output", "m-1", 2),
        ("input", "m-2", 0),
    ]
