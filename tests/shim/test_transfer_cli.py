from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import httpx
import msgspec
import pytest

from native_api.transfer.records import Run
from shim import cli, transfer_cli
from shim.sources import files
from shim.sources.connection import Connection
from tests.native_api.transfer.memory import Memory, make


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Memory:
    given = make()
    monkeypatch.setattr(transfer_cli, "open_source", lambda text, workspace: given)
    return given


def run(folder: Path, *arguments: str) -> int:
    return import_("memory", folder, *arguments)


def import_(source: str, folder: Path, *arguments: str) -> int:
    return cli.main(["import", source, "--database-url", f"sqlite:///{folder / 'own.db'}", *arguments])


def test_it_says_what_was_done_and_compared(source: Memory, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = folder / "report.json"
    assert run(folder, "--verify", "full", "--report", str(report)) == 0
    said = capsys.readouterr().out
    assert "runs                        3 added          0 changed          0 unchanged" in said
    assert "15 points" in said
    assert "0 differences" in said
    written = json.loads(report.read_text())
    assert written["changed"]["points"] == {"created": 15, "updated": 0, "unchanged": 0}
    assert (written["verified"], written["compared"]["runs"], written["differences"]) == ("full", 3, [])
    assert run(folder, "--report", str(report)) == 0
    assert all(
        (count["created"], count["updated"]) == (0, 0) for count in json.loads(report.read_text())["changed"].values()
    )


def test_files_are_asked_for_with_the_password_in_the_address(
    source: Memory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    source.location = "http://mlflow"
    source.has_runs[0] = msgspec.structs.replace(source.has_runs[0], artifact_uri="mlflow-artifacts:/7/files")
    sent: list[str | None] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("Authorization"))
        return httpx.Response(200, json={"files": []})

    transport = httpx.MockTransport(handle)
    monkeypatch.setattr(files, "Connection", lambda url, workspace: Connection(url, workspace, transport))
    given = "--copy-artifacts", "--artifacts-destination", str(folder / "artifacts"), "--verify", "none"
    assert import_("http://u:p@mlflow", folder, *given) == 0
    assert sent == ["Basic dTpw"]


def test_others_can_write_whenever_the_source_is_read(
    source: Memory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, reads = Memory.runs, 0

    def write_beside(self: Memory) -> Iterator[Sequence[Run]]:
        nonlocal reads
        for batch in runs(self):
            reads += 1
            with closing(sqlite3.connect(folder / "own.db", timeout=0.1, isolation_level=None)) as conn:
                conn.execute("BEGIN IMMEDIATE")
            yield batch

    monkeypatch.setattr(Memory, "runs", write_beside)
    assert run(folder, "--verify", "full") == 0
    assert reads == 4


def test_a_dry_run_leaves_the_database_as_it_is(
    source: Memory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--dry-run") == 0
    assert "3 would be added" in capsys.readouterr().out
    with sqlite3.connect(folder / "own.db") as conn:
        assert conn.execute("SELECT count(*) FROM runs").fetchone() == (0,)
    conn.close()


def test_what_is_left_out_makes_it_fail(
    source: Memory, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source.has_runs[0].params["a"] = "\0"
    assert run(folder) == 1
    said = capsys.readouterr().out
    assert "problem: The run 11111111111111111111111111111111 is left out: it holds a NUL character" in said
    assert "difference: The run 11111111111111111111111111111111 is not here" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no/such/folder"], "is no folder, no database URL and no address of a server"),
        (["oracle://host/name"], "mlflow-shim: "),
        (["sqlite:///no/such/file.db"], "mlflow-shim: "),
        (["sqlite:///own.db", "--project", "nowhere"], "No project with id 'nowhere'"),
    ],
)
def test_what_is_no_source_is_said_in_a_line(
    arguments: list[str], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["import", *arguments, "--database-url", f"sqlite:///{folder / 'own.db'}"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
