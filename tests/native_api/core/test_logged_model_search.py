"""Pages of logged models against a plain evaluation in Python, and the plans that keep them fast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key, partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, insert, text

from native_api.core import db, experiments, logged_model_search, logged_models
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import Invalid
from native_api.core.logged_model_search import Dataset, ModelSortKey, page_of_models
from native_api.core.logged_models import LoggedModel, NewModel
from native_api.core.metrics import Keys
from native_api.core.pages import Page, encode
from native_api.core.search import All, Attribute, Comparison, Condition, Input, Metric, Not, Op, Param, Some, Tag
from tests.conftest import make_actor
from tests.native_api.core.test_plans import Plans
from tests.native_api.core.test_search import TEXTS, add, add_experiment, satisfies, undone

# What is stored: models as plain values

METRICS = [Metric(0, "a"), Metric(2, "a"), Metric(0, "b")]
DATASETS = [("", ""), ("d", "1"), ("d", "2"), ("e", "1")]
STATUSES = ["unspecified", "pending", "ready", "failed"]


@dataclass(frozen=True)
class StoredPoint:
    """A point as the model knows it; its place in the list makes it unlike the others of its moment."""

    metric: Metric
    time: int
    step: int
    value: float
    dataset: tuple[str, str]


@dataclass(frozen=True)
class StoredModel:
    """One model as a plain value. Its place in the list makes its model_id."""

    experiment: int
    columns: dict[str, Any]
    params: dict[str, str]
    tags: dict[str, str]
    points: list[StoredPoint]
    model_id: str = ""


texts = st.sampled_from(TEXTS)
numbers = st.sampled_from([math.nan, math.inf, -math.inf, -1.5, 0.0, 0.1, 2.0])
moments = st.integers(0, 2)
stored_points = st.builds(StoredPoint, st.sampled_from(METRICS), moments, moments, numbers, st.sampled_from(DATASETS))
stored_models = st.builds(
    StoredModel,
    experiment=st.sampled_from([0, 1]),
    columns=st.fixed_dictionaries(
        {
            "name": texts,
            "model_type": texts,
            "source_run_id": st.sampled_from(["", "r" * 32]),
            "status": st.sampled_from(STATUSES),
            "status_message": st.none() | texts,
            "created_at": st.integers(0, 2),
            "updated_at": st.integers(0, 2),
            "deleted_at": st.sampled_from([None, None, None, 5]),
        }
    ),
    params=st.dictionaries(st.sampled_from(["p", "q"]), texts),
    tags=st.dictionaries(st.sampled_from(["p", "r.s"]), texts),
    points=st.lists(stored_points, max_size=5, unique_by=lambda point: (point.metric, point.time, point.step)),
)


def store(conn: Connection, actor: Actor, models: Sequence[StoredModel]) -> tuple[list[int], list[StoredModel]]:
    """Two experiments' short ids, and the models with their model_ids."""
    found = [add_experiment(conn, actor.project_id, f"{number}{actor.project_id[7:10]}") for number in range(2)]
    keys = {key: add(conn, t.metric_keys, key=key) for key in sorted({metric.key for metric in METRICS})}
    where = {"experiment_id": found[0], "artifact_uri": "x", "created_at": 1, "revision": 1}
    run = add(conn, t.runs, run_id="f" * 32, status="running", user_name="", **where)
    named = []
    for place, model in enumerate(models):
        model_id = f"m-{place * 7919 % 251:02x}".ljust(34, "0")
        own = {"model_id": model_id, "experiment_id": found[model.experiment], "artifact_uri": model_id}
        number = add(conn, t.logged_models, **own, **model.columns)
        for table, pairs in ((t.logged_model_params, model.params), (t.logged_model_tags, model.tags)):
            for key, value in pairs.items():
                conn.execute(insert(table), {"logged_model_id": number, "key": key, "value": value})
        for point in model.points:
            is_nan = math.isnan(point.value)
            row = {"logged_model_id": number, "metric_id": keys[point.metric.key], "scope": point.metric.scope}
            row |= {"recorded_at": point.time, "step": point.step, "run_id": run, "is_nan": int(is_nan)}
            measured: dict[str, object] = {"dataset_name": point.dataset[0], "dataset_digest": point.dataset[1]}
            measured |= {"value": 0.0 if is_nan else point.value}
            conn.execute(insert(t.logged_model_metrics), {**row, **measured})
        named.append(replace(model, model_id=model_id))
    return found, named


