"""Starting, and the memory that a server takes."""

import time

from benchmarks import processes
from benchmarks.processes import Spent
from benchmarks.scenario import Outcome, Target

REST_SECONDS = 1.0


def first_answer(target: Target) -> Outcome:
    """From its command to its first answer."""
    seconds = target.server.started
    return Outcome(seconds, 1, Spent(seconds, processes.cpu_seconds(target.server.pid), 0))


def memory_idle(target: Target) -> Outcome:
    _, spent = processes.watch(target.server.pid, lambda: time.sleep(REST_SECONDS))
    return Outcome(processes.memory(target.server.pid) / 2**20, 1, spent)


def memory_most(target: Target) -> Outcome:
    """The most that was seen since the server started."""
    return Outcome(target.memory.most / 2**20, 1, Spent(0, 0, 0))
