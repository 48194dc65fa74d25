"""Runs the tests with each release of the client that has an environment, and writes docs/clients.md.

    python -m compat_tests.matrix [RELEASE ...]

With releases named, only those run, and the page stays as it is. Tests of the server rather than of a client are left
out.
"""

import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "clients.md"
RELEASES = ROOT / "compat_tests" / "releases"

OF_THE_SERVER = ["comparison", "endpoints", "import", "kill", "large_artifacts", "load"]

SECONDS = 900
"""After which a run is broken off."""

ASK = """
import json
from compat_tests import clients
missing = [f"{clients.NEEDED[module]}: {module}" for module in clients.lacking_modules()]
print(json.dumps([str(clients.RELEASE), missing]))
"""


@dataclass(frozen=True)
class Result:
    """What became of the tests with one client."""

    release: str
    passed: int
    failed: list[str]
    skipped: Counter[str]
    """How many tests for each reason."""
    missing: list[str]
    """What the client has not, and the module of tests about it."""


def environments() -> dict[str, str]:
    """The environment of each release, by its minor version."""
    own = {lock.stem: f".venv-mlflow-{lock.stem}" for lock in RELEASES.glob("*.txt")}
    found = own | {"2.22": ".venv-compat-2", "3.17": ".venv-compat"}
    return dict(sorted(found.items(), key=lambda entry: [int(part) for part in entry[0].split(".")]))


def run(environment: str) -> Result:
    """The tests with the client of this environment, against a server of their own on SQLite."""
    python = str(ROOT / environment / "bin" / "python")
    asked = subprocess.run(
        [python, "-W", "ignore", "-c", ASK], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    release, missing = json.loads(asked.splitlines()[-1])
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        left_out = [f"--ignore=compat_tests/test_{name}.py" for name in OF_THE_SERVER]
        command = [python, "-m", "pytest", "compat_tests", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        try:
            subprocess.run([*command, *left_out], cwd=ROOT, check=False, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return Result(release, 0, [f"no end after {SECONDS} seconds"], Counter(), missing)
        cases = list(ET.parse(report).iter("testcase"))
    failed = [name_of(case) for case in cases if case.find("failure") is not None or case.find("error") is not None]
    reasons = [skip.get("message", "") for case in cases for skip in case.iterfind("skipped")]
    return Result(release, len(cases) - len(failed) - len(reasons), failed, Counter(reasons), missing)


def name_of(case: ET.Element) -> str:
    return f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"


def page(results: list[Result]) -> str:
    """The table, and below it why tests were skipped."""
    lines = [
        "# Clients",
        "",
        "The clients of these releases, unmodified, run the tests in `compat_tests/` against this server. A test is",
        "skipped where the client has not got what it is about. `make matrix` writes this page.",
        "",
        "| MLflow client | passed | failed | skipped |",
        "|---|---|---|---|",
    ]
    for result in results:
        failed = ", ".join(f"`{name}`" for name in result.failed) or "0"
        lines.append(f"| {result.release} | {result.passed} | {failed} | {result.skipped.total()} |")
    for result in results:
        lines += ["", f"## {result.release}", ""]
        lines += [f"- skipped, {count}: {reason}" for reason, count in sorted(result.skipped.items())]
        lines += [f"- the client has no `{name}`, so nothing of `{module}` was run" for name, module in pairs(result)]
        if lines[-1] == "":
            lines.append("Everything was run.")
    return "\n".join(lines) + "\n"


def pairs(result: Result) -> list[list[str]]:
    return [entry.split(": ") for entry in result.missing]


def main(chosen: list[str]) -> int:
    """How many tests failed."""
    known = environments()
    results = []
    for release in chosen or known:
        print(f"== MLflow {release}", flush=True)
        results.append(run(known[release]))
    if not chosen:
        PAGE.write_text(page(results))
    print(page(results))
    return sum(len(result.failed) for result in results)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