# What it means


def is_on(point: StoredPoint, dataset: Dataset) -> bool:
    name, digest = point.dataset
    return dataset.name in (None, name) and dataset.digest in (None, digest)


def values_of(model: StoredModel, field: Any, datasets: Sequence[Dataset]) -> list[Any]:
    found: list[Any]
    match field:
        case Attribute("model_id"):
            found = [model.model_id]
        case Attribute(name):
            found = [model.columns[name]]
        case Param(key):
            found = [model.params.get(key)]
        case Tag(key):
            found = [model.tags.get(key)]
        case Metric():
            points = [point for point in model.points if point.metric == field]
            found = [p.value for p in points if not datasets or any(is_on(p, dataset) for dataset in datasets)]
    return [value for value in found if value is not None]


def holds(model: StoredModel, condition: Condition, datasets: Sequence[Dataset]) -> bool:
    match condition:
        case All(parts):
            return all(holds(model, part, datasets) for part in parts)
        case Some(parts):
            return any(holds(model, part, datasets) for part in parts)
        case Not(inner):
            return not holds(model, inner, datasets)
        case Comparison(field, Op.IS_NULL):
            return not values_of(model, field, datasets)
        case Comparison(field, op, wanted):
            return any(satisfies(value, op, wanted) for value in values_of(model, field, datasets))


def names_metric(condition: Condition | None) -> bool:
    return "Metric(" in repr(condition)


def sort_value(model: StoredModel, key: ModelSortKey) -> Any:
    if isinstance(key.field, Metric):
        points = [point for point in model.points if point.metric == key.field and is_on(point, key.dataset)]
        newest = max(points, key=lambda point: (point.time, point.step), default=None)
        return newest and newest.value
    value = next(iter(values_of(model, key.field, ())), None)
    return STATUSES.index(str(value)) if key.field.name == "status" else value


def sorted_(models: Sequence[StoredModel], keys: Sequence[ModelSortKey]) -> list[StoredModel]:
    newest_first = ModelSortKey(Attribute("created_at"), descending=True)

    def compare(one: StoredModel, other: StoredModel) -> int:
        for key in [*keys, newest_first, ModelSortKey(Attribute("model_id"))]:
            found = [sort_value(model, key) for model in (one, other)]
            ranks = [2 if value is None else 1 if value != value else 0 for value in found]
            if ranks != [0, 0]:
                if ranks[0] != ranks[1]:
                    return ranks[0] - ranks[1]
            elif found[0] != found[1]:
                return 1 if (found[0] > found[1]) != key.descending else -1
        return 0

    return sorted(models, key=cmp_to_key(compare))


# What is asked

