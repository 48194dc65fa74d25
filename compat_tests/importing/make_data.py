"""Fills a store with all that its release of MLflow can keep, through the public interface of that release.

    python make_data.py TRACKING_URI
    python make_data.py TRACKING_URI --more

Each release's own Python runs it, in the folder where artifacts go. `--more` goes on where the first call ended.
"""

import logging
import sys
import tempfile
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)

import mlflow  # noqa: E402
from mlflow.entities import Experiment, Metric, Param, RunTag, ViewType  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

RELEASE = tuple(int(part) for part in mlflow.__version__.split(".")[:2])

START = 1_700_000_000_000
"""When the first run started. All times are told, so that every release makes the same."""

MANY = 100_000
AT_ONCE = 1_000
PARAM_LENGTH = 6_000 if RELEASE >= (2, 10) else 500 if RELEASE >= (2, 0) else 250

LIVE, DELETED, EMPTY = "einkauf/übersicht", "given up", "nothing here yet"
RUNNING = "still running"
MODEL, SECOND_MODEL = "forecast", "second model"


def fill(client: MlflowClient, uri: str) -> None:
    live = client.create_experiment(LIVE, **place("live"), tags={"team": "größe", "empty": ""})
    client.set_experiment_tag(live, "mlflow.note.content", "What we *want* to know:\n1. all of it ✓")
    client.create_experiment(EMPTY, **place("empty"))
    parent = log_nested(client, live)
    log_histories(client, live)
    log_ends(client, live)
    log_files(client, live)
    log_to_default(client)
    log_to_deleted(client)
    if RELEASE >= (2, 4):
        log_datasets(client, live)
    if keeps_models(uri):
        register_models(client, parent)
    if RELEASE >= (3, 0):
        log_models(client, live)
        register_prompt(client)


def place(name: str) -> dict[str, str]:
    """The argument that keeps an experiment's artifacts in this folder, where no server says where they go."""
    return {} if sys.argv[1].startswith("http") else {"artifact_location": (Path.cwd() / "artifacts" / name).as_uri()}


def keeps_models(uri: str) -> bool:
    return RELEASE >= (2, 0) or "://" in uri


def create(client: MlflowClient, experiment: str, name: str, number: int, **tags: str) -> str:
    """A run that started `number` minutes after the first."""
    told = {"mlflow.runName": name, "mlflow.user": "zoë", "mlflow.source.name": "train.py", **tags}
    told |= {"mlflow.source.type": "LOCAL", "mlflow.source.git.commit": f"{number:040x}"}
    return str(client.create_run(experiment, start_time=START + number * 60_000, tags=told).info.run_id)


def end(client: MlflowClient, run_id: str, status: str = "FINISHED") -> None:
    client.set_terminated(run_id, status, end_time=START + 3_600_000)


def log_nested(client: MlflowClient, experiment: str) -> str:
    parent = create(client, experiment, "parent", 1, **{"mlflow.note.content": "About *all* children"})
    for number in range(3):
        child = create(client, experiment, f"child {number}", 2 + number, **{"mlflow.parentRunId": parent})
        client.log_batch(
            child,
            [Metric("loss", 1 / (number + 1), START + number, 0)],
            [Param("depth", str(number)), Param("learning_rate", "1e-3"), Param("on", "True")],
            [RunTag("sweep", "β"), RunTag("empty", "")],
        )
        end(client, child)
    client.log_param(parent, "long", "ü" * PARAM_LENGTH)
    client.log_param(parent, "model/layers.0 units", "64")
    client.log_param(parent, "text", 'a "quoted" line\nand 日本語 \\ 🙂')
    client.log_param(parent, "empty", "")
    client.set_tag(parent, "long", "x" * 5_000)
    end(client, parent)
    return parent


