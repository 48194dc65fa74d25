"""Optuna's callback for MLflow, and MLflow's storage for Optuna."""

import mlflow
import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.optuna.storage import MlflowStorage
from optuna_integration import MLflowCallback

pytestmark = [
    pytest.mark.filterwarnings("ignore:MLflowCallback has been deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*track_in_mlflow is experimental"),
]


@pytest.fixture
def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=7))


def objective(trial: optuna.Trial) -> float:
    x: float = trial.suggest_float("x", -10, 10)
    depth, scale = trial.suggest_int("depth", 1, 3), trial.suggest_categorical("scale", [0.5, 1.0])
    trial.set_user_attr("note", f"trial {trial.number}")
    return (x - 2) ** 2 + float(depth * scale)


def trial_runs(client: MlflowClient, experiment: Experiment) -> dict[int, Run]:
    """The runs of an experiment that Optuna has numbered, each number once."""
    runs = client.search_runs([experiment.experiment_id], "tags.number != ''")
    numbered = {int(run.data.tags["number"]): run for run in runs}
    assert len(numbered) == len(runs)
    return numbered


def test_each_trial_is_a_run(client: MlflowClient, experiment: Experiment, study: optuna.Study) -> None:
    callback = MLflowCallback(metric_name="loss", create_experiment=False)
    study.optimize(objective, n_trials=5, callbacks=[callback])
    runs = trial_runs(client, experiment)
    assert sorted(runs) == [0, 1, 2, 3, 4]
    for trial in study.trials:
        run = runs[trial.number]
        assert (run.info.run_name, run.info.status) == (str(trial.number), "FINISHED")
        assert run.data.params == {key: str(value) for key, value in trial.params.items()}
        assert run.data.metrics == {"loss": trial.value}
        assert run.data.tags["state"] == "COMPLETE"
        assert run.data.tags["direction"] == "MINIMIZE"
        assert run.data.tags["note"] == f"trial {trial.number}"
        assert run.data.tags["x_distribution"] == str(trial.distributions["x"])
    [best] = client.search_runs([experiment.experiment_id], order_by=["metrics.loss ASC"], max_results=1)
    assert best.data.tags["number"] == str(study.best_trial.number)


def test_the_study_names_the_experiment(client: MlflowClient, tracking_uri: str) -> None:
    study = optuna.create_study(study_name="a study of names: μ/2", directions=["minimize", "maximize"])
    callback = MLflowCallback(tracking_uri=tracking_uri, metric_name=["error", "speed"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 2.0), n_trials=2, callbacks=[callback])
    found = client.get_experiment_by_name("a study of names: μ/2")
    assert found is not None
    runs = trial_runs(client, found)
    assert [runs[trial.number].data.metrics for trial in study.trials] == [
        {"error": trial.values[0], "speed": 2.0} for trial in study.trials
    ]
    assert runs[0].data.tags["direction"] == str(["MINIMIZE", "MAXIMIZE"])


def test_trials_are_nested_in_a_run_and_log_more_themselves(
    client: MlflowClient, experiment: Experiment, study: optuna.Study
) -> None:
    callback = MLflowCallback(create_experiment=False, mlflow_kwargs={"nested": True, "tags": {"team": "search"}})

    @callback.track_in_mlflow()  # type: ignore[untyped-decorator]
    def tracked(trial: optuna.Trial) -> float:
        x: float = trial.suggest_float("x", -1, 1)
        for step in range(3):
            mlflow.log_metric("progress", x * step, step=step)
        mlflow.log_text(str(x), "x.txt")
        return x

    with mlflow.start_run(run_name="study") as parent:
        study.optimize(tracked, n_trials=3, callbacks=[callback])
        mlflow.log_metric("best", study.best_value)
    runs = trial_runs(client, experiment)
    assert sorted(runs) == [0, 1, 2]
    for trial in study.trials:
        run = runs[trial.number]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["team"] == "search"
        assert run.data.metrics == {"value": trial.value, "progress": 2 * trial.params["x"]}
        history = client.get_metric_history(run.info.run_id, "progress")
        assert [(point.step, point.value) for point in history] == [(n, n * trial.params["x"]) for n in range(3)]
        assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/x.txt") == str(trial.params["x"])
    assert client.get_run(parent.info.run_id).data.metrics == {"best": study.best_value}


def test_trials_side_by_side(client: MlflowClient, experiment: Experiment, study: optuna.Study) -> None:
    callback = MLflowCallback(create_experiment=False)
    study.optimize(objective, n_trials=16, n_jobs=2, callbacks=[callback])
    runs = trial_runs(client, experiment)
    assert {number: run.data.metrics["value"] for number, run in runs.items()} == {
        trial.number: trial.value for trial in study.trials
    }
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_pruned_and_failed_trials(client: MlflowClient, experiment: Experiment, study: optuna.Study) -> None:
    def unlucky(trial: optuna.Trial) -> float:
        trial.suggest_float("x", 0, 1)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ValueError("out of luck")
        return 1.0

    callback = MLflowCallback(create_experiment=False)
    study.optimize(unlucky, n_trials=3, callbacks=[callback], catch=ValueError)
    runs = trial_runs(client, experiment)
    told = [(runs[number].data.tags["state"], runs[number].data.metrics) for number in range(3)]
    assert told == [("COMPLETE", {"value": 1.0}), ("PRUNED", {}), ("FAIL", {})]


def test_a_study_is_kept_in_runs(client: MlflowClient, experiment: Experiment) -> None:
    storage = MlflowStorage(experiment.experiment_id, batch_flush_interval=0.2)
    study = optuna.create_study(storage=storage, study_name="kept", sampler=optuna.samplers.RandomSampler(seed=7))
    study.set_user_attr("data", {"rows": 3})
    study.optimize(objective, n_trials=6, n_jobs=2)
    storage.flush_all_batches()
    again = optuna.load_study(study_name="kept", storage=MlflowStorage(experiment.experiment_id))
    assert again.user_attrs == {"data": {"rows": 3}}
    told = {trial._trial_id: (trial.state, trial.params, trial.value, trial.user_attrs) for trial in again.trials}
    assert told == {
        trial._trial_id: (trial.state, trial.params, trial.value, trial.user_attrs) for trial in study.trials
    }
    assert len(told) == 6
    assert again.best_params == study.best_params
    runs = client.search_runs([experiment.experiment_id], "tags.`mlflow.parentRunId` != ''")
    assert {run.info.run_id for run in runs} == told.keys()