STRINGS = [
    *(Attribute(name) for name in ("name", "model_type", "source_run_id", "status", "status_message", "model_id")),
    *(Param("p"), Param("absent"), Tag("p"), Tag("r.s")),
]
ALL_METRICS = [*METRICS, Metric(1, "a"), Metric(0, "never logged")]
ORDERED = [Op.EQ, Op.NE, Op.GT, Op.GE, Op.LT, Op.LE]
words = texts | st.sampled_from([*STATUSES, "r" * 32])
patterns = st.lists(st.sampled_from([*TEXTS[1:-3], "%", "_"]), max_size=3).map("".join)
comparisons = st.one_of(
    st.builds(Comparison, st.sampled_from(STRINGS), st.sampled_from([Op.EQ, Op.NE]), words),
    st.builds(Comparison, st.sampled_from(STRINGS), st.sampled_from([Op.LIKE, Op.ILIKE]), patterns),
    st.builds(Comparison, st.sampled_from(STRINGS), st.sampled_from([Op.IN, Op.NOT_IN]), st.lists(words).map(tuple)),
    st.builds(
        Comparison,
        st.sampled_from([Attribute("created_at"), Attribute("updated_at")]),
        st.sampled_from(ORDERED),
        st.sampled_from([0, 1, 1.5, 2**63]),
    ),
    st.builds(
        Comparison,
        st.sampled_from(ALL_METRICS),
        st.sampled_from(ORDERED),
        st.sampled_from([-math.inf, math.inf, -1.5, 0.0, 0.1]),
    ),
    st.builds(Comparison, st.sampled_from([*STRINGS, *ALL_METRICS]), st.sampled_from([Op.IS_NULL, Op.NOT_NULL])),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(All, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Some, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=4,
)
datasets = st.builds(Dataset, st.sampled_from(["d", "e", "other"]), st.none() | st.sampled_from(["1", "2"]))
any_dataset = st.builds(Dataset, st.none() | st.sampled_from(["d", "e"]), st.none() | st.sampled_from(["1", "2"]))
columns = ("name", "model_type", "source_run_id", "status", "status_message", "created_at", "updated_at", "model_id")
orders = st.lists(
    st.one_of(
        st.builds(ModelSortKey, st.sampled_from([Attribute(name) for name in columns]), st.booleans()),
        st.builds(ModelSortKey, st.sampled_from(ALL_METRICS), st.booleans(), any_dataset),
    ),
    max_size=3,
)


def pages_of_models(
    conn: Connection,
    actor: Actor,
    asked: Sequence[int],
    condition: Condition | None = None,
    on: Sequence[Dataset] = (),
    keys: Sequence[ModelSortKey] = (),
    limit: int = 10,
) -> list[str]:
    """The model_ids of all pages."""
    found: list[str] = []
    token = None
    while True:
        page = page_of_models(conn, actor, asked, condition, on, keys, limit, token)
        assert len(page.items) == limit or page.next_token is None
        found += [model.info.model_id for model in page.items]
        token = page.next_token
        if token is None:
            return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    models=st.lists(stored_models, max_size=8),
    wanted=st.lists(st.none() | conditions, min_size=1, max_size=4),
    on=st.lists(datasets, max_size=2),
    keys=orders,
    which=st.sampled_from([[0], [1], [0, 1]]),
    merged=st.sampled_from([20, 0]),
)
def test_pages_hold_what_satisfies_in_order(
    engine: Engine,
    models: list[StoredModel],
    wanted: list[Condition | None],
    on: list[Dataset],
    keys: list[ModelSortKey],
    which: list[int],
    merged: int,
) -> None:
    with undone(engine) as conn, pytest.MonkeyPatch.context() as patch:
        patch.setattr(logged_model_search, "MERGED", merged)
        actor = make_actor(conn, "model")
        met = db.memory(conn, Keys)
        met.ids, met.names = {}, {}  # by other tests, and undone
        numbers, known = store(conn, actor, models)
        asked = [numbers[place] for place in which]
        for place, condition in enumerate(wanted):
            expected = [
                model.model_id
                for model in sorted_(known, keys)
                if model.experiment in which
                and model.columns["deleted_at"] is None
                and (condition is None or holds(model, condition, on))
                and (not on or names_metric(condition) or any(is_on(p, one) for p in model.points for one in on))
            ]
            for limit in range(1, len(expected) + 2) if place == 0 else [2]:
                assert pages_of_models(conn, actor, asked, condition, on, keys, limit) == expected


# Bounds and refusals


@pytest.fixture
def experiment(conn: Connection, actor: Actor) -> int:
    return experiments.create(conn, actor, actor.project_id, "e", artifact_root="mlflow-artifacts:/")


def test_nobody_else_sees_them(conn: Connection, actor: Actor, experiment: int) -> None:
    model_id = logged_models.create(conn, actor, NewModel(experiment, "m")).info.model_id
    assert pages_of_models(conn, actor, [experiment, experiment + 1]) == [model_id]
    assert pages_of_models(conn, make_actor(conn, "two"), [experiment]) == []


