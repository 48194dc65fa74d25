"""Versions of registered models: their numbers, stages and origins, and what logged models are told of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from native_api.core import (
    audit,
    clock,
    db,
    experiments,
    model_aliases,
    model_sources,
    model_versions,
    registered_models,
    runs,
)
from native_api.core import tables as t
from native_api.core.access import Actor
from native_api.core.errors import Invalid, NotFound
from native_api.core.model_versions import Origin
from native_api.core.runs import NewRun
from native_api.core.writer import Writer
from tests.conftest import fresh_postgres, make_actor
from tests.model_rows import add_model

S3 = Origin("s3://bucket/model", "s3://bucket/model")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a second later."""
    seconds = count(1_000, 1_000)
    monkeypatch.setattr(clock, "now", lambda: next(seconds))


@pytest.fixture
def iris(conn: Connection, actor: Actor) -> str:
    """The name of a registered model without versions."""
    return registered_models.create(conn, actor, actor.project_id, "iris").name


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["sqlite", "postgresql"])
def own_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """For what is to be committed."""
    if request.param == "sqlite":
        engine = db.create_writer(db.parse_url(f"sqlite:///{tmp_path / 'own.db'}"), 1)
    else:
        server = request.getfixturevalue("postgres_url")
        engine = db.create_writer(db.parse_url(fresh_postgres(server, "versions")), 2)
    t.metadata.create_all(engine)
    yield engine
    engine.dispose()


def numbers(conn: Connection, actor: Actor, name: str) -> list[tuple[int, str]]:
    """The latest versions and their stages."""
    model = registered_models.get(conn, actor, actor.project_id, name)
    latest = model_versions.latest(conn, [model]).get(model.registered_model_id, [])
    return [(version.version, version.stage) for version in latest]


# Numbers


def test_a_version_is_what_was_said_of_it(conn: Connection, actor: Actor, iris: str) -> None:
    before = registered_models.get(conn, actor, actor.project_id, iris)
    origin = Origin("s3://bucket/model", "s3://bucket/elsewhere", "a run", "m-1")
    made = model_versions.create(
        conn, actor, actor.project_id, iris, origin, description="first", run_link="https://run", tags={"a": "1"}
    )
    assert (made.name, made.version, made.description, made.run_link) == (iris, 1, "first", "https://run")
    assert (made.source, made.storage_uri) == ("s3://bucket/model", "s3://bucket/elsewhere")
    assert (made.run_id, made.model_id, made.stage, made.status) == ("a run", "m-1", "none", "ready")
    assert model_versions.get(conn, actor, actor.project_id, iris, 1) == made
    after = registered_models.get(conn, actor, actor.project_id, iris)
    assert after.updated_at == made.created_at > before.updated_at


def test_the_number_of_a_deleted_version_is_not_given_again(conn: Connection, actor: Actor, iris: str) -> None:
    p = actor.project_id
    made = [model_versions.create(conn, actor, p, iris, S3, tags={"a": "1"}).version for _ in range(3)]
    assert made == [1, 2, 3]
    before = registered_models.get(conn, actor, p, iris)
    for version in (3, 1):
        model_versions.delete(conn, actor, p, iris, version)
        with pytest.raises(NotFound):
            model_versions.get(conn, actor, p, iris, version)
    assert registered_models.get(conn, actor, p, iris).updated_at > before.updated_at
    assert model_versions.create(conn, actor, p, iris, S3).version == 4
    assert conn.scalars(select(t.model_version_tags.c.value)).all() == ["1"]


@pytest.mark.parametrize("version", [0, -1, 2, 2**31, 10**30])
def test_there_is_no_such_version(conn: Connection, actor: Actor, iris: str, version: int) -> None:
    model_versions.create(conn, actor, actor.project_id, iris, S3)
    with pytest.raises(NotFound):
        model_versions.get(conn, actor, actor.project_id, iris, version)
    with pytest.raises(NotFound):
        model_versions.delete(conn, actor, actor.project_id, iris, version)


@pytest.mark.anyio
async def test_versions_that_are_made_at_once_have_different_numbers(own_engine: Engine) -> None:
    """Also on PostgreSQL, where two connections write."""
    with audit.transaction(own_engine) as conn:
        actor = make_actor(conn, "one")
        registered_models.create(conn, actor, actor.project_id, "iris")
    writer = Writer(own_engine, threads=1 if own_engine.dialect.name == "sqlite" else 2)
    make = partial(model_versions.create, actor=actor, project_id=actor.project_id, name="iris", origin=S3)
    made = await asyncio.gather(*(writer.write(make) for _ in range(60)))
    await writer.close()
    assert sorted(version.version for version in made) == list(range(1, 61))
    with own_engine.connect() as conn:
        assert sorted(conn.scalars(select(t.model_versions.c.version))) == list(range(1, 61))


