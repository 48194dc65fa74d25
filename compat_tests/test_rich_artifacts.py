"""Texts, dictionaries, figures, images and tables that the client writes as files."""

import json
from pathlib import Path

import matplotlib.figure
import mlflow
import numpy
import pandas
import PIL.Image
import pytest
from mlflow import MlflowClient

from compat_tests.clients import needs

pytestmark = pytest.mark.usefixtures("experiment")


def downloaded(run_id: str, path: str, folder: Path) -> bytes:
    return Path(MlflowClient().download_artifacts(run_id, path, str(folder))).read_bytes()


def test_text(tmp_path: Path) -> None:
    with mlflow.start_run() as active:
        mlflow.log_text("ünï\nline", "notes/read me.txt")
        mlflow.log_text("<p>hello</p>", "page.html")
    assert downloaded(active.info.run_id, "notes/read me.txt", tmp_path).decode() == "ünï\nline"
    assert mlflow.artifacts.load_text(f"{active.info.artifact_uri}/page.html") == "<p>hello</p>"


def test_dictionaries(tmp_path: Path) -> None:
    content = {"a": [1, 2.5, None], "b": {"c": "ünï"}}
    with mlflow.start_run() as active:
        mlflow.log_dict(content, "config/a.json")
        mlflow.log_dict(content, "config/a.yaml")
    assert json.loads(downloaded(active.info.run_id, "config/a.json", tmp_path)) == content
    assert mlflow.artifacts.load_dict(f"{active.info.artifact_uri}/config/a.json") == content
    assert b"c:" in downloaded(active.info.run_id, "config/a.yaml", tmp_path)


def test_figures(tmp_path: Path) -> None:
    figure = matplotlib.figure.Figure()
    figure.subplots().plot([1, 2, 3])
    with mlflow.start_run() as active:
        mlflow.log_figure(figure, "plots/line.png")
    assert downloaded(active.info.run_id, "plots/line.png", tmp_path).startswith(b"\x89PNG")


def test_an_image_under_a_name(tmp_path: Path) -> None:
    with mlflow.start_run() as active:
        mlflow.log_image(PIL.Image.new("RGB", (4, 3), (255, 0, 0)), "red.png")
    assert downloaded(active.info.run_id, "red.png", tmp_path).startswith(b"\x89PNG")
    assert mlflow.artifacts.load_image(f"{active.info.artifact_uri}/red.png").size == (4, 3)


@needs("mlflow.log_image.key")
def test_images_by_key_and_step(client: MlflowClient) -> None:
    with mlflow.start_run() as active:
        for step in range(3):
            mlflow.log_image(numpy.full((8, 8, 3), step * 80, dtype=numpy.uint8), key="dogs", step=step)
        mlflow.flush_artifact_async_logging()
    run = client.get_run(active.info.run_id)
    assert run.data.tags["mlflow.loggedImages"] == "True"
    # Two files for each step, the image and a small copy.
    names = [file.path for file in client.list_artifacts(run.info.run_id, "images")]
    assert sorted(name.rsplit(".", 1)[1] for name in names) == ["png"] * 3 + ["webp"] * 3
    assert all(name.startswith("images/dogs") for name in names)


@needs("mlflow.log_table")
def test_a_table_grows(client: MlflowClient) -> None:
    with mlflow.start_run() as active:
        mlflow.log_table({"question": ["a", "b"], "score": [1, 2]}, "eval/table.json")
        mlflow.log_table(pandas.DataFrame({"question": ["c"], "score": [3]}), "eval/table.json")
    table = mlflow.load_table("eval/table.json", run_ids=[active.info.run_id], extra_columns=["run_id"])
    assert list(table["question"]) == ["a", "b", "c"]
    assert list(table["score"]) == [1, 2, 3]
    assert set(table["run_id"]) == {active.info.run_id}
    logged = json.loads(client.get_run(active.info.run_id).data.tags["mlflow.loggedArtifacts"])
    assert logged == [{"path": "eval/table.json", "type": "table"}]


@needs("mlflow.log_table")
def test_tables_of_an_experiment_are_read_together() -> None:
    for score in (1, 2):
        with mlflow.start_run():
            mlflow.log_table({"score": [score]}, "table.json")
    assert sorted(mlflow.load_table("table.json")["score"]) == [1, 2]
