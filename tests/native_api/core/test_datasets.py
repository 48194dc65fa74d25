"""Datasets and their versions: kept by hand, logged by runs, and told of in the audit log."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select

from native_api.core import dataset_versions, datasets, db, experiments, runs
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.dataset_versions import Version
from native_api.core.datasets import NewInput
from native_api.core.errors import Conflict, Exists, Invalid, NotFound
from native_api.core.runs import NewRun
from tests.conftest import make_actor

# What tests begin with


@pytest.fixture
def other(conn: Connection) -> Actor:
    """Somebody in a project of another organisation."""
    return make_actor(conn, "two")


@pytest.fixture
def dataset(conn: Connection, actor: Actor) -> str:
    """The id of a dataset without versions."""
    return datasets.create(conn, actor, actor.project_id, "iris").dataset_id


@pytest.fixture
def run_id(conn: Connection, actor: Actor) -> str:
    experiment = experiments.create(conn, actor, actor.project_id, "e", artifact_root="mlflow-artifacts:/")
    return runs.create(conn, actor, NewRun(experiment, run_name="r")).info.run_id


def entries(conn: Connection, *tables: str) -> list[tuple[str, str, Any, Any]]:
    """(operation, id, before, after) of each change of the tables that the audit log is going to tell of."""
    found = [change for change in db.pending(conn).changes if change.table_name in tables]
    assert all(change.project_id for change in found)
    return [
        (c.operation, c.row_pk, c.old_data and json.loads(c.old_data), c.new_data and json.loads(c.new_data))
        for c in found
    ]


def revision(conn: Connection, run_id: str) -> int:
    return conn.scalars(select(t.runs.c.revision).where(t.runs.c.run_id == run_id)).one()


# Datasets


def test_a_dataset_is_what_was_said_of_it(conn: Connection, actor: Actor) -> None:
    made = datasets.create(conn, actor, actor.project_id, "iris", "classification", "flowers")
    assert made[1:5] == (actor.project_id, "iris", "classification", "flowers")
    assert datasets.get(conn, actor, made.dataset_id) == made


def test_a_name_is_taken_once_in_a_project(conn: Connection, actor: Actor, other: Actor, dataset: str) -> None:
    second = datasets.create(conn, actor, actor.project_id, "wine").dataset_id
    with pytest.raises(Exists, match="'iris'"):
        datasets.create(conn, actor, actor.project_id, "iris")
    with pytest.raises(Exists, match="'iris'"):
        datasets.change(conn, actor, second, {"name": "iris", "task_type": "nlp"})
    assert datasets.get(conn, actor, second).task_type == "other"
    datasets.change(conn, actor, dataset, {"name": "iris"})
    datasets.create(conn, other, other.project_id, "iris")


def test_a_change_sets_what_it_names_and_nothing_else(conn: Connection, actor: Actor) -> None:
    made = datasets.create(conn, actor, actor.project_id, "iris", "classification", "flowers")
    changed = datasets.change(conn, actor, made.dataset_id, {"task_type": "nlp", "description": None})
    assert changed == made._replace(task_type="nlp", description=None) == datasets.get(conn, actor, made.dataset_id)
    assert datasets.change(conn, actor, made.dataset_id, {}) == changed


def test_a_dataset_with_versions_is_not_deleted(conn: Connection, actor: Actor, dataset: str) -> None:
    version = dataset_versions.create(conn, actor, dataset, "v1", "hash").dataset_version_id
    with pytest.raises(Conflict, match="versions"):
        datasets.delete(conn, actor, dataset)
    dataset_versions.delete(conn, actor, version)
    datasets.delete(conn, actor, dataset)
    with pytest.raises(NotFound, match="No dataset"):
        datasets.get(conn, actor, dataset)


def test_the_log_tells_of_every_change_of_a_dataset(conn: Connection, actor: Actor, dataset: str) -> None:
    made = datasets.get(conn, actor, dataset)
    datasets.change(conn, actor, dataset, {"name": "wine", "task_type": "other"})
    datasets.change(conn, actor, dataset, {"name": "wine"})
    datasets.delete(conn, actor, dataset)
    assert entries(conn, "datasets") == [
        ("I", dataset, None, made._asdict()),
        ("U", dataset, {"name": "iris"}, {"name": "wine"}),
        ("D", dataset, made._replace(name="wine")._asdict(), None),
    ]


def test_datasets_are_listed_newest_first_by_what_is_asked(
    conn: Connection, actor: Actor, other: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for now, (whose, name, task_type) in enumerate([(actor, "a", "nlp"), (actor, "b", "other"), (other, "a", "nlp")]):
        monkeypatch.setattr("native_api.core.clock.now", partial(int, now))
        made.append(datasets.create(conn, whose, whose.project_id, name, task_type))
    a, b, theirs = made
    both = Actor(actor.user_id, "", {**actor.projects, **other.projects})

    def listed(whose: Actor, **wanted: str) -> list[datasets.Dataset]:
        return list(datasets.page(conn, whose, 9, None, **wanted).items)

    assert listed(both) == [theirs, b, a]
    assert listed(actor) == [b, a]
    assert listed(both, name="a") == [theirs, a]
    assert listed(both, task_type="other") == [b]
    assert listed(both, project_id=other.project_id, name="a") == [theirs]
    assert listed(actor, project_id=other.project_id) == []
    first = datasets.page(conn, both, 2, None)
    assert datasets.page(conn, both, 2, first.next_token).items == [a]
    with pytest.raises(Invalid, match="page token"):
        datasets.page(conn, actor, 2, first.next_token, name="a")


# Versions


def test_a_version_is_what_was_said_of_it(conn: Connection, actor: Actor, dataset: str) -> None:
    made = dataset_versions.create(
        conn, actor, dataset, "v1", "hash", storage_uri="s3://a", row_count=150, size_bytes=0, schema_json="{}"
    )
    assert made[1:-1] == (dataset, "v1", "s3://a", "hash", 150, 0, "{}")
    assert dataset_versions.get(conn, actor, made.dataset_version_id) == made


def test_a_version_needs_a_dataset_in_view(conn: Connection, other: Actor, dataset: str) -> None:
    for missing in (dataset, "f" * 32):
        with pytest.raises(NotFound, match="No dataset"):
            dataset_versions.create(conn, other, missing, "v1", "hash")


@pytest.mark.parametrize(("label", "content"), [("v1", "new"), ("new", "hash"), ("v1", "hash")])
def test_a_label_and_a_content_are_taken_once_in_a_dataset(
    conn: Connection, actor: Actor, dataset: str, label: str, content: str
) -> None:
    dataset_versions.create(conn, actor, dataset, "v1", "hash")
    with pytest.raises(Exists):
        dataset_versions.create(conn, actor, dataset, label, content)
    second = dataset_versions.create(conn, actor, dataset, "v2", "hash 2").dataset_version_id
    with pytest.raises(Exists):
        dataset_versions.change(conn, actor, second, {"version_label": label, "content_hash": content})
    wine = datasets.create(conn, actor, actor.project_id, "wine").dataset_id
    dataset_versions.create(conn, actor, wine, label, content)


def test_a_version_that_a_run_uses_is_not_deleted(conn: Connection, actor: Actor, dataset: str, run_id: str) -> None:
    used, own = (dataset_versions.create(conn, actor, dataset, label, label).dataset_version_id for label in "ab")
    runs.add_inputs(conn, actor, run_id, [NewInput("iris", "a")], [])
    conn.execute(t.runs.update().values(dataset_version_id=own))
    runs.delete(conn, actor, run_id)
    for version in (used, own):
        with pytest.raises(Conflict, match="runs"):
            dataset_versions.delete(conn, actor, version)
    conn.execute(t.runs.update().values(dataset_version_id=None))
    dataset_versions.delete(conn, actor, own)
    with pytest.raises(NotFound, match="No dataset version"):
        dataset_versions.get(conn, actor, own)


def test_the_log_tells_of_every_change_of_a_version(conn: Connection, actor: Actor, dataset: str) -> None:
    made = dataset_versions.create(conn, actor, dataset, "v1", "hash")
    pk = made.dataset_version_id
    changed = dataset_versions.change(conn, actor, pk, {"row_count": 5, "content_hash": "hash"})
    assert changed == made._replace(row_count=5) == dataset_versions.get(conn, actor, pk)
    assert dataset_versions.change(conn, actor, pk, {}) == changed
    dataset_versions.delete(conn, actor, pk)
    logged_by_mlflow = {"source_type": None, "profile_json": None}
    assert entries(conn, "dataset_versions") == [
        ("I", pk, None, made._asdict()),
        ("U", pk, {"row_count": None}, {"row_count": 5}),
        ("D", pk, changed._asdict() | logged_by_mlflow, None),
    ]


def test_versions_are_listed_newest_first_by_what_is_asked(
    conn: Connection, actor: Actor, other: Actor, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wine = datasets.create(conn, actor, actor.project_id, "wine").dataset_id
    made: list[Version] = []
    for now, (of, label, content) in enumerate([(dataset, "v1", "x"), (dataset, "v2", "y"), (wine, "v1", "y")]):
        monkeypatch.setattr("native_api.core.clock.now", partial(int, now))
        made.append(dataset_versions.create(conn, actor, of, label, content))
    a, b, c = made

    def listed(whose: Actor, **wanted: str) -> list[Version]:
        return list(dataset_versions.page(conn, whose, 9, None, **wanted).items)

    assert listed(actor) == [c, b, a]
    assert listed(actor, dataset_id=dataset) == [b, a]
    assert listed(actor, content_hash="y") == [c, b]
    assert listed(actor, version_label="v1", dataset_id=wine) == [c]
    assert listed(other) == listed(other, dataset_id=dataset) == []
    first = dataset_versions.page(conn, actor, 2, None)
    assert dataset_versions.page(conn, actor, 2, first.next_token).items == [a]


# What runs used


def test_the_log_tells_what_a_logged_input_made(conn: Connection, actor: Actor, run_id: str) -> None:
    used = NewInput("iris", "hash", source_type="s3", source="s3://a", schema="{}", profile="[]", context="training")
    runs.add_inputs(conn, actor, run_id, [used, used], [])
    runs.add_inputs(conn, actor, run_id, [used], [])
    (made,) = datasets.page(conn, actor, 9, None).items
    (version,) = dataset_versions.page(conn, actor, 9, None).items
    assert version[1:-1] == (made.dataset_id, "hash", "s3://a", "hash", None, None, "{}")
    told = entries(conn, "datasets", "dataset_versions") + [e for e in entries(conn, "runs") if e[0] == "U"]
    logged = {name: value for name, value in version._asdict().items() if name not in ("row_count", "size_bytes")}
    assert told == [
        ("I", made.dataset_id, None, made._asdict()),
        ("I", version.dataset_version_id, None, logged | {"source_type": "s3", "profile_json": "[]"}),
        ("U", run_id, {"dataset_version_id": None}, {"dataset_version_id": version.dataset_version_id}),
    ]


def test_a_logged_input_meets_the_version_that_was_made_by_hand(
    conn: Connection, actor: Actor, dataset: str, run_id: str
) -> None:
    version = dataset_versions.create(conn, actor, dataset, "v1", "hash", storage_uri="s3://a", schema_json="{}")
    runs.add_inputs(conn, actor, run_id, [NewInput("iris", "hash", source="s3://b", source_type="s3", schema="[]")], [])
    assert dataset_versions.page(conn, actor, 9, None).items == [version]
    number, _ = runs.find(conn, actor, run_id)
    (used,) = datasets.inputs(conn, [number])
    assert (used.name, used.digest, used.source_type, used.source, used.schema) == (
        "iris",
        "hash",
        "s3",
        "s3://b",
        "{}",
    )


def test_a_label_that_is_taken_by_hand_leaves_a_logged_version_another(
    conn: Connection, actor: Actor, dataset: str, run_id: str
) -> None:
    by_hand = dataset_versions.create(conn, actor, dataset, "hash", "something else")
    runs.add_inputs(conn, actor, run_id, [NewInput("iris", "hash")], [])
    (logged,) = dataset_versions.page(conn, actor, 9, None, content_hash="hash").items
    assert logged.dataset_version_id != by_hand.dataset_version_id
    assert logged.version_label.startswith("hash-")


Change = Callable[[Connection, Actor, Version], object]
SHOWN: dict[str, Change] = {
    "name": lambda conn, a, of: datasets.change(conn, a, of.dataset_id, {"name": "wine"}),
    "storage_uri": lambda conn, a, of: dataset_versions.change(
        conn, a, of.dataset_version_id, {"storage_uri": "s3://new"}
    ),
    "schema_json": lambda conn, a, of: dataset_versions.change(conn, a, of.dataset_version_id, {"schema_json": "{}"}),
}


@pytest.mark.parametrize("column", SHOWN)
def test_what_a_runs_document_shows_of_its_inputs_changes_the_runs_revision(
    conn: Connection, actor: Actor, run_id: str, column: str
) -> None:
    number, _ = runs.find(conn, actor, run_id)
    idle = runs.create(conn, actor, NewRun(conn.scalars(select(t.experiments.c.id)).one(), run_name="idle")).info.run_id
    runs.add_inputs(conn, actor, run_id, [NewInput("iris", "hash")], [])
    (version,) = dataset_versions.page(conn, actor, 9, None).items
    before, unused, old = revision(conn, run_id), revision(conn, idle), datasets.inputs(conn, [number])
    SHOWN[column](conn, actor, version)
    assert datasets.inputs(conn, [number]) != old
    assert revision(conn, run_id) == before + 1
    assert revision(conn, idle) == unused
