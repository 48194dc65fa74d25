from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, event, func, insert, select, update

from native_api.core import audit, purges
from native_api.core import tables as t
from native_api.core.errors import Unavailable
from native_api.core.folder import Folder
from native_api.core.purges import Overdue, Purged
from native_api.transfer import importing
from native_api.transfer.importing import Copying
from native_api.transfer.intake import Intake
from tests.native_api.transfer.memory import FIRST, GONE, MODEL, SECOND, Memory, experiment, make, run

OF_RUNS = ("run_configs", "run_params", "run_tags", "run_inputs", "run_models", "run_artifacts")
OF_RUNS_POINTS = ("run_metric_values", "run_metric_latest", "logged_model_metrics")
OF_MODELS = ("logged_model_params", "logged_model_tags", "logged_model_metrics")


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "artifacts")


@pytest.fixture
def world(target: Engine, project_id: str, store: Folder) -> Memory:
    """What `make` has, with a copy of its files; nothing of it deleted."""
    source = make()
    source.has_experiments[1] = replace(source.has_experiments[1], deleted_at=None)
    source.has_runs[2] = replace(source.has_runs[2], deleted_at=None)
    intake = Intake(target, project_id, source.location, "mlflow-artifacts:/")
    importing.bring_in(intake, source, lambda noun, more: None, Copying(source, store))
    return source


def mark_deleted(target: Engine, table: Any, which: Any, at: int | None) -> None:
    with target.begin() as conn:
        conn.execute(update(table).where(which).values(deleted_at=at))


def ids_of(target: Engine) -> dict[str, int]:
    with target.connect() as conn:
        return {row.run_id: row.id for row in conn.execute(select(t.runs.c.run_id, t.runs.c.id))}


def counts(target: Engine) -> dict[str, int]:
    with target.connect() as conn:
        return {
            table.name: conn.scalars(select(func.count()).select_from(table)).one()
            for table in t.metadata.sorted_tables
        }


def of_owner(target: Engine, column: str, number: int) -> dict[str, int]:
    """How many rows of each table name this run or logged model, whatever tables there will be."""
    with target.connect() as conn:
        return {
            table.name: found
            for table in t.metadata.sorted_tables
            if column in table.c
            and not isinstance(table.c[column].type, type(t.runs.c.run_id.type))
            and (found := conn.scalars(select(func.count()).where(table.c[column] == number)).one())
        }


def test_a_run_goes_from_every_table_with_its_files(
    target: Engine, world: Memory, store: Folder, tmp_path: Path
) -> None:
    number = ids_of(target)[FIRST]
    assert of_owner(target, "run_id", number).keys() == {*OF_RUNS, *OF_RUNS_POINTS}
    mark_deleted(target, t.runs, t.runs.c.run_id == FIRST, 100)
    with target.connect() as conn:
        assert purges.count(conn, Overdue(99)) == Purged()
        would_go = purges.count(conn, Overdue(100))
    before = counts(target)
    gone = purges.purge(target, store, Overdue(100))
    assert gone == would_go == Purged(runs=1, points=14, files=2, bytes=5)
    assert of_owner(target, "run_id", number) == {}
    assert not (tmp_path / "artifacts/7" / FIRST / "artifacts").exists()
    after = counts(target)
    assert before["audit_log"] < after["audit_log"]
    assert (after["runs"], after["artifacts"], after["purges"]) == (2, 0, 0)
    with target.connect() as conn:
        assert audit.verify(conn)[1] is None
    assert purges.purge(target, store, Overdue(100)) == Purged()


def test_an_experiment_goes_with_all_in_it_and_its_name_is_free(
    target: Engine, world: Memory, store: Folder, project_id: str
) -> None:
    mark_deleted(target, t.experiments, t.experiments.c.id == 7, 100)
    gone = purges.purge(target, store, Overdue(100))
    assert gone == Purged(experiments=1, runs=2, logged_models=1, points=15, files=2, bytes=5)
    left = counts(target)
    assert [left[name] for name in (*OF_MODELS, "run_metric_values", "run_metric_latest", "purges")] == [0] * 6
    assert set(ids_of(target)) == {GONE}
    intake = Intake(target, project_id, "elsewhere")
    homes = importing.bring_in(intake, Memory(has_experiments=[experiment("1", "vision", 7)]), lambda noun, more: None)
    assert homes["1"].number == 7


