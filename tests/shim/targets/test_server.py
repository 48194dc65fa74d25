"""This server as a target: it speaks as MLflow does, and is read back as a source."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from dataclasses import dataclass, field

import anyio.to_thread
import httpx
import pytest
from msgspec.structs import replace

from native_api.core.errors import Unavailable
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import AnyPoint, Name
from native_api.transfer.records import Experiment, LoggedModel, RegisteredModel, Run
from shim.sources import connection
from shim.sources.server import Server
from shim.targets import server
from shim.targets.server import EXPORTED, MODEL_ID, RUN_ID, VERSION, to_server
from shim.targets.words import Exported
from tests.native_api.transfer.memory import FIRST, GONE, LOSS, MODEL, SECOND, Memory, make

URL = "http://localhost:5000"

pytestmark = pytest.mark.anyio

_numbers = itertools.count()


@pytest.fixture
def given() -> Memory:
    """A source whose names no other test has used, in a bucket, in which a run has another as its parent."""
    number = next(_numbers)
    made = make()
    # MLflow's rule: a model's point is one of its run as well.
    made.has_model_points = [(FIRST, [ModelPoint(MODEL, LOSS, 1, 101, 0.5, 0, "petals", "d1")])]
    made.has_runs = [replace(one, artifact_uri=f"s3://bucket{one.artifact_uri}") for one in made.has_runs]
    made.has_files = {f"s3://bucket{root}": files for root, files in made.has_files.items()}
    (registered,) = made.has_registered
    source = f"s3://bucket{registered.versions[0].source}"
    versions = [replace(registered.versions[0], source=source, storage_uri=source)]
    made.has_registered = [replace(registered, name=f"{registered.name} {number}", versions=versions)]
    made.has_experiments = [replace(one, name=f"{one.name} {number}") for one in made.has_experiments]
    made.has_runs[0] = replace(made.has_runs[0], tags={**made.has_runs[0].tags, "mlflow.parentRunId": SECOND})
    return made


@dataclass
class Target:
    """The application for a client that is not asynchronous; it keeps what was changed, and may refuse."""

    http: httpx.AsyncClient
    changes: list[str] = field(default_factory=list)
    fails_at: str = ""

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        if self.fails_at and self.fails_at in path:
            return httpx.Response(503)
        if request.method != "GET" and not path.endswith("search"):
            self.changes.append(path)
        asked = self.http.request(request.method, path, content=request.read(), headers=[*request.headers.items()])
        answer = asyncio.run_coroutine_threadsafe(asked, self.loop).result(30)
        return httpx.Response(answer.status_code, content=answer.content)

    async def export(self, source: Memory, *, with_files: bool = False) -> Exported:
        files = source if with_files else None
        transport = httpx.MockTransport(self.handle)
        return await anyio.to_thread.run_sync(to_server, source, files, URL, lambda noun, more: None, transport)

    async def read(self, given: Memory) -> There:
        transport = httpx.MockTransport(self.handle)
        return await anyio.to_thread.run_sync(lambda: There(Server(URL, transport=transport), given))


@pytest.fixture
async def target(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> Target:
    for name in ("PAGE", "MODELS", "VERSIONS", "METRICS"):
        monkeypatch.setattr(server, name, 2)
    monkeypatch.setattr(connection, "WAITS", (0,))
    return Target(http)


class There:
    """What the server has of a source, by the ids and names of that."""

    def __init__(self, source: Server, given: Memory) -> None:
        names = {one.name for one in given.has_experiments}
        self.experiments: dict[str, Experiment] = {e.name: e for e in source.experiments() if e.name in names}
        keys = {one.key for one in self.experiments.values()}
        self.runs: dict[str, Run] = {}
        self.points: dict[str, dict[Name, list[AnyPoint]]] = defaultdict(lambda: defaultdict(list))
        for some in source.runs():
            mine = [run for run in some if run.experiment in keys]
            ours = {run.run_id: run.tags[RUN_ID] for run in mine}
            self.runs.update((run.tags[RUN_ID], run) for run in mine)
            for part in source.points(mine):
                for run_id, pieces in part:
                    for name, history in pieces.items():
                        self.points[ours[run_id]][name] += history
        models = [model for some in source.logged_models() for model in some if model.experiment in keys]
        self.models: dict[str, LoggedModel] = {model.tags[MODEL_ID]: model for model in models}
        self.model_points = [point for some in source.model_points(models) for _, of in some for point in of]
        wanted = {one.name for one in given.has_registered}
        self.registered: list[RegisteredModel] = [one for one in source.registered_models() if one.name in wanted]
        source.close()


def without(tags: dict[str, str], *names: str) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in names}


async def test_all_is_sent(target: Target, given: Memory) -> None:
    done = await target.export(given)
    assert done.problems == []
    assert done.counts == {
        **{"experiments": 2, "runs": 3, "points": 15, "logged models": 1},
        **{"registered models": 1, "model versions": 1},
    }
    there = await target.read(given)
    assert {(e.name, e.objective, e.tags["team"], e.deleted_at is None) for e in there.experiments.values()} == {
        (e.name, e.objective, "blue", e.deleted_at is None) for e in given.has_experiments
    }
    same = ("run_name", "status", "started_at", "finished_at", "user_name", "git_commit", "notes", "params", "inputs")
    for run in given.has_runs:
        sent = there.runs[run.run_id]
        assert [getattr(sent, name) for name in same] == [getattr(run, name) for name in same]
        assert (sent.deleted_at is None) == (run.deleted_at is None)
        assert without(sent.tags, RUN_ID, EXPORTED, "mlflow.parentRunId") == without(run.tags, "mlflow.parentRunId")
    assert there.runs[FIRST].tags["mlflow.parentRunId"] == there.runs[SECOND].run_id
    assert {key: {name: sorted(some) for name, some in by.items()} for key, by in there.points.items()} == {
        key: {name: sorted(some) for name, some in by.items()} for key, by in given.has_points.items()
    }
    model = there.models[MODEL]
    assert (model.name, model.model_type, model.status, model.params) == ("net", "Agent", "ready", {"depth": "3"})
    assert model.source_run_id == there.runs[FIRST].run_id
    assert [(one.direction, one.model_id, one.step) for one in there.runs[FIRST].models] == [
        ("output", model.model_id, 3)
    ]
    assert [point[1:] for point in there.model_points] == [given.has_model_points[0][1][0][1:]]
    (registered,) = there.registered
    assert (registered.description, registered.tags, registered.aliases) == ("finds", {"owner": "ada"}, {"champion": 3})
    (version,) = registered.versions  # of which 1 and 2 were deleted, there as here
    assert version.version == 3
    assert (version.description, version.stage, version.source) == (
        "third",
        "production",
        f"s3://bucket/old/7/{FIRST}/artifacts/model",
    )
    assert version.run_id == there.runs[FIRST].run_id
    assert without(version.tags, VERSION) == {"ok": "yes"}


async def test_a_second_export_changes_nothing(target: Target, given: Memory) -> None:
    await target.export(given, with_files=True)
    assert target.changes
    target.changes.clear()
    done = await target.export(given, with_files=True)
    assert target.changes == []
    assert done.counts == {}


async def test_what_was_added_is_sent_later(target: Target, given: Memory) -> None:
    await target.export(given)
    given.has_points[SECOND][LOSS].append((1, 2, 3.0, 0, 0))
    given.has_points[GONE] = {LOSS: [(0, 1, 4.0, 0, 0)]}
    done = await target.export(given)
    assert done.counts == {"runs": 2, "points": 3}
    there = await target.read(given)
    assert len(there.runs) == 3
    assert there.points[SECOND] == {LOSS: [(0, 1, 2.0, 0, 0), (1, 2, 3.0, 0, 0)]}
    assert there.points[GONE] == {LOSS: [(0, 1, 4.0, 0, 0)]}
    assert there.runs[GONE].deleted_at is not None


@pytest.mark.parametrize(
    "where",
    ["runs/create", "log-batch", "runs/outputs", "runs/set-tag", "model-versions/create", "model-versions/delete"],
)
async def test_an_export_that_was_broken_off_is_gone_on_with(target: Target, given: Memory, where: str) -> None:
    target.fails_at = where
    with pytest.raises(Unavailable):
        await target.export(given)
    target.fails_at = ""
    await target.export(given)
    there = await target.read(given)
    assert there.runs.keys() == {FIRST, SECOND, GONE}
    assert {run_id: sum(map(len, by.values())) for run_id, by in there.points.items()} == {FIRST: 14, SECOND: 1}
    assert len(there.registered[0].versions) == 1


async def test_files_are_sent_along(target: Target, given: Memory, http: httpx.AsyncClient) -> None:
    done = await target.export(given, with_files=True)
    assert done.counts["files"] == 2
    there = await target.read(given)
    root = there.runs[FIRST].artifact_uri.removeprefix("mlflow-artifacts:/")
    for path, content in (("model/weights.bin", b"w"), ("käse.txt", b"text")):
        answer = await http.get(f"/api/2.0/mlflow-artifacts/artifacts/{root}/{path}")
        assert answer.content == content
    assert there.registered[0].versions[0].source == f"{there.runs[FIRST].artifact_uri}/model"


async def test_a_gap_that_is_too_wide_is_told(target: Target, given: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "GAP", 1)
    name = given.has_registered[0].name
    done = await target.export(given)
    assert done.problems == [f"version 3 of {name!r}: its number there is 1"]
    there = await target.read(given)
    assert there.registered[0].aliases == {"champion": 1}


async def test_what_is_refused_is_told_and_the_rest_is_sent(target: Target, given: Memory) -> None:
    given.has_runs[1] = replace(given.has_runs[1], params={"bad\x00key": "1"})
    done = await target.export(given)
    assert [problem for problem in done.problems if problem.startswith(f"run {SECOND}: ")]
    assert done.counts["runs"] == 2
    assert (await target.read(given)).runs[FIRST].status == "finished"


async def test_a_server_without_logged_models_gets_the_rest(target: Target, given: Memory) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404) if "logged-models" in request.url.path else target.handle(request)

    (registered,) = given.has_registered
    of_model = replace(registered.versions[0], version=4, source=f"models:/{MODEL}")
    given.has_registered = [replace(registered, versions=[*registered.versions, of_model])]
    transport = httpx.MockTransport(refuse)
    done = await anyio.to_thread.run_sync(to_server, given, None, URL, lambda noun, more: None, transport)
    assert "a server of MLflow 2 has none" in done.left_out[0]
    assert done.left_out[1:] == [f"version 4 of {registered.name!r}: it is of a logged model, so it is left out"]
    assert done.problems == []
    assert done.counts["runs"] == 3
