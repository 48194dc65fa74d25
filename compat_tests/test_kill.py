"""kill -9 in the middle of a load: what was acknowledged is there afterwards, and of the rest, all or nothing."""

import json
import random
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import pytest

from compat_tests import processes

KILLS = 10
WRITERS = 8
KEYS, STEPS = 10, 10
"""A batch holds this many metrics, so many points of each, a param and a tag."""


class Contents(NamedTuple):
    """What a run holds: sorted points (key, step, value), and the rest by key."""

    points: list[tuple[str, int, float]]
    latest: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


@dataclass
class Writer:
    """Logs to a run of its own until the server is gone; request `number` is a point or a batch, in turn."""

    uri: str
    run_id: str = ""
    acknowledged: list[int] = field(default_factory=list)
    unanswered: list[int] = field(default_factory=list)

    def write(self) -> None:
        with closing(connect(self.uri)) as connection:
            self.run_id = call(connection, "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
            for number in count():
                path, message = ("runs/log-batch", batch(number)) if number % 2 else ("runs/log-metric", point(number))
                try:
                    assert call(connection, path, message | {"run_id": self.run_id}) == {}
                except (OSError, HTTPException):
                    self.unanswered.append(number)
                    return
                self.acknowledged.append(number)


def point(number: int) -> dict[str, Any]:
    return {"key": "single", "value": number / 8, "timestamp": number, "step": number}


def batch(number: int) -> dict[str, Any]:
    steps = range(number * STEPS, (number + 1) * STEPS)
    return {
        "metrics": [point(step) | {"key": f"metric-{key}"} for step in steps for key in range(KEYS)],
        "params": [{"key": f"param-{number}", "value": str(number)}],
        "tags": [{"key": "last", "value": str(number)}, {"key": f"tag-{number}", "value": str(number)}],
    }


def expected(numbers: Iterable[int]) -> Contents:
    """What a run holds once these requests have been carried out, in their order."""
    contents = Contents([], {}, {}, {})
    for number in numbers:
        message = batch(number) if number % 2 else {"metrics": [point(number)], "params": [], "tags": []}
        contents.points.extend((metric["key"], metric["step"], metric["value"]) for metric in message["metrics"])
        contents.latest.update((metric["key"], metric["value"]) for metric in message["metrics"])
        contents.params.update((param["key"], param["value"]) for param in message["params"])
        contents.tags.update((tag["key"], tag["value"]) for tag in message["tags"])
    contents.points.sort()
    return contents


def stored(connection: HTTPConnection, run_id: str) -> Contents:
    data = call(connection, "runs/get", query={"run_id": run_id})["run"]["data"]
    latest, params, tags = (
        {item["key"]: item["value"] for item in data.get(kind, [])} for kind in ("metrics", "params", "tags")
    )
    histories = [
        call(connection, "metrics/get-history", query={"run_id": run_id, "metric_key": key}).get("metrics", [])
        for key in ["single", *(f"metric-{key}" for key in range(KEYS))]
    ]
    points = sorted((metric["key"], metric["step"], metric["value"]) for metrics in histories for metric in metrics)
    del tags["mlflow.runName"]  # given by the server
    return Contents(points, latest, params, tags)


def connect(uri: str) -> HTTPConnection:
    address = urlsplit(uri)
    return HTTPConnection(str(address.hostname), address.port, timeout=60)


def call(connection: HTTPConnection, path: str, message: object = None, query: dict[str, str] | None = None) -> Any:
    """The answer to a POST of the message, or to a GET; anything but a 200 fails the test."""
    method, target = ("POST", path) if message is not None else ("GET", f"{path}?{urlencode(query or {})}")
    body = None if message is None else json.dumps(message)
    connection.request(method, f"/api/2.0/mlflow/{target}", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    assert response.status == 200, content
    return json.loads(content)


def load_until_killed(server: processes.Server, seconds: float) -> list[Writer]:
    """Writers at work, all of them for some time before the server is killed under them."""
    writers = [Writer(server.uri) for _ in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        work = [pool.submit(writer.write) for writer in writers]
        while not all(writer.acknowledged for writer in writers) and not any(future.done() for future in work):
            time.sleep(0.01)
        time.sleep(seconds)
        server.kill()
        for future in work:
            future.result()
    return writers


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_was_acknowledged_survives_ten_kills_and_nothing_is_half_there(database: str, tmp_path: Path) -> None:
    chance = random.Random(9)
    writers: list[Writer] = []
    with processes.running(database, tmp_path) as server:
        for _ in range(KILLS):
            writers += load_until_killed(server, chance.uniform(0.2, 0.8))
            server.start()
        with closing(connect(server.uri)) as connection:
            for writer in writers:
                assert writer.acknowledged
                assert writer.unanswered
                possible = [expected(writer.acknowledged), expected(writer.acknowledged + writer.unanswered)]
                assert stored(connection, writer.run_id) in possible