def log_histories(client: MlflowClient, experiment: str) -> None:
    run_id = create(client, experiment, "histories", 10)
    values = {
        "loss": [0.5, 0.25, float("nan"), 0.125],
        "train/loss": [1.0, 0.1 + 0.2, 5e-324, -0.0],
        "val/loss": [1e308, -1e308, 1e-5, 3.0],
        "test/accuracy": [0.9, float("nan")],
        "up": [1.0, float("inf")],
        "down": [float("-inf"), -1.0],
        "only nan": [float("nan")],
        "system/cpu_utilization_percentage": [12.5, 13.0],
    }
    for key, numbers in values.items():
        points = [Metric(key, value, START + step, step) for step, value in enumerate(numbers)]
        client.log_batch(run_id, metrics=points)
    for step in (5, -3, 0, -1, 2, 2):  # out of order, negative, and the last one twice
        client.log_metric(run_id, "out of order", step / 10, timestamp=START - step, step=step)
    for value in (1.0, 2.0, 1.5):  # of one step and one time, the largest is the latest
        client.log_metric(run_id, "tied", value, timestamp=START, step=7)
    for first in range(0, MANY, AT_ONCE):
        steps = range(first, first + AT_ONCE)
        client.log_batch(run_id, metrics=[Metric("long", step % 997 / 7, START + step, step) for step in steps])
    end(client, run_id)


def log_ends(client: MlflowClient, experiment: str) -> None:
    for number, status in enumerate(("FAILED", "KILLED")):
        run_id = create(client, experiment, status.lower(), 20 + number)
        client.log_metric(run_id, "loss", number, timestamp=START, step=0)
        end(client, run_id, status)
    run_id = create(client, experiment, RUNNING, 22)
    client.log_metric(run_id, "loss", 4.0, timestamp=START, step=0)
    run_id = create(client, experiment, "deleted", 23)
    client.log_metric(run_id, "loss", 8.0, timestamp=START, step=0)
    client.log_param(run_id, "depth", "9")
    end(client, run_id)
    client.delete_run(run_id)


def log_files(client: MlflowClient, experiment: str) -> None:
    run_id = create(client, experiment, "files", 30)
    client.log_text(run_id, "at the top", "top.txt")
    client.log_text(run_id, "größer\n", "nested/deeper/a name with spaces ü.txt")
    client.log_text(run_id, "", "nested/empty")
    client.log_dict(run_id, {"a": [1, 2]}, "nested/values.json")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bytes 100%.bin").write_bytes(bytes(range(256)) * 5_000)
        client.log_artifact(run_id, str(Path(folder) / "bytes 100%.bin"), "blobs 1")
    end(client, run_id)


def log_to_default(client: MlflowClient) -> None:
    run_id = create(client, "0", "of the default experiment", 40)
    client.log_text(run_id, "below a place that MLflow chose", "notes/default.txt")
    client.log_metric(run_id, "loss", 1.0, timestamp=START, step=1)
    end(client, run_id)


def log_to_deleted(client: MlflowClient) -> None:
    experiment = client.create_experiment(DELETED, **place("deleted"), tags={"why": "no data"})
    run_id = create(client, experiment, "of a deleted experiment", 50)
    client.log_metric(run_id, "loss", 1.0, timestamp=START, step=1)
    client.log_text(run_id, "still there", "kept.txt")
    end(client, run_id)
    client.delete_experiment(experiment)


