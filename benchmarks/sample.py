"""What servers are filled with before they are measured: the same for every one of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

METRICS, PARAMS, TAGS = 20, 20, 10
START = 1_700_000_000_000
STRIDE = 7919
SERIES = "loss"


class Size(NamedTuple):
    """How much of everything."""

    runs: int = 10_000
    history: int = 100_000
    series: int = 20
    points: int = 10_000
    keys: int = 1_000
    params: int = 500
    steps: int = 1_000
    megabytes: int = 200
    more_megabytes: int = 1074
    files: int = 200
    seconds: float = 4.0  # the longest that one load of many requests lasts
    patience: float = 12.0  # the longest that one walk lasts


TINY = Size(
    runs=50, history=500, series=3, points=100, keys=20, params=10, steps=5, megabytes=1, more_megabytes=2,
    files=16, seconds=0.2, patience=2.0,
)  # fmt: skip


class Run(NamedTuple):
    """A run as it is shown: its metrics' latest values."""

    name: str
    start: int
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


class Sample(NamedTuple):
    """Many `runs` in the default experiment; apart from them, by their ids, runs with much in them.

    `wide` has many metrics and params, `history` one metric of very many points, each of `series` one of many.
    """

    runs: Sequence[Run]
    wide: Run
    wide_id: str
    history_id: str
    series_ids: Sequence[str]


def runs(count: int) -> list[Run]:
    """As many runs, no two with the same accuracy or the same loss (`count` must not be a multiple of STRIDE).

    Their METRICS metrics have one point each; the greatest `accuracy` and the greatest `loss` are far apart.
    """
    return [run(index, count) for index in range(count)]


def run(index: int, count: int, metrics: int = METRICS, params: int = PARAMS) -> Run:
    accuracy = index * STRIDE % count / count
    others = {f"metric-{n}": float((index + 1) * (n + 1) % 1009) for n in range(metrics - 2)}
    return Run(
        name=f"run-{index}",
        start=START + index,
        metrics={"accuracy": accuracy, "loss": 1 - accuracy} | others,
        params={"batch_size": str(1 << index % 7)} | {f"param-{n}": f"{(index + n) % 97}" for n in range(1, params)},
        tags={f"tag-{n}": f"value {(index * n) % 89}" for n in range(TAGS)},
    )


def wide(size: Size) -> Run:
    return Run(
        name="wide",
        start=START,
        metrics={f"metric-{n}": 1 / (n + 1) for n in range(size.keys)},
        params={f"param-{n}": f"value {n}" for n in range(size.params)},
        tags={},
    )


def series(name: str, points: int) -> Run:
    """A run whose metric SERIES has as many points as said, one a step from 0, with `value_at`."""
    return Run(name, START, {SERIES: value_at(points - 1)}, {}, {})


def value_at(step: int) -> float:
    return 1 / (step + 1)


def point(key: str, step: int) -> dict[str, object]:
    return {"key": key, "value": value_at(step), "timestamp": START + step, "step": step}


def pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def seen(message: dict[str, Any]) -> Run:
    """A run as a server shows it, without the tags that it gives by itself."""
    info, data = message["info"], message["data"]
    metrics, params, tags = (
        {item["key"]: item["value"] for item in data.get(kind, [])} for kind in ("metrics", "params", "tags")
    )
    own = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
    return Run(info["run_name"], info["start_time"], metrics, params, own)


NOTHING = Sample([], Run("", 0, {}, {}, {}), "", "", [])
