"""A running MLflow server as a source, by its REST API: of any release from 1.30 on, or one that speaks as they do."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Any, TypeVar

import httpx
import msgspec

from native_api.core.errors import Invalid, NotFound
from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import AnyPoint, Name
from native_api.transfer.records import (
    Counts,
    Experiment,
    LoggedModel,
    ModelPoints,
    RegisteredModel,
    Run,
    RunModel,
    RunPoints,
    Version,
)
from shim.metric_names import split
from shim.sources import parts, translation
from shim.sources.answers import (
    PROMPTS,
    DownloadUri,
    Experiments,
    History,
    Metric,
    Models,
    OneModel,
    OneRun,
    RegisteredModels,
    Runs,
    Tag,
    Versions,
    WireExperiment,
    WireModel,
    WireRegistered,
    WireRun,
    WireVersion,
)
from shim.sources.connection import THREADS, Connection

RUNS = 500
MODELS = 100
EXPERIMENTS = VERSIONS = 1000
POINTS = 10_000
"""How many of each are asked for at once."""

AHEAD = 2 * THREADS
"""How many requests are made before the answer to the first is taken."""

RUN_ID = re.compile(r"[0-9a-f]{32}")

logger = logging.getLogger(__name__)

A = TypeVar("A")
B = TypeVar("B")


class Server:
    """A `Source` over the server at this URL, with the credentials in MLFLOW_TRACKING_USERNAME and the like.

    It shows no deleted logged models, and does not say when a run was deleted. How far a run's histories go is told by
    the last points of its metrics, its state and its end: what a run that goes on adds behind a last point, with an
    earlier step, is seen once it has ended.
    """

    def __init__(self, url: str, workspace: str | None = None, transport: httpx.BaseTransport | None = None) -> None:
        self.connection = Connection(url, workspace, transport)
        self.location = self.connection.location
        self._threads = ThreadPoolExecutor(THREADS, "source")
        self._knows_models: bool | None = None
        try:
            next(self._experiment_pages(1))
        except NotFound:
            self.close()
            raise Invalid(f"What answers at {self.location} is no MLflow server of 1.30 or later") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connections."""
        self._threads.shutdown(cancel_futures=True)
        self.connection.close()

    def counts(self) -> Counts:
        """How much there is. Runs are counted by reading them all."""
        ids = [experiment.experiment_id for experiment in self._experiments()]
        names = [model.name for model in self._registered_models()]
        return Counts(
            experiments=len(ids),
            runs=sum(self._side_by_side(lambda key: sum(map(len, self._run_pages(key))), ids)),
            points=None,
            logged_models=sum(self._side_by_side(lambda key: sum(map(len, self._model_pages(key))), ids)),
            registered_models=len(names),
            model_versions=sum(self._side_by_side(lambda name: len(self._versions(name)), names)),
        )

    def _side_by_side(self, ask: Callable[[A], B], asked: Iterable[A]) -> Iterator[B]:
        """The answers in the order of what is asked, some of it at the same time."""
        waiting: deque[Future[B]] = deque()
        try:
            for one in asked:
                waiting.append(self._threads.submit(ask, one))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    # Experiments and runs

    def experiments(self) -> Sequence[Experiment]:
        """All of them, deleted ones included."""
        return [
            translation.experiment(
                found.experiment_id,
                found.name,
                found.artifact_location,
                lifecycle=found.lifecycle_stage,
                created_at=found.creation_time,
                updated_at=found.last_update_time,
                tags=_values(found.tags),
            )
            for found in self._experiments()
        ]

    def _experiments(self) -> list[WireExperiment]:
        """Each once: one that is made meanwhile can move others to the next page."""
        found = {one.experiment_id: one for one in chain.from_iterable(self._experiment_pages(EXPERIMENTS))}
        return [*found.values()]

    def _experiment_pages(self, size: int) -> Iterator[list[WireExperiment]]:
        def page(token: str) -> Experiments:
            asked: dict[str, Any] = {"view_type": "ALL", "max_results": size, "page_token": token}
            try:
                order = ["experiment_id ASC"]
                return self.connection.post("mlflow/experiments/search", Experiments, order_by=order, **asked)
            except NotFound:  # before 1.28
                return self.connection.get("mlflow/experiments/list", Experiments, **asked)

        return (answer.experiments for answer in _pages(page))

    def runs(self) -> Iterator[Sequence[Run]]:
        """All runs, deleted ones included, by experiment and start."""
        for experiment in self._experiments():
            for found in self._run_pages(experiment.experiment_id):
                yield [_run(run) for run in self._with_inputs(_nameable(found))]

    def _run_pages(self, experiment: str) -> Iterator[list[WireRun]]:
        def page(token: str) -> Runs:
            return self.connection.post(
                "mlflow/runs/search",
                Runs,
                experiment_ids=[experiment],
                run_view_type="ALL",
                max_results=RUNS,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )

        return (answer.runs for answer in _pages(page))

    def _with_inputs(self, runs: list[WireRun]) -> Iterable[WireRun]:
        """The same runs with the models that they used, which a search does not tell."""
        if self._knows_models is None:
            self._knows_models = any(self._logged_models())
        if not self._knows_models:
            return runs
        whole = self._side_by_side(self._one_run, [run.info.run_id for run in runs])
        return [known or run for known, run in zip(whole, runs, strict=True)]

    def _one_run(self, run_id: str) -> WireRun | None:
        """A run, if it is still there."""
        try:
            return self.connection.get("mlflow/runs/get", OneRun, run_id=run_id).run
        except NotFound:
            return None

    # Points

    def points(self, runs: Sequence[Run]) -> Iterator[Sequence[RunPoints]]:
        """The points of these runs, read over several connections at once."""
        return parts.of_runs(self._histories([run.run_id for run in runs]))

    def _histories(self, run_ids: Sequence[str]) -> Iterator[tuple[str, Name, list[AnyPoint]]]:
        whole = self._side_by_side(self._one_run, run_ids)
        wanted = ((run.info.run_id, metric.key, "") for run in whole if run for metric in run.data.metrics)
        for run_id, key, points, token in self._side_by_side(self._history, wanted):
            yield run_id, split(key), points
            while token:
                _, _, points, token = self._history((run_id, key, token))
                yield run_id, split(key), points

    def _history(self, asked: tuple[str, str, str]) -> tuple[str, str, list[AnyPoint], str]:
        """A page of a metric's history, and the token of the next one."""
        run_id, key, token = asked
        answer = self.connection.get(
            "mlflow/metrics/get-history",
            History,
            run_id=run_id,
            run_uuid=run_id,
            metric_key=key,
            max_results=POINTS,
            page_token=token or None,
        )
        return run_id, key, [metric.point() for metric in answer.metrics], answer.next_page_token

    # Logged models

    def logged_models(self) -> Iterator[Sequence[LoggedModel]]:
        """All logged models but the deleted ones, which the server does not list, by experiment."""
        for found in self._logged_models():
            yield [_logged_model(model) for model in found]

    def _logged_models(self) -> Iterator[list[WireModel]]:
        for experiment in self._experiments():
            yield from filter(None, self._model_pages(experiment.experiment_id))

    def _model_pages(self, experiment: str) -> Iterator[list[WireModel]]:
        """Nothing, where the server knows no logged models: before 3.0."""

        def page(token: str) -> Models:
            order = [{"field_name": "creation_timestamp", "ascending": True}]
            asked = {"experiment_ids": [experiment], "max_results": MODELS, "order_by": order}
            try:
                more = {"page_token": token} if token else {}
                return self.connection.post("mlflow/logged-models/search", Models, **asked, **more)
            except NotFound:
                return Models()

        return (answer.models for answer in _pages(page))

    def model_points(self, models: Sequence[LoggedModel]) -> Iterator[Sequence[ModelPoints]]:
        """The points that tell of these models, by the run that logged them."""
        return parts.of_models(
            (metric.run_id, _model_point(model, metric))
            for model, metrics in self._side_by_side(self._model_metrics, [model.model_id for model in models])
            for metric in metrics
            if metric.run_id
        )

    def _model_metrics(self, model_id: str) -> tuple[str, list[Metric]]:
        try:
            found = self.connection.get(f"mlflow/logged-models/{model_id}", OneModel, allow_deleted="true")
            return model_id, found.model.data.metrics
        except NotFound:
            return model_id, []

    # The registry

    def registered_models(self) -> Iterator[RegisteredModel]:
        """All registered models, prompts among them."""
        models = self._registered_models()
        for model, versions in self._side_by_side(lambda model: (model, self._versions(model.name)), models):
            numbers = {version.version for version in versions}
            yield RegisteredModel(
                name=model.name,
                description=model.description or None,
                created_at=model.creation_timestamp,
                updated_at=model.last_updated_timestamp or model.creation_timestamp,
                tags=_values(model.tags),
                aliases={one.alias: one.version for one in model.aliases if one.version in numbers},
                versions=sorted(versions, key=lambda version: version.version),
            )

    def _registered_models(self) -> Iterator[WireRegistered]:
        """Each once: before prompts there were, a search for them found what has a tag of this name."""
        seen: set[str] = set()
        for wanted in (None, PROMPTS):

            def page(token: str, wanted: str | None = wanted) -> RegisteredModels:
                asked: dict[str, Any] = {"max_results": MODELS, "page_token": token or None, "filter": wanted}
                return self.connection.get("mlflow/registered-models/search", RegisteredModels, **asked)

            try:
                for answer in _pages(page):
                    for model in answer.registered_models:
                        if model.name not in seen:
                            seen.add(model.name)
                            yield model
            except NotFound:  # no registry at all
                return
            except Invalid:
                if wanted is None:
                    raise  # else an early release, which does not know this filter

    def _versions(self, name: str) -> list[Version]:
        quote = '"' if "'" in name else "'"
        if quote in name:
            logger.warning("Left out the versions of %r: no filter of MLflow's can name it", name)
            return []
        found: dict[int, WireVersion] = {}
        for more in ("", f" AND {PROMPTS}"):

            def page(token: str, more: str = more) -> Versions:
                wanted = f"name={quote}{name}{quote}{more}"
                asked: dict[str, Any] = {"max_results": VERSIONS, "page_token": token or None, "filter": wanted}
                return self.connection.get("mlflow/model-versions/search", Versions, **asked)

            try:
                found.update((one.version, one) for answer in _pages(page) for one in answer.model_versions)
            except Invalid:
                if not more:
                    raise
        return [self._version(name, version) for version in found.values()]

    def _version(self, name: str, version: WireVersion) -> Version:
        return translation.version(
            version.version,
            description=version.description,
            source=version.source,
            storage_location=self._storage_location(name, version),
            run_id=version.run_id,
            run_link=version.run_link,
            model_id=version.model_id,
            stage=version.current_stage,
            status=version.status,
            status_message=version.status_message,
            created_at=version.creation_timestamp,
            updated_at=version.last_updated_timestamp,
            tags=_values(version.tags),
        )

    def _storage_location(self, name: str, version: WireVersion) -> str | None:
        """Where its files are, if the source only points at a run or a model."""
        if not (version.source or "").startswith(("runs:", "models:")):
            return None
        try:
            number = str(version.version)
            asked = "mlflow/model-versions/get-download-uri"
            return self.connection.get(asked, DownloadUri, name=name, version=number).artifact_uri
        except (NotFound, Invalid):
            return None


