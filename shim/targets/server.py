"""A running MLflow server, of release 2 or 3, that is given what this one has, by its REST API."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from native_api.core.errors import Invalid, NotFound
from native_api.core.places import proxied_key
from native_api.transfer.records import Experiment, Files, LoggedModel, RegisteredModel, Run, Source, Version
from native_api.transfer.roots import moved
from shim.metric_names import full_name
from shim.sources.answers import (
    PROMPTS,
    Models,
    OneModel,
    OneRun,
    Runs,
    Tag,
    Versions,
    WireExperiment,
    WireModel,
    WireRegistered,
    WireRun,
    WireVersion,
)
from shim.sources.connection import Connection
from shim.targets import words
from shim.targets.words import Exported, Tell

RUN_ID, MODEL_ID, VERSION = "mlflow-shim.run_id", "mlflow-shim.model_id", "mlflow-shim.version"
"""The tags that keep what something is called here: by them a second export finds what the first one sent."""

EXPORTED = "mlflow-shim.exported"
"""The tag that is set last: what all of this was like when it was sent."""

PARENT = "mlflow.parentRunId"
VERSIONS_OF_MODEL = "mlflow.modelVersions"
"""A tag of logged models that the server writes itself, as versions are made of them."""

METRICS, PAIRS = 1000, 100
"""How many metrics, and how many params or tags, a server takes at once."""

PAGE = 1000
MODELS = 50
VERSIONS = 200
"""How many runs, logged models and versions are asked for at once."""

GAP = 100
"""How many numbers of versions are skipped at once, at most."""

Pairs = list[dict[str, str]]
T = TypeVar("T")

# What the server says, beside what sources hear


class OneExperiment(Struct):
    experiment: WireExperiment


class Created(Struct):
    experiment_id: str


class OneRegistered(Struct):
    registered_model: WireRegistered


class OneVersion(Struct):
    model_version: WireVersion


class Anything(Struct):
    """An answer of which nothing is used."""


class Sent(Struct):
    """A run or a logged model as the server has it: its id and artifact root there, and its tag EXPORTED, if set."""

    id: str
    artifact_uri: str
    mark: str = ""


def to_server(
    source: Source, files: Files | None, url: str, tell: Tell, transport: httpx.BaseTransport | None = None
) -> Exported:
    """Send all that a source has, with its files if they are given, to the server at this URL.

    What is there already from an earlier export is left as it is, or brought up to date where it has changed here; one
    that was broken off is gone on with. What the server refuses is a problem of that one thing. Raises Unavailable for
    a server that does not answer, Invalid for one that is none of MLflow's.
    """
    with closing(Connection(url, transport=transport)) as server:
        return _Sending(source, files, server, tell).all()


class _Sending:
    """One export to a server."""

    def __init__(self, source: Source, files: Files | None, server: Connection, tell: Tell) -> None:
        self._source, self._files, self._server, self._tell = source, files, server, tell
        self._done = Exported()
        self._experiments: dict[str, WireExperiment] = {}
        """Those of the server, by their keys here."""
        self._deleted: set[str] = set()
        """The keys of those that are deleted here."""
        self._runs: dict[str, Sent] = {}
        self._models: dict[str, Sent] = {}
        """What the server has, by the ids here."""
        self._takes_models = True
        """Whether the server knows of logged models at all."""
        self._places: dict[str, str] = {}
        """The server's artifact root for each of ours, where files are sent along."""

    def all(self) -> Exported:
        for experiment in self._source.experiments():
            with self._noting(f"experiment {experiment.name!r}"):
                self._experiment(experiment)
        # All runs are there before any is filled: they name each other, models name them, and they name models.
        changed: dict[str, str] = {}
        for runs in self._source.runs():
            changed.update(self._make(runs))
        self._send_logged_models()
        for runs in self._source.runs():
            for run in runs:
                if run.run_id in changed:
                    with self._noting(f"run {run.run_id}"):
                        self._fill(run, changed[run.run_id])
        for key in self._deleted & self._experiments.keys():
            with self._noting(f"experiment {key}"):
                self._delete(key)
        for registered in self._source.registered_models():
            with self._noting(f"registered model {registered.name!r}"):
                self._registered_model(registered)
        return self._done

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """Note what the server refuses, and go on with the next."""
        try:
            yield
        except (Invalid, NotFound) as problem:
            self._done.problems.append(f"{what}: {problem}")

    def _change(self, path: str, **fields: Any) -> None:
        """A change that may be made twice."""
        self._server.write("POST", f"mlflow/{path}", Anything, **fields)

    # Experiments

    def _experiment(self, experiment: Experiment) -> None:
        """Find it by name, or make it, and learn which of its runs and models the server has."""
        there = self._find_experiment(experiment.name)
        if there is None:
            made = self._server.write("POST", "mlflow/experiments/create", Created, once=True, name=experiment.name)
            there = WireExperiment(made.experiment_id, experiment.name)
            self._done.add("experiments", 1, self._tell)
        self._experiments[experiment.key] = there
        if experiment.deleted_at is not None:
            self._deleted.add(experiment.key)
        elif there.lifecycle_stage == "deleted":
            self._open(experiment.key)
        missing = _missing(words.experiment_tags(experiment), there.tags)
        if missing:
            self._open(experiment.key)
        for key, value in missing.items():
            self._change("experiments/set-experiment-tag", experiment_id=there.experiment_id, key=key, value=value)
        for run in self._runs_of(there.experiment_id):
            tags = _by_key(run.data.tags)
            self._runs[tags[RUN_ID]] = Sent(run.info.run_id, run.info.artifact_uri, tags.get(EXPORTED, ""))

    def _find_experiment(self, name: str) -> WireExperiment | None:
        try:
            found = self._server.get("mlflow/experiments/get-by-name", OneExperiment, experiment_name=name)
        except NotFound:
            return None
        return found.experiment

    def _open(self, key: str) -> None:
        """Restore an experiment that something is to be added to."""
        there = self._experiments[key]
        if there.lifecycle_stage == "deleted":
            self._change("experiments/restore", experiment_id=there.experiment_id)
            there.lifecycle_stage = "active"

    def _delete(self, key: str) -> None:
        there = self._experiments[key]
        if there.lifecycle_stage != "deleted":
            self._change("experiments/delete", experiment_id=there.experiment_id)

    # Runs

    def _runs_of(self, experiment_id: str) -> Iterator[WireRun]:
        token = ""
        while True:
            asked = {"experiment_ids": [experiment_id], "filter": f"tags.`{RUN_ID}` LIKE '%'", "run_view_type": "ALL"}
            more = {"page_token": token} if token else {}
            page = self._server.post("mlflow/runs/search", Runs, max_results=PAGE, **asked, **more)
            yield from page.runs
            token = page.next_page_token
            if not token:
                return

    def _make(self, runs: Sequence[Run]) -> dict[str, str]:
        """See to it that these runs are there, and give the marks of those that are new or have changed here."""
        changed = {}
        for run, mark in zip(runs, self._marks(runs), strict=True):
            if run.experiment not in self._experiments:
                continue
            sent = self._runs.get(run.run_id)
            if sent is None or sent.mark != mark:
                with self._noting(f"run {run.run_id}"):
                    self._open(run.experiment)
                    sent = self._create(run) if sent is None else self._revive(sent)
                    self._runs[run.run_id] = sent
                    changed[run.run_id] = mark
            if sent is not None and self._files is not None:
                self._places[run.artifact_uri.rstrip("/")] = sent.artifact_uri
        return changed

    def _marks(self, runs: Sequence[Run]) -> list[str]:
        """What tells these runs, with their points and the list of their files, from what they were like before."""
        digests = {run.run_id: hashlib.sha256(msgspec.json.encode(run)) for run in runs}
        for some in self._source.points(runs):
            for run_id, points in some:
                for key, history in words.histories(points):
                    digests[run_id].update(f"{key}\0{history}\n".encode())
        for run in runs:
            if self._files is not None:
                digests[run.run_id].update(repr(self._files.below(run.artifact_uri)).encode())
        return [digests[run.run_id].hexdigest() for run in runs]

    def _create(self, run: Run) -> Sent:
        made = self._server.write(
            "POST",
            "mlflow/runs/create",
            OneRun,
            once=True,
            experiment_id=self._experiments[run.experiment].experiment_id,
            user_id=run.user_name,
            start_time=run.started_at or 0,
            tags=_pairs({RUN_ID: run.run_id}),
            **({"run_name": run.run_name} if run.run_name else {}),
        )
        return Sent(made.run.info.run_id, made.run.info.artifact_uri)

    def _revive(self, sent: Sent) -> Sent:
        """Restore a run that something is to be added to."""
        there = self._server.get("mlflow/runs/get", OneRun, run_id=sent.id)
        if there.run.info.lifecycle_stage == "deleted":
            self._change("runs/restore", run_id=sent.id)
        return sent

    def _fill(self, run: Run, mark: str) -> None:
        """Send all of a run; that it is complete comes last."""
        sent = self._runs[run.run_id]
        for params in _parts(_pairs(run.params), PAIRS):
            self._change("runs/log-batch", run_id=sent.id, params=params)
        tags = words.run_tags(run)
        if tags.get(PARENT) in self._runs:
            tags[PARENT] = self._runs[tags[PARENT]].id
        for some in _parts(_pairs(tags), PAIRS):
            self._change("runs/log-batch", run_id=sent.id, tags=some)
        for metrics in _parts(self._metrics(run), METRICS):
            self._change("runs/log-batch", run_id=sent.id, metrics=metrics)
            self._done.add("points", len(metrics), self._tell)
        self._send_uses(run, sent)
        self._send_files(run.artifact_uri, sent.artifact_uri)
        end = {} if run.finished_at is None else {"end_time": run.finished_at}
        self._change("runs/update", run_id=sent.id, status=words.RUN_STATUSES[run.status], **end)
        self._change("runs/set-tag", run_id=sent.id, key=EXPORTED, value=mark)
        if run.deleted_at is not None:
            self._change("runs/delete", run_id=sent.id)
        self._done.add("runs", 1, self._tell)

    def _metrics(self, run: Run) -> Iterator[dict[str, Any]]:
        for some in self._source.points([run]):
            for _, points in some:
                for key, history in words.histories(points):
                    for step, recorded_at, value, is_nan, _ in history:
                        yield _metric(key, step, recorded_at, value, is_nan)

    def _send_uses(self, run: Run, sent: Sent) -> None:
        """The datasets that a run used, and the logged models that it used and made."""
        datasets = [
            {
                "tags": _pairs(words.input_tags(used.context, used.tags)),
                "dataset": {
                    "name": used.name,
                    "digest": used.digest,
                    "source_type": used.source_type or "unknown",  # a server takes none without
                    "source": used.source or "{}",
                    **{key: value for key in ("schema", "profile") if (value := getattr(used, key)) is not None},
                },
            }
            for used in run.inputs
        ]
        for some in _parts(datasets, PAIRS):
            self._change("runs/log-inputs", run_id=sent.id, datasets=some)
        models = [(model, self._models[model.model_id].id) for model in run.models if model.model_id in self._models]
        used_models = [{"model_id": there} for model, there in models if model.direction == "input"]
        made = [{"model_id": there, "step": model.step} for model, there in models if model.direction == "output"]
        if used_models:
            self._change("runs/log-inputs", run_id=sent.id, models=used_models)
        if made:
            self._change("runs/outputs", run_id=sent.id, models=made)

    # Logged models

    def _send_logged_models(self) -> None:
        if not self._source.counts().logged_models:
            return
        try:
            for experiment in self._experiments.values():
                for there in self._models_of(experiment.experiment_id):
                    tags = _by_key(there.info.tags)
                    if MODEL_ID in tags:
                        sent = Sent(there.info.model_id, there.info.artifact_uri, tags.get(EXPORTED, ""))
                        self._models[tags[MODEL_ID]] = sent
        except NotFound:
            self._takes_models = False
            self._done.left_out.append("logged models: a server of MLflow 2 has none, so they are left out")
            return
        for models in self._source.logged_models():
            for model in models:
                with self._noting(f"logged model {model.model_id}"):
                    self._logged_model(model)

    def _models_of(self, experiment_id: str) -> Iterator[WireModel]:
        token = ""
        while True:
            more = {"page_token": token} if token else {}
            asked = {"experiment_ids": [experiment_id], "max_results": MODELS}
            page = self._server.post("mlflow/logged-models/search", Models, **asked, **more)
            yield from page.models
            token = page.next_page_token
            if not token:
                return

    def _logged_model(self, model: LoggedModel) -> None:
        """Send a model with its points. A deleted one is left out: the server would not show it to a second export."""
        if model.deleted_at is not None or model.experiment in self._deleted:
            self._done.left_out.append(f"logged model {model.model_id}: it is deleted, so it is left out")
            return
        points = [(run_id, point) for some in self._source.model_points([model]) for run_id, of in some for point in of]
        digest = hashlib.sha256(msgspec.json.encode(model) + repr(points).encode())
        if self._files is not None:
            digest.update(repr(self._files.below(model.artifact_uri)).encode())
        sent = self._models.get(model.model_id)
        if sent is None:
            sent = self._models[model.model_id] = self._create_model(model)
        if self._files is not None:
            self._places[model.artifact_uri.rstrip("/")] = sent.artifact_uri
        if sent.mark == digest.hexdigest():
            return
        by_run: dict[str, list[dict[str, Any]]] = {}
        for run_id, point in points:
            metric = _metric(full_name(*point.name), point.step, point.recorded_at, point.value, point.is_nan)
            dataset = {"dataset_name": point.dataset_name, "dataset_digest": point.dataset_digest}
            about = {"model_id": sent.id, **(dataset if point.dataset_name else {})}
            by_run.setdefault(run_id, []).append({**metric, **about})
        for run_id, metrics in by_run.items():
            if run_id in self._runs:
                for some in _parts(metrics, METRICS):
                    self._change("runs/log-batch", run_id=self._runs[run_id].id, metrics=some)
        self._send_files(model.artifact_uri, sent.artifact_uri)
        path = f"mlflow/logged-models/{quote(sent.id, safe='')}"
        if model.status in ("ready", "failed"):
            status = "LOGGED_MODEL_READY" if model.status == "ready" else "LOGGED_MODEL_UPLOAD_FAILED"
            self._server.write("PATCH", path, Anything, model_id=sent.id, status=status)
        kept = {key: value for key, value in model.tags.items() if key != VERSIONS_OF_MODEL}
        tags = _pairs({**kept, EXPORTED: digest.hexdigest()})
        self._server.write("PATCH", f"{path}/tags", Anything, model_id=sent.id, tags=tags)
        self._done.add("logged models", 1, self._tell)

    def _create_model(self, model: LoggedModel) -> Sent:
        run = {"source_run_id": self._runs[model.source_run_id].id} if model.source_run_id in self._runs else {}
        made = self._server.write(
            "POST",
            "mlflow/logged-models",
            OneModel,
            once=True,
            experiment_id=self._experiments[model.experiment].experiment_id,
            name=model.name,
            params=_pairs(model.params),
            tags=_pairs({MODEL_ID: model.model_id}),
            **({"model_type": model.model_type} if model.model_type else {}),
            **run,
        )
        return Sent(made.model.info.model_id, made.model.info.artifact_uri)

    # The registry

    def _registered_model(self, model: RegisteredModel) -> None:
        there = self._find_registered(model.name)
        if there is None:
            more = {"description": model.description} if model.description else {}
            fields: dict[str, Any] = {"name": model.name, "tags": _pairs(model.tags), **more}
            self._server.write("POST", "mlflow/registered-models/create", Anything, once=True, **fields)
            there = WireRegistered(model.name, model.description, tags=[Tag(*tag) for tag in model.tags.items()])
            self._done.add("registered models", 1, self._tell)
        if (model.description or "") != (there.description or ""):
            fields = {"name": model.name, "description": model.description or ""}
            self._server.write("PATCH", "mlflow/registered-models/update", Anything, **fields)
        for key, value in _missing(model.tags, there.tags).items():
            self._change("registered-models/set-tag", name=model.name, key=key, value=value)
        numbers = self._send_versions(model)
        aliases = {alias.alias: alias.version for alias in there.aliases}
        for alias, number in model.aliases.items():
            if number in numbers and aliases.get(alias) != numbers[number]:
                fields = {"name": model.name, "alias": alias, "version": str(numbers[number])}
                self._change("registered-models/alias", **fields)

    def _find_registered(self, name: str) -> WireRegistered | None:
        try:
            return self._server.get("mlflow/registered-models/get", OneRegistered, name=name).registered_model
        except NotFound:
            return None

    def _send_versions(self, model: RegisteredModel) -> dict[int, int]:
        """The server's numbers of the versions, by ours. Where they differ that is a problem."""
        known: dict[str | None, WireVersion] = {}
        last = 0
        for one in self._versions_of(model.name):
            known[_by_key(one.tags).get(VERSION)] = one
            last = max(last, one.version)
        numbers = {}
        for version in model.versions:
            what = f"version {version.version} of {model.name!r}"
            if not self._takes_models and version.source.startswith("models:/m-"):
                self._done.left_out.append(f"{what}: it is of a logged model, so it is left out")
                continue
            with self._noting(what):
                there = self._numbered(model.name, version, known.get(str(version.version)), last)
                last = max(last, there.version)
                numbers[version.version] = there.version
                self._update_version(model.name, version, there)
                if there.version != version.version:
                    self._done.problems.append(f"{what}: its number there is {there.version}")
        return numbers

    def _versions_of(self, name: str) -> Iterator[WireVersion]:
        """Those of a model, and those of a prompt, which a server lists only where they are asked for."""
        quote_mark = '"' if "'" in name else "'"
        if quote_mark in name:
            raise Invalid("no filter of MLflow's can name it, so its versions are left out")
        named = f"name={quote_mark}{name}{quote_mark}"
        yield from self._versions(named)
        with suppress(Invalid):  # an early release, which has no prompts
            yield from self._versions(f"{named} AND {PROMPTS}")

    def _versions(self, wanted: str) -> Iterator[WireVersion]:
        token: str | None = None
        while True:
            asked: dict[str, Any] = {"filter": wanted, "max_results": VERSIONS, "page_token": token}
            page = self._server.get("mlflow/model-versions/search", Versions, **asked)
            yield from page.model_versions
            token = page.next_page_token or None
            if token is None:
                return

    def _numbered(self, name: str, version: Version, there: WireVersion | None, last: int) -> WireVersion:
        """The version on the server, with its number if that comes after the last one there, and soon.

        A number that is skipped was of a version that is deleted: so it is made, and deleted.
        """
        made = there or self._next_version(name, version)
        while last <= made.version < version.version <= last + GAP:
            fields: dict[str, Any] = {"name": name, "version": str(made.version)}
            self._server.write("DELETE", "mlflow/model-versions/delete", Anything, **fields)
            made = self._next_version(name, version)
        if made is not there:
            self._done.add("model versions", 1, self._tell)
        return made

    def _next_version(self, name: str, version: Version) -> WireVersion:
        run = {"run_id": self._runs[version.run_id].id} if version.run_id in self._runs else {}
        model = {"model_id": self._models[version.model_id].id} if version.model_id in self._models else {}
        made = self._server.write(
            "POST",
            "mlflow/model-versions/create",
            OneVersion,
            once=True,
            name=name,
            source=self._source_of(version),
            tags=_pairs({**version.tags, VERSION: str(version.version)}),
            **({"description": version.description} if version.description else {}),
            **({"run_link": version.run_link} if version.run_link else {}),
            **run,
            **model,
        )
        return made.model_version

    def _source_of(self, version: Version) -> str:
        """Where the files of a version are, as the server names it: where they were sent, or where they are."""
        if version.source.startswith("models:/m-"):
            ours, slash, path = version.source.removeprefix("models:/").partition("/")
            return f"models:/{self._models[ours].id}{slash}{path}" if ours in self._models else version.source
        return moved(version.source, self._places) or version.source

    def _update_version(self, name: str, version: Version, there: WireVersion) -> None:
        of: dict[str, Any] = {"name": name, "version": str(there.version)}
        for key, value in _missing(version.tags, there.tags).items():
            self._change("model-versions/set-tag", **of, key=key, value=value)
        if (version.description or "") != (there.description or ""):
            description = version.description or ""
            self._server.write("PATCH", "mlflow/model-versions/update", Anything, description=description, **of)
        stage = words.stage(version.stage)
        if stage != (there.current_stage or "None"):
            self._change("model-versions/transition-stage", **of, stage=stage, archive_existing_versions=False)

    # Files

    def _send_files(self, root: str, there: str) -> None:
        found = [] if self._files is None else self._files.below(root)
        if self._files is None or not found:
            return
        key = proxied_key(there)
        if key is None:
            raise Invalid(f"the server keeps no files itself, but at {there}: they are left out")
        for path, _ in found:
            target = "/".join(quote(part, safe="") for part in f"{key}/{path}".split("/"))
            self._server.upload(f"mlflow-artifacts/artifacts/{target}", partial(self._files.read, root, path))
            self._done.add("files", 1, self._tell)


def _parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, at most so many at once."""
    left = iter(items)
    while part := list(islice(left, size)):
        yield part


def _metric(key: str, step: int, recorded_at: int, value: float, is_nan: int) -> dict[str, Any]:
    """A point as MLflow's clients send it: JSON has no word for what is no number, so it is a text."""
    shown: float | str = float(value)
    if is_nan:
        shown = "NaN"
    elif math.isinf(value):
        shown = "Infinity" if value > 0 else "-Infinity"
    return {"key": key, "value": shown, "timestamp": recorded_at, "step": step}


def _pairs(values: Mapping[str, str]) -> Pairs:
    return [{"key": key, "value": value} for key, value in values.items()]


def _by_key(tags: Sequence[Tag]) -> dict[str, str]:
    return {tag.key: tag.value for tag in tags}


def _missing(wanted: Mapping[str, str], there: Sequence[Tag]) -> dict[str, str]:
    """The tags that are not there, or have another value."""
    known = _by_key(there)
    return {key: value for key, value in wanted.items() if known.get(key) != value}