# Stages


def test_the_latest_version_of_each_stage(conn: Connection, actor: Actor, iris: str) -> None:
    p = actor.project_id
    assert numbers(conn, actor, iris) == []
    for _ in range(5):
        model_versions.create(conn, actor, p, iris, S3, tags={"a": "1"})
    assert numbers(conn, actor, iris) == [(5, "none")]
    for version, stage in ((1, "production"), (4, "production"), (2, "staging"), (5, "archived")):
        model_versions.move(conn, actor, p, iris, version, stage, archive_others=False)
    assert numbers(conn, actor, iris) == [(4, "production"), (2, "staging"), (3, "none"), (5, "archived")]
    model_versions.delete(conn, actor, p, iris, 4)
    assert numbers(conn, actor, iris) == [(1, "production"), (2, "staging"), (3, "none"), (5, "archived")]


def test_a_move_archives_the_others_only_if_asked(conn: Connection, actor: Actor, iris: str) -> None:
    p = actor.project_id
    for _ in range(4):
        model_versions.create(conn, actor, p, iris, S3)
    for version in (1, 2):
        model_versions.move(conn, actor, p, iris, version, "staging", archive_others=False)
    untouched = model_versions.get(conn, actor, p, iris, 4)
    before = registered_models.get(conn, actor, p, iris)
    moved = model_versions.move(conn, actor, p, iris, 3, "staging", archive_others=True)
    stages = [model_versions.get(conn, actor, p, iris, version).stage for version in (1, 2, 3, 4)]
    assert stages == ["archived", "archived", "staging", "none"]
    assert model_versions.get(conn, actor, p, iris, 1).updated_at == moved.updated_at
    assert registered_models.get(conn, actor, p, iris).updated_at == moved.updated_at > before.updated_at
    assert model_versions.get(conn, actor, p, iris, 4) == untouched
    again = model_versions.move(conn, actor, p, iris, 3, "staging", archive_others=True)
    assert (again.stage, again.updated_at > moved.updated_at) == ("staging", True)


@pytest.mark.parametrize("stage", ["none", "archived"])
def test_nothing_is_archived_for_a_stage_that_is_not_active(
    conn: Connection, actor: Actor, iris: str, stage: str
) -> None:
    made = model_versions.create(conn, actor, actor.project_id, iris, S3)
    with pytest.raises(Invalid):
        model_versions.move(conn, actor, actor.project_id, iris, 1, stage, archive_others=True)
    assert model_versions.get(conn, actor, actor.project_id, iris, 1) == made


def test_a_description_and_tags(conn: Connection, actor: Actor, iris: str) -> None:
    p = actor.project_id
    made = model_versions.create(conn, actor, p, iris, S3, description="first")
    before = registered_models.get(conn, actor, p, iris)
    changed = model_versions.change(conn, actor, p, iris, 1, {"description": None})
    assert (changed.description, changed.updated_at > made.updated_at) == (None, True)
    model_versions.put_tag(conn, actor, p, iris, 1, "a", "1")
    model_versions.put_tag(conn, actor, p, iris, 1, "a", "2")
    model_versions.put_tag(conn, actor, p, iris, 1, "b", "")
    model_versions.delete_tag(conn, actor, p, iris, 1, "never")
    model_versions.delete_tag(conn, actor, p, iris, 1, "b")
    found = model_versions.get(conn, actor, p, iris, 1)
    assert (found.tags, found.updated_at) == ({"a": "2"}, changed.updated_at)
    assert registered_models.get(conn, actor, p, iris) == before


# Where versions come from

RUN = "mlflow-artifacts:/{number}/{run}/artifacts"


class Place:
    """A run and a logged model in an experiment of the project, and what sources have for their names."""

    def __init__(self, conn: Connection, actor: Actor, name: str, location: str | None = None) -> None:
        self.conn, self.actor = conn, actor
        number = experiments.create(
            conn, actor, actor.project_id, name, artifact_root="mlflow-artifacts:/", artifact_location=location
        )
        run = runs.create(conn, actor, NewRun(number, run_name="r")).info
        self.model_id = f"m-{clock.new_id()}"
        root = run.artifact_uri.removesuffix(f"/{run.run_id}/artifacts")
        home = f"{root}/models/{self.model_id}/artifacts"
        add_model(conn, number, self.model_id, home, source_run_id=run.run_id)
        numbered = select(t.logged_models.c.id).where(t.logged_models.c.model_id == self.model_id)
        self.logged_model = conn.scalars(numbered).one()
        self.run_id = run.run_id
        self.names = {"R": run.artifact_uri, "M": home, "run": self.run_id, "model": self.model_id}

    def origin(self, source: str, run_id: str | None = None, model_id: str | None = None) -> Origin:
        given = [text if text is None else text.format_map(self.names) for text in (run_id, model_id)]
        source = source.format_map(self.names)
        project_id = self.actor.project_id
        return model_sources.find_origin(self.conn, self.actor, project_id, source, run_id=given[0], model_id=given[1])

    def told(self) -> list[Any] | None:
        c = t.logged_model_tags.c
        which = c.logged_model_id == self.logged_model, c.key == "mlflow.modelVersions"
        text = self.conn.scalars(select(c.value).where(*which)).one_or_none()
        return json.loads(text) if text else None


