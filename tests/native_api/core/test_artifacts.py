"""Artifacts are what projects keep, and files that came in below a run have rows of their own."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select

from native_api.core import artifact_types, artifacts, db, places
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.artifacts import Arrival
from native_api.core.errors import Conflict, Forbidden, Invalid, NotFound
from tests.conftest import make_actor
from tests.native_api.core.test_places import OTHER_RUN, RUN, add_experiment, number_of

SHA = "0" * 64


@pytest.fixture
def other(conn: Connection) -> Actor:
    """Somebody in a project of another organisation."""
    return make_actor(conn, "two")


def entries(conn: Connection) -> list[tuple[str, str, Any, Any]]:
    """(operation, id, before, after) of each change of artifacts that the audit log is going to tell of."""
    found = [change for change in db.pending(conn).changes if change.table_name == "artifacts"]
    assert all(change.project_id for change in found)
    return [
        (c.operation, c.row_pk, c.old_data and json.loads(c.old_data), c.new_data and json.loads(c.new_data))
        for c in found
    ]


# Kept by hand


def test_an_artifact_is_what_was_said_of_it(conn: Connection, actor: Actor) -> None:
    made = artifacts.create(
        conn, actor, actor.project_id, "s3://bucket/a", artifact_type="model", checksum=SHA, size_bytes=5
    )
    assert made[1:6] == (actor.project_id, "model", "s3://bucket/a", SHA, 5)
    assert artifacts.get(conn, actor, made.artifact_id) == made


@pytest.mark.parametrize(
    ("uri", "kind"), [("s3://b/model.pkl", "model"), ("https://x.org/plot.png", "plot"), ("x", "other")]
)
def test_without_a_type_its_uri_tells_the_kind(conn: Connection, actor: Actor, uri: str, kind: str) -> None:
    assert artifacts.create(conn, actor, actor.project_id, uri).artifact_type == kind


def test_a_change_sets_what_it_names_and_nothing_else(conn: Connection, actor: Actor) -> None:
    made = artifacts.create(conn, actor, actor.project_id, "s3://a", checksum=SHA)
    changed = artifacts.change(conn, actor, made.artifact_id, {"uri": "s3://b", "checksum": None})
    assert changed == made._replace(uri="s3://b", checksum=None) == artifacts.get(conn, actor, made.artifact_id)
    assert artifacts.change(conn, actor, made.artifact_id, {}) == changed


def test_a_deleted_artifact_is_gone(conn: Connection, actor: Actor) -> None:
    made = artifacts.create(conn, actor, actor.project_id, "s3://a")
    artifacts.delete(conn, actor, made.artifact_id)
    with pytest.raises(NotFound, match="No artifact"):
        artifacts.get(conn, actor, made.artifact_id)


def test_the_log_tells_of_every_change_by_hand(conn: Connection, actor: Actor) -> None:
    made = artifacts.create(conn, actor, actor.project_id, "s3://a")
    pk = made.artifact_id
    artifacts.change(conn, actor, pk, {"uri": "s3://b", "checksum": None})
    artifacts.change(conn, actor, pk, {"uri": "s3://b"})
    artifacts.delete(conn, actor, pk)
    assert entries(conn) == [
        ("I", pk, None, made._asdict()),
        ("U", pk, {"uri": "s3://a"}, {"uri": "s3://b"}),
        ("D", pk, made._replace(uri="s3://b")._asdict(), None),
    ]


def test_a_list_is_read_page_by_page_newest_first(
    conn: Connection, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for now in (1, 1, 2, 3, 3):
        monkeypatch.setattr("native_api.core.clock.now", partial(int, now))
        made.append(artifacts.create(conn, actor, actor.project_id, "s3://a"))
    read: list[artifacts.Artifact] = []
    token = None
    while True:
        page = artifacts.page(conn, actor, 2, token)
        assert len(page.items) <= 2
        read += page.items
        token = page.next_token
        if token is None:
            break
    assert read == sorted(made, key=lambda artifact: (artifact.created_at, artifact.artifact_id), reverse=True)


def test_a_list_is_of_one_project_or_one_type(conn: Connection, actor: Actor, other: Actor) -> None:
    both = Actor(actor.user_id, "", {**actor.projects, **other.projects})
    mine = artifacts.create(conn, actor, actor.project_id, "s3://a.png")
    theirs = artifacts.create(conn, other, other.project_id, "s3://a.pkl")
    assert artifacts.page(conn, both, 9, None, project_id=other.project_id).items == [theirs]
    assert artifacts.page(conn, both, 9, None, artifact_type="plot").items == [mine]
    assert artifacts.page(conn, actor, 9, None, project_id=other.project_id).items == []
    assert artifacts.page(conn, other, 9, None).items == [theirs]


# Files below runs


def rows(conn: Connection) -> list[tuple[str, str, int | None, str | None]]:
    """(path, type, size, checksum) of each recorded file, run by run."""
    a, link = t.artifacts.c, t.run_artifacts.c
    found = conn.execute(
        select(link.run_id, link.path, a.artifact_type, a.size_bytes, a.checksum).join_from(
            t.artifacts, t.run_artifacts, link.artifact_id == a.artifact_id
        )
    )
    ordered = sorted(found, key=lambda row: (row.run_id, row.path or ""))
    return [(path or "", kind, size, checksum) for _, path, kind, size, checksum in ordered]


@pytest.fixture
def recorded(conn: Connection, actor: Actor) -> Connection:
    """Two runs of an experiment with files recorded in each."""
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN, OTHER_RUN)
    for run_id, paths in ((RUN, ("a/b", "a/b.txt", "a/b/c", "a_b/c")), (OTHER_RUN, ("a/b",))):
        for path in paths:
            artifacts.record(conn, actor, places.get_place(conn, actor, f"0/{run_id}/artifacts/{path}"), 1, SHA)
    return conn


def test_an_upload_is_recorded_and_the_next_one_replaces_it(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    place = places.get_place(conn, actor, f"0/{RUN}/artifacts/model/model.pkl")
    artifacts.record(conn, actor, place, 5, SHA)
    before = conn.execute(select(t.artifacts)).one()
    assert (before.project_id, before.uri) == (actor.project_id, f"mlflow-artifacts:/0/{RUN}/artifacts/model/model.pkl")
    assert len(before.artifact_id) == 32
    artifacts.record(conn, actor, place, 7, "1" * 64)
    assert rows(conn) == [("model/model.pkl", "model", 7, "1" * 64)]
    assert conn.execute(select(t.artifacts.c.artifact_id)).scalar_one() == before.artifact_id


def test_the_log_tells_of_each_file_that_arrives_is_replaced_or_goes(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    place = places.get_place(conn, actor, f"0/{RUN}/artifacts/a.txt")
    for size, checksum in ((5, SHA), (5, SHA), (7, "1" * 64)):
        artifacts.record(conn, actor, place, size, checksum)
    artifacts.forget(conn, actor, place)
    artifacts.forget(conn, actor, place)
    (_, pk, _, new), *rest = entries(conn)
    assert (new["uri"], new["size_bytes"], new["checksum"]) == (f"mlflow-artifacts:/0/{RUN}/artifacts/a.txt", 5, SHA)
    assert rest == [
        ("U", pk, {"checksum": SHA, "size_bytes": 5}, {"checksum": "1" * 64, "size_bytes": 7}),
        ("D", pk, new | {"checksum": "1" * 64, "size_bytes": 7}, None),
    ]


def test_files_that_arrive_together_are_recorded_as_if_alone(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN, OTHER_RUN)

    def arrival(path: str, size: int) -> Arrival:
        return Arrival(actor, places.get_place(conn, actor, path), size, SHA)

    new = [arrival(f"0/{run_id}/artifacts/{name}", 1) for run_id in (OTHER_RUN, RUN) for name in ("b.txt", "a")]
    artifacts.record_all(conn, [*new, arrival("0/elsewhere", 1)])
    assert rows(conn) == [("a", "other", 1, SHA), ("b.txt", "log", 1, SHA)] * 2
    assert sorted(operation for operation, *_ in entries(conn)) == ["I"] * 4
    # Some of these are there already, and one comes twice.
    again = [arrival(f"0/{RUN}/artifacts/{name}", size) for name, size in (("a", 2), ("c", 3), ("c", 4))]
    artifacts.record_all(conn, again)
    assert [(path, size) for path, _, size, _ in rows(conn)] == [
        ("a", 2),
        ("b.txt", 1),
        ("c", 4),
        ("a", 1),
        ("b.txt", 1),
    ]
    assert sorted(operation for operation, *_ in entries(conn)) == ["I"] * 5 + ["U"] * 2


def test_of_files_that_arrive_together_one_that_may_not_undoes_all(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    reader = Actor(actor.user_id, actor.project_id, {actor.project_id: Scope.READ}, Scope.READ)
    arrivals = [
        Arrival(who, places.get_place(conn, actor, f"0/{RUN}/artifacts/{name}"), 1, SHA)
        for who, name in ((actor, "a"), (reader, "b"))
    ]
    with pytest.raises(Forbidden):
        artifacts.record_all(conn, arrivals)
    assert rows(conn) == []
    assert entries(conn) == []


def test_a_file_of_a_run_that_was_purged_meanwhile_is_refused(conn: Connection, actor: Actor) -> None:
    run = places.InRun(10**9, "a" * 32, f"mlflow-artifacts:/0/{'a' * 32}/artifacts", "late.txt")
    arrival = artifacts.Arrival(actor, places.Place("0/late.txt", 1, actor.project_id, run), 1, SHA)
    with pytest.raises(NotFound):
        artifacts.record_all(conn, [arrival])


def test_of_a_file_only_the_type_can_be_changed_by_hand(recorded: Connection, actor: Actor) -> None:
    artifact_id = artifacts.page(recorded, actor, 1, None).items[0].artifact_id
    assert artifacts.change(recorded, actor, artifact_id, {"artifact_type": "report"}).artifact_type == "report"
    for change in ({"uri": "s3://a"}, {"checksum": None}, {"size_bytes": 9}):
        with pytest.raises(Conflict, match="artifacts API"):
            artifacts.change(recorded, actor, artifact_id, change)
    with pytest.raises(Conflict, match="unlink"):
        artifacts.delete(recorded, actor, artifact_id)


def test_who_may_only_read_records_and_forgets_nothing(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    reader = Actor("reader", actor.project_id, {actor.project_id: Scope.READ})
    place = places.get_place(conn, reader, f"0/{RUN}/artifacts/a")
    with pytest.raises(Forbidden):
        artifacts.record(conn, reader, place, 1, SHA)
    with pytest.raises(Forbidden):
        artifacts.forget(conn, reader, place)


@pytest.mark.parametrize("key", ["0/models/m-1/artifacts/MLmodel", f"0/{RUN}/artifacts"])
def test_files_outside_of_runs_have_no_rows(conn: Connection, actor: Actor, key: str) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    artifacts.record(conn, actor, places.get_place(conn, actor, key), 5, SHA)
    assert rows(conn) == []


@pytest.mark.parametrize(
    ("key", "left"),
    [
        (f"0/{RUN}/artifacts/a/b", ["a/b.txt", "a_b/c", "a/b"]),
        (f"0/{RUN}/artifacts/a", ["a_b/c", "a/b"]),
        (f"0/{RUN}/artifacts/a/b/c", ["a/b", "a/b.txt", "a_b/c", "a/b"]),
        (f"0/{RUN}/artifacts/none", ["a/b", "a/b.txt", "a/b/c", "a_b/c", "a/b"]),
        (f"0/{RUN}/artifacts", ["a/b"]),
        (f"0/{RUN}", ["a/b"]),
        ("0/models", ["a/b", "a/b.txt", "a/b/c", "a_b/c", "a/b"]),
        ("0", []),
    ],
)
def test_deleted_files_are_forgotten_with_all_below(
    recorded: Connection, actor: Actor, key: str, left: list[str]
) -> None:
    artifacts.forget(recorded, actor, places.get_place(recorded, actor, key))
    assert [row[0] for row in rows(recorded)] == left
    assert len(recorded.execute(select(t.artifacts)).all()) == len(left)


def test_an_artifact_linked_to_another_run_outlives_its_file(recorded: Connection, actor: Actor) -> None:
    place = places.get_place(recorded, actor, f"0/{RUN}/artifacts/a/b/c")
    linked = recorded.execute(
        select(t.run_artifacts.c.artifact_id).where(t.run_artifacts.c.path == "a/b/c")
    ).scalar_one()
    recorded.execute(
        t.run_artifacts.insert(),
        {
            "run_artifact_id": "c" * 32,
            "run_id": number_of(recorded, OTHER_RUN),
            "artifact_id": linked,
            "alias": "model",
            "created_at": 1,
        },
    )
    artifacts.forget(recorded, actor, place)
    assert recorded.execute(select(t.artifacts).where(t.artifacts.c.artifact_id == linked)).one()
    artifacts.forget(recorded, actor, places.get_place(recorded, actor, "0"))
    assert [row[0] for row in rows(recorded)] == [""]  # what was linked by hand has no path


def test_nobody_deletes_what_others_keep_further_down(conn: Connection, actor: Actor, other: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/team")
    add_experiment(conn, other, "mlflow-artifacts://example.org/team/b/c", RUN)
    with pytest.raises(Conflict):
        artifacts.forget(conn, actor, places.get_place(conn, actor, "team"))
    artifacts.forget(conn, actor, places.get_place(conn, actor, "team/a"))


def test_everything_at_once_is_not_deleted(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/")
    with pytest.raises(Invalid):
        artifacts.forget(conn, actor, places.get_place(conn, actor, ""))


# Kinds of files


@pytest.mark.parametrize(
    ("path", "kind", "media"),
    [
        ("model/MLmodel", "model", "text/plain"),
        ("model/model.pkl", "model", "application/octet-stream"),
        ("weights.ONNX", "model", "application/octet-stream"),
        ("a.b/plot.png", "plot", "image/png"),
        ("plot.svg", "plot", "image/svg+xml"),
        ("images/a+step+1.webp", "plot", "image/webp"),
        ("estimator.html", "report", "text/html"),
        ("notes.md", "report", "text/plain"),
        ("report.pdf", "report", "application/pdf"),
        ("out.log", "log", "text/plain"),
        ("a.txt", "log", "text/plain"),
        ("metrics.json", "other", "text/plain"),
        ("env.yaml", "other", "text/plain"),
        ("data.csv", "other", "text/plain"),
        ("a.png/data", "other", "application/octet-stream"),
        ("noending", "other", "application/octet-stream"),
        ("ends.", "other", "application/octet-stream"),
    ],
)
def test_a_name_tells_the_kind_of_file(path: str, kind: str, media: str) -> None:
    assert artifact_types.kind_of(path) == kind
    assert artifact_types.content_type(path) == media


def test_each_kind_is_one_the_table_takes() -> None:
    (check,) = (c for c in t.artifacts.constraints if c.name == "ck_artifacts_artifact_type")
    for kind in {*artifact_types.KINDS, "other"}:
        assert f"'{kind}'" in str(check.sqltext)  # type: ignore[attr-defined]
