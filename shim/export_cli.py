"""`mlflow-shim export`: everything that is tracked, as a folder of Parquet files, or one of MLflow's own."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from native_api.core import db, projects, schema, stores
from native_api.core.blobs import Store
from native_api.core.projects import DEFAULT
from native_api.settings import Settings
from native_api.transfer.own import Own, StoreFiles


def add_commands(commands: Any, add_database: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command to the parser."""
    words = "write everything that is tracked to a new folder, as Parquet files that DuckDB and pandas read"
    export = commands.add_parser("export", help=words, description=words)
    add_database(export)
    export.add_argument("folder", help="must not be there yet; or http(s)://host:port of an MLflow server to send to")
    export.add_argument("--project", metavar="SLUG", help="this project alone")
    export.add_argument(
        "--mlruns", action="store_true", help="write what MLflow's own file store reads: of one project (default)"
    )
    export.add_argument("--with-artifacts", action="store_true", help="copy the artifacts that this server keeps too")
    export.add_argument("--artifacts-destination", help="where it keeps them (data/artifacts)")
    export.set_defaults(action="export", run=export_)


def export_(settings: Settings, given: Mapping[str, Any]) -> int:
    """`mlflow-shim export`. A server may be at work on the database meanwhile."""
    store = stores.open_store(settings.artifacts_destination) if given["with_artifacts"] else None
    engine = db.create_reader(db.parse_url(settings.database_url), 1)
    try:
        schema.check(engine)
        if given["mlruns"] or given["folder"].startswith(("http://", "https://")):
            return _export_to_mlflow(engine, given["folder"], store, given["project"] or DEFAULT)
        # Only here: a server does not wait for pyarrow, nor holds it in memory.
        from native_api.transfer import parquet_export

        manifest = parquet_export.take_out(engine, Path(given["folder"]), store, project=given["project"])
    finally:
        engine.dispose()
    for name, file in manifest.files.items():
        print(f"{file.rows:>12,} {name}")
    return 0


def _export_to_mlflow(engine: Engine, target: str, store: Store | None, slug: str) -> int:
    from shim.targets.file_store import to_folder
    from shim.targets.server import to_server

    with engine.connect() as conn:
        project_id = projects.find_id(conn, slug)
    files = StoreFiles(store) if store is not None else None
    source = Own(engine, project_id)
    if target.startswith(("http://", "https://")):
        exported = to_server(source, files, target, lambda noun, more: None)
    else:
        exported = to_folder(source, files, Path(target), lambda noun, more: None)
    for noun, count in exported.counts.items():
        print(f"{count:>12,} {noun}")
    for words in exported.left_out:
        print(f"left out: {words}")
    for problem in exported.problems:
        print(f"problem: {problem}")
    return 1 if exported.problems else 0
