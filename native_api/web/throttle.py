"""Failed logins, counted for a while, so that nobody guesses passwords at leisure."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from native_api.core.errors import TooManyAttempts

WINDOW_SECONDS = 300
FROM_ONE_PLACE = 10
FROM_ANYWHERE = 100
MAX_KEPT = 20_000


@dataclass
class _Failures:
    count: int
    until: float


class Throttle:
    """Counts by (name, address) and, more patiently, by name alone; in memory, each process for itself."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def check(self, name: str, address: str) -> None:
        """Raise TooManyAttempts when there were too many failures within five minutes."""
        for key, most in self._limits(name, address):
            kept = self._kept.get(key)
            if kept and kept.count >= most and kept.until > self._now():
                raise TooManyAttempts(max(1, math.ceil(kept.until - self._now())))

    def failed(self, name: str, address: str) -> None:
        """Count a failure."""
        for key, _ in self._limits(name, address):
            kept = self._kept.pop(key, None)
            if kept is None or kept.until <= self._now():
                kept = _Failures(0, self._now() + WINDOW_SECONDS)
            kept.count += 1
            self._kept[key] = kept
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """The owner is here: forget the failures from this place."""
        self._kept.pop((name.lower(), address), None)

    def _limits(self, name: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
        folded = name.lower()[:320]
        return ((folded, address), FROM_ONE_PLACE), ((folded, ""), FROM_ANYWHERE)
