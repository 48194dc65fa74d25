from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from native_api.core.errors import Invalid
from shim import cli
from shim.gc_cli import age_of

DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "age"), [("30d", 30 * DAY), ("0s", 0), ("1d2h3m4s", DAY + 7_384_000), ("90m", 5_400_000)]
)
def test_ages_are_written_as_for_mlflow(text: str, age: int) -> None:
    assert age_of(text) == age


@pytest.mark.parametrize("text", ["", "d", "5", "-1d", "1s1d", "1.5d", "d1", "1d "])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        age_of(text)


def test_it_says_what_has_gone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "own.db"
    place = ["--database-url", f"sqlite:///{file}"]
    assert cli.main(["users", "list", *place]) == 0
    capsys.readouterr()
    with closing(sqlite3.connect(file)) as conn, conn:
        conn.execute("INSERT INTO organizations (org_id, name, created_at) VALUES ('o', 'o', 1)")
        conn.execute(
            "INSERT INTO ml_projects (project_id, org_id, name, slug, status, created_at) "
            "VALUES ('p', 'o', 'p', 'p', 'active', 1)"
        )
        conn.execute(
            "INSERT INTO experiments (id, experiment_id, project_id, name, artifact_location, created_at, updated_at, "
            "deleted_at) VALUES (5, 'e', 'p', 'old', '/elsewhere', 1, 1, 1)"
        )
    place += ["--artifacts-destination", str(folder / "artifacts")]
    said = "1 experiments, 0 runs, 0 logged models, 0 points, 0 files, 0 bytes"
    assert cli.main(["gc", "--dry-run", *place]) == 0
    assert capsys.readouterr().out == f"would go: {said}\n"
    assert cli.main(["gc", "--project", "p", *place]) == 0
    assert capsys.readouterr().out == f"gone: {said}\n"
    assert cli.main(["gc", *place]) == 0
    assert capsys.readouterr().out.startswith("gone: 0 experiments, ")
    assert cli.main(["gc", "--older-than", "soon", *place]) == 2
    assert cli.main(["gc", "--project", "nowhere", *place]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "mlflow-shim: 'soon' is no age: write it like 30d, or 1d12h30m5s",
        "mlflow-shim: No project with id 'nowhere' was found",
    ]