def test_a_logged_model_goes_alone(target: Engine, world: Memory, store: Folder) -> None:
    mark_deleted(target, t.logged_models, t.logged_models.c.model_id == MODEL, 100)
    assert purges.purge(target, store, Overdue(100)) == Purged(logged_models=1)
    left = counts(target)
    assert [left[name] for name in (*OF_MODELS, "purges")] == [0] * 4
    assert left["runs"] == 3


def test_one_project_alone(target: Engine, world: Memory, store: Folder, project_id: str) -> None:
    mark_deleted(target, t.runs, t.runs.c.run_id == FIRST, 100)
    assert purges.purge(target, store, Overdue(100, "f" * 32)) == Purged()
    assert purges.purge(target, store, Overdue(100, project_id)).runs == 1


def test_what_is_restored_meanwhile_stays_as_it_was(
    target: Engine, world: Memory, store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_deleted(target, t.runs, t.runs.c.run_id.in_([FIRST, SECOND]), 100)
    before = of_owner(target, "run_id", ids_of(target)[FIRST])
    pages = purges._pages

    def restored_after_the_look(*given: Any) -> Any:
        for ids in pages(*given):
            mark_deleted(target, t.runs, t.runs.c.run_id == FIRST, None)
            yield ids

    monkeypatch.setattr(purges, "_pages", restored_after_the_look)
    assert purges.purge(target, store, Overdue(100)).runs == 1
    assert ids_of(target).keys() == {FIRST, GONE}
    assert of_owner(target, "run_id", ids_of(target)[FIRST]) == before


@pytest.mark.parametrize("steps", range(6))
def test_killed_anywhere_it_goes_on_the_next_time(
    target: Engine, world: Memory, store: Folder, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purges, "POINTS_AT_ONCE", 4)
    mark_deleted(target, t.runs, t.runs.c.run_id.in_([FIRST, SECOND]), 100)
    left = steps
    transaction = audit.transaction

    def killed(engine: Engine) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return transaction(engine)

    with monkeypatch.context() as patch:
        patch.setattr(audit, "transaction", killed)
        with pytest.raises(KeyboardInterrupt):
            purges.purge(target, store, Overdue(100))
    purges.purge(target, store, Overdue(100))
    rest = counts(target)
    assert [rest[name] for name in ("runs", "run_metric_values", "run_artifacts", "purges")] == [1, 0, 0, 0]
    assert store.entries(f"7/{FIRST}/artifacts") == []


def test_files_that_cannot_be_deleted_are_told_and_tried_again(
    target: Engine, world: Memory, store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_deleted(target, t.runs, t.runs.c.run_id.in_([FIRST, SECOND]), 100)
    delete = store.delete

    def locked(key: str) -> None:
        if FIRST in key:
            raise PermissionError(13, "Permission denied")
        if SECOND in key:
            raise Unavailable("The store does not answer")
        delete(key)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "delete", lambda self, key: locked(key))
        gone = purges.purge(target, store, Overdue(100))
    assert (gone.runs, len(gone.left)) == (2, 2)
    assert all("could not be deleted" in words for words in gone.left)
    assert store.entries(f"7/{FIRST}/artifacts") != []
    assert purges.purge(target, store, Overdue(100)) == Purged()
    assert (store.entries(f"7/{FIRST}/artifacts"), counts(target)["purges"]) == ([], 0)


def test_only_the_own_folder_in_this_store_is_deleted(
    target: Engine, world: Memory, store: Folder, tmp_path: Path, project_id: str
) -> None:
    outside = tmp_path / "outside" / "artifacts"
    outside.mkdir(parents=True)
    (outside / "kept.txt").write_text("kept")
    store.put("7/kept/file", [b"kept"])
    store.put(f"7/{GONE}/artifacts/inner/file", [b"kept"])
    uris = {FIRST: outside.as_uri(), SECOND: "mlflow-artifacts:/7", GONE: f"mlflow-artifacts:/7/{GONE}/artifacts"}
    with target.begin() as conn:
        for run_id, uri in uris.items():
            conn.execute(update(t.runs).where(t.runs.c.run_id == run_id).values(artifact_uri=uri, deleted_at=100))
        inner = f"mlflow-artifacts:/7/{GONE}/artifacts/inner"
        conn.execute(update(t.experiments).where(t.experiments.c.id == 0).values(artifact_location=inner))
    gone = purges.purge(target, store, Overdue(100))
    assert (gone.runs, gone.left, len(gone.elsewhere)) == (3, [], 3)
    assert (outside / "kept.txt").read_text() == "kept"
    assert store.read("7/kept/file", 9).content == b"kept"
    assert store.read(f"7/{GONE}/artifacts/inner/file", 9).content == b"kept"


def test_files_of_a_run_that_came_in_again_stay(
    target: Engine, world: Memory, store: Folder, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_deleted(target, t.runs, t.runs.c.run_id == FIRST, 100)

    def locked(self: Folder, key: str) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "delete", locked)
        assert len(purges.purge(target, store, Overdue(100)).left) == 1
    intake = Intake(target, project_id, "the same from elsewhere", "mlflow-artifacts:/")
    importing.bring_in(intake, world, lambda noun, more: None, Copying(world, store))
    assert len(purges.purge(target, store, Overdue(100)).elsewhere) == 1
    assert store.entries(f"7/{FIRST}/artifacts") != []
    assert counts(target)["purges"] == 0


def test_files_of_another_run_in_its_folder_stay(target: Engine, world: Memory, store: Folder) -> None:
    inner = f"7/{FIRST}/artifacts/inner"
    store.put(f"{inner}/file", [b"kept"])
    with target.begin() as conn:
        of_other = update(t.runs).where(t.runs.c.run_id == SECOND)
        conn.execute(of_other.values(artifact_uri=f"mlflow-artifacts:/{inner}"))
    mark_deleted(target, t.runs, t.runs.c.run_id == FIRST, 100)
    assert len(purges.purge(target, store, Overdue(100)).elsewhere) == 1
    assert store.read(f"{inner}/file", 9).content == b"kept"


def test_runs_with_many_files_go_in_several_transactions(
    target: Engine, world: Memory, store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = ids_of(target)
    with target.begin() as conn:
        artifact_id = conn.scalars(select(t.artifacts.c.artifact_id)).first()
        link = {"artifact_id": artifact_id, "created_at": 1}
        links = [
            {**link, "run_artifact_id": f"{number}-{part}", "run_id": number, "path": None}
            for run_id, number in runs.items()
            for part in range({FIRST: 0, SECOND: 1, GONE: 1}[run_id])
        ]
        conn.execute(insert(t.run_artifacts), links)
    together: list[int] = []
    purge_runs = purges._purge_runs

    def counted(conn: Any, overdue: Overdue, ids: Any, purged: Purged) -> None:
        together.append(len(ids))
        purge_runs(conn, overdue, ids, purged)

    monkeypatch.setattr(purges, "_purge_runs", counted)
    monkeypatch.setattr(purges, "FILES_AT_ONCE", 2)
    mark_deleted(target, t.runs, t.runs.c.run_id.in_(runs), 100)
    assert purges.purge(target, store, Overdue(100)).runs == 3  # of 2, 1 and 1 files, in some order
    assert sorted(together) == [1, 2]
    assert counts(target)["run_artifacts"] == 0


def test_what_a_run_told_of_models_that_stay_goes_a_few_at_once_by_an_index(
    target: Engine, world: Memory, store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = ids_of(target)
    with target.begin() as conn:
        point = conn.execute(select(t.logged_model_metrics)).one()._asdict()
        conn.execute(insert(t.logged_model_metrics), [{**point, "step": 1_000 + step} for step in range(10)])
        conn.execute(insert(t.logged_model_metrics), [{**point, "run_id": numbers[SECOND]}])
    sent: list[tuple[str, Any, int]] = []

    def note(conn: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        if statement.startswith("DELETE FROM logged_model_metrics"):
            sent.append((statement, values, cursor.rowcount))

    event.listen(target, "after_cursor_execute", note)
    monkeypatch.setattr(purges, "POINTS_AT_ONCE", 4)
    mark_deleted(target, t.runs, t.runs.c.run_id == FIRST, 100)
    purges.purge(target, store, Overdue(100))
    event.remove(target, "after_cursor_execute", note)
    assert [count for _, _, count in sent] == [4, 4, 3]
    assert of_owner(target, "run_id", numbers[FIRST]) == {}
    assert counts(target)["logged_model_metrics"] == 1
    if target.dialect.name == "sqlite":
        with target.connect() as conn:
            for statement, values, _ in sent:
                plan = [row[-1] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
                assert [line for line in plan if "ix_logged_model_metrics_run_id" in line]


def test_another_run_is_untouched(target: Engine, world: Memory, store: Folder) -> None:
    before = of_owner(target, "run_id", ids_of(target)[SECOND])
    mark_deleted(target, t.runs, t.runs.c.run_id == FIRST, 100)
    purges.purge(target, store, Overdue(100))
    assert of_owner(target, "run_id", ids_of(target)[SECOND]) == before
    assert run(SECOND).run_id in ids_of(target)
