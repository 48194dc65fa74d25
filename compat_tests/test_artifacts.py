"""Files: up, down, listed, deleted, through the server's proxy."""

from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Experiment
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from compat_tests.clients import needs, not_with


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files, one folder deeper a third, and an empty one."""
    folder = tmp_path / "up"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "b.bin").write_bytes(bytes(range(256)) * 512)
    (folder / "deep/er/c.txt").write_text("c" * 10)
    (folder / "empty").touch()
    return folder


def listed(client: MlflowClient, run_id: str, path: str | None = None) -> list[tuple[str, bool, int | None]]:
    return sorted((file.path, file.is_dir, file.file_size) for file in client.list_artifacts(run_id, path))


def test_one_file(client: MlflowClient, run_id: str, folder: Path, tmp_path: Path) -> None:
    client.log_artifact(run_id, str(folder / "b.bin"))
    assert listed(client, run_id) == [("b.bin", False, 131072)]
    back = client.download_artifacts(run_id, "b.bin", str(tmp_path))
    assert Path(back).read_bytes() == bytes(range(256)) * 512


def test_a_file_is_replaced(client: MlflowClient, run_id: str, folder: Path, tmp_path: Path) -> None:
    client.log_artifact(run_id, str(folder / "a.txt"))
    (folder / "a.txt").write_text("another")
    client.log_artifact(run_id, str(folder / "a.txt"))
    assert listed(client, run_id) == [("a.txt", False, 7)]
    assert Path(client.download_artifacts(run_id, "a.txt", str(tmp_path))).read_text() == "another"


def test_a_folder_keeps_its_shape(client: MlflowClient, run_id: str, folder: Path, tmp_path: Path) -> None:
    client.log_artifacts(run_id, str(folder), "data")
    assert listed(client, run_id) == [("data", True, None)]
    assert [(path, is_dir) for path, is_dir, _ in listed(client, run_id, "data")] == [
        ("data/a.txt", False),
        ("data/b.bin", False),
        ("data/deep", True),
        ("data/empty", False),
    ]
    assert listed(client, run_id, "data/deep/er") == [("data/deep/er/c.txt", False, 10)]
    back = Path(client.download_artifacts(run_id, "data", str(tmp_path)))
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert {str(file.relative_to(back)): file.read_bytes() for file in back.rglob("*") if file.is_file()} == files


@needs("mlflow.artifacts.list_artifacts")
@pytest.mark.usefixtures("experiment")
def test_the_fluent_calls(folder: Path, tmp_path: Path) -> None:
    with mlflow.start_run() as active:
        mlflow.log_artifact(str(folder / "a.txt"))
        mlflow.log_artifacts(str(folder / "deep"), artifact_path="deep")
    run_id = active.info.run_id
    assert sorted(file.path for file in mlflow.artifacts.list_artifacts(run_id=run_id)) == ["a.txt", "deep"]
    back = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="deep", dst_path=str(tmp_path)))
    assert (back / "er/c.txt").read_text() == "c" * 10
    for uri in (f"runs:/{run_id}/a.txt", f"{active.info.artifact_uri}/a.txt"):
        assert mlflow.artifacts.load_text(uri) == "a"


def test_a_whole_run_is_downloaded(client: MlflowClient, run_id: str, folder: Path, tmp_path: Path) -> None:
    client.log_artifacts(run_id, str(folder))
    back = Path(client.download_artifacts(run_id, "", str(tmp_path)))
    assert (back / "deep/er/c.txt").read_text() == "c" * 10
    assert (back / "empty").read_bytes() == b""


def test_nothing_there_lists_as_nothing(client: MlflowClient, run_id: str, folder: Path) -> None:
    assert listed(client, run_id) == []
    assert listed(client, run_id, "missing") == []
    client.log_artifact(run_id, str(folder / "a.txt"))
    assert listed(client, run_id, "a.txt") == []


@not_with("3.0", "the client does not tell of a missing file")
def test_a_missing_file_is_not_downloaded(client: MlflowClient, run_id: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"missing|404|Not Found|not exist"):
        client.download_artifacts(run_id, "missing.txt", str(tmp_path))


@pytest.mark.parametrize("path", ["../up", "a/../../up", "/etc", "a/%2e%2e/%2e%2e/up"])
def test_paths_stay_inside_the_run(client: MlflowClient, run_id: str, folder: Path, path: str) -> None:
    with pytest.raises((MlflowException, OSError)):
        client.log_artifact(run_id, str(folder / "a.txt"), path)


def test_files_are_deleted(client: MlflowClient, run_id: str, folder: Path) -> None:
    client.log_artifacts(run_id, str(folder))
    repository = get_artifact_repository(client.get_run(run_id).info.artifact_uri)
    repository.delete_artifacts("a.txt")
    assert [path for path, _, _ in listed(client, run_id)] == ["b.bin", "deep", "empty"]
    repository.delete_artifacts("deep")
    assert [path for path, _, _ in listed(client, run_id)] == ["b.bin", "empty"]
    repository.delete_artifacts("deep")
    repository.delete_artifacts()
    assert listed(client, run_id) == []


def test_files_of_a_deleted_run_are_still_read(client: MlflowClient, run_id: str, folder: Path, tmp_path: Path) -> None:
    client.log_artifact(run_id, str(folder / "a.txt"))
    client.delete_run(run_id)
    assert Path(client.download_artifacts(run_id, "a.txt", str(tmp_path))).read_text() == "a"


def test_a_large_file_comes_back_whole(client: MlflowClient, run_id: str, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(range(251)) * 100_000)
    client.log_artifact(run_id, str(tmp_path / "large.bin"))
    (tmp_path / "back").mkdir()
    back = client.download_artifacts(run_id, "large.bin", str(tmp_path / "back"))
    assert Path(back).read_bytes() == (tmp_path / "large.bin").read_bytes()


def test_runs_do_not_see_each_other_s_files(client: MlflowClient, experiment: Experiment, folder: Path) -> None:
    one, other = (client.create_run(experiment.experiment_id).info.run_id for _ in range(2))
    client.log_artifact(one, str(folder / "a.txt"))
    assert listed(client, other) == []
