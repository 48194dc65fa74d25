from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, func, select, update

from native_api.core import audit, histories
from native_api.core import tables as t
from native_api.core.folder import Folder
from native_api.transfer import importing, verification
from native_api.transfer.importing import Copying
from native_api.transfer.intake import Intake
from native_api.transfer.verification import Verified
from tests.native_api.transfer.memory import (
    ACCURACY,
    FIRST,
    GONE,
    INF,
    LOSS,
    MODEL,
    SECOND,
    Memory,
    experiment,
    make,
    run,
)

Done = dict[str, tuple[int, int]]


def bring_in(target: Engine, project_id: str, source: Memory, **how: Any) -> tuple[Done, Intake]:
    """What was created and updated by noun, where anything was."""
    copying = how.pop("copying", None)
    intake = Intake(target, project_id, source.location, "mlflow-artifacts:/" if copying else None, **how)
    importing.bring_in(intake, source, lambda noun, more: None, copying)
    done = {noun: (count.created, count.updated) for noun, count in intake.done.items()}
    return {noun: counts for noun, counts in done.items() if any(counts)}, intake


def compare(target: Engine, project_id: str, source: Memory) -> Verified:
    intake = Intake(target, project_id, source.location)
    homes = importing.bring_in(intake, source, lambda noun, more: None)
    return verification.compare(target, project_id, source, homes, all_=True)


def rows(target: Engine) -> dict[str, list[Any]]:
    """Everything in the database."""
    with target.connect() as conn:
        return {table.name: sorted(map(repr, conn.execute(table.select()).all())) for table in t.metadata.sorted_tables}


EVERYTHING = {
    "experiments": (2, 0),
    "runs": (3, 0),
    "points": (15, 0),
    "logged models": (1, 0),
    "registered models": (1, 0),
    "model versions": (1, 0),
}


def test_everything_comes_in_and_is_the_same_here(target: Engine, project_id: str) -> None:
    source = make()
    done, intake = bring_in(target, project_id, source)
    assert (done, intake.problems) == (EVERYTHING, [])
    seen = compare(target, project_id, source)
    assert seen.differences == []
    assert (seen.experiments, seen.runs, seen.points, seen.logged_models, seen.model_versions) == (2, 3, 15, 1, 1)
    with target.connect() as conn:
        assert audit.verify(conn)[1] is None
        number = conn.scalars(select(t.runs.c.id).where(t.runs.c.run_id == FIRST)).one()
        assert histories.whole(conn, number, ACCURACY) == [
            (5, -1, -INF, 0),
            (5, 0, 0.0, 2),
            (5, 1, 0.5, 0),
            (5, 1, INF, 0),
        ]
        assert conn.scalars(select(t.registered_models.c.last_version)).one() == 5
        experiment_ids = conn.scalars(select(t.experiments.c.id).order_by(t.experiments.c.id)).all()
        assert experiment_ids == [0, 7, 8]


def test_a_second_import_changes_nothing(target: Engine, project_id: str) -> None:
    source = make()
    bring_in(target, project_id, source)
    before = rows(target)
    assert bring_in(target, project_id, source)[0] == {}
    assert bring_in(target, project_id, source, again=True)[0] == {}
    assert rows(target) == before


def test_a_dry_run_counts_and_changes_nothing(target: Engine, project_id: str) -> None:
    source, before = make(), rows(target)
    done, _ = bring_in(target, project_id, source, dry_run=True)
    assert done == {noun: count for noun, count in EVERYTHING.items() if noun != "points"}
    assert rows(target) == before
    bring_in(target, project_id, source)
    before = rows(target)
    assert bring_in(target, project_id, source, dry_run=True)[0] == {}
    assert rows(target) == before


