"""What the real client has logged before a user opens the UI: two experiments, of a small study and of many runs."""

from dataclasses import dataclass

import matplotlib.figure
import mlflow
import pandas
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

STEPS = 30
SAMPLES = 5
MANY = 130

CONFIG = {"layers": [64, 32], "activation": "relu"}
NOTES = "Trained on a laptop.\n"
TABLE = "epoch,score\n1,0.25\n2,0.75\n"
REPORT = """\
<html><body><h1 id="title">Without script</h1>
<script>
document.getElementById("title").textContent = "The script ran";
try { parent.document.title = "taken over" } catch { document.body.append("kept in its box") }
</script></body></html>
"""


@dataclass(frozen=True)
class Study:
    """An experiment by name and id, and the ids of its runs by their names."""

    name: str
    experiment_id: str
    runs: dict[str, str]


def log_digits() -> Study:
    """Six runs with curves; the first has files and system metrics, the second a dataset, the third two children."""
    name = "digits"
    experiment_id = str(mlflow.set_experiment(name).experiment_id)
    runs: dict[str, str] = {}
    for number in range(6):
        with mlflow.start_run(run_name=f"run-{number}") as run:
            runs[f"run-{number}"] = run.info.run_id
            mlflow.log_params({"depth": number, "optimizer": "adam" if number % 2 else "sgd"})
            for step in range(STEPS):
                mlflow.log_metrics({"loss": 1 / (step + 1 + number), "accuracy": step / 40 + number / 100}, step=step)
            mlflow.set_tag("team", "vision")
            mlflow.log_text(NOTES, "notes.txt")
            if number == 0:
                _log_files()
                for step in range(SAMPLES):
                    mlflow.log_metric("system/cpu_utilization_percentage", 20 + step, step=step)
            if number == 1:
                frame = pandas.DataFrame({"pixel": [1, 2], "digit": [3, 4]})
                mlflow.log_input(mlflow.data.from_pandas(frame, name="train-set", targets="digit"), context="training")
            if number == 2:
                for trial in range(2):
                    with mlflow.start_run(run_name=f"trial-{trial}", nested=True) as child:
                        runs[f"trial-{trial}"] = child.info.run_id
                        mlflow.log_metric("loss", 2 + trial)
    return Study(name, experiment_id, runs)


def _log_files() -> None:
    figure = matplotlib.figure.Figure()
    figure.subplots().plot([1, 2, 3])
    mlflow.log_figure(figure, "plots/line.png")
    mlflow.log_dict(CONFIG, "config.json")
    mlflow.log_text(TABLE, "scores.csv")
    mlflow.log_text(REPORT, "report.html")


def log_many(client: MlflowClient) -> Study:
    """More runs than the table shows at once, an hour between each."""
    name = "many"
    experiment_id = str(client.create_experiment(name))
    runs: dict[str, str] = {}
    for number in range(MANY):
        start = 1_700_000_000_000 + number * 3_600_000
        run = client.create_run(experiment_id, start_time=start, run_name=f"many-{number:03}")
        metric = Metric("score", number / MANY, start, 0)
        client.log_batch(run.info.run_id, metrics=[metric], params=[Param("number", str(number))])
        client.set_terminated(run.info.run_id, end_time=start + 60_000)
        runs[f"many-{number:03}"] = run.info.run_id
    return Study(name, experiment_id, runs)


def log_draft(client: MlflowClient, name: str) -> Study:
    """Three runs of little content, for a test that changes them."""
    experiment_id = str(client.create_experiment(name))
    runs: dict[str, str] = {}
    for run_name in ("first", "second", "third"):
        run = client.create_run(experiment_id, run_name=run_name)
        client.log_batch(run.info.run_id, params=[Param("colour", "blue")], tags=[RunTag("stage", "trial")])
        client.set_terminated(run.info.run_id)
        runs[run_name] = run.info.run_id
    return Study(name, experiment_id, runs)
