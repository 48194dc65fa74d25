"""A source that is a few lists, which a test may change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from native_api.core.datasets import NewInput
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import AnyPoint, MetricScope, Name
from native_api.transfer.records import (
    Counts,
    Experiment,
    File,
    LoggedModel,
    ModelPoints,
    RegisteredModel,
    Run,
    RunModel,
    RunPoints,
    Version,
)

INF = float("inf")
LOSS, ACCURACY = Name(MetricScope.NONE, "loss"), Name(MetricScope.VAL, "accuracy")
FIRST, SECOND, GONE = "1" * 32, "2" * 32, "3" * 32
MODEL = "m-" + "4" * 32


def experiment(key: str, name: str, number: int | None = None, deleted_at: int | None = None) -> Experiment:
    return Experiment(key, number, name, f"about {name}", f"/old/{key}", 1_000, 2_000, deleted_at, {"team": "blue"})


def run(run_id: str, experiment_key: str = "7", status: str = "finished", deleted_at: int | None = None) -> Run:
    return Run(
        run_id=run_id,
        experiment=experiment_key,
        run_name=f"run {run_id[0]}",
        status=status,
        started_at=10_000,
        finished_at=20_000,
        user_name="ada",
        git_commit="abc",
        notes="a note",
        artifact_uri=f"/old/{experiment_key}/{run_id}/artifacts",
        created_at=10_000,
        deleted_at=deleted_at,
        params={"lr": "0.1", "long": "ü" * 3_000},
        tags={"mlflow.user": "ada", "mlflow.source.name": "train.py"},
        inputs=[NewInput("petals", "d1", "local", "/petals.csv", "{}", "{}", context="training", tags={"a": "b"})],
        models=[RunModel("output", MODEL, 3)],
        points="",
    )


@dataclass
class Memory:
    """A `Source`, and a `Files`, of what it is given."""

    location: str = "memory"
    has_experiments: list[Experiment] = field(default_factory=list)
    has_runs: list[Run] = field(default_factory=list)
    has_points: dict[str, dict[Name, list[AnyPoint]]] = field(default_factory=dict)
    has_logged: list[LoggedModel] = field(default_factory=list)
    has_model_points: list[ModelPoints] = field(default_factory=list)
    has_registered: list[RegisteredModel] = field(default_factory=list)
    has_files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    fails_after: int | None = None
    """After so many pieces of points the import is killed."""

    def counts(self) -> Counts:
        points = sum(len(some) for by_name in self.has_points.values() for some in by_name.values())
        versions = sum(len(model.versions) for model in self.has_registered)
        points_and_models = points, len(self.has_logged), len(self.has_registered), versions
        return Counts(len(self.has_experiments), len(self.has_runs), *points_and_models)

    def experiments(self) -> Sequence[Experiment]:
        return self.has_experiments

    def runs(self) -> Iterator[Sequence[Run]]:
        for start in range(0, len(self.has_runs), 2):
            yield [self._with_version(one) for one in self.has_runs[start : start + 2]]

    def _with_version(self, one: Run) -> Run:
        count = sum(map(len, self.has_points.get(one.run_id, {}).values()))
        return Run(
            **{name: getattr(one, name) for name in one.__struct_fields__ if name != "points"}, points=str(count)
        )

    def points(self, runs: Sequence[Run]) -> Iterator[Sequence[RunPoints]]:
        for one in runs:
            for name, history in self.has_points.get(one.run_id, {}).items():
                for start in range(0, len(history), 3):
                    if self.fails_after is not None:
                        self.fails_after -= 1
                        if self.fails_after < 0:
                            raise KeyboardInterrupt
                    yield [(one.run_id, {name: history[start : start + 3]})]

    def logged_models(self) -> Iterator[Sequence[LoggedModel]]:
        if self.has_logged:
            yield self.has_logged

    def model_points(self, models: Sequence[LoggedModel]) -> Iterator[Sequence[ModelPoints]]:
        if self.has_model_points:
            yield self.has_model_points

    def registered_models(self) -> Iterator[RegisteredModel]:
        yield from self.has_registered

    def close(self) -> None:
        pass

    def below(self, root: str) -> Sequence[File]:
        return [File(path, len(content)) for path, content in self.has_files.get(root, {}).items()]

    def read(self, root: str, path: str) -> Iterator[bytes]:
        yield self.has_files[root][path]


def make() -> Memory:
    """A source with a bit of everything."""
    version = Version(
        version=3,
        description="third",
        source=f"/old/7/{FIRST}/artifacts/model",
        storage_uri=f"/old/7/{FIRST}/artifacts/model",
        run_id=FIRST,
        run_link=None,
        model_id=None,
        stage="production",
        status="ready",
        status_message=None,
        created_at=30_000,
        updated_at=31_000,
        tags={"ok": "yes"},
    )
    logged = LoggedModel(
        model_id=MODEL,
        experiment="7",
        name="net",
        model_type="Agent",
        source_run_id=FIRST,
        artifact_uri=f"/old/7/models/{MODEL}/artifacts",
        status="ready",
        status_message=None,
        created_at=15_000,
        updated_at=16_000,
        deleted_at=None,
        params={"depth": "3"},
        tags={"kind": "cnn"},
        points="1",
    )
    return Memory(
        has_experiments=[experiment("7", "vision", 7), experiment("8", "trash", 8, deleted_at=5_000)],
        has_runs=[run(FIRST), run(SECOND, status="failed"), run(GONE, "8", "killed", deleted_at=6_000)],
        has_points={
            FIRST: {
                LOSS: [(step, 100 + step, 1 / (step + 1), 0, 0) for step in range(10)],
                ACCURACY: [(0, 5, 0.0, 1, 0), (1, 5, INF, 0, 0), (-1, 5, -INF, 0, 0), (1, 5, 0.5, 0, 0)],
            },
            SECOND: {LOSS: [(0, 1, 2.0, 0, 0)]},
        },
        has_logged=[logged],
        has_model_points=[(FIRST, [ModelPoint(MODEL, LOSS, 1, 5, 0.5, 0, "petals", "d1")])],
        has_registered=[
            RegisteredModel("detector", "finds", 29_000, 32_000, {"owner": "ada"}, {"champion": 3}, [version], 5)
        ],
        has_files={f"/old/7/{FIRST}/artifacts": {"model/weights.bin": b"w", "käse.txt": b"text"}},
    )