@pytest.fixture
def place(conn: Connection, actor: Actor) -> Place:
    return Place(conn, actor, "e")


@pytest.fixture
def local(conn: Connection, actor: Actor) -> Place:
    """Whose experiment keeps its artifacts in a folder."""
    return Place(conn, actor, "local", "/srv/models")


@pytest.mark.parametrize(
    ("source", "run_id", "model_id"),
    [
        ("{R}", "{run}", None),
        ("{R}/model", "{run}", None),
        ("{R}/a%20b/c", "{run}", None),
        ("{R}/ü\u00a0%C3%BC", "{run}", None),
        ("{M}", None, "{model}"),
        ("{M}/sub", "another", "{model}"),
        ("runs:/{run}/model", "{run}", None),
        ("models:/{model}", None, "{model}"),
        ("s3://bucket/model", None, None),
        ("s3://bucket//a///b/", "unknown run", None),
        ("gs://bucket/model", "", ""),
        ("https://host/elsewhere", None, None),
        ("dbfs:/model", None, None),
    ],
)
def test_a_source_that_is_of_what_is_named(place: Place, source: str, run_id: str | None, model_id: str | None) -> None:
    found = place.origin(source, run_id, model_id)
    assert found.source == source.format_map(place.names)
    assert found.storage_uri == (place.names["M"] if source == "models:/{model}" else found.source)
    if model_id:
        assert (found.logged_model, found.model_id) == (place.logged_model, place.model_id)
        assert found.run_id == (run_id or place.run_id)
    else:
        assert (found.logged_model, found.run_id) == (None, (run_id or "").format_map(place.names))


@pytest.mark.parametrize(
    ("source", "run_id", "model_id"),
    [
        ("{R}", None, None),
        ("{R}", "", None),
        ("{R}", "unknown", None),
        ("{R}", None, "{model}"),
        ("{R}x", "{run}", None),
        ("{R}/../../x", "{run}", None),
        ("{R}/%2e%2e/x", "{run}", None),
        ("{R}/%252e%252e/x", "{run}", None),
        ("{R}/..%2fx", "{run}", None),
        ("{R}/a%00b", "{run}", None),
        ("{R}/a\\b", "{run}", None),
        ("{R}/a%5cb", "{run}", None),
        ("{R}/./x", "{run}", None),
        ("{R}/\n../x", "{run}", None),
        ("{R}/%" + "25" * 20, "{run}", None),
        ("mlflow-artifacts:/", "{run}", None),
        ("mlflow-artifacts://host:5000/{run}/artifacts", "{run}", None),
        ("http://host/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/x", "{run}", None),
        ("HTTPS://host/p/api/2.0/mlflow%2dartifacts/artifacts/x", "{run}", None),
        ("http://host/ajax-api/2.0/mlflow-artifacts/artifacts/x", "{run}", None),
        ("", None, None),
        ("MLFLOW-ARTIFACTS:/x", "{run}", None),
        ("{M}", "{run}", None),
        ("{M}x", None, "{model}"),
        ("/srv/models/x", "{run}", None),
        ("file:///etc/passwd", "{run}", None),
        ("file://host/srv/models/x", "{run}", None),
        ("/etc/passwd", None, "{model}"),
        ("relative/path", "{run}", None),
        ("dummy-source", None, None),
        ("//host/path", "{run}", None),
        ("runs:/{run}/model", None, None),
        ("runs:/{run}/model", "other", None),
        ("runs:/other/model", "other", None),
        ("runs:/other/model", "{run}", None),
        ("runs://host/{run}/model", "{run}", None),
        ("runs:%2F{run}", "{run}", None),
        ("runs:/{run}/model", "{run}", "{model}"),
        ("models:/{model}", None, None),
        ("models:/{model}", "{run}", None),
        ("models:/m-other", None, "{model}"),
        ("models://host/{model}", None, "{model}"),
        ("models:/iris/1/x", None, None),
        ("models:/iris/nonsense", None, None),
        ("models:/iris@", None, None),
        ("models:/", None, None),
        ("s3://bucket", None, None),
        ("s3:bucket/x", None, None),
        ("s3://bucket/../x", None, None),
        ("s3://[bucket/x", None, None),
    ],
)
def test_a_source_that_is_not(place: Place, iris: str, source: str, run_id: str | None, model_id: str | None) -> None:
    with pytest.raises(Invalid, match="source"):
        place.origin(source, run_id, model_id)


