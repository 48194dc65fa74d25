"""What may be another before and after an import, and why; anything else that differs is a fault."""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from compat_tests.importing.reading import Names, Seen

LARGEST = "1.7976931348623157e+308"

ABSENT = "(absent)"

START = 1_700_000_000_000
"""As in make_data.py."""


class Allowed(NamedTuple):
    """A difference that may be: whether it is this one, by the names and both values, and its reason."""

    applies: Callable[[Names, Any, Any], bool]
    reason: str


def finite(value: Any) -> Any:
    """Values with infinities as MLflow's databases and our server show them."""
    if isinstance(value, list | tuple):
        return type(value)(finite(one) for one in value)
    return {"inf": LARGEST, "-inf": f"-{LARGEST}"}.get(value, value) if isinstance(value, str) else value


STEPLESS = (
    ("accuracy", "0.5", "0.75"),
    ("accuracy", [(0, START, "0.75"), (1, START, "0.5")], [(1, START, "0.5"), (2, START, "0.75")]),
)
"""The latest point and the history of the one metric that was measured on a dataset as well."""

ALLOWED = [
    Allowed(
        lambda names, before, after: is_place_here(names, str(after)),
        "Files that were copied are elsewhere. That they are the same files is seen by their bytes",
    ),
    Allowed(
        lambda names, before, after: names[0] == "run" and finite(before) == after,
        "Folders of files keep infinities, which MLflow's databases and our server show as the largest double",
    ),
    Allowed(
        lambda names, before, after: "history" in names and sorted(set(finite(before))) == after,
        "Folders of files keep a point that was logged twice twice; MLflow's databases and we keep it once",
    ),
    Allowed(
        lambda names, before, after: names[0] == "run" and unsigned(before) == after,
        "Folders of files and PostgreSQL keep the sign of zero, which SQLite does not",
    ),
    Allowed(
        lambda names, before, after: names[-1] == "latest_versions" and said_of(before) == after,
        "In what a model says of its versions folders of files name aliases too, databases do not; "
        "and no run is the empty name of a run here, as it is where MLflow's own server made it",
    ),
    Allowed(
        lambda names, before, after: names[-1] == "listing" and before == sized(after),
        "MLflow's servers, and ours, do not say the size of an empty file; who reads a folder without one sees it",
    ),
    Allowed(
        lambda names, before, after: (
            (names[-1], before, after) == ("files", "RESOURCE_DOES_NOT_EXIST", "INTERNAL_ERROR")
        ),
        "What a client says of a model without files, in a folder and through a server",
    ),
    Allowed(
        lambda names, before, after: (
            (names, before, after) == (("experiment", "given up", "lifecycle_stage"), "active", "deleted")
        ),
        "MLflow 1.30 keeps in no file that an experiment is deleted: it sees by the folder, which MLflow 3 does not",
    ),
    Allowed(
        lambda names, before, after: (names[-1], before, after) in STEPLESS,
        "MLflow's folders keep the step of a point that was measured on a dataset, 2 here, and MLflow reads it as 0",
    ),
]


PLACES = {
    ("experiment", "artifact_location"): r"mlflow-artifacts:/\d+",
    ("run", "artifact_uri"): r"mlflow-artifacts:/\d+/{id}/artifacts",
    ("logged model", "artifact_location"): r"mlflow-artifacts:/\d+/models/{id}/artifacts",
}
"""Where our server keeps files, by what has them and the field that says so."""


def is_place_here(names: Names, value: str) -> bool:
    """Whether a server of ours would itself have chosen this place for the files of what is named."""
    place = PLACES.get((names[0], names[-1]))
    return place is not None and re.fullmatch(place.replace("{id}", re.escape(names[1])), value) is not None


def unsigned(value: Any) -> Any:
    """Values without the sign of zero."""
    if isinstance(value, list | tuple):
        return type(value)(unsigned(one) for one in value)
    return "0.0" if value == "-0.0" else value


def said_of(versions: Any) -> Any:
    """What is said of versions as MLflow's databases and our server say it."""
    fields = [{**version, "aliases": [], "run_id": version["run_id"] or ""} for version in versions]
    return sorted(fields, key=repr)


def sized(listing: Any) -> Any:
    """A listing with the size of empty files."""
    return [(path, is_dir, size if is_dir else size or 0) for path, is_dir, size in listing]


def differences(before: Seen, after: Seen, allowed: Iterable[Allowed] = ALLOWED) -> list[str]:
    """What differs and may not, a line each: after an import, unless other differences are allowed."""
    found = []
    for names in sorted(before.keys() | after.keys()):
        old, new = before.get(names, ABSENT), after.get(names, ABSENT)
        if old != new and not any(one.applies(names, old, new) for one in allowed):
            found.append(f"{' / '.join(names)}: {str(old)[:200]} before, {str(new)[:200]} after")
    return found
