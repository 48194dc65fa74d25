"""A running server and its OpenAPI document: schemathesis calls every operation, with credentials and without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from native_api.core import access_tokens, accounts, audit, db, schema
from native_api.settings import PREFIX
from tests.world import World, build

ROOT = Path(__file__).resolve().parents[3]

# A server that wants credentials does not start unless somebody has some.
ADMINISTRATOR = {f"{PREFIX}ADMIN_EMAIL": "root@example.org", f"{PREFIX}ADMIN_PASSWORD": "correct horse battery"}

CONFIG = """
hooks = "tests.native_api.routes.contract_hooks"
continue-on-failure = true
warnings = false

[auth]
auto-signup = false

[generation]
deterministic = true
database = "none"
allow-x00 = false  # objects that may hold anything take everything but this

# What they want no schema can say: a time to come, no password for a service account, a file that can be read,
# an end after the start, a source of one's own, a stage that others are archived for.
[[operations]]
include-name = [
    "POST /api/tokens",
    "POST /api/users",
    "POST /api/batch-import",
    "POST /api/runs",
    "PUT /api/runs/{run_id}",
    "POST /api/runs/{run_id}/complete",
    "POST /api/models/{name}/versions",
    "PUT /api/models/{name}/versions/{version}",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422"]
"""


@dataclass
class Running:
    """A server, the things that are in it, and the access token of their owner."""

    uri: str
    world: World
    token: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("contract")
    url, keys = f"sqlite:///{folder / 'test.db'}", folder / "secret.key"
    schema.upgrade(db.parse_url(url))
    engine = db.create_writer(db.parse_url(url))
    with audit.transaction(engine) as conn:
        accounts.set_up(conn, "mlflow-artifacts:/")
        world = build(conn, folder / "artifacts")
    engine.dispose()
    token = access_tokens.load_keys("", keys).issue(world.callers["owner"], 60)
    command = [
        *(sys.executable, "-m", "shim", "serve", "--port", "0", "--access", "required", "--database-url", url),
        *("--artifacts-destination", str(folder / "artifacts"), "--secret-key-file", str(keys)),
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env | ADMINISTRATOR | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    assert process.stdout is not None
    try:
        said = ""
        while "MLFLOW_TRACKING_URI=" not in said:
            said = process.stdout.readline()
            assert said, log.read_text()
        yield Running(said.strip().partition("=")[2], world, token)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def hold_to_the_document(server: Running, folder: Path, *options: str) -> None:
    """Run schemathesis with every check."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    ids = {name: value for name, value in server.world.ids.items() if name.endswith("_id")}
    known = {name: str(UUID(value)) for name, value in ids.items() if not value.startswith("m-")}
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", "--checks", "all"]
    ended = subprocess.run(
        [*command, *options, f"{server.uri}/api/openapi.json"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "CONTRACT_IDS": json.dumps(known)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_with_the_owners_credentials(running: Running, tmp_path: Path) -> None:
    bearer = f"Authorization: Bearer {running.token}"
    hold_to_the_document(running, tmp_path, "--header", bearer, "--phases", "coverage")


def test_what_is_made_can_be_asked_about(running: Running, tmp_path: Path) -> None:
    """Only with what is right: schemathesis takes a PUT without its body, which may be left out, for a wrong one."""
    bearer = f"Authorization: Bearer {running.token}"
    chosen = ["--phases", "stateful", "--mode", "positive", "--max-examples", "5"]
    hold_to_the_document(running, tmp_path, "--header", bearer, *chosen)


def test_without_credentials(running: Running, tmp_path: Path) -> None:
    hold_to_the_document(running, tmp_path, "--phases", "coverage", "--mode", "positive")