def log_datasets(client: MlflowClient, experiment: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    run_id = create(client, experiment, "datasets", 60)
    sources = {"Sales": "training", "sales": "validation", "größe": None}
    client.log_inputs(
        run_id,
        [
            DatasetInput(
                Dataset(name, f"digest-{name}", "local", '{"uri": "sales.csv"}', '{"columns": []}', '{"rows": 3}'),
                [InputTag("mlflow.data.context", context), InputTag("by", "hand")] if context else [],
            )
            for name, context in sources.items()
        ],
    )
    end(client, run_id)


def register_models(client: MlflowClient, run_id: str) -> None:
    client.create_registered_model(MODEL, {"team": "größe"}, "What we *expect*")
    client.log_text(run_id, "flavors: {}\n", "model/MLmodel")
    source = client.get_run(run_id).info.artifact_uri + "/model"
    client.create_model_version(MODEL, source, run_id, {"by": "hand"}, description="The first ✓")
    client.create_model_version(MODEL, source, run_id)
    client.transition_model_version_stage(MODEL, "1", "Production")
    client.transition_model_version_stage(MODEL, "2", "Staging")
    client.set_model_version_tag(MODEL, "2", "checked", "")
    client.create_registered_model(SECOND_MODEL)
    client.create_model_version(SECOND_MODEL, source, run_id)
    if RELEASE >= (2, 3):
        client.set_registered_model_alias(MODEL, "champion", "1")
        client.set_registered_model_alias(MODEL, "newest", "2")


def log_models(client: MlflowClient, experiment: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, LoggedModelInput, LoggedModelOutput

    run_id = create(client, experiment, "models", 70)
    data = Dataset("holdout", "digest-1", "local", '{"uri": "holdout.csv"}')
    client.log_inputs(run_id, [DatasetInput(data, [])])
    model = client.create_logged_model(experiment, "tree", run_id, {"by": "hand"}, {"depth": "3"}, "tree")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "MLmodel").write_text(f"model_id: {model.model_id}\n")
        client.log_model_artifacts(model.model_id, folder)
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 5)])
    client.log_metric(run_id, "accuracy", 0.5, START, 1, model_id=model.model_id)
    client.log_metric(run_id, "accuracy", 0.75, START, 2, None, data.name, data.digest, model_id=model.model_id)
    other = client.create_logged_model(experiment, "never finished", run_id, model_type="tree")
    client.log_inputs(run_id, models=[LoggedModelInput(other.model_id)])
    gone = client.create_logged_model(experiment, "deleted", run_id)
    client.delete_logged_model(gone.model_id)
    client.create_registered_model("of a logged model")
    client.create_model_version("of a logged model", f"models:/{model.model_id}", run_id, model_id=model.model_id)
    end(client, run_id)


def register_prompt(client: MlflowClient) -> None:
    client.register_prompt("greeting", "Hello {{ name }}", "The first", {"tone": "kind"})
    client.register_prompt("greeting", "Good day {{ name }}")
    client.set_prompt_alias("greeting", "best", 2)


def fill_more(client: MlflowClient, uri: str) -> None:
    live = get_experiment(client, LIVE).experiment_id
    (running,) = client.search_runs([live], f"tags.`mlflow.runName` = '{RUNNING}'")
    run_id = running.info.run_id
    client.log_metric(run_id, "loss", 3.0, timestamp=START + 1, step=1)
    client.log_metric(run_id, "late", 1.0, timestamp=START + 1, step=1)
    client.log_param(run_id, "late", "yes")
    client.set_tag(run_id, "late", "yes")
    client.log_text(run_id, "late", "late.txt")
    end(client, run_id)
    (killed,) = client.search_runs([live], "tags.`mlflow.runName` = 'killed'")
    client.delete_run(killed.info.run_id)
    (gone,) = client.search_runs([live], "tags.`mlflow.runName` = 'deleted'", ViewType.DELETED_ONLY)
    client.restore_run(gone.info.run_id)
    new = create(client, live, "new", 80)
    client.log_metric(new, "loss", 1.0, timestamp=START, step=0)
    client.log_text(new, "new", "new.txt")
    end(client, new)
    client.create_experiment("new", **place("new"))
    client.set_experiment_tag(live, "team", "another")
    (deleted,) = client.search_experiments(ViewType.DELETED_ONLY)
    client.restore_experiment(deleted.experiment_id)
    if keeps_models(uri):
        client.create_model_version(MODEL, client.get_run(new).info.artifact_uri, new)
        client.transition_model_version_stage(MODEL, "1", "Archived")
        client.update_registered_model(SECOND_MODEL, "Now with words")
        if RELEASE >= (2, 3):
            client.set_registered_model_alias(MODEL, "champion", "3")
            client.delete_registered_model_alias(MODEL, "newest")


def get_experiment(client: MlflowClient, name: str) -> Experiment:
    found = client.get_experiment_by_name(name)
    assert found is not None
    return found


if __name__ == "__main__":
    mlflow.set_tracking_uri(sys.argv[1])
    (fill_more if "--more" in sys.argv[2:] else fill)(MlflowClient(sys.argv[1]), sys.argv[1])