def _nameable(runs: Iterable[WireRun]) -> list[WireRun]:
    """Those with an id as MLflow makes them."""
    found = []
    for run in runs:
        if RUN_ID.fullmatch(run.info.run_id):
            found.append(run)
        else:
            logger.warning("Left out the run %r: its run_id is not of 32 hex digits", run.info.run_id)
    return found


def _run(run: WireRun) -> Run:
    info = run.info
    return translation.run(
        info.run_id,
        info.experiment_id,
        name=info.run_name,
        status=info.status,
        start_time=info.start_time,
        end_time=info.end_time or None,
        lifecycle=info.lifecycle_stage,
        deleted_at=None,
        user=info.user_id,
        artifact_uri=info.artifact_uri,
        params=_values(run.data.params),
        tags=_values(run.data.tags),
        inputs=[
            translation.dataset_input(
                used.dataset.name,
                used.dataset.digest,
                used.dataset.source_type,
                used.dataset.source,
                used.dataset.schema,
                used.dataset.profile,
                _values(used.tags),
            )
            for used in run.inputs.dataset_inputs
        ],
        models=[
            *(RunModel("input", model.model_id, 0) for model in run.inputs.model_inputs),
            *(RunModel("output", model.model_id, model.step) for model in run.outputs.model_outputs),
        ],
        points=_fingerprint(run.data.metrics, info.status, info.end_time),
    )


