"""The Dockerfile's steps and the compose file's services, run without Docker in a folder that stands for the image."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import yaml

from tests.conftest import fresh_postgres

ROOT = Path(__file__).resolve().parent.parent
WORKDIR = "/app"
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in (ROOT / "docker" / "Dockerfile").read_text().splitlines()
    if line and not line.startswith("#")
]
BUILD, FINAL = (
    INSTRUCTIONS[start:end]
    for starts in [[i for i, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM"]]
    for start, end in zip(starts, [*starts[1:], None], strict=True)
)
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
Service = dict[str, Any]


@dataclass(frozen=True)
class Image:
    """The folder that stands for WORKDIR in the image, and what its last stage sets."""

    folder: Path
    command: list[str]
    healthcheck: list[str]
    env: dict[str, str]

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        path = f"{self.folder / '.venv' / 'bin'}:{os.environ['PATH']}"
        return {"HOME": str(self.folder), **self.env, **extra, "PATH": path}

    def run(self, command: list[str], extra: Mapping[str, str]) -> None:
        subprocess.run(command, cwd=self.folder, env=self.environment(extra), check=True, timeout=60)

    @contextmanager
    def serving(self, command: list[str], extra: Mapping[str, str]) -> Iterator[None]:
        """The server started with this command; stopped as Docker stops it, which it must obey."""
        process = subprocess.Popen(command, cwd=self.folder, env=self.environment(extra), process_group=0)
        try:
            wait_for_port(int(extra["MLFLOW_SHIM_PORT"]), process)
            yield
            process.terminate()
            assert process.wait(timeout=15) in (0, -signal.SIGTERM)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What the Dockerfile's first stage builds: each COPY and RUN, in a folder in place of WORKDIR."""
    folder = tmp_path_factory.mktemp("image")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for word, rest in BUILD:
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy(ROOT / source, folder / target)
        elif word == "RUN":
            subprocess.run(shlex.split(rest), cwd=folder, env=os.environ | {"PATH": path}, check=True)
    last = dict(FINAL)
    return Image(
        folder=folder,
        command=json.loads(last["CMD"]),
        healthcheck=json.loads(last["HEALTHCHECK"].partition(" CMD ")[2]),
        env={
            name: value for name, value in (env_line(rest) for word, rest in FINAL if word == "ENV") if name != "PATH"
        },
    )


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def env_line(rest: str) -> tuple[str, str]:
    name, _, value = rest.partition("=")
    return name, value.strip('"')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when somebody listens there; fail when the process has ended, or takes longer than a start may."""
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except ConnectionRefusedError:
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.05)


def fetch(port: int, path: str) -> tuple[int, str]:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.status, answer.read().decode()


ADMIN = {"MLFLOW_SHIM_ADMIN_EMAIL": "boss@example.org", "MLFLOW_SHIM_ADMIN_PASSWORD": "correct horse"}
HERE = {"MLFLOW_SHIM_HOST": "127.0.0.1", "MLFLOW_SHIM_ACCESS": "required"}
"""What keeps these tests to this machine, with the access that an image has."""


def test_the_image_serves_as_it_is_once_it_has_an_administrator(image: Image) -> None:
    port = free_port()
    with image.serving(image.command, ADMIN | HERE | {"MLFLOW_SHIM_PORT": str(port)}):
        assert fetch(port, "/health") == (200, "OK")
        with pytest.raises(HTTPError, match="401"):
            fetch(port, "/api/2.0/mlflow/experiments/get?experiment_id=0")
        image.run(image.healthcheck, {"MLFLOW_SHIM_PORT": str(port)})
    assert (image.folder / "data" / "mlflow-shim.db").exists()


def test_the_image_does_not_start_where_anybody_could_come_in(image: Image) -> None:
    fresh = {"MLFLOW_SHIM_PORT": str(free_port()), "MLFLOW_SHIM_DATABASE_URL": "sqlite:///data/other.db"}
    with pytest.raises(subprocess.CalledProcessError):
        image.run(image.command, fresh)


def test_the_health_check_fails_where_nobody_serves(image: Image) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        image.run(image.healthcheck, {"MLFLOW_SHIM_PORT": str(free_port())})


def test_the_image_runs_what_it_holds_and_not_this_checkout(image: Image) -> None:
    code = "import native_api, shim; print(native_api.__file__, shim.__file__, sep='\\n')"
    python = image.folder / ".venv" / "bin" / "python"
    found = subprocess.run([python, "-c", code], cwd=image.folder / "data", check=True, capture_output=True, text=True)
    assert all(line.startswith(str(image.folder / ".venv")) for line in found.stdout.splitlines())


def test_the_services_of_the_compose_file_serve_on_postgresql(image: Image, postgres_url: str) -> None:
    port = free_port()
    migrate, server = (COMPOSE["services"][name] for name in ("migrate", "server"))
    other = HERE | {"MLFLOW_SHIM_PORT": str(port), "MLFLOW_SHIM_DATABASE_URL": fresh_postgres(postgres_url, "docker")}
    image.run(migrate["command"], environment(migrate, GIVEN) | other)
    with image.serving(server["command"], environment(server, GIVEN) | other):
        assert fetch(port, "/health") == (200, "OK")
        assert fetch(port, "/ready")[0] == 200


GIVEN = ADMIN | {"POSTGRES_PASSWORD": "secret"}


def environment(service: Service, given: Mapping[str, str]) -> dict[str, str]:
    return {name: interpolate(value, given) for name, value in service["environment"].items()}


def interpolate(text: str, given: Mapping[str, str]) -> str:
    """What compose makes of ${NAME:-default} and ${NAME:?message}."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        assert kind == "-" or name in given, f"{name}: {rest}"
        return given.get(name, rest)

    return re.sub(r"\$\{(\w+):([-?])([^}]*)\}", value, text)