@pytest.mark.parametrize("pieces", range(7))
def test_killed_anywhere_and_again_it_is_complete_and_nothing_twice(
    target: Engine, project_id: str, pieces: int
) -> None:
    source = make()
    source.fails_after = pieces
    if pieces < 6:
        with pytest.raises(KeyboardInterrupt):
            bring_in(target, project_id, source)
    source.fails_after = None
    bring_in(target, project_id, source)
    with target.connect() as conn:
        counts = {
            table.name: conn.scalar(select(func.count()).select_from(table)) for table in t.metadata.sorted_tables
        }
    wanted = {"runs": 3, "run_metric_values": 15, "run_metric_latest": 3, "run_inputs": 3, "run_models": 3}
    assert wanted.items() <= counts.items()
    assert compare(target, project_id, source).differences == []


def test_what_has_changed_there_changes_here(target: Engine, project_id: str) -> None:
    source = make()
    bring_in(target, project_id, source)
    source.has_experiments[0] = replace(source.has_experiments[0], name="seeing", tags={})
    source.has_runs[0] = replace(source.has_runs[0], status="running", finished_at=None, tags={"new": "tag"})
    source.has_runs[1] = replace(source.has_runs[1], params={"lr": "0.2"}, deleted_at=7_000)
    source.has_points[SECOND][LOSS].append((1, 2, 1.0, 0, 0))
    source.has_runs.append(run("5" * 32))
    detector = source.has_registered[0]
    version = replace(detector.versions[0], stage="archived", tags={})
    another = replace(version, version=4, stage="production")
    source.has_registered[0] = replace(detector, aliases={"latest": 4}, versions=[version, another])
    source.has_logged[0] = replace(source.has_logged[0], status="failed", tags={})
    done, intake = bring_in(target, project_id, source)
    assert done == {
        "experiments": (0, 1),
        "runs": (1, 2),
        "points": (1, 0),
        "logged models": (0, 1),
        "model versions": (1, 1),
    }
    assert compare(target, project_id, source).differences == []
    assert intake.problems == []
    with target.connect() as conn:
        assert audit.verify(conn)[1] is None


def test_what_has_changed_here_alone_stays(target: Engine, project_id: str) -> None:
    source = make()
    bring_in(target, project_id, source)
    with target.begin() as conn:
        conn.execute(update(t.runs).values(notes="our own"))
        conn.execute(update(t.experiments).where(t.experiments.c.id == 7).values(objective="our own"))
    assert bring_in(target, project_id, source)[0] == {}
    with target.connect() as conn:
        assert set(conn.scalars(select(t.runs.c.notes))) == {"our own"}
        assert conn.scalar(select(t.experiments.c.objective).where(t.experiments.c.id == 7)) == "our own"
    assert bring_in(target, project_id, source, again=True)[0] == {"experiments": (0, 1), "runs": (0, 3)}


def test_an_id_that_is_taken_is_another_one_here(target: Engine, project_id: str) -> None:
    bring_in(target, project_id, Memory("one", [experiment("7", "first", 7)]))
    bring_in(target, project_id, Memory("two", [experiment("7", "second", 7), experiment("0", "Default", 0)]))
    with target.connect() as conn:
        e = t.experiments.c
        ids = {row.name: row.id for row in conn.execute(select(e.name, e.id))}
    assert (ids["Default"], ids["first"]) == (0, 7)
    assert ids["second"] > 7
    assert len(ids) == 3


def test_ids_given_out_later_are_free_ones(target: Engine, project_id: str) -> None:
    bring_in(target, project_id, Memory("one", [experiment(str(n), f"e{n}", n) for n in (1, 2, 5)]))
    bring_in(target, project_id, Memory("two", [experiment(f"x{n}", f"other {n}") for n in range(8)]))
    with target.connect() as conn:
        assert conn.scalar(select(func.count()).select_from(t.experiments)) == 12


