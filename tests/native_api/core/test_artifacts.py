"""A key belongs to who owns the experiment or run it is below, and files there have rows."""

from __future__ import annotations

from itertools import count

import pytest
from sqlalchemy import Connection, select

from native_api.core import artifacts
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.artifacts import InRun, Place, Root
from native_api.core.errors import Conflict, Forbidden, Invalid, NotFound
from tests.conftest import make_actor

RUN, OTHER_RUN = "a" * 32, "b" * 32
SHA = "0" * 64
numbers = count(1000)


@pytest.fixture
def other(conn: Connection) -> Actor:
    """Somebody in a project of another organisation."""
    return make_actor(conn, "two")


def add_experiment(conn: Connection, actor: Actor, location: str, *run_ids: str) -> int:
    """The short id of a new experiment placed there, with runs of these ids."""
    number = next(numbers)
    conn.execute(
        t.experiments.insert(),
        {
            "id": number,
            "experiment_id": f"{number:032x}",
            "project_id": actor.project_id,
            "name": f"e{number}",
            "artifact_location": location,
            "created_at": 1,
            "updated_at": 1,
        },
    )
    for run_id in run_ids:
        conn.execute(
            t.runs.insert(),
            {
                "id": next(numbers),
                "run_id": run_id,
                "experiment_id": number,
                "status": "running",
                "user_name": "",
                "artifact_uri": f"{location.rstrip('/')}/{run_id}/artifacts",
                "created_at": 1,
                "revision": 1,
            },
        )
    return number


def number_of(conn: Connection, run_id: str) -> int:
    return conn.execute(select(t.runs.c.id).where(t.runs.c.run_id == run_id)).scalar_one()


# Whose place it is


@pytest.mark.parametrize(
    ("location", "key"),
    [
        ("mlflow-artifacts:/0", "0"),
        ("mlflow-artifacts:/0/", "0"),
        ("mlflow-artifacts:///0", "0"),
        ("mlflow-artifacts://example.org:5000/team/a b", "team/a b"),
        ("mlflow-artifacts:/team/a b", "team/a b"),
        ("mlflow-artifacts:/team/a%20b", "team/a b"),
        ("mlflow-artifacts:/", ""),
        ("mlflow-artifacts://example.org", ""),
    ],
)
def test_a_location_however_it_is_written_owns_what_is_below(
    conn: Connection, actor: Actor, location: str, key: str
) -> None:
    experiment = add_experiment(conn, actor, location, RUN)
    below = f"{key}/".lstrip("/")
    assert artifacts.proxied_key(location) == key
    for inside in (f"{below}models/m-1/artifacts/MLmodel", f"{below}traces"):
        assert artifacts.find_place(conn, actor, inside) == Place(inside, experiment, actor.project_id, None)
    place = artifacts.get_place(conn, actor, f"{below}{RUN}/artifacts/plots/a.png", Scope.WRITE)
    assert place.experiment == experiment
    assert place.run == InRun(number_of(conn, RUN), RUN, f"{location.rstrip('/')}/{RUN}/artifacts", "plots/a.png")


@pytest.mark.parametrize(
    "uri", ["/data/0", "file:///data/0", "s3://bucket/0", "mlflow-artifacts:/a/../b", "runs:/0", ""]
)
def test_other_locations_are_not_on_the_proxy(conn: Connection, actor: Actor, uri: str) -> None:
    assert artifacts.proxied_key(uri) is None
    add_experiment(conn, actor, uri, RUN)
    assert artifacts.find_place(conn, actor, "data/0") is None
    assert artifacts.find_place(conn, actor, f"data/0/{RUN}/artifacts/a") is None


@pytest.mark.parametrize(("below", "path"), [("", ""), ("/artifacts", ""), ("/artifacts/a/b", "a/b")])
def test_a_place_knows_its_path_in_the_run(conn: Connection, actor: Actor, below: str, path: str) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    run = artifacts.get_place(conn, actor, f"0/{RUN}{below}").run
    assert run is not None
    assert (run.run_id, run.path) == (RUN, path)


