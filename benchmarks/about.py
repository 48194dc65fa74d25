"""What one has to know to judge a figure: the machine, the versions, the command."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime

from benchmarks.servers import ROOT


def facts() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} processors ({platform.machine()}), {memory:.0f} GiB, {platform.system()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
    }


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"
