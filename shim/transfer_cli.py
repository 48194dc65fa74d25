"""`mlflow-shim import`: bring in what MLflow, or another server like this one, has kept so far."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from native_api.core import accounts, audit, clock, db, projects, stores
from native_api.core.errors import Invalid
from native_api.core.projects import DEFAULT
from native_api.settings import Settings
from native_api.transfer import importing, verification
from native_api.transfer.importing import Copying, Tell
from native_api.transfer.intake import Intake
from native_api.transfer.records import Counts, Source
from native_api.transfer.verification import Verified
from shim.opening import opened

Given = Mapping[str, Any]


def add_commands(commands: Any, add_database: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command to the parser."""
    words = "bring in what MLflow has kept: an mlruns folder, a database, or a running server"
    parser = commands.add_parser("import", help=words, description=words)
    parser.set_defaults(run=import_, action="import")
    parser.add_argument(
        "source", help="a folder, sqlite:///path, postgresql://user@host/name, mysql://..., or http(s)://host:port"
    )
    add_database(parser)
    parser.add_argument("--project", default=DEFAULT, help="the slug of the project that it goes to (default)")
    parser.add_argument("--workspace", help="which of MLflow's workspaces, where there are several (default)")
    parser.add_argument(
        "--copy-artifacts", action="store_true", help="copy the files too, instead of leaving them where they are"
    )
    parser.add_argument(
        "--artifacts-from", metavar="FOLDER", help="where an MLflow server kept what it gave out by mlflow-artifacts:"
    )
    parser.add_argument("--artifacts-destination", help="where this server keeps files (data/artifacts)")
    parser.add_argument("--dry-run", action="store_true", help="count what would be done, and change nothing")
    parser.add_argument("--again", action="store_true", help="look also at what has not changed since the last import")
    parser.add_argument(
        "--verify",
        choices=["sample", "full", "none"],
        default="sample",
        help="how much is compared at the end (sample)",
    )
    parser.add_argument("--report", metavar="FILE", help="write what was done, and what differs, as JSON")


def import_(settings: Settings, given: Given) -> int:
    """Bring in what is new, compare, and say what was done. 0 if all is here and equal, else 1."""
    if (Path(given["source"]) / MANIFEST).is_file():
        return _import_export(settings, given)
    started_at = clock.now()
    with opened(settings) as engine:
        with audit.transaction(engine) as conn:
            accounts.set_up(conn, settings.artifact_root)
            project_id = projects.find_id(conn, given["project"])
        with closing(open_source(given["source"], given["workspace"])) as source:
            intake = Intake(
                engine,
                project_id,
                source.location,
                settings.artifact_root if given["copy_artifacts"] else None,
                again=given["again"],
                dry_run=given["dry_run"],
            )
            copying = _copying(settings, source, given) if given["copy_artifacts"] else None
            with _bars(source.counts(), dry_run=intake.dry_run) as tell:
                homes = importing.bring_in(intake, source, tell, copying)
            verified = None
            if given["verify"] != "none" and not intake.dry_run:
                with opened(settings, db.create_reader) as reader:  # a writer's would keep a server from writing
                    verified = verification.compare(reader, project_id, source, homes, all_=given["verify"] == "full")
    _print(intake, verified)
    if given["report"]:
        _write(Path(given["report"]), given, started_at, intake, verified)
    return 1 if intake.problems or (verified and verified.different) else 0


MANIFEST = "manifest.json"
"""The file that says that a folder is an export of ours."""

_FOR_MLFLOW = ("workspace", "copy_artifacts", "artifacts_from", "dry_run", "again", "report")


def _import_export(settings: Settings, given: Given) -> int:
    """Bring in what a server like this one has exported, files included if the export has them."""
    from native_api.transfer import parquet_import

    asked = [name for name in _FOR_MLFLOW if given[name]]
    if asked or given["project"] != DEFAULT:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in asked or ["project"])
        raise Invalid(f"That is an export of this server's, which says itself where things go: no {words} with it")
    refused: list[str] = []
    store = stores.open_store(settings.artifacts_destination)
    with opened(settings) as engine:
        brought = parquet_import.bring_in(
            engine, Path(given["source"]), store, refused.append, artifact_root=settings.artifact_root
        )
    for name, count in brought.counts.items():
        print(f"{name:32} {count.created:>10} added {count.unchanged:>10} unchanged")
    for words in refused:
        print(f"problem: {words}")
    return 1 if brought.refused else 0


SERVERS = ("http://", "https://")


def open_source(text: str, workspace: str | None = None) -> Source:
    """What a command line names as the source of an import. Raises Invalid for what is none."""
    # Only what is asked for is loaded: none of it is needed to serve.
    if text.startswith(SERVERS):
        from shim.sources.server import Server

        return Server(text, workspace)
    if "://" in text and not text.startswith("file:"):
        from shim.sources.database import Database

        return Database(text, workspace)
    folder = Path(text.removeprefix("file://").removeprefix("file:"))
    if not folder.is_dir():
        raise Invalid(f"{text} is no folder, no database URL and no address of a server")
    from shim.sources.file_store import FileStore

    return FileStore(folder)


def _copying(settings: Settings, source: Source, given: Given) -> Copying:
    from shim.sources.files import open_files

    store = stores.open_store(settings.artifacts_destination)
    text: str = given["source"]
    # A location names no password, which the address of a server may hold.
    place = text if text.startswith(SERVERS) else source.location
    return Copying(open_files(place, given["artifacts_from"], given["workspace"]), store)


@contextmanager
def _bars(counts: Counts, *, dry_run: bool) -> Iterator[Tell]:
    """Progress bars with rate and time left, on standard error; none where nobody is watching."""
    from tqdm import tqdm

    totals = {name.replace("_", " "): total for name, total in counts._asdict().items()}
    shown = ("runs",) if dry_run else ("runs", "points", "files")
    bars = {noun: tqdm(total=totals.get(noun), desc=noun, unit="", disable=None, unit_scale=True) for noun in shown}

    def tell(noun: str, more: int) -> None:
        if noun in bars:
            bars[noun].update(more)

    try:
        yield tell
    finally:
        for bar in bars.values():
            bar.close()


def _print(intake: Intake, verified: Verified | None) -> None:
    for noun, count in intake.done.items():
        would = "would be " if intake.dry_run else ""
        print(f"{noun:18} {count.created:>10} {would}added {count.updated:>10} changed {count.unchanged:>10} unchanged")
    for problem in intake.problems:
        print(f"problem: {problem}")
    if verified is not None:
        for difference in verified.differences:
            print(f"difference: {difference}")
        compared = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in _compared(verified).items())
        print(f"compared: {compared}; {verified.different} differences")


def _compared(verified: Verified) -> dict[str, int]:
    return {name: n for name, n in asdict(verified).items() if name not in ("different", "differences")}


def _write(path: Path, given: Given, started_at: int, intake: Intake, verified: Verified | None) -> None:
    report = {
        "source": intake.location,
        "project": given["project"],
        "dry_run": intake.dry_run,
        "started_at": started_at,
        "finished_at": clock.now(),
        "changed": {noun: msgspec.structs.asdict(count) for noun, count in intake.done.items()},
        "problems": intake.problems,
        "verified": given["verify"] if verified else None,
        "compared": _compared(verified) if verified else {},
        "differences": verified.differences if verified else [],
    }
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
