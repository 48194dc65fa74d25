"""`mlflow-shim export` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from native_api.core import accounts, audit, db, schema
from shim.cli import main


def test_an_export_is_written_once_and_says_what_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'server.db'}"
    schema.upgrade(db.parse_url(url))
    engine = db.create_writer(db.parse_url(url))
    with audit.transaction(engine) as conn:
        accounts.set_up(conn, "mlflow-artifacts:/")
    engine.dispose()
    command = ["export", str(tmp_path / "out"), "--database-url", url]
    assert main(command) == 0
    assert "1 experiments.parquet" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["files"]["experiments.parquet"]["rows"] == 1

    assert main(command) == 2
    assert capsys.readouterr().err == f"mlflow-shim: {tmp_path / 'out'} exists already\n"
    assert main(["export", str(tmp_path / "two"), "--project", "none", "--database-url", url]) == 2
    assert "No project with id 'none' was found" in capsys.readouterr().err
    assert not (tmp_path / "two").exists()
