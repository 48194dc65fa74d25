"""An experiment with an artifact location of its own: the client writes there itself."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Experiment


def as_uri(folder: Path) -> str:
    return folder.as_uri()


@pytest.mark.parametrize("address", [as_uri, str], ids=["file URI", "local path"])
def test_files_go_where_the_experiment_says(
    client: MlflowClient, experiment: Experiment, tmp_path: Path, address: type[str]
) -> None:
    root = tmp_path / "its own"
    (tmp_path / "a.txt").write_text("a")
    experiment_id = client.create_experiment(f"{experiment.name} own", artifact_location=address(root))
    run = client.create_run(experiment_id)
    run_id = run.info.run_id
    assert run.info.artifact_uri == f"{client.get_experiment(experiment_id).artifact_location}/{run_id}/artifacts"
    client.log_artifact(run_id, str(tmp_path / "a.txt"), "dir")
    assert (root / run_id / "artifacts/dir/a.txt").read_text() == "a"
    assert [(file.path, file.is_dir) for file in client.list_artifacts(run_id)] == [("dir", True)]
    back = client.download_artifacts(run_id, "dir/a.txt")
    assert Path(back).read_text() == "a"


@pytest.mark.parametrize("location", ["s3://bucket/some/where", "gs://bucket", "dbfs:/dir"])
def test_other_stores_are_named_not_touched(client: MlflowClient, experiment: Experiment, location: str) -> None:
    experiment_id = client.create_experiment(f"{experiment.name} own", artifact_location=location)
    assert client.get_experiment(experiment_id).artifact_location == location
    run = client.create_run(experiment_id)
    assert run.info.artifact_uri == f"{location}/{run.info.run_id}/artifacts"