def test_a_folder_is_taken_only_below_that_of_the_run_or_the_model(local: Place) -> None:
    taken = (("{R}/m", "{run}", None), ("file://{R}", "{run}", None), ("{M}", "", "{model}"))
    refused = (
        *(("{R}/m", None, None), ("{R}x", "{run}", None), ("/srv/models", "{run}", None)),
        *(("{R}/../..", "{run}", None), ("/", "{run}", None), ("{R}", None, "{model}")),
    )
    for source, run_id, model_id in taken:
        assert local.origin(source, run_id, model_id).storage_uri == source.format_map(local.names)
    for source, own_run, own_model in refused:
        with pytest.raises(Invalid):
            local.origin(source, own_run, own_model)


def test_what_is_of_another_project_is_not_there(conn: Connection, place: Place) -> None:
    stranger = make_actor(conn, "two")
    registered_models.create(conn, place.actor, place.actor.project_id, "iris")
    model_versions.create(conn, place.actor, place.actor.project_id, "iris", S3)
    theirs = Place(conn, stranger, "e")
    theirs.names = place.names
    for source in ("{R}/model", "runs:/{run}/model", "{M}"):
        with pytest.raises(Invalid):
            theirs.origin(source, "{run}", "{model}" if source == "{M}" else None)
    for source, model_id in (("s3://b/m", "{model}"), ("models:/{model}", "{model}"), ("models:/iris/1", None)):
        with pytest.raises(NotFound):
            theirs.origin(source, None, model_id)


def test_a_copy_comes_from_where_its_version_came_from(place: Place, iris: str) -> None:
    conn, actor, p = place.conn, place.actor, place.actor.project_id
    first = place.origin("models:/{model}", None, "{model}")
    model_versions.create(conn, actor, p, iris, first)
    model_versions.create(conn, actor, p, iris, S3)
    model_versions.move(conn, actor, p, iris, 1, "production", archive_others=False)
    model_aliases.put(conn, actor, p, iris, "best", 1)
    for which in ("/1", "/Production", "@best"):
        found = place.origin(f"models:/iris{which}")
        assert (found.source, found.storage_uri) == ("models:/iris/1", place.names["M"])
        assert (found.run_id, found.model_id, found.logged_model) == (place.run_id, place.model_id, None)
    assert place.origin("models:/iris/1", "{run}", "{model}").storage_uri == place.names["M"]
    for which in ("/latest", "@latest", "/2", "/None"):
        assert place.origin(f"models:/iris{which}", "", "") == Origin("models:/iris/2", "s3://bucket/model")
    for run_id, model_id in (("other", None), ("", None), (None, "m-other")):
        with pytest.raises(Invalid, match="must match"):
            place.origin("models:/iris/1", run_id, model_id)
    for missing in ("/3", "/99999999999", "/Staging", "@none"):
        with pytest.raises(NotFound):
            place.origin(f"models:/iris{missing}")


def test_a_prompt_has_a_placeholder_for_its_source_and_is_none(place: Place) -> None:
    conn, actor, p = place.conn, place.actor, place.actor.project_id
    registered_models.create(conn, actor, p, "hello", tags={"mlflow.prompt.is_prompt": "True"})
    made = model_versions.create(conn, actor, p, "hello", model_sources.prompt_origin("dummy-source", "r"))
    assert (made.source, made.storage_uri, made.run_id) == ("dummy-source", "dummy-source", "r")
    with pytest.raises(Invalid, match="placeholder"):
        model_sources.prompt_origin("s3://bucket/x")
    with pytest.raises(Invalid, match="prompts"):
        place.origin("models:/hello/1")


def test_a_logged_model_is_told_of_its_versions(place: Place, iris: str) -> None:
    conn, actor, p = place.conn, place.actor, place.actor.project_id
    origin = place.origin("models:/{model}", None, "{model}")
    assert place.told() is None
    for version in (1, 2):
        model_versions.create(conn, actor, p, iris, origin)
        assert place.told() == [{"name": iris, "version": str(n)} for n in range(1, version + 1)]
    model_versions.create(conn, actor, p, iris, place.origin("models:/iris/1"))
    assert len(place.told() or "") == 2
    conn.execute(t.logged_model_tags.update().values(value="no JSON"))
    model_versions.create(conn, actor, p, iris, origin)
    assert place.told() == [{"name": iris, "version": "4"}]


def test_a_deleted_logged_model_is_none(place: Place) -> None:
    place.conn.execute(t.logged_models.update().values(deleted_at=1))
    with pytest.raises(NotFound):
        place.origin("models:/{model}", None, "{model}")
