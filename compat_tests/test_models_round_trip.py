"""Models that are logged, registered, aliased and staged come back by each of their addresses, and predict the same.

Our server has once SQLite and a local folder, once PostgreSQL and S3. MLflow's own has SQLite both times.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models.model import ModelInfo
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from compat_tests import targets
from tests import s3

FEATURES, CLASSES = load_iris(return_X_y=True, as_frame=True)

needs_xgboost = pytest.mark.skipif(
    find_spec("xgboost") is None, reason="XGBoost is not installed; `make integrations` has it"
)
needs_moto = pytest.mark.skipif(find_spec("moto") is None, reason="moto is not installed; `make integrations` has it")


class Widest(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Which of the columns is the greatest in each row, after a shift that it is given."""

    def __init__(self, shift: float) -> None:
        self.shift = shift

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        return (model_input - self.shift * np.arange(model_input.shape[1])).to_numpy().argmax(axis=1)


def log_sklearn(registered: str) -> tuple[ModelInfo, Any]:
    model = LogisticRegression(max_iter=500).fit(FEATURES, CLASSES)
    info = mlflow.sklearn.log_model(
        model, name="model", registered_model_name=registered, pip_requirements=["scikit-learn"]
    )
    return info, model.predict(FEATURES)


def log_xgboost(registered: str) -> tuple[ModelInfo, Any]:
    from xgboost import XGBClassifier

    model = XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1).fit(FEATURES, CLASSES)
    info = mlflow.xgboost.log_model(model, name="model", registered_model_name=registered, pip_requirements=["xgboost"])
    return info, model.predict(FEATURES)


def log_pyfunc(registered: str) -> tuple[ModelInfo, Any]:
    model = Widest(shift=1.5)
    info = mlflow.pyfunc.log_model(
        python_model=model, name="model", registered_model_name=registered, pip_requirements=["pandas"]
    )
    return info, model.predict(None, FEATURES)


@contextmanager
def with_folder(place: Path) -> Iterator[str]:
    with targets.running(targets.TARGET, place) as uri:
        yield uri


@contextmanager
def with_bucket(place: Path) -> Iterator[str]:
    """The address of a server that alone has the credentials of its bucket."""
    target = "stock" if targets.TARGET == "stock" else "postgresql"
    with s3.running() as store:
        bucket = store.new_bucket()
        options = ["--artifacts-destination", f"s3://{bucket}/some/prefix"]
        with targets.running(target, place, options, store.environment) as uri:
            yield uri
        keys = store.keys(bucket)
        assert keys
        assert all(key.startswith("some/prefix/") for key in keys)


@pytest.fixture(scope="module", params=[with_folder, pytest.param(with_bucket, marks=needs_moto)])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowClient]:
    before = mlflow.get_tracking_uri()
    with request.param(tmp_path_factory.mktemp("server")) as uri:
        mlflow.set_tracking_uri(uri)
        yield MlflowClient(uri)
    mlflow.set_tracking_uri(before)


@pytest.mark.parametrize("log", [log_sklearn, pytest.param(log_xgboost, marks=needs_xgboost), log_pyfunc])
def test_a_model_comes_back_by_each_of_its_addresses(
    client: MlflowClient, log: Callable[[str], tuple[ModelInfo, Any]]
) -> None:
    name = log.__name__
    mlflow.set_experiment(name)
    with mlflow.start_run() as active:
        logged, expected = log(name)
    client.set_registered_model_alias(name, "champion", "1")
    with pytest.warns(FutureWarning, match="stages"):
        client.transition_model_version_stage(name, "1", "Production")
    addresses = [
        f"runs:/{active.info.run_id}/model",
        f"models:/{name}/1",
        f"models:/{name}@champion",
        f"models:/{name}/Production",
        f"models:/{name}/latest",
        f"models:/{logged.model_id}",
    ]
    for address in addresses:
        loaded = mlflow.pyfunc.load_model(address)
        np.testing.assert_array_equal(loaded.predict(FEATURES), expected, err_msg=address)
        assert loaded.metadata.model_id == logged.model_id
    model = client.get_logged_model(logged.model_id)
    assert (model.status, model.source_run_id) == ("READY", active.info.run_id)
    [version] = client.search_model_versions(f"name = '{name}'")
    assert (version.version, version.status, version.current_stage) == ("1", "READY", "Production")
    assert (version.run_id, version.source) == (active.info.run_id, f"models:/{logged.model_id}")
    assert client.get_model_version_by_alias(name, "champion").version == "1"


def test_a_second_version_takes_over_the_alias_and_the_stage(client: MlflowClient) -> None:
    name = "taken over"
    mlflow.set_experiment(name)
    shifts = [0.0, 2.0]
    for shift in shifts:
        mlflow.pyfunc.log_model(
            python_model=Widest(shift), name="model", registered_model_name=name, pip_requirements=["pandas"]
        )
    for version in ("1", "2"):
        client.set_registered_model_alias(name, "champion", version)
        with pytest.warns(FutureWarning, match="stages"):
            client.transition_model_version_stage(name, version, "Production", archive_existing_versions=True)
    for address in (f"models:/{name}@champion", f"models:/{name}/Production", f"models:/{name}/2"):
        predicted = mlflow.pyfunc.load_model(address).predict(FEATURES)
        np.testing.assert_array_equal(predicted, Widest(2.0).predict(None, FEATURES), err_msg=address)
    stages = {version.version: version.current_stage for version in client.search_model_versions(f"name = '{name}'")}
    assert stages == {"1": "Archived", "2": "Production"}
    first = mlflow.pyfunc.load_model(f"models:/{name}/1").predict(FEATURES)
    np.testing.assert_array_equal(first, Widest(0.0).predict(None, FEATURES))


def test_a_copy_in_another_model_predicts_the_same(client: MlflowClient) -> None:
    mlflow.set_experiment("copied")
    mlflow.pyfunc.log_model(
        python_model=Widest(1.0), name="model", registered_model_name="staging", pip_requirements=["pandas"]
    )
    copy = client.copy_model_version("models:/staging/1", "production")
    assert (copy.name, copy.version) == ("production", "1")
    predicted = mlflow.pyfunc.load_model("models:/production/1").predict(FEATURES)
    np.testing.assert_array_equal(predicted, Widest(1.0).predict(None, FEATURES))
