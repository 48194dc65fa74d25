"""Everything that a client sees of a server, as plain values by what they belong to."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType
from mlflow.entities._mlflow_object import _MlflowObject
from mlflow.exceptions import MlflowException

Names: TypeAlias = tuple[str, ...]

Seen: TypeAlias = dict[Names, Any]
"""A value for the names that lead to it: `("run", run_id, "data", "params", "depth")`. Experiments go by their names,
as an import may give them other ids."""

AT_ONCE = 1_000


def read(uri: str) -> Seen:
    """All of it: what was deleted, whole histories and what is in each file included."""
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    seen: Seen = {}
    experiments = list(pages(client.search_experiments, view_type=ViewType.ALL))
    for experiment in experiments:
        seen |= flat(("experiment", experiment.name), plain(experiment))
        seen |= read_runs(client, experiment)
        seen |= read_logged_models(client, experiment)
    seen |= read_registry(client)
    return seen


def pages(search: Callable[..., Any], **asked: Any) -> Iterator[Any]:
    token = None
    while page := search(**asked, page_token=token):
        yield from page
        if not (token := page.token):
            return


def read_runs(client: MlflowClient, experiment: Experiment) -> Seen:
    asked = {"experiment_ids": [experiment.experiment_id], "run_view_type": ViewType.ALL, "max_results": AT_ONCE}
    seen: Seen = {}
    runs = list(pages(client.search_runs, **asked))
    for run in runs:
        inputs = client.get_run(run.info.run_id).inputs  # MLflow's databases leave models out of what a search finds
        seen |= flat(("run", run.info.run_id), plain(run) | {"inputs": plain(inputs)})
        seen |= read_histories(client, run)
        seen |= files(("run", run.info.run_id, "files"), f"runs:/{run.info.run_id}/")
        seen[("run", run.info.run_id, "listing")] = listing(client, run.info.run_id)
    # The fluent call sorts by start time, as the UI does.
    frame = mlflow.search_runs(output_format="list", **asked)
    seen[("experiment", experiment.name, "runs")] = [run.info.run_id for run in frame]
    return seen


def read_histories(client: MlflowClient, run: Run) -> Seen:
    """The points of each metric, sorted: in which order MLflow answers depends on its store."""
    return {
        ("run", run.info.run_id, "history", key): sorted(
            (point.step, point.timestamp, repr(point.value))
            for point in client.get_metric_history(run.info.run_id, key)
        )
        for key in run.data.metrics
    }


def read_logged_models(client: MlflowClient, experiment: Experiment) -> Seen:
    seen: Seen = {}
    for model in pages(client.search_logged_models, experiment_ids=[experiment.experiment_id]):
        here = ("logged model", model.model_id)
        seen |= flat(here, plain(model))
        seen |= files((*here, "files"), model.artifact_location)
    return seen


def read_registry(client: MlflowClient) -> Seen:
    seen: Seen = {}
    for found in pages(client.search_registered_models):
        here = ("registered model", found.name)
        seen |= flat(here, plain(client.get_registered_model(found.name)))
        for version in versions(client, found.name):
            there = (*here, "version", str(version.version))
            seen |= flat(there, plain(client.get_model_version(found.name, version.version)))
            seen |= files((*there, "files"), f"models:/{version.name}/{version.version}")
    for found in pages(client.search_registered_models, filter_string="tags.`mlflow.prompt.is_prompt` = 'true'"):
        here = ("prompt", found.name)
        seen |= flat(here, plain(found))
        for version in versions(client, found.name):
            prompt = client.get_prompt_version(found.name, str(version.version))
            seen |= flat((*here, "version", str(version.version)), plain(prompt))
    return seen


def versions(client: MlflowClient, name: str) -> Iterator[Any]:
    return pages(client.search_model_versions, filter_string=f"name = '{name}'")


def listing(client: MlflowClient, run_id: str, path: str | None = None) -> list[tuple[str, bool, int | None]]:
    """What the artifact viewer shows: every folder and file of a run."""
    found = []
    for info in client.list_artifacts(run_id, path):
        found.append((info.path, info.is_dir, info.file_size))
        if info.is_dir:
            found += listing(client, run_id, info.path)
    return sorted(found)


def files(here: Names, uri: str) -> Seen:
    """The size and hash of each file below this place; what the client says where it finds none."""
    with TemporaryDirectory() as folder:
        try:
            mlflow.artifacts.download_artifacts(uri, dst_path=folder)
        except MlflowException as problem:
            return {here: problem.error_code}
        except OSError as problem:
            return {here: type(problem).__name__}
        found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {(*here, str(path.relative_to(folder))): size_and_hash(path) for path in found}


def size_and_hash(path: Path) -> tuple[int, str]:
    content = path.read_bytes()
    return len(content), hashlib.sha256(content).hexdigest()


def plain(value: Any) -> Any:
    """MLflow's objects as mappings of all of their fields."""
    match value:
        case Enum():
            return value.name
        case float():
            return repr(value)  # NaN is not equal to itself
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case str() | int() | None:
            return value
        case _MlflowObject():
            return {name: plain(one) for name, one in value}
        case Iterable():
            return sorted((plain(one) for one in value), key=repr)
        case _:
            return {name.lstrip("_"): plain(one) for name, one in vars(value).items()}


def flat(here: Names, value: Any) -> Seen:
    """The values below these names, one by one; lists are values."""
    if not isinstance(value, dict):
        return {here: value}
    return {names: one for name, below in value.items() for names, one in flat((*here, name), below).items()}