def test_the_server_and_the_database_of_the_compose_file_agree() -> None:
    made = environment(COMPOSE["services"]["postgres"], GIVEN)
    url = f"postgresql://{made['POSTGRES_USER']}:{made['POSTGRES_PASSWORD']}@postgres:5432/{made['POSTGRES_DB']}"
    for name in ("migrate", "server"):
        assert environment(COMPOSE["services"][name], GIVEN)["MLFLOW_SHIM_DATABASE_URL"] == url


def test_the_server_waits_for_the_schema_and_the_schema_for_the_database() -> None:
    services = COMPOSE["services"]
    assert services["server"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_only_the_server_can_be_reached_from_outside() -> None:
    ports = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert ports == {"server": ["${MLFLOW_SHIM_PORT:-5000}:5000"]}


@pytest.mark.parametrize("name", ["migrate", "server"])
def test_a_service_is_built_from_our_dockerfile(name: str) -> None:
    build = COMPOSE["services"][name]["build"]
    context = (ROOT / "docker" / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).samefile(ROOT / "docker" / "Dockerfile")


def test_no_step_of_the_dockerfile_goes_unseen() -> None:
    assert {word for word, _ in BUILD} == {"FROM", "WORKDIR", "COPY", "RUN"}
    assert {word for word, _ in FINAL} == {"FROM", "WORKDIR", "COPY", "ENV", "VOLUME", "USER", "HEALTHCHECK", "CMD"}
    assert {rest for word, rest in INSTRUCTIONS if word == "WORKDIR"} == {WORKDIR}


def test_the_last_stage_takes_what_the_first_made(image: Image) -> None:
    sources = [rest.split()[-2] for word, rest in FINAL if word == "COPY"]
    assert sources == [f"{WORKDIR}/.venv", f"{WORKDIR}/volumes"]
    assert all((image.folder / Path(source).relative_to(WORKDIR)).is_dir() for source in sources)


def test_the_image_does_not_run_as_root() -> None:
    user = next(rest for word, rest in FINAL if word == "USER")
    assert int(user.split(":")[0]) > 0
    assert f"COPY --from=build --chown={user} {WORKDIR}/volumes ./".split(maxsplit=1) in FINAL


def test_what_the_dockerfile_copies_is_not_ignored() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {source for word, rest in BUILD if word == "COPY" for source in rest.split()[:-1]} == allowed
