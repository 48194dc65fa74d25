"""What may be another before and after an import, and why; anything else that differs is a fault."""

from collections.abc import Callable
from typing import Any, NamedTuple

from compat_tests.importing.reading import Names, Seen

LARGEST = "1.7976931348623157e+308"

ABSENT = "(absent)"


class Allowed(NamedTuple):
    """A difference that may be: whether it is this one, by the names and both values, and its reason."""

    applies: Callable[[Names, Any, Any], bool]
    reason: str


def finite(value: Any) -> Any:
    """Values with infinities as MLflow's databases and our server show them."""
    if isinstance(value, list):
        return sorted((finite(one) for one in value), key=repr)
    if isinstance(value, tuple):
        return tuple(finite(one) for one in value)
    return {"inf": LARGEST, "-inf": f"-{LARGEST}"}.get(value, value) if isinstance(value, str) else value


ALLOWED = [
    Allowed(
        lambda names, before, after: names[-1] in ("artifact_uri", "artifact_location", "source"),
        "Files that were copied are elsewhere. That they are the same files is seen by their bytes",
    ),
    Allowed(
        lambda names, before, after: names[0] == "experiment" and names[1] == "Default",
        "Every server has its own default experiment, made when it first started",
    ),
    Allowed(
        lambda names, before, after: names[-1] == "experiment_id",
        "Another id where that of the source was taken; that it is the right experiment is seen by its runs",
    ),
    Allowed(
        lambda names, before, after: names[0] == "run" and finite(before) == finite(after),
        "Folders of files keep infinities, which MLflow's databases and our server show as the largest double",
    ),
    Allowed(
        lambda names, before, after: (
            "history" in names and set(finite(before)) == set(finite(after)) and len(set(after)) == len(after)
        ),
        "Folders of files keep a point that was logged twice twice; MLflow's databases and we keep it once",
    ),
    Allowed(
        lambda names, before, after: names[-1] == "latest_versions" and without_places(before) == without_places(after),
        "The places of files, again, in what a model says of its versions",
    ),
]


def without_places(versions: Any) -> Any:
    return sorted(({key: one for key, one in version.items() if key != "source"} for version in versions), key=repr)


def differences(before: Seen, after: Seen) -> list[str]:
    """What differs and may not, a line each."""
    found = []
    for names in sorted(before.keys() | after.keys()):
        old, new = before.get(names, ABSENT), after.get(names, ABSENT)
        if old != new and not any(allowed.applies(names, old, new) for allowed in ALLOWED):
            found.append(f"{' / '.join(names)}: {str(old)[:200]} before, {str(new)[:200]} after")
    return found
