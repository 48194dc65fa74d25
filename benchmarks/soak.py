"""Whether this server holds out: a mixed load for minutes, its tail, its errors, and whether its memory grows."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import databases, filling, processes, servers
from benchmarks.load import CLIENTS, LOOK_EVERY, PACE_SECONDS, Kind, Load
from benchmarks.progress import say
from benchmarks.report import DATABASES, facts, number, table
from benchmarks.sample import Size
from benchmarks.scenario import Target, Times
from benchmarks.wire import Answer

SLICE_SECONDS = 5.0
WARM_UP_SECONDS = 120.0
MOST_SLOPE, MOST_P99 = 1.0, 50.0


@dataclass(frozen=True)
class Soak:
    """`memory` is in MiB by minute since the beginning, `slope` in MiB a minute after the warm-up."""

    database: str
    times: dict[str, Times]
    calls: int
    failed: int
    memory: list[tuple[float, float]]
    slope: float
    server_share: float
    client_share: float

    @property
    def holds(self) -> bool:
        return self.failed == 0 and self.slope < MOST_SLOPE and self.times[Kind.LOG_BATCH.value].p99 < MOST_P99


@dataclass(frozen=True)
class Soaks:
    about: dict[str, str] = field(default_factory=dict)
    soaks: list[Soak] = field(default_factory=list)


def measure(kinds: Sequence[str], minutes: float, size: Size, folder: Path) -> Soaks:
    soaks = Soaks({"load": f"{CLIENTS} clients, each a request every {PACE_SECONDS} s, one in {LOOK_EVERY} a read"})
    for kind in kinds:
        with databases.opened(kind, folder / kind) as db:
            soaks.about[kind] = db.version
            db.create("soak")
            with servers.running(servers.ours(), db.url("soak"), folder) as server:
                say(f"{kind}: filling")
                sample = filling.fill("ours", db, server.port, size)
                target = Target(server, processes.Peak(server.pid), sample, size)
                soaks.soaks.append(_soak(kind, target, 60 * minutes))
    return soaks


def _soak(kind: str, target: Target, seconds: float) -> Soak:
    load = Load(target)
    answers: dict[Kind, list[Answer]] = {kind: [] for kind in Kind}
    memory: list[tuple[float, float]] = []
    server, client = 0.0, 0.0
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        calls, spent = load.go_on(min(SLICE_SECONDS, seconds - passed))
        for call in calls:
            answers[call.kind].append(call.answer._replace(body=b""))
        server, client = server + spent.server, client + spent.client
        memory.append(((time.monotonic() - begun) / 60, processes.memory(target.server.pid) / 2**20))
        say(f"{kind}: {memory[-1][0]:.1f} minutes, {memory[-1][1]:.1f} MiB")
    load.check()
    warm = [(minute, held) for minute, held in memory if minute >= min(WARM_UP_SECONDS, seconds / 5) / 60]
    return Soak(
        kind,
        {kind.value: Times.of(of_kind) for kind, of_kind in answers.items() if of_kind},
        sum(len(of_kind) for of_kind in answers.values()),
        sum(not answer.ok for of_kind in answers.values() for answer in of_kind),
        memory,
        slope(warm),
        server / seconds,
        client / seconds,
    )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line with the least squares through (x, y); not a number for fewer than two different x."""
    if len({x for x, _ in points}) < 2:
        return math.nan
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    steep = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return steep / sum((x - middle_x) * (x - middle_x) for x, _ in points)


def markdown(soaks: Soaks) -> str:
    parts = [facts(soaks.about)]
    for soak in soaks.soaks:
        lines = [[name, *map(number, (t.p50, t.p95, t.p99, t.most))] for name, t in soak.times.items()]
        parts += [
            table([f"{DATABASES[soak.database]}, ms", "p50", "p95", "p99", "most"], lines),
            f"{soak.calls:,} calls in {soak.memory[-1][0]:.1f} minutes, {soak.failed} failed. Memory "
            f"{soak.memory[0][1]:.0f} to {soak.memory[-1][1]:.0f} MiB, after the warm-up {soak.slope:+.2f} MiB a "
            f"minute. The server used {soak.server_share:.0%} of a processor, the client {soak.client_share:.0%}. "
            f"Holds out (under {MOST_SLOPE:.0f} MiB a minute, p99 of log-batch under {MOST_P99:.0f} ms, no failure): "
            f"{'yes' if soak.holds else 'NO'}.",
        ]
    return "\n\n".join(parts)
