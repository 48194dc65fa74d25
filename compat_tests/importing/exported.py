"""What may be another once it was taken away from a server of ours, and why; anything else that differs is a fault."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compat_tests.importing.differences import Allowed, finite, said_of, sized
from compat_tests.importing.reading import Seen

OURS = "mlflow-shim."
"""Begins the tags that an export adds."""

OWN_IDS = {
    "run": ("data", "tags", f"{OURS}run_id"),
    "logged model": ("tags", f"{OURS}model_id"),
}
"""Where a server that gave its own ids was told ours."""

IN_FOLDERS = [
    Allowed(
        lambda names, before, after: names[0] == "run" and before == finite(after),
        "Folders of files keep infinities, which MLflow's databases and our server show as the largest double",
    ),
    Allowed(
        lambda names, before, after: names[-1] == "latest_versions" and said_of(before) == said_of(after),
        "In what a model says of its versions folders of files name aliases too, databases do not",
    ),
    Allowed(
        lambda names, before, after: names[-1] == "listing" and sized(before) == after,
        "Folders of files say the size of an empty file; MLflow's servers, and ours, do not",
    ),
    Allowed(
        lambda names, before, after: (
            (names[-1], before, after) == ("files", "INTERNAL_ERROR", "RESOURCE_DOES_NOT_EXIST")
        ),
        "What a client says of a model without files, through a server and in a folder",
    ),
]

TIMES = {"creation_time", "last_update_time", "creation_timestamp", "last_updated_timestamp"}

ON_SERVERS = [
    Allowed(
        lambda names, before, after: names[0] != "run" and names[-1] in TIMES and before <= after,
        "A server takes the time of the call for that of an experiment, a model or a version",
    ),
    Allowed(
        lambda names, before, after: names[-1] == "latest_versions" and timeless(before) == timeless(after),
        "In what a model says of its versions are their times",
    ),
    Allowed(
        lambda names, before, after: (
            names[-1] == "mlflow.modelVersions" and str(before).replace('"1"', "1") == str(after)
        ),
        "MLflow's server writes the number of a version in this tag as a number, ours as a text",
    ),
]


def timeless(versions: Any) -> Any:
    """What is said of versions without their times."""
    fields = [{name: value for name, value in version.items() if name not in TIMES} for version in versions]
    return sorted(fields, key=repr)


def under_our_ids(seen: Seen) -> Seen:
    """What is seen of a server that gave ids of its own, under ours, which are in tags there."""
    ids = {
        names[1]: str(value) for names, value in seen.items() if names[0] in OWN_IDS and names[2:] == OWN_IDS[names[0]]
    }
    return {
        tuple(renamed(names, ids)): renamed(value, ids)
        for names, value in seen.items()
        if not names[-1].startswith(OURS)
    }


def at_our_places(seen: Seen, folder: Path) -> Seen:
    """What is seen of a folder of files, with our URIs of them."""
    return {names: renamed(value, {folder.as_uri(): "mlflow-artifacts:"}) for names, value in seen.items()}


def renamed(value: Any, words: Mapping[str, str]) -> Any:
    """A value with our words in the place of theirs, and without the tags that told these."""
    match value:
        case str():
            for theirs, ours in words.items():
                value = value.replace(theirs, ours)
            return value
        case list() | tuple():
            return type(value)(renamed(one, words) for one in value)
        case dict():
            return {key: renamed(one, words) for key, one in value.items() if not key.startswith(OURS)}
        case _:
            return value
