"""Points on their way from a source: in parts of bounded size, whatever the lengths of the histories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from native_api.core.logged_model_metrics import ModelPoint
from native_api.core.metrics import AnyPoint, Name
from native_api.transfer.records import ModelPoints, RunPoints

CHUNK = 50_000
"""How many points are in one part, at most."""


def of_runs(histories: Iterable[tuple[str, Name, Sequence[AnyPoint]]]) -> Iterator[list[RunPoints]]:
    """Points of runs, by run id and metric, in their order."""
    part: dict[str, dict[Name, list[AnyPoint]]] = {}
    size = 0
    for run_id, name, points in histories:
        left = points
        while left:
            piece, left = left[: CHUNK - size], left[CHUNK - size :]
            part.setdefault(run_id, {}).setdefault(name, []).extend(piece)
            size += len(piece)
            if size == CHUNK:
                yield [*part.items()]
                part, size = {}, 0
    if part:
        yield [*part.items()]


def of_models(points: Iterable[tuple[str, ModelPoint]]) -> Iterator[list[ModelPoints]]:
    """Points of logged models, each with the run that logged it."""
    part: dict[str, list[ModelPoint]] = defaultdict(list)
    size = 0
    for run_id, point in points:
        part[run_id].append(point)
        size += 1
        if size == CHUNK:
            yield [*part.items()]
            part, size = defaultdict(list), 0
    if part:
        yield [*part.items()]