def test_a_run_that_another_project_has_is_left_out(target: Engine, project_id: str) -> None:
    source = make()
    bring_in(target, project_id, source)
    other = "f" * 32
    with target.begin() as conn:
        org_id = conn.scalars(select(t.organizations.c.org_id)).one()
        row = {"project_id": other, "org_id": org_id, "name": "other", "slug": "other", "status": "active"}
        conn.execute(t.ml_projects.insert(), row | {"created_at": 1})
    before = rows(target)
    done, intake = bring_in(target, other, source)
    assert "runs" not in done
    assert f"The run {FIRST} is left out: another project has it" in intake.problems
    assert rows(target)["runs"] == before["runs"]
    assert rows(target)["run_metric_values"] == before["run_metric_values"]


def test_what_no_table_can_hold_is_left_out_alone(target: Engine, project_id: str) -> None:
    source = make()
    source.has_runs[0] = replace(source.has_runs[0], params={"a": "\0"})
    done, intake = bring_in(target, project_id, source)
    assert done["runs"] == (2, 0)
    assert intake.problems == [f"The run {FIRST} is left out: it holds a NUL character"]


def test_files_are_copied_once_and_versions_point_at_them(target: Engine, project_id: str, tmp_path: Path) -> None:
    source, store = make(), Folder(tmp_path / "artifacts")
    copying = Copying(source, store)
    done, intake = bring_in(target, project_id, source, copying=copying)
    assert (done, intake.problems) == (EVERYTHING | {"files": (2, 0)}, [])
    assert (tmp_path / "artifacts/7" / FIRST / "artifacts/model/weights.bin").read_bytes() == b"w"
    with target.connect() as conn:
        a, r, v = t.artifacts.c, t.run_artifacts.c, t.model_versions.c
        files = conn.execute(select(r.path, a.size_bytes).join(t.run_artifacts, r.artifact_id == a.artifact_id))
        assert {tuple(row) for row in files} == {("model/weights.bin", 1), ("käse.txt", 4)}
        assert conn.scalars(select(v.storage_uri)).one() == f"mlflow-artifacts:/7/{FIRST}/artifacts/model"
    assert bring_in(target, project_id, source, copying=copying)[0] == {}
    source.has_files[f"/old/7/{FIRST}/artifacts"]["new.txt"] = b"more"
    assert bring_in(target, project_id, source, copying=copying)[0] == {"files": (3, 0)}


def test_a_file_whose_name_no_artifact_can_have_is_left_out_alone(
    target: Engine, project_id: str, tmp_path: Path
) -> None:
    source = make()
    source.has_files[f"/old/7/{FIRST}/artifacts"]["blobs#1"] = b"x"
    done, intake = bring_in(target, project_id, source, copying=Copying(source, Folder(tmp_path / "artifacts")))
    assert done["files"] == (2, 0)
    assert intake.problems == [f"The file 'blobs#1' of {FIRST} is left out: no artifact can have this name"]


def test_the_comparison_tells_what_is_not_the_same(target: Engine, project_id: str) -> None:
    source = make()
    bring_in(target, project_id, source)
    with target.begin() as conn:
        conn.execute(update(t.runs).where(t.runs.c.run_id == GONE).values(status="running"))
        conn.execute(update(t.experiments).where(t.experiments.c.id == 7).values(objective="another"))
        conn.execute(t.run_tags.delete())
        conn.execute(t.run_metric_values.delete().where(t.run_metric_values.c.step == 9))
        conn.execute(update(t.logged_models).values(name="another"))
        conn.execute(t.registered_model_aliases.delete())
        conn.execute(update(t.model_versions).values(stage="none"))
    words = "\n".join(compare(target, project_id, source).differences)
    for expected in (
        "experiment 7: objective",
        f"run {GONE}: status is 'running' here and 'killed' there",
        f"run {SECOND}: tags",
        f"run {FIRST}: 1 points of 'loss' are not here, one of them 0.1 at step 9",
        f"logged model {MODEL}: name",
        "registered model 'detector': aliases",
        "registered model 'detector', version 3: stage",
    ):
        assert expected in words
