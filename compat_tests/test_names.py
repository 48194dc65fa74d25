"""Names are text: spaces, other alphabets, and characters that mean something elsewhere."""

from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Experiment

TEXTS = ["a b", "ünïcödé", "实验 ☃ 🐘", "1+1", "100%", "50%25", "it's", 'a "quote"', "a/b", "a&b=c?d", "\\n; --"]
KEYS = ["a b", "ünï", "实验", "val/acc", "a.b-c_d", "a:b", "system/cpu utilisation"]
FILES = ["a b.txt", "ünïcödé.txt", "实验.txt", "1+1.txt", "100%.txt", "a&b=c.txt", "it's.txt", "a'b (1) [2].txt"]


@pytest.mark.parametrize("text", TEXTS)
def test_an_experiment_of_any_name(client: MlflowClient, experiment: Experiment, text: str) -> None:
    name = f"{text} {experiment.experiment_id}"
    made = mlflow.set_experiment(name)
    assert made.name == name
    found = client.get_experiment_by_name(name)
    assert found is not None
    assert found.experiment_id == made.experiment_id


@pytest.mark.parametrize("text", TEXTS)
def test_a_run_of_any_name(client: MlflowClient, experiment: Experiment, text: str) -> None:
    run = client.create_run(experiment.experiment_id, run_name=text, tags={"said": text})
    again = client.get_run(run.info.run_id)
    assert (again.info.run_name, again.data.tags["said"]) == (text, text)
    quote = '"' if "'" in text else "'"
    found = client.search_runs([experiment.experiment_id], f"tags.said = {quote}{text}{quote}")
    assert [run.info.run_name for run in found] == [text]


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_any_alphabet(client: MlflowClient, run_id: str, key: str) -> None:
    client.log_metric(run_id, key, 2.0, timestamp=1, step=0)
    client.log_param(run_id, key, "x")
    client.set_tag(run_id, key, "y")
    run = client.get_run(run_id)
    assert (run.data.metrics, run.data.params, run.data.tags[key]) == ({key: 2.0}, {key: "x"}, "y")
    assert [point.value for point in client.get_metric_history(run_id, key)] == [2.0]
    where = f"metrics.`{key}` = 2 AND params.`{key}` = 'x' AND tags.`{key}` = 'y'"
    [found] = client.search_runs([run.info.experiment_id], where, order_by=[f"metrics.`{key}` DESC"])
    assert found.info.run_id == run_id


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_name(client: MlflowClient, run_id: str, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(name, encoding="utf-8")
    client.log_artifact(run_id, str(tmp_path / name), "dir of it")
    assert [file.path for file in client.list_artifacts(run_id)] == ["dir of it"]
    [file] = client.list_artifacts(run_id, "dir of it")
    assert (file.path, file.file_size) == (f"dir of it/{name}", len(name.encode()))
    (tmp_path / "back").mkdir()
    back = client.download_artifacts(run_id, f"dir of it/{name}", str(tmp_path / "back"))
    assert Path(back).name == name
    assert Path(back).read_text(encoding="utf-8") == name
