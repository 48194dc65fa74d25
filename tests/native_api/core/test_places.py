"""A key belongs to who owns the experiment or run it is below."""

from __future__ import annotations

from itertools import count

import pytest
from sqlalchemy import Connection, select

from native_api.core import experiments, places
from native_api.core import tables as t
from native_api.core.access import Actor, Scope
from native_api.core.errors import Forbidden, Invalid, NotFound
from native_api.core.places import InRun, Known, Place, Root
from tests.conftest import make_actor
from tests.model_rows import add_model, add_registered, add_version

RUN, OTHER_RUN = "a" * 32, "b" * 32
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
    assert places.proxied_key(location) == key
    for inside in (f"{below}models/m-1/artifacts/MLmodel", f"{below}traces"):
        assert places.find_place(conn, actor, inside) == Place(inside, experiment, actor.project_id, None)
    place = places.get_place(conn, actor, f"{below}{RUN}/artifacts/plots/a.png", Scope.WRITE)
    assert place.experiment == experiment
    assert place.run == InRun(number_of(conn, RUN), RUN, f"{location.rstrip('/')}/{RUN}/artifacts", "plots/a.png")


@pytest.mark.parametrize(
    "uri", ["/data/0", "file:///data/0", "s3://bucket/0", "mlflow-artifacts:/a/../b", "runs:/0", ""]
)
def test_other_locations_are_not_on_the_proxy(conn: Connection, actor: Actor, uri: str) -> None:
    assert places.proxied_key(uri) is None
    add_experiment(conn, actor, uri, RUN)
    assert places.find_place(conn, actor, "data/0") is None
    assert places.find_place(conn, actor, f"data/0/{RUN}/artifacts/a") is None


@pytest.mark.parametrize(("below", "path"), [("", ""), ("/artifacts", ""), ("/artifacts/a/b", "a/b")])
def test_a_place_knows_its_path_in_the_run(conn: Connection, actor: Actor, below: str, path: str) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    run = places.get_place(conn, actor, f"0/{RUN}{below}").run
    assert run is not None
    assert (run.run_id, run.path) == (RUN, path)


@pytest.mark.parametrize(
    "key", [f"0/{RUN}/artifactsx", f"0/{RUN}/else/a", f"0/x/{RUN}/artifacts/a", f"0/{OTHER_RUN}/artifacts"]
)
def test_what_only_looks_like_a_run_is_the_experiments(conn: Connection, actor: Actor, key: str) -> None:
    experiment = add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    assert places.get_place(conn, actor, key) == Place(key, experiment, actor.project_id, None)


def test_the_experiment_furthest_down_owns_a_key(conn: Connection, actor: Actor) -> None:
    top = add_experiment(conn, actor, "mlflow-artifacts:/")
    middle = add_experiment(conn, actor, "mlflow-artifacts:/a")
    bottom = add_experiment(conn, actor, "mlflow-artifacts:/a/b")
    found = [places.get_place(conn, actor, key).experiment for key in ("", "b", "a", "a/bc", "ab", "a/b", "a/b/c")]
    assert found == [top, top, middle, middle, top, bottom, bottom]


