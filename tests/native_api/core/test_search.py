"""Conditions and pages against a plain evaluation in Python, and the plans that keep them fast."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, insert, select

from native_api.core import listings, pages, search
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import Invalid
from native_api.core.search import (
    All,
    Attribute,
    Comparison,
    Condition,
    Field,
    Input,
    Metric,
    Not,
    Op,
    Param,
    Some,
    SortKey,
    Tag,
    View,
)
from tests.conftest import make_actor

# What is stored: runs as plain values


@dataclass(frozen=True)
class StoredRun:
    """One run as the model knows it. Its place in the list makes its run_id."""

    experiment: int
    columns: dict[str, Any]
    metrics: dict[Metric, float]
    params: dict[str, str]
    tags: dict[str, str]
    inputs: list[dict[str, str | None]]
    run_id: str = ""


LONG = "x" * t.INDEXED_VALUE_LENGTH
TEXTS = [
    "",
    "a",
    "B",
    "b",
    "ab",
    "a_b",
    "50%",
    "é",
    "É",
    "Zz",
    "日本",
    "😀",
    "a\nb",
    "a\\b",
    "[x]*?",
    "'q\"",
    LONG[1:],
    LONG,
    LONG + "y",
]
texts = st.sampled_from([*TEXTS, LONG + "z"])
numbers = st.sampled_from([math.nan, math.inf, -math.inf, -1.5, -0.0, 0.0, 0.1, 2.0, 1e300])
times = st.sampled_from([0, 1, 2, 3, 2**53 + 1])
METRICS = [Metric(0, "a"), Metric(2, "a"), Metric(0, "b")]
STATUSES = ["queued", "running", "finished", "failed", "killed"]
contexts = st.none() | texts

stored_runs = st.builds(
    StoredRun,
    experiment=st.sampled_from([0, 1]),
    columns=st.fixed_dictionaries(
        {
            "run_name": st.none() | texts,
            "status": st.sampled_from(STATUSES),
            "started_at": st.none() | times,
            "finished_at": st.none() | times,
            "user_name": texts,
            "git_commit": st.none() | texts,
            "notes": st.none() | texts,
            "deleted_at": st.sampled_from([None, None, None, 5]),
        }
    ),
    metrics=st.dictionaries(st.sampled_from(METRICS), numbers),
    params=st.dictionaries(st.sampled_from(["p", "q"]), texts),
    tags=st.dictionaries(st.sampled_from(["p", "r.s"]), texts),
    inputs=st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from(["d", "e"]), "digest": st.sampled_from(["1", "2"]), "context": contexts}
        ),
        unique_by=lambda used: (used["name"], used["digest"]),
        max_size=3,
    ),
)


def store(conn: Connection, actor: Actor, runs: Sequence[StoredRun]) -> tuple[list[int], list[StoredRun], list[int]]:
    """Two experiments' short ids, the runs with their run_ids, and the runs' internal ids."""
    experiments = [add_experiment(conn, actor.project_id, f"{number}{actor.project_id[7:10]}") for number in range(2)]
    keys = {key: add(conn, t.metric_keys, key=key) for key in sorted({metric.key for metric in METRICS})}
    versions: dict[tuple[str, str], str] = {}
    for name in "de":
        dataset = {
            "dataset_id": name * 32,
            "project_id": actor.project_id,
            "name": name,
            "task_type": "other",
            "created_at": 1,
        }
        conn.execute(insert(t.datasets), dataset)
        for digest in "12":
            versions[name, digest] = (name + digest) * 16
            version = {"dataset_version_id": versions[name, digest], "dataset_id": name * 32, "created_at": 1}
            conn.execute(insert(t.dataset_versions), {**version, "version_label": digest, "content_hash": digest})
    named, ids = [], []
    for place, run in enumerate(runs):
        run_id = f"{place * 7919 % 251:02x}".ljust(32, "0")
        where = {"experiment_id": experiments[run.experiment], "artifact_uri": "x", "created_at": 1, "revision": place}
        number = add(conn, t.runs, run_id=run_id, **where, **run.columns)
        for metric, value in run.metrics.items():
            add_latest(conn, number, experiments[run.experiment], keys[metric.key], metric.scope, value)
        for table, pairs in ((t.run_params, run.params), (t.run_tags, run.tags)):
            for key, text_ in pairs.items():
                conn.execute(insert(table), {"run_id": number, "key": key, "value": text_})
        for used in run.inputs:
            version_id = versions[str(used["name"]), str(used["digest"])]
            row = {"run_id": number, "dataset_version_id": version_id, "tags_json": {}, "created_at": 1}
            conn.execute(insert(t.run_inputs), {**row, "context": used["context"]})
        named.append(StoredRun(**{**run.__dict__, "run_id": run_id}))
        ids.append(number)
    return experiments, named, ids


def add(conn: Connection, table: Any, **row: object) -> int:
    return int(conn.execute(insert(table).returning(table.c.id), row).scalar_one())


def add_experiment(conn: Connection, project_id: str, name: str, **more: object) -> int:
    row = {"experiment_id": name.ljust(32, "0"), "project_id": project_id, "name": name, "artifact_location": "x"}
    return add(conn, t.experiments, **{**row, "created_at": 1, "updated_at": 1, **more})


def add_latest(conn: Connection, run: int, experiment: int, key: int, scope: int, value: float) -> None:
    is_nan = math.isnan(value)
    conn.execute(
        insert(t.run_metric_latest),
        {
            **{"run_id": run, "metric_id": key, "scope": scope, "experiment_id": experiment, "is_final": 0, "step": 0},
            **{"recorded_at": 0, "value": 0.0 if is_nan else value, "is_nan": int(is_nan), "count": 1},
            **{"first_step": 0, "first_recorded_at": 0},
        },
    )


@contextmanager
def undone(engine: Engine) -> Iterator[Connection]:
    """A transaction that leaves nothing behind: one for each example, where a fixture would be one for all."""
    with engine.connect() as conn, conn.begin() as transaction:
        yield conn
        transaction.rollback()


# What it means: conditions and orders in Python


def values_of(run: StoredRun, field_: Field) -> list[Any]:
    """What the run has for the field: at most one value, but of inputs."""
    found: list[Any]
    match field_:
        case Attribute("run_id"):
            found = [run.run_id]
        case Attribute(name):
            found = [run.columns[name]]
        case Metric():
            found = [run.metrics.get(field_)]
        case Param(key):
            found = [run.params.get(key)]
        case Tag(key):
            found = [run.tags.get(key)]
        case Input(name):
            found = [used[name] for used in run.inputs]
    return [value for value in found if value is not None]


def holds(run: StoredRun, condition: Condition) -> bool:
    match condition:
        case All(parts):
            return all(holds(run, part) for part in parts)
        case Some(parts):
            return any(holds(run, part) for part in parts)
        case Not(inner):
            return not holds(run, inner)
        case Comparison(field_, Op.IS_NULL):
            return not values_of(run, field_)
        case Comparison(field_, op, wanted):
            return any(satisfies(value, op, wanted) for value in values_of(run, field_))


def satisfies(value: Any, op: Op, wanted: Any) -> bool:
    match op:
        case Op.EQ:
            return bool(value == wanted)
        case Op.NE:
            return bool(value != wanted)
        case Op.GT:
            return bool(value > wanted)
        case Op.GE:
            return bool(value >= wanted)
        case Op.LT:
            return bool(value < wanted)
        case Op.LE:
            return bool(value <= wanted)
        case Op.LIKE:
            return is_like(value, wanted)
        case Op.ILIKE:
            return is_like(value.lower(), wanted.lower())
        case Op.IN:
            return value in wanted
        case Op.NOT_IN:
            return value not in wanted
        case Op.NOT_NULL:
            return True
        case Op.IS_NULL:
            return False


def is_like(value: str, pattern: str) -> bool:
    parts = ({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


STATUS_PLACES = {"failed": 0, "finished": 1, "killed": 2, "running": 3, "queued": 4}


def in_order(runs: Sequence[StoredRun], keys: Sequence[SortKey]) -> list[StoredRun]:
    def compare(one: StoredRun, other: StoredRun) -> int:
        for key in [*keys, SortKey(Attribute("started_at"), descending=True), SortKey(Attribute("run_id"))]:
            found = [next(iter(values_of(run, key.field)), None) for run in (one, other)]
            if key.field == Attribute("status"):
                found = [STATUS_PLACES[str(value)] for value in found]
            ranks = [2 if value is None else 1 if value != value else 0 for value in found]
            if ranks != [0, 0]:
                if ranks[0] != ranks[1]:
                    return ranks[0] - ranks[1]
            elif found[0] != found[1]:
                return 1 if (found[0] > found[1]) != key.descending else -1  # type: ignore[operator]
        return 0

    return sorted(runs, key=cmp_to_key(compare))


# What is asked: conditions and sort keys

patterns = st.lists(st.sampled_from([*TEXTS[1:-3], "%", "%", "_"]), max_size=4).map("".join)
EQUALITY = [Op.EQ, Op.NE]
ORDERED = [Op.EQ, Op.NE, Op.GT, Op.GE, Op.LT, Op.LE]
NULLS = [Op.IS_NULL, Op.NOT_NULL]
STRINGS: list[Field] = [
    *(Attribute(name) for name in ("run_name", "user_name", "git_commit", "notes", "status")),
    *(Param("p"), Param("q"), Param("absent"), Tag("p"), Tag("r.s"), Input("name"), Input("digest"), Input("context")),
]
TIMES: list[Field] = [Attribute("started_at"), Attribute("finished_at")]
ALL_METRICS: list[Field] = [*METRICS, Metric(1, "a"), Metric(0, "never logged")]
whole = st.sampled_from([0, 1, 2, 3, 2**53 + 1, 2**63 - 1, 2**63, -(2**70), 1.5, math.inf, -math.inf, 1e300])
words = texts | st.sampled_from([*STATUSES, "d", "e", "1"])

comparisons = st.one_of(
    st.builds(Comparison, st.sampled_from(STRINGS), st.sampled_from(EQUALITY), words),
    st.builds(Comparison, st.sampled_from(STRINGS), st.sampled_from([Op.LIKE, Op.ILIKE]), patterns),
    st.builds(Comparison, st.sampled_from(STRINGS), st.sampled_from([Op.IN, Op.NOT_IN]), st.lists(words).map(tuple)),
    st.builds(Comparison, st.sampled_from(TIMES), st.sampled_from(ORDERED), whole),
    st.builds(
        Comparison,
        st.sampled_from(ALL_METRICS),
        st.sampled_from(ORDERED),
        st.sampled_from([-math.inf, math.inf, -1.5, 0.0, 0.1, 2.0, 1e300]),
    ),
    st.builds(Comparison, st.sampled_from([*STRINGS, *TIMES, *ALL_METRICS]), st.sampled_from(NULLS)),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds(All, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Some, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=5,
)
SORTABLE = [*(field_ for field_ in STRINGS if not isinstance(field_, Input)), *TIMES, *ALL_METRICS, Attribute("run_id")]
orders = st.lists(st.builds(SortKey, st.sampled_from(SORTABLE), st.booleans()), max_size=4)

quickly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quickly
@given(
    runs=st.lists(stored_runs, max_size=10),
    condition=st.none() | conditions,
    others=st.lists(conditions, max_size=4),
    keys=orders,
    view=st.sampled_from(View),
    which=st.sampled_from([[0], [1], [0, 1]]),
    few=st.sampled_from([search.FEW, 1, -1]),
    merged=st.sampled_from([listings.MERGED, 0]),
)
def test_pages_hold_what_satisfies_in_order(
    engine: Engine,
    runs: list[StoredRun],
    condition: Condition | None,
    others: list[Condition],
    keys: list[SortKey],
    view: View,
    which: list[int],
    few: int,
    merged: int,
) -> None:
    with undone(engine) as conn, pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "FEW", few)
        patch.setattr(listings, "MERGED", merged)
        actor = make_actor(conn, "model")
        experiments, known, ids = store(conn, actor, runs)
        number = {run.run_id: id_ for run, id_ in zip(known, ids, strict=True)}
        asked = [experiments[place] for place in which]
        for place, wanted in enumerate([condition, *others]):
            expected = [
                (number[run.run_id], known.index(run))
                for run in in_order(known, keys)
                if run.experiment in which
                and (view is View.ALL or (run.columns["deleted_at"] is not None) == (view is View.DELETED))
                and (wanted is None or holds(run, wanted))
            ]
            for limit in range(1, len(expected) + 2) if place == 0 else [1 + place]:
                assert pages_of_runs(conn, actor, asked, view, wanted, keys, limit) == expected


NAN, ZERO, ONE = (
    StoredRun(0, {"status": "finished", "user_name": name, "run_name": name}, {Metric(0, "a"): value}, {}, {}, [])
    for name, value in (("nan", math.nan), ("zero", 0.0), ("one", 1.0))
)
NONE = StoredRun(0, {"status": "queued", "user_name": "none"}, {}, {"p": ""}, {}, [])
METRIC = Metric(0, "a")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Comparison(METRIC, Op.NE, 0.0), ["nan", "one"]),
        (Comparison(METRIC, Op.EQ, 0.0), ["zero"]),
        (Comparison(METRIC, Op.GE, 0.0), ["one", "zero"]),
        (Comparison(METRIC, Op.LE, 0.0), ["zero"]),
        (Not(Comparison(METRIC, Op.NE, 0.0)), ["none", "zero"]),
        (Not(Comparison(METRIC, Op.GE, 0.0)), ["nan", "none"]),
        (Comparison(METRIC, Op.IS_NULL), ["none"]),
        (Comparison(METRIC, Op.NOT_NULL), ["nan", "one", "zero"]),
        (Comparison(Metric(1, "a"), Op.NE, 0.0), []),
        (Comparison(Attribute("run_name"), Op.NOT_IN, ()), ["nan", "one", "zero"]),
        (Not(Comparison(Attribute("run_name"), Op.NOT_IN, ())), ["none"]),
        (Comparison(Attribute("run_name"), Op.NE, "one"), ["nan", "zero"]),
        (Not(Comparison(Attribute("run_name"), Op.NE, "one")), ["none", "one"]),
        (Comparison(Attribute("run_name"), Op.NOT_IN, ("one",)), ["nan", "zero"]),
        (Comparison(Attribute("run_name"), Op.IN, ()), []),
        (Comparison(Param("p"), Op.EQ, ""), ["none"]),
        (Comparison(Param("p"), Op.LIKE, "%"), ["none"]),
        (Comparison(Param("p"), Op.NE, "x"), ["none"]),
        (Comparison(Attribute("started_at"), Op.NE, 1.5), []),
        (All(()), ["nan", "none", "one", "zero"]),
        (Some(()), []),
    ],
)
def test_what_is_missing_or_no_number_matches(
    conn: Connection, actor: Actor, condition: Condition, expected: list[str]
) -> None:
    (experiment, _), known, _ = store(conn, actor, [NAN, ZERO, ONE, NONE])
    page = listings.page_of_runs(
        conn, actor, [experiment], View.ACTIVE, condition, [SortKey(Attribute("user_name"))], 9, None
    )
    assert [known[place].columns["user_name"] for _, place in page.items] == expected


def pages_of_runs(
    conn: Connection,
    actor: Actor,
    experiments: Sequence[int],
    view: View = View.ACTIVE,
    condition: Condition | None = None,
    keys: Sequence[SortKey] = (),
    limit: int = 2,
) -> list[tuple[int, int]]:
    """All runs, page after page: each full but the last, which alone is without a token."""
    found: list[tuple[int, int]] = []
    token = None
    while True:
        page = listings.page_of_runs(conn, actor, experiments, view, condition, keys, limit, token)
        found += page.items
        token = page.next_token
        if token is None:
            assert len(page.items) <= limit
            return found
        assert len(page.items) == limit


# Experiments


@dataclass(frozen=True)
class StoredExperiment:
    """One experiment as the model knows it."""

    columns: dict[str, Any]
    tags: dict[str, str]


stored_experiments = st.builds(
    StoredExperiment,
    columns=st.fixed_dictionaries(
        {
            "name": texts,
            "objective": st.none() | texts,
            "created_at": times,
            "updated_at": times,
            "deleted_at": st.sampled_from([None, None, 5]),
        }
    ),
    tags=st.dictionaries(st.sampled_from(["p", "q"]), texts),
)
EXPERIMENT_TEXTS: list[Field] = [Attribute("name"), Attribute("objective"), Tag("p"), Tag("q"), Tag("absent")]
EXPERIMENT_TIMES: list[Field] = [Attribute("created_at"), Attribute("updated_at")]
experiment_comparisons = st.one_of(
    st.builds(Comparison, st.sampled_from(EXPERIMENT_TEXTS), st.sampled_from(EQUALITY), texts),
    st.builds(Comparison, st.sampled_from(EXPERIMENT_TEXTS), st.sampled_from([Op.LIKE, Op.ILIKE]), patterns),
    st.builds(Comparison, st.sampled_from(EXPERIMENT_TIMES), st.sampled_from(ORDERED), whole),
    st.builds(Comparison, st.sampled_from(EXPERIMENT_TEXTS), st.sampled_from(NULLS)),
)
experiment_keys = st.builds(
    SortKey, st.sampled_from([Attribute(name) for name in ("id", "name", "created_at", "updated_at")]), st.booleans()
)


@quickly
@given(
    stored=st.lists(stored_experiments, max_size=8, unique_by=lambda experiment: experiment.columns["name"]),
    comparison=st.none() | experiment_comparisons,
    negated=st.booleans(),
    keys=st.lists(experiment_keys, max_size=3),
    view=st.sampled_from(View),
)
def test_pages_hold_the_experiments_that_satisfy_in_order(
    engine: Engine,
    stored: list[StoredExperiment],
    comparison: Comparison | None,
    negated: bool,
    keys: list[SortKey],
    view: View,
) -> None:
    condition = Not(comparison) if comparison and negated else comparison
    with undone(engine) as conn:
        actor, other = make_actor(conn, "model"), make_actor(conn, "other")
        add_experiment(conn, other.project_id, "theirs")
        known: dict[int, StoredRun] = {}
        for place, one in enumerate(stored):
            row = {"experiment_id": f"{place:032x}", "project_id": actor.project_id, "artifact_location": "x"}
            number = add(conn, t.experiments, **row, **one.columns)
            for key, value in one.tags.items():
                conn.execute(insert(t.experiment_tags), {"experiment_id": number, "key": key, "value": value})
            known[number] = StoredRun(0, {"id": number, **one.columns}, {}, {}, one.tags, [], run_id=str(number))
        by = keys or [SortKey(Attribute("created_at"), descending=True)]
        expected = [
            run.columns["id"]
            for run in in_order(list(known.values()), [*by, SortKey(Attribute("id"), descending=bool(keys))])
            if (view is View.ALL or (run.columns["deleted_at"] is not None) == (view is View.DELETED))
            and (condition is None or holds(run, condition))
        ]
        for limit in range(1, len(expected) + 2):
            found: list[int] = []
            token = None
            while True:
                page = listings.page_of_experiments(conn, actor, view, condition, keys, limit, token)
                found += page.items
                token = page.next_token
                if token is None:
                    break
            assert found == expected


def test_experiments_are_found_by_their_short_ids(conn: Connection, actor: Actor) -> None:
    one, two, three = (add_experiment(conn, actor.project_id, name) for name in "abc")

    def found(op: Op, value: int | tuple[int, ...]) -> list[int]:
        condition = Comparison(Attribute("id"), op, value)
        keys = [SortKey(Attribute("id"))]
        return list(listings.page_of_experiments(conn, actor, View.ALL, condition, keys, 10, None).items)

    assert found(Op.EQ, two) == [two]
    assert found(Op.NE, two) == [one, three]
    assert found(Op.EQ, 10**30) == []
    assert found(Op.NE, 10**30) == [one, two, three]
    assert found(Op.IN, (three, one, 10**30, -1)) == [one, three]
    assert found(Op.NOT_IN, (three, 10**30)) == [one, two]


@pytest.mark.parametrize("field_", [Metric(0, "m"), Param("p"), Input("name")])
def test_experiments_have_only_attributes_and_tags(conn: Connection, actor: Actor, field_: Field) -> None:
    with pytest.raises(Invalid, match="Experiments"):
        listings.page_of_experiments(conn, actor, View.ALL, Comparison(field_, Op.NOT_NULL), [], 10, None)
    with pytest.raises(Invalid, match="Experiments cannot be sorted"):
        listings.page_of_experiments(conn, actor, View.ALL, None, [SortKey(field_)], 10, None)


# Pages


def add_runs(conn: Connection, experiment: int, count: int, start: int = 0, **columns: object) -> list[int]:
    """Runs started one after the other, each with its number in metric, param and tag `n`."""
    key = conn.execute(select(t.metric_keys.c.id).where(t.metric_keys.c.key == "n")).scalar_one_or_none()
    key = key or add(conn, t.metric_keys, key="n")
    numbers = []
    for n in range(start, start + count):
        row = {
            "run_id": f"{experiment:016x}{n:016x}",
            "experiment_id": experiment,
            "status": "finished",
            "user_name": "u",
        }
        row |= {"started_at": n, "artifact_uri": "x", "created_at": 1, "revision": 1}
        numbers.append(add(conn, t.runs, **{**row, **columns}))
        add_latest(conn, numbers[-1], experiment, key, 0, float(n))
        for table in (t.run_params, t.run_tags):
            conn.execute(insert(table), {"run_id": numbers[-1], "key": "n", "value": f"{n:06}"})
    return numbers


def test_nobody_else_sees_them(conn: Connection, actor: Actor) -> None:
    experiment = add_experiment(conn, actor.project_id, "mine")
    add_runs(conn, experiment, 3)
    other = make_actor(conn, "other")
    assert listings.page_of_runs(conn, other, [experiment], View.ALL, None, [], 10, None).items == []
    assert listings.page_of_experiments(conn, other, View.ALL, None, [], 10, None).items == []


def test_no_experiments_no_runs(conn: Connection, actor: Actor) -> None:
    experiment = add_experiment(conn, actor.project_id, "e")
    runs = add_runs(conn, experiment, 2)
    for numbers, expected in (([], []), ([2**63 - 1], []), ([experiment, experiment, -1], runs[::-1])):
        page = listings.page_of_runs(conn, actor, numbers, View.ACTIVE, None, [], 10, None)
        assert [item[0] for item in page.items] == expected


@pytest.mark.parametrize(
    "keys",
    [[], [SortKey(Metric(0, "n"), descending=True)], [SortKey(Tag("n"), descending=True)]],
    ids=["newest first", "by metric", "by tag"],
)
def test_what_comes_and_goes_between_pages_hides_and_repeats_nothing_else(
    conn: Connection, actor: Actor, keys: list[SortKey]
) -> None:
    experiment = add_experiment(conn, actor.project_id, "e")
    runs = add_runs(conn, experiment, 6)
    first = listings.page_of_runs(conn, actor, [experiment], View.ACTIVE, None, keys, 3, None)
    add_runs(conn, experiment, 2, start=10)
    conn.execute(t.runs.update().where(t.runs.c.id.in_([runs[3], runs[1]])).values(deleted_at=1))
    second = listings.page_of_runs(conn, actor, [experiment], View.ACTIVE, None, keys, 3, first.next_token)
    assert [item[0] for item in [*first.items, *second.items]] == [runs[5], runs[4], runs[3], runs[2], runs[0]]


def test_a_field_sorted_by_twice_counts_once(conn: Connection, actor: Actor) -> None:
    experiment = add_experiment(conn, actor.project_id, "e")
    runs = add_runs(conn, experiment, 3)
    key = Metric(0, "n")
    assert pages_of_runs(conn, actor, [experiment], keys=[SortKey(key), SortKey(key, descending=True)]) == [
        (run, 1) for run in runs
    ]


def test_as_many_sort_keys_as_allowed_work_and_no_more(conn: Connection, actor: Actor) -> None:
    experiment = add_experiment(conn, actor.project_id, "e")
    runs = add_runs(conn, experiment, 3)
    keys = [SortKey(Metric(0, f"m{n}")) for n in range(listings.MAX_SORT_KEYS - 2)]
    assert pages_of_runs(conn, actor, [experiment], keys=keys, limit=1) == [(run, 1) for run in runs[::-1]]
    with pytest.raises(Invalid, match="more than"):
        pages_of_runs(conn, actor, [experiment], keys=[*keys, SortKey(Param("one too many"))])


FIELDS: list[Field] = [Metric(0, "n"), Param("n"), Tag("n"), Attribute("user_name"), Input("name")]


@pytest.mark.parametrize("chain", [All, Some])
def test_the_longest_conditions_work(conn: Connection, actor: Actor, chain: type[All] | type[Some]) -> None:
    experiment = add_experiment(conn, actor.project_id, "e")
    runs = add_runs(conn, experiment, 3)
    parts = tuple(Comparison(FIELDS[n % 4], Op.NOT_NULL) for n in range(search.MAX_COMPARISONS))
    assert pages_of_runs(conn, actor, [experiment], condition=chain(parts)) == [(run, 1) for run in runs[::-1]]


@pytest.mark.parametrize("field_", FIELDS)
def test_the_deepest_conditions_work(conn: Connection, actor: Actor, field_: Field) -> None:
    experiment = add_experiment(conn, actor.project_id, "e")
    runs = add_runs(conn, experiment, 3)
    present, absent = Comparison(Tag("n"), Op.NOT_NULL), Comparison(Tag("n"), Op.IS_NULL)
    value = 99.0 if isinstance(field_, Metric) else "99"
    deep: Condition = Comparison(field_, Op.NE, value)
    for level in range(1, search.MAX_DEPTH):
        deep = All((present, deep)) if level % 3 == 0 else Some((absent, deep)) if level % 3 == 1 else Not(Not(deep))
    expected = [] if isinstance(field_, Input) else [(run, 1) for run in runs[::-1]]
    assert pages_of_runs(conn, actor, [experiment], condition=deep) == expected


def test_long_lists_and_patterns_work(conn: Connection, actor: Actor) -> None:
    experiment = add_experiment(conn, actor.project_id, "e")
    run, *_ = add_runs(conn, experiment, 2, notes="a" * 10_000)
    listed = Comparison(Attribute("run_id"), Op.IN, (*(f"{n}" for n in range(10_000)), f"{experiment:016x}{0:016x}"))
    assert pages_of_runs(conn, actor, [experiment], condition=listed) == [(run, 1)]
    for op in (Op.LIKE, Op.ILIKE):
        assert (
            pages_of_runs(conn, actor, [experiment], condition=Comparison(Attribute("notes"), op, "%a" * 1000 + "b"))
            == []
        )


# Tokens

ORDERS = [
    [],
    [SortKey(Metric(0, "n"))],
    [SortKey(Attribute("status")), SortKey(Metric(0, "n"))],
    [SortKey(Param("n"), descending=True), SortKey(Attribute("finished_at"))],
]
HOSTILE: list[str | int | float | None] = [
    *(
        None,
        "",
        "'",
        "a\0b",
        "\\",
        0,
        1,
        2,
        3,
        -1,
        40_000,
        2**31,
        -(2**31) - 1,
        2**53 + 1,
        2**63 - 1,
        -(2**63),
        2**63,
        2**64 - 1,
    ),
    *(0.0, 1.5, 1e300, math.inf, -math.inf, math.nan),
]


@pytest.mark.parametrize("order", ORDERS)
def test_a_forged_token_does_no_harm(conn: Connection, actor: Actor, order: list[SortKey]) -> None:
    experiment = add_experiment(conn, actor.project_id, "e")
    runs = [*add_runs(conn, experiment, 3), *add_runs(conn, experiment, 1, start=3, started_at=None)]
    query = pages.fingerprint("runs", [experiment], View.ACTIVE, None, order)
    taken = 0
    for start in (1, 3):
        token = listings.page_of_runs(conn, actor, [experiment], View.ACTIVE, None, order, start, None).next_token
        assert token is not None
        values = pages.decode(query, token)
        for place, value in itertools.product(range(len(values)), HOSTILE):
            forged = pages.encode(query, [*values[:place], value, *values[place + 1 :]])
            with suppress(Invalid):
                page = listings.page_of_runs(conn, actor, [experiment], View.ACTIVE, None, order, 1, forged)
                assert {item[0] for item in page.items} <= set(runs)
                taken += 1
    assert taken > 20, "some are pages like any other"


def test_a_token_belongs_to_its_query(conn: Connection, actor: Actor) -> None:
    experiment, other = (add_experiment(conn, actor.project_id, name) for name in "ab")
    add_runs(conn, experiment, 3)
    token = listings.page_of_runs(conn, actor, [experiment], View.ACTIVE, None, [], 1, None).next_token
    assert token is not None
    condition = Comparison(Param("n"), Op.NOT_NULL)
    key = SortKey(Param("n"))
    for experiments, view, asked, keys in (
        ([other], View.ACTIVE, None, []),
        ([experiment], View.ALL, None, []),
        ([experiment], View.ACTIVE, condition, []),
        ([experiment], View.ACTIVE, None, [key]),
    ):
        with pytest.raises(Invalid, match="another query"):
            listings.page_of_runs(conn, actor, experiments, view, asked, keys, 1, token)
    with pytest.raises(Invalid, match="another query"):
        listings.page_of_experiments(conn, actor, View.ACTIVE, None, [], 1, token)
    longer = listings.page_of_runs(conn, actor, [experiment], View.ACTIVE, None, [], 5, token)
    assert len(longer.items) == 2, "the limit may change from page to page"
