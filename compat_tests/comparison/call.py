"""One recorded call, and short ways to write it down."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

API = "/api/2.0/mlflow/"

Json = object  # whatever json.dumps takes
Query = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Call:
    """What is sent. `{run:a}` and the like stand for what earlier answers held, wherever text is."""

    name: str
    method: str
    path: str
    query: Query = field(default_factory=dict)
    body: Json = None
    """JSON to be encoded; bytes go as they are, and None is no body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)
    """What later calls need, and where the answer holds it: {"run:a": "run.info.run_id"}."""
    pages: bool = False
    """Whether to follow next_page_token to the end."""


def post(
    name: str,
    path: str,
    body: Json = None,
    *,
    keep: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Call:
    return Call(name, "POST", absolute(path), {}, body, headers or {}, keep or {})


def get(
    name: str,
    path: str,
    query: Query | None = None,
    body: Json = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Call:
    return Call(name, "GET", absolute(path), query or {}, body, headers or {})


def patch(name: str, path: str, body: Json = None) -> Call:
    return Call(name, "PATCH", absolute(path), {}, body)


def delete(name: str, path: str, body: Json = None) -> Call:
    return Call(name, "DELETE", absolute(path), {}, body)


def to_the_end(call: Call) -> Call:
    """The same call, page after page."""
    return replace(call, pages=True)


def experiment(name: str, tag: str) -> Call:
    """Makes the experiment that later calls name `{experiment:tag}`."""
    return post(f"make {name}", "experiments/create", {"name": name}, keep={f"experiment:{tag}": "experiment_id"})


def run(tag: str, experiment: str, start: int = 1000, **fields: Json) -> Call:
    """Makes the run that later calls name `{run:tag}`."""
    body = {"experiment_id": f"{{experiment:{experiment}}}", "start_time": start, "run_name": tag} | fields
    return post(f"make run {tag}", "runs/create", body, keep={f"run:{tag}": "run.info.run_id"})


def absolute(path: str) -> str:
    return path if path.startswith("/") else API + path


def short(text: str) -> str:
    """A text as it stands in the name of a call."""
    return repr(text) if len(text) <= 60 else f"{len(text)} characters"
