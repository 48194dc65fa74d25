"""`mlflow-shim backup`, `mlflow-shim restore` and `mlflow-shim doctor`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from native_api.core import backups, blobs, db, doctor, file_rows, schema, stores
from native_api.core.backups import Summary
from native_api.core.errors import Invalid
from native_api.core.file_check import FileCheck
from native_api.core.file_rows import FileRow
from native_api.settings import Settings

Given = Mapping[str, Any]


def add_commands(commands: Any, add_database: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the three commands to the parser."""

    def command(name: str, run: Callable[[Settings, Given], int], words: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words)
        add_database(parser)
        parser.add_argument(
            "--artifacts-destination", help="the folder or bucket where the server keeps artifacts (data/artifacts)"
        )
        parser.set_defaults(run=run)
        return parser

    command(
        "backup", make_backup, "write an SQLite database and its folder of artifacts into a new file, also while served"
    ).add_argument("file", type=Path)
    command("restore", restore, "put a backup back, to where there is neither a database nor artifacts").add_argument(
        "file", type=Path
    )
    examine = command("doctor", examine_all, "look for what does not fit together; status 1 if anything is found")
    examine.add_argument("--checksums", action="store_true", help="read all artifacts, and compare their checksums")


def make_backup(settings: Settings, given: Given) -> int:
    """`mlflow-shim backup`."""
    made = backups.make(db.parse_url(settings.database_url), settings.artifacts_destination, given["file"])
    print(f"{_told(made)} in {given['file']}")
    if made.changed:
        print(f"{made.changed} files were replaced or deleted meanwhile: the backup has them as it met them")
    if not made.head.has_artifacts:
        print("Not in it: the artifacts, which are in a bucket. Copy them now, by its own ways")
    print("Not in it: the keys that sign access tokens")
    return 0


def _told(summary: Summary) -> str:
    what = f"The database and {summary.files - 1} artifacts" if summary.head.has_artifacts else "The database"
    return f"{what}, {summary.size} bytes,"


def restore(settings: Settings, given: Given) -> int:
    """`mlflow-shim restore`."""
    put_back = backups.restore(given["file"], db.parse_url(settings.database_url), settings.artifacts_destination)
    print(f"{_told(put_back)} are restored")
    if not put_back.head.has_artifacts:
        print("Not in the backup: the artifacts, which were in a bucket")
    return 0


def examine_all(settings: Settings, given: Given) -> int:
    """`mlflow-shim doctor`: 0 if nothing is found, 1 otherwise."""
    url = db.parse_url(settings.database_url)
    if db.is_sqlite(url) and not Path(url.database or "").is_file():
        raise Invalid("There is no such database")
    engine = db.create_reader(url, 2)
    try:
        schema.check(engine)
        store = stores.open_store(settings.artifacts_destination)

        def now(run_artifact_ids: list[str]) -> list[FileRow]:
            with engine.connect() as conn:
                return file_rows.now(conn, run_artifact_ids)

        files = FileCheck(store, now, checksums=given["checksums"])
        count = 0
        with engine.connect() as conn:
            for examine in (doctor.examine, files.examine):
                for finding in examine(conn):
                    print(finding)
                    count += 1
        others = sum(1 for _ in blobs.walk(store)) - files.found
    finally:
        engine.dispose()
    print(f"{files.found} files of runs, {max(others, 0)} other files in the store", file=sys.stderr)
    print(f"{count} findings" if count else "Nothing found", file=sys.stderr)
    return 1 if count else 0