@pytest.mark.parametrize(
    "key", [f"0/{RUN}/artifactsx", f"0/{RUN}/else/a", f"0/x/{RUN}/artifacts/a", f"0/{OTHER_RUN}/artifacts"]
)
def test_what_only_looks_like_a_run_is_the_experiments(conn: Connection, actor: Actor, key: str) -> None:
    experiment = add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    assert artifacts.get_place(conn, actor, key) == Place(key, experiment, actor.project_id, None)


def test_the_experiment_furthest_down_owns_a_key(conn: Connection, actor: Actor) -> None:
    top = add_experiment(conn, actor, "mlflow-artifacts:/")
    middle = add_experiment(conn, actor, "mlflow-artifacts:/a")
    bottom = add_experiment(conn, actor, "mlflow-artifacts:/a/b")
    found = [artifacts.get_place(conn, actor, key).experiment for key in ("", "b", "a", "a/bc", "ab", "a/b", "a/b/c")]
    assert found == [top, top, middle, middle, top, bottom, bottom]


def test_a_key_of_nobody_is_not_found(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/a", RUN)
    for key in ("", "b", "ab", "A", RUN, f"{RUN}/artifacts/x"):
        assert artifacts.find_place(conn, actor, key) is None
        with pytest.raises(NotFound):
            artifacts.get_place(conn, actor, key)


def test_what_is_deleted_keeps_its_place(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    for table in (t.experiments, t.runs):
        conn.execute(table.update().values(deleted_at=2))
    place = artifacts.get_place(conn, actor, f"0/{RUN}/artifacts/a")
    assert place.run is not None
    assert artifacts.root_of_run(conn, actor, RUN) == Root(f"mlflow-artifacts:/0/{RUN}/artifacts", f"0/{RUN}/artifacts")


def test_the_root_of_a_run_may_be_elsewhere(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "s3://bucket/0", RUN)
    assert artifacts.root_of_run(conn, actor, RUN) == Root(f"s3://bucket/0/{RUN}/artifacts", None)
    with pytest.raises(NotFound, match="No run"):
        artifacts.root_of_run(conn, actor, OTHER_RUN)


# Tenants


def test_what_is_out_of_view_does_not_exist(conn: Connection, actor: Actor, other: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    for key in ("0", "0/models/m", f"0/{RUN}", f"0/{RUN}/artifacts/a"):
        assert artifacts.find_place(conn, other, key) is None
        with pytest.raises(NotFound):
            artifacts.get_place(conn, other, key, Scope.WRITE)
    with pytest.raises(NotFound):
        artifacts.root_of_run(conn, other, RUN)


def test_who_may_only_read_may_not_write(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    reader = Actor("reader", actor.project_id, {actor.project_id: Scope.READ})
    place = artifacts.get_place(conn, reader, f"0/{RUN}/artifacts/a")
    with pytest.raises(Forbidden):
        artifacts.get_place(conn, reader, place.key, Scope.WRITE)
    with pytest.raises(Forbidden):
        artifacts.record(conn, reader, place, 1, SHA)
    with pytest.raises(Forbidden):
        artifacts.forget(conn, reader, place)


@pytest.mark.parametrize(
    "location",
    ["mlflow-artifacts:/", "mlflow-artifacts:/0", "mlflow-artifacts:/0/models", f"mlflow-artifacts:/0/{RUN}/artifacts"],
)
def test_an_experiment_placed_over_anothers_gives_nothing_away(
    conn: Connection, actor: Actor, other: Actor, location: str
) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    add_experiment(conn, other, location, OTHER_RUN)
    for key in ("0", "0/models", "0/models/m", f"0/{RUN}/artifacts", f"0/{RUN}/artifacts/a"):
        assert artifacts.find_place(conn, other, key) is None
    mine = artifacts.get_place(conn, actor, f"0/{RUN}/artifacts/a")
    assert mine.run is not None
    assert mine.run.run_id == RUN


def test_the_topmost_place_is_in_nobodys_way(conn: Connection, actor: Actor, other: Actor) -> None:
    around = add_experiment(conn, other, "mlflow-artifacts:/")
    inside = add_experiment(conn, actor, "mlflow-artifacts:/0")
    assert artifacts.get_place(conn, actor, "0/models").experiment == inside
    assert artifacts.get_place(conn, other, "1").experiment == around


def test_a_run_inside_the_folder_of_a_run_has_its_own_files(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    add_experiment(conn, actor, f"mlflow-artifacts:/0/{RUN}/artifacts/nested", OTHER_RUN)
    for key, run_id in (
        (f"0/{RUN}/artifacts/nested/{OTHER_RUN}/artifacts/a", OTHER_RUN),
        (f"0/{RUN}/artifacts/a", RUN),
    ):
        run = artifacts.get_place(conn, actor, key).run
        assert run is not None
        assert (run.run_id, run.path) == (run_id, "a")


# Rows


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
            artifacts.record(conn, actor, artifacts.get_place(conn, actor, f"0/{run_id}/artifacts/{path}"), 1, SHA)
    return conn


def test_an_upload_is_recorded_and_the_next_one_replaces_it(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    place = artifacts.get_place(conn, actor, f"0/{RUN}/artifacts/model/model.pkl")
    artifacts.record(conn, actor, place, 5, SHA)
    before = conn.execute(select(t.artifacts)).one()
    assert (before.project_id, before.uri) == (actor.project_id, f"mlflow-artifacts:/0/{RUN}/artifacts/model/model.pkl")
    assert len(before.artifact_id) == 32
    artifacts.record(conn, actor, place, 7, "1" * 64)
    assert rows(conn) == [("model/model.pkl", "model", 7, "1" * 64)]
    assert conn.execute(select(t.artifacts.c.artifact_id)).scalar_one() == before.artifact_id


@pytest.mark.parametrize("key", ["0/models/m-1/artifacts/MLmodel", f"0/{RUN}/artifacts"])
def test_files_outside_of_runs_have_no_rows(conn: Connection, actor: Actor, key: str) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    artifacts.record(conn, actor, artifacts.get_place(conn, actor, key), 5, SHA)
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
    artifacts.forget(recorded, actor, artifacts.get_place(recorded, actor, key))
    assert [row[0] for row in rows(recorded)] == left
    assert len(recorded.execute(select(t.artifacts)).all()) == len(left)


def test_an_artifact_linked_to_another_run_outlives_its_file(recorded: Connection, actor: Actor) -> None:
    place = artifacts.get_place(recorded, actor, f"0/{RUN}/artifacts/a/b/c")
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
    artifacts.forget(recorded, actor, artifacts.get_place(recorded, actor, "0"))
    assert [row[0] for row in rows(recorded)] == [""]  # what was linked by hand has no path


def test_nobody_deletes_what_others_keep_further_down(conn: Connection, actor: Actor, other: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/team")
    add_experiment(conn, other, "mlflow-artifacts://example.org/team/b/c", RUN)
    with pytest.raises(Conflict):
        artifacts.forget(conn, actor, artifacts.get_place(conn, actor, "team"))
    artifacts.forget(conn, actor, artifacts.get_place(conn, actor, "team/a"))


def test_everything_at_once_is_not_deleted(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/")
    with pytest.raises(Invalid):
        artifacts.forget(conn, actor, artifacts.get_place(conn, actor, ""))


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
    assert artifacts.kind_of(path) == kind
    assert artifacts.content_type(path) == media


def test_each_kind_is_one_the_table_takes() -> None:
    (check,) = (c for c in t.artifacts.constraints if c.name == "ck_artifacts_artifact_type")
    for kind in {*artifacts.KINDS, "other"}:
        assert f"'{kind}'" in str(check.sqltext)  # type: ignore[attr-defined]