def _logged_model(model: WireModel) -> LoggedModel:
    info = model.info
    return translation.logged_model(
        info.model_id,
        info.experiment_id,
        name=info.name,
        artifact_uri=info.artifact_uri,
        status=info.status,
        status_message=info.status_message,
        model_type=info.model_type,
        source_run_id=info.source_run_id,
        created_at=info.creation_timestamp_ms,
        updated_at=info.last_updated_timestamp_ms,
        is_deleted=False,
        params=_values(model.data.params),
        tags=_values(info.tags),
        points=_fingerprint(model.data.metrics),
    )


def _model_point(model_id: str, metric: Metric) -> ModelPoint:
    return ModelPoint(model_id, split(metric.key), *metric.point()[:4], metric.dataset_name, metric.dataset_digest)


def _fingerprint(metrics: Iterable[Metric], *more: object) -> str:
    """Other words whenever one of the metrics has got a later point."""
    last = sorted(msgspec.json.encode(metric) for metric in metrics)
    return hashlib.sha256(b"\n".join([*last, msgspec.json.encode(more)])).hexdigest()


def _values(tags: Iterable[Tag]) -> dict[str, str]:
    return {tag.key: tag.value for tag in tags}


P = TypeVar("P", Experiments, Runs, Models, RegisteredModels, Versions)


def _pages(page: Callable[[str], P]) -> Iterator[P]:
    """All pages of a list, by their tokens."""
    answer = page("")
    yield answer
    while answer.next_page_token:
        answer = page(answer.next_page_token)
        yield answer
