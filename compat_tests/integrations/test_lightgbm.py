"""Autologging of LightGBM, with its models."""

from collections.abc import Iterator
from pathlib import Path

import lightgbm
import matplotlib
import mlflow
import mlflow.lightgbm
import numpy as np
import pytest
from mlflow import MlflowClient

from compat_tests.integrations import gradient_boosting as boosted
from compat_tests.integrations.gradient_boosting import TRAIN, TRAIN_TARGETS, VALID, VALID_TARGETS

matplotlib.use("agg")

pytestmark = pytest.mark.usefixtures("experiment", "autolog")


@pytest.fixture
def autolog() -> Iterator[None]:
    mlflow.lightgbm.autolog()
    yield
    mlflow.lightgbm.autolog(disable=True)


def test_train_logs_itself(client: MlflowClient, tmp_path: Path) -> None:
    train = lightgbm.Dataset(TRAIN, TRAIN_TARGETS)
    valid = lightgbm.Dataset(VALID, VALID_TARGETS, reference=train)
    told: dict[str, dict[str, list[float]]] = {}
    with mlflow.start_run() as active:
        booster = lightgbm.train(
            {"num_leaves": 4, "learning_rate": 0.5, "metric": ["l1", "l2"], "verbose": -1, "num_threads": 1}, train,
            num_boost_round=50, valid_sets=[train, valid], valid_names=["train", "valid"],
            callbacks=[lightgbm.early_stopping(2, verbose=False), lightgbm.record_evaluation(told)],
        )  # fmt: skip
    run = client.get_run(active.info.run_id)
    asked = {"num_leaves": "4", "learning_rate": "0.5", "metric": "['l1', 'l2']", "num_boost_round": "50"}
    assert {key: run.data.params[key] for key in asked} == asked
    best, ran = booster.best_iteration, len(told["valid"]["l1"])
    assert best < ran < 50  # it did stop early
    assert (run.data.metrics["best_iteration"], run.data.metrics["stopped_iteration"]) == (best, ran)
    for name in ("train", "valid"):
        for metric, errors in told[name].items():  # the best again, after the last
            assert boosted.history(client, run, f"{name}-{metric}") == pytest.approx([*errors, errors[best - 1]])
    assert boosted.inputs(run) == [("dataset", "train"), ("train", "eval"), ("valid", "eval")]
    for kind in ("split", "gain"):
        counts = booster.feature_importance(importance_type=kind)
        assert boosted.importance(run, kind, tmp_path) == dict(zip(booster.feature_name(), counts, strict=True))
    model = boosted.model_of(client, run)
    assert boosted.points_of(model) == boosted.points_in(client, run)
    for address in (f"runs:/{run.info.run_id}/model", f"models:/{model.model_id}"):
        loaded = mlflow.lightgbm.load_model(address)
        np.testing.assert_array_equal(loaded.predict(VALID), booster.predict(VALID))


def test_an_estimator_logs_itself_and_is_registered(client: MlflowClient) -> None:
    mlflow.lightgbm.autolog(registered_model_name="light trees")
    with mlflow.start_run() as active:
        estimator = lightgbm.LGBMRegressor(n_estimators=5, num_leaves=4, n_jobs=1, verbose=-1)
        estimator.fit(TRAIN, TRAIN_TARGETS, eval_X=VALID, eval_y=VALID_TARGETS)
    run = client.get_run(active.info.run_id)
    asked = {"num_leaves": "4", "num_boost_round": "5", "num_threads": "1", "boosting_type": "gbdt"}
    assert {key: run.data.params[key] for key in asked} == asked
    errors = estimator.evals_result_["valid_0"]["l2"]
    assert boosted.history(client, run, "valid_0-l2") == pytest.approx(errors)
    assert boosted.inputs(run) == [("dataset", "eval"), ("dataset", "train")]
    model = boosted.model_of(client, run)
    assert model.params == run.data.params
    assert boosted.points_of(model) == {
        ("valid_0-l2", 0, errors[0])
    }  # MLflow's own choice, where an estimator was fitted
    [version] = client.search_model_versions("name = 'light trees'")
    assert (version.run_id, version.source) == (run.info.run_id, f"models:/{model.model_id}")
    loaded = mlflow.pyfunc.load_model("models:/light trees/1")
    np.testing.assert_array_equal(loaded.predict(VALID), estimator.predict(VALID))
