"""Autologging of XGBoost, with its models."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import mlflow
import mlflow.xgboost
import numpy as np
import pytest
import xgboost
from mlflow import MlflowClient

from compat_tests.integrations import gradient_boosting as boosted
from compat_tests.integrations.gradient_boosting import TRAIN, TRAIN_TARGETS, VALID, VALID_TARGETS

matplotlib.use("agg")

pytestmark = pytest.mark.usefixtures("experiment", "autolog")


@pytest.fixture
def autolog() -> Iterator[None]:
    mlflow.xgboost.autolog(importance_types=["weight", "gain"])
    yield
    mlflow.xgboost.autolog(disable=True)


def test_train_logs_itself(client: MlflowClient, tmp_path: Path) -> None:
    train, valid = xgboost.DMatrix(TRAIN, TRAIN_TARGETS), xgboost.DMatrix(VALID, VALID_TARGETS)
    told: dict[str, dict[str, list[float]]] = {}
    with mlflow.start_run() as active:
        booster = xgboost.train(
            {"max_depth": 2, "eta": 0.5, "objective": "reg:squarederror"}, train, num_boost_round=50,
            evals=[(train, "train"), (valid, "valid")], early_stopping_rounds=2, evals_result=told, verbose_eval=False,
        )  # fmt: skip
    run = client.get_run(active.info.run_id)
    asked = {"max_depth": "2", "eta": "0.5", "num_boost_round": "50", "early_stopping_rounds": "2"}
    assert {key: run.data.params[key] for key in asked} == asked
    best, last = booster.best_iteration, len(told["valid"]["rmse"]) - 1
    assert best < last < 49  # it did stop early
    assert (run.data.metrics["best_iteration"], run.data.metrics["stopped_iteration"]) == (best, last)
    for name in ("train", "valid"):  # the best again, after the last
        errors = told[name]["rmse"]
        assert boosted.history(client, run, f"{name}-rmse") == pytest.approx([*errors, errors[best]])
    assert boosted.inputs(run) == [("dataset", "train"), ("train", "eval"), ("valid", "eval")]
    for kind in ("weight", "gain"):
        assert boosted.importance(run, kind, tmp_path) == pytest.approx(booster.get_score(importance_type=kind))
    model = boosted.model_of(client, run)
    assert boosted.points_of(model) == boosted.points_in(client, run)
    for address in (f"runs:/{run.info.run_id}/model", f"models:/{model.model_id}"):
        loaded = mlflow.xgboost.load_model(address)
        np.testing.assert_array_equal(loaded.predict(valid), booster.predict(valid))


def test_an_estimator_logs_itself_and_is_registered(client: MlflowClient) -> None:
    mlflow.xgboost.autolog(registered_model_name="boosted trees")
    with mlflow.start_run() as active:
        estimator = xgboost.XGBRegressor(n_estimators=5, max_depth=2, n_jobs=1)
        estimator.fit(TRAIN, TRAIN_TARGETS, eval_set=[(VALID, VALID_TARGETS)], verbose=False)
    run = client.get_run(active.info.run_id)
    asked = {"max_depth": "2", "num_boost_round": "5", "n_jobs": "1", "learning_rate": "None"}
    assert {key: run.data.params[key] for key in asked} == asked
    errors = estimator.evals_result()["validation_0"]["rmse"]
    assert boosted.history(client, run, "validation_0-rmse") == pytest.approx(errors)
    assert boosted.inputs(run) == [("dataset", "train"), ("validation_0", "eval")]
    model = boosted.model_of(client, run)
    assert model.params == run.data.params
    assert boosted.points_of(model) == {
        ("validation_0-rmse", 0, errors[0])
    }  # MLflow's own choice, where an estimator was fitted
    [version] = client.search_model_versions("name = 'boosted trees'")
    assert (version.run_id, version.source) == (run.info.run_id, f"models:/{model.model_id}")
    loaded = mlflow.pyfunc.load_model("models:/boosted trees/1")
    np.testing.assert_array_equal(loaded.predict(VALID), estimator.predict(VALID))
