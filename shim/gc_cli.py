"""`mlflow-shim gc`: let go for good what was deleted long enough ago."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from typing import Any

from native_api.core import clock, db, projects, purges, stores
from native_api.core.errors import Invalid
from native_api.core.purges import Overdue
from native_api.settings import Settings
from shim.opening import opened

Given = Mapping[str, Any]


def add_commands(commands: Any, add_database: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command to the parser."""
    words = "let go for good, with its artifacts, what was deleted long enough ago"
    parser = commands.add_parser("gc", help=words, description=words)
    parser.set_defaults(run=collect, action="gc")
    add_database(parser)
    parser.add_argument("--artifacts-destination", help="where the server keeps files (data/artifacts)")
    parser.add_argument("--older-than", default="30d", metavar="AGE", help="how long ago, like 1d12h30m5s (30d)")
    parser.add_argument("--project", metavar="SLUG", help="in this project only")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and change nothing")


def collect(settings: Settings, given: Given) -> int:
    """Purge, and say what has gone. 0 if all of it could be cleared away, else 1."""
    age = age_of(given["older_than"])
    create = db.create_reader if given["dry_run"] else db.create_writer
    with opened(settings, create) as engine:
        with engine.connect() as conn:
            project_id = projects.find_id(conn, given["project"]) if given["project"] else None
            overdue = Overdue(clock.now() - age, project_id)
            purged = purges.count(conn, overdue) if given["dry_run"] else None
        if purged is None:
            purged = purges.purge(engine, stores.open_store(settings.artifacts_destination), overdue)
    for words in (*purged.elsewhere, *purged.left):
        print(words)
    counts = {name.replace("_", " "): value for name, value in vars(purged).items() if isinstance(value, int)}
    words = ", ".join(f"{value:,} {name}" for name, value in counts.items())
    print(f"{'would go' if given['dry_run'] else 'gone'}: {words}")
    return 1 if purged.left else 0


_AGE = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SECONDS = (86_400, 3_600, 60, 1)


def age_of(text: str) -> int:
    """An age like `1d2h3m4s`, as `mlflow gc` takes it, in milliseconds. Invalid for anything else."""
    found = _AGE.fullmatch(text)
    if not text or found is None:
        raise Invalid(f"{text!r} is no age: write it like 30d, or 1d12h30m5s")
    return 1000 * sum(int(number or 0) * seconds for number, seconds in zip(found.groups(), _SECONDS, strict=True))