def test_a_key_of_nobody_is_not_found(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/a", RUN)
    for key in ("", "b", "ab", "A", RUN, f"{RUN}/artifacts/x"):
        assert places.find_place(conn, actor, key) is None
        with pytest.raises(NotFound):
            places.get_place(conn, actor, key)


def test_what_is_deleted_keeps_its_place(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    for table in (t.experiments, t.runs):
        conn.execute(table.update().values(deleted_at=2))
    place = places.get_place(conn, actor, f"0/{RUN}/artifacts/a")
    assert place.run is not None
    assert places.root_of_run(conn, actor, RUN) == Root(f"mlflow-artifacts:/0/{RUN}/artifacts", f"0/{RUN}/artifacts")


def test_the_root_of_a_run_may_be_elsewhere(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "s3://bucket/0", RUN)
    assert places.root_of_run(conn, actor, RUN) == Root(f"s3://bucket/0/{RUN}/artifacts", None)
    with pytest.raises(NotFound, match="No run"):
        places.root_of_run(conn, actor, OTHER_RUN)


# Tenants


def test_what_is_out_of_view_does_not_exist(conn: Connection, actor: Actor, other: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    for key in ("0", "0/models/m", f"0/{RUN}", f"0/{RUN}/artifacts/a"):
        assert places.find_place(conn, other, key) is None
        with pytest.raises(NotFound):
            places.get_place(conn, other, key, Scope.WRITE)
    with pytest.raises(NotFound):
        places.root_of_run(conn, other, RUN)


def test_who_may_only_read_has_no_place_to_write(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    reader = Actor("reader", actor.project_id, {actor.project_id: Scope.READ})
    place = places.get_place(conn, reader, f"0/{RUN}/artifacts/a")
    with pytest.raises(Forbidden):
        places.get_place(conn, reader, place.key, Scope.WRITE)


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
        assert places.find_place(conn, other, key) is None
    mine = places.get_place(conn, actor, f"0/{RUN}/artifacts/a")
    assert mine.run is not None
    assert mine.run.run_id == RUN


def test_the_topmost_place_is_in_nobodys_way(conn: Connection, actor: Actor, other: Actor) -> None:
    around = add_experiment(conn, other, "mlflow-artifacts:/")
    inside = add_experiment(conn, actor, "mlflow-artifacts:/0")
    assert places.get_place(conn, actor, "0/models").experiment == inside
    assert places.get_place(conn, other, "1").experiment == around


def test_a_run_inside_the_folder_of_a_run_has_its_own_files(conn: Connection, actor: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    add_experiment(conn, actor, f"mlflow-artifacts:/0/{RUN}/artifacts/nested", OTHER_RUN)
    for key, run_id in (
        (f"0/{RUN}/artifacts/nested/{OTHER_RUN}/artifacts/a", OTHER_RUN),
        (f"0/{RUN}/artifacts/a", RUN),
    ):
        run = places.get_place(conn, actor, key).run
        assert run is not None
        assert (run.run_id, run.path) == (run_id, "a")


# Where new experiments may be placed


@pytest.mark.parametrize(
    "theirs", ["mlflow-artifacts:/a/b", "mlflow-artifacts://example.org/a/b", "mlflow-artifacts:/a//%62"]
)
@pytest.mark.parametrize(
    "location",
    [
        "mlflow-artifacts:/a/b",
        "mlflow-artifacts:/a/b/",
        "mlflow-artifacts:/a/%62",
        "mlflow-artifacts://example.org:5000/a/b",
        "mlflow-artifacts:/a/b/c/d",
        "mlflow-artifacts:/a",
        "mlflow-artifacts:/",
        "mlflow-artifacts:",
    ],
)
def test_no_experiment_may_be_placed_inside_or_around_anothers(
    conn: Connection, actor: Actor, other: Actor, theirs: str, location: str
) -> None:
    add_experiment(conn, other, theirs)
    with pytest.raises(Invalid) as refused:
        places.refuse_foreign_location(conn, actor, location)
    assert theirs not in refused.value.message
    with pytest.raises(Invalid):
        experiments.create(
            conn, actor, actor.project_id, "e", artifact_root="mlflow-artifacts:/", artifact_location=location
        )


@pytest.mark.parametrize(
    "location",
    [
        "mlflow-artifacts:/a/bc",
        "mlflow-artifacts:/A",
        "mlflow-artifacts:/c/a/b",
        "s3://a/b",
        "/a/b",
        "mlflow-artifacts:/a/../a/b",
    ],
)
def test_an_experiment_may_be_placed_beside_anothers(
    conn: Connection, actor: Actor, other: Actor, location: str
) -> None:
    add_experiment(conn, other, "mlflow-artifacts:/a/b")
    add_experiment(conn, other, "s3://a/b")
    places.refuse_foreign_location(conn, actor, location)


def test_one_may_place_experiments_inside_and_around_ones_own(conn: Connection, actor: Actor, other: Actor) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/a/b")
    add_experiment(conn, other, "s3://bucket")
    for location in ("mlflow-artifacts:/a/b/c", "mlflow-artifacts:/a/b", "mlflow-artifacts:/"):
        places.refuse_foreign_location(conn, actor, location)


def test_a_place_of_ones_own_is_refused_below_the_topmost_of_another(
    conn: Connection, actor: Actor, other: Actor
) -> None:
    add_experiment(conn, other, "mlflow-artifacts:/")
    with pytest.raises(Invalid):
        places.refuse_foreign_location(conn, actor, "mlflow-artifacts:/a")
    made = experiments.create(conn, actor, actor.project_id, "e", artifact_root="mlflow-artifacts:/")
    assert places.get_place(conn, actor, f"{made}/models").experiment == made


# What is known without asking


@pytest.mark.parametrize(
    "key", [f"0/{RUN}/artifacts/a", f"0/{RUN}/artifacts", f"0/{RUN}", f"0/{RUN}/artifacts/in/{OTHER_RUN}/artifacts/b"]
)
def test_what_was_found_once_is_known(conn: Connection, actor: Actor, key: str) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    add_experiment(conn, actor, f"mlflow-artifacts:/0/{RUN}/artifacts/in", OTHER_RUN)
    known = Known()
    for run_id in (RUN, OTHER_RUN):
        assert known.get_place(actor, key) is None or run_id == OTHER_RUN not in key
        known.note(places.get_place(conn, actor, places.root_of_run(conn, actor, run_id).key or ""))
    assert known.get_place(actor, key) == places.get_place(conn, actor, key)


@pytest.mark.parametrize("key", ["0/a", f"0/{OTHER_RUN}/artifacts/a", f"0/{RUN}/else", f"0/{RUN}/artifacts/{'c' * 32}"])
def test_what_may_be_of_others_has_to_be_asked_for(conn: Connection, actor: Actor, key: str) -> None:
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    known = Known()
    known.note(places.get_place(conn, actor, f"0/{RUN}/artifacts/a"))
    known.note(places.get_place(conn, actor, "0/a"))
    assert known.get_place(actor, key) is None


def test_a_known_place_is_looked_at_by_who_asks(conn: Connection, actor: Actor, other: Actor) -> None:
    key = f"0/{RUN}/artifacts/a"
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    known = Known()
    known.note(places.get_place(conn, actor, key))
    reader = Actor(actor.user_id, actor.project_id, {actor.project_id: Scope.READ}, Scope.READ)
    assert known.get_place(reader, key)
    with pytest.raises(Forbidden):
        known.get_place(reader, key, Scope.WRITE)
    with pytest.raises(NotFound):
        known.get_place(other, key)


def test_only_so_many_runs_are_known(conn: Connection, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_KNOWN", 1)
    add_experiment(conn, actor, "mlflow-artifacts:/0", RUN, OTHER_RUN)
    known = Known()
    for run_id in (RUN, OTHER_RUN):
        known.note(places.get_place(conn, actor, f"0/{run_id}/artifacts/a"))
    assert known.get_place(actor, f"0/{RUN}/artifacts/a") is None
    assert known.get_place(actor, f"0/{OTHER_RUN}/artifacts/a")


# Logged models and model versions

MODEL = f"m-{'d' * 32}"
MODEL_HOME = f"0/models/{MODEL}/artifacts"


def test_what_is_below_a_logged_model_is_its_experiments(conn: Connection, actor: Actor) -> None:
    number = add_experiment(conn, actor, "mlflow-artifacts:/0", RUN)
    add_model(conn, number, MODEL, f"mlflow-artifacts:/{MODEL_HOME}")
    known = Known()
    for key in (f"{MODEL_HOME}/MLmodel", MODEL_HOME, f"0/models/{MODEL}"):
        place = places.get_place(conn, actor, key, Scope.WRITE)
        assert place == Place(key, number, actor.project_id, None)
        assert known.get_place(actor, key) is None
    known.note(places.get_place(conn, actor, f"{MODEL_HOME}/MLmodel"))
    assert known.get_place(actor, f"{MODEL_HOME}/data/x", Scope.WRITE) == Place(
        f"{MODEL_HOME}/data/x", number, actor.project_id, None
    )
    assert known.get_place(actor, f"1/models/{MODEL}/artifacts/x") is None


def test_who_asks_for_a_model_must_see_its_project_and_write_to_change_it(
    conn: Connection, actor: Actor, other: Actor
) -> None:
    add_model(conn, add_experiment(conn, actor, "mlflow-artifacts:/0"), MODEL, f"mlflow-artifacts:/{MODEL_HOME}")
    known = Known()
    known.note(places.get_place(conn, actor, f"{MODEL_HOME}/a"))
    reader = Actor(actor.user_id, actor.project_id, {actor.project_id: Scope.READ}, Scope.READ)
    key = f"{MODEL_HOME}/a"
    for problem, who in ((Forbidden, reader), (NotFound, other)):
        with pytest.raises(problem):
            places.get_place(conn, who, key, Scope.WRITE)
        with pytest.raises(problem):
            known.get_place(who, key, Scope.WRITE)
    with pytest.raises(NotFound):
        places.root_of_model(conn, other, MODEL)
    assert places.root_of_model(conn, reader, MODEL) == Root(f"mlflow-artifacts:/{MODEL_HOME}", MODEL_HOME)


def test_a_deleted_model_has_a_place_and_no_root(conn: Connection, actor: Actor) -> None:
    """As in MLflow files of what is deleted are still there; but the model is not, to who asks for it by its id."""
    number = add_experiment(conn, actor, "mlflow-artifacts:/0")
    add_model(conn, number, MODEL, f"mlflow-artifacts:/{MODEL_HOME}", deleted_at=1)
    assert places.get_place(conn, actor, f"{MODEL_HOME}/a").experiment == number
    with pytest.raises(NotFound):
        places.root_of_model(conn, actor, MODEL)


def test_a_model_elsewhere_has_no_key(conn: Connection, actor: Actor) -> None:
    add_model(conn, add_experiment(conn, actor, "s3://bucket/0"), MODEL, "s3://bucket/0/m")
    assert places.root_of_model(conn, actor, MODEL) == Root("s3://bucket/0/m", None)


def test_a_versions_root_is_where_its_files_are(conn: Connection, actor: Actor, other: Actor) -> None:
    add_model(conn, add_experiment(conn, actor, "mlflow-artifacts:/0"), MODEL, f"mlflow-artifacts:/{MODEL_HOME}")
    add_experiment(conn, other, "mlflow-artifacts:/1")
    add_registered(conn, "e" * 32, actor.project_id, "r")
    kept = [
        f"mlflow-artifacts:/{MODEL_HOME}",
        "s3://b/x",
        "mlflow-artifacts:/1/secret",
        f"runs:/{'0' * 32}/model",
    ]
    for version, uri in enumerate(kept, 1):
        add_version(conn, "e" * 32, actor.project_id, version, uri)
    of_model = Root(f"mlflow-artifacts:/{MODEL_HOME}", MODEL_HOME)
    roots = [places.root_of_version(conn, actor, "r", version) for version in (1, 2)]
    assert roots == [of_model, Root("s3://b/x", None)]
    for who, name, version in ((actor, "r", 3), (actor, "r", 4), (actor, "r", 5), (actor, "q", 1), (other, "r", 1)):
        with pytest.raises(NotFound):
            places.root_of_version(conn, who, name, version)