def test_as_many_sort_keys_as_allowed_work_and_no_more(conn: Connection, actor: Actor, experiment: int) -> None:
    conn.execute(insert(t.metric_keys), [{"key": f"k{number}"} for number in range(9)])
    keys = [ModelSortKey(Metric(0, f"k{number}")) for number in range(9)]
    assert pages_of_models(conn, actor, [experiment], keys=[*keys[:8], *keys[:8]]) == []
    with pytest.raises(Invalid, match="more than 10 fields"):
        pages_of_models(conn, actor, [experiment], keys=keys)


def test_models_have_no_inputs(conn: Connection, actor: Actor, experiment: int) -> None:
    with pytest.raises(Invalid, match="have no inputs"):
        pages_of_models(conn, actor, [experiment], Comparison(Input("name"), Op.EQ, "x"))


def test_a_token_belongs_to_its_query_and_a_forged_one_does_no_harm(
    conn: Connection, actor: Actor, experiment: int
) -> None:
    for name in "abc":
        logged_models.create(conn, actor, NewModel(experiment, name))
    queries: list[tuple[Condition | None, list[Dataset], list[ModelSortKey]]] = [
        (None, [], []),
        (Comparison(Attribute("name"), Op.NE, "x"), [], []),
        (None, [], [ModelSortKey(Attribute("name"))]),
        (None, [], [ModelSortKey(Attribute("name"), descending=True)]),
    ]
    tokens = [page_of_models(conn, actor, [experiment], *query, 1, None).next_token for query in queries]
    for number, query in enumerate(queries):
        for place, token in enumerate(tokens):
            assert token is not None
            if place == number:
                assert len(page_of_models(conn, actor, [experiment], *query, 5, token).items) == 2
            else:
                with pytest.raises(Invalid, match="belongs to another query"):
                    page_of_models(conn, actor, [experiment], *query, 5, token)
        with pytest.raises(Invalid, match="Invalid page token"):
            page_of_models(conn, actor, [experiment], *query, 5, encode("", []))


# Plans

SIZE = 3_000


@pytest.fixture
def plans(conn: Connection, actor: Actor, experiment: int) -> Plans:
    """An experiment where each name is that of ten models, and another that has as many of one name."""
    other = experiments.create(conn, actor, actor.project_id, "other", artifact_root="mlflow-artifacts:/")
    row = {"model_type": "", "source_run_id": "", "artifact_uri": "x", "status": "ready", "updated_at": 1}
    for number, name in ((experiment, "m{}"), (other, "m1")):
        conn.execute(
            insert(t.logged_models),
            [
                row
                | {"model_id": f"m-{number}-{place}", "experiment_id": number, "created_at": place}
                | {"name": name.format(place // 10)}
                for place in range(SIZE)
            ],
        )
    if conn.dialect.name == "postgresql":
        conn.execute(text("ANALYZE logged_models"))
    return Plans(conn, actor, [])


def page_of(
    plans: Plans, experiment: int, condition: Condition | None = None, token: str | None = None
) -> Page[LoggedModel]:
    return page_of_models(plans.conn, plans.actor, [experiment], condition, [], [], 50, token)


def in_order(plan: str) -> bool:
    return "TEMP B-TREE FOR ORDER BY" not in plan and "Sort  (" not in plan.replace("Incremental Sort", "")


def test_models_of_a_name_are_found_by_it(plans: Plans, experiment: int) -> None:
    """What a client asks before nearly every download."""
    named, nobody = (Comparison(Attribute("name"), Op.EQ, name) for name in ("m7", "data"))
    with plans.counted() as statements:
        assert [model.info.name for model in page_of(plans, experiment, named).items] == ["m7"] * 10
    assert len(statements) <= 5
    with plans.counted() as statements:
        assert not page_of(plans, experiment, nobody).items
    assert len(statements) == 2
    plan = plans.of(lambda: page_of(plans, experiment, named))[0]
    assert "ix_logged_models_newest_of_name" in plan
    assert not plans.is_sqlite or in_order(plan)


def test_the_newest_models_come_from_an_index_in_order(plans: Plans, experiment: int) -> None:
    for token in (None, page_of(plans, experiment).next_token):
        plan = plans.of(partial(page_of, plans, experiment, None, token))[0]
        assert "ix_logged_models_newest" in plan
        assert in_order(plan)
