"""Autologging of a scikit-learn pipeline, without its model."""

from collections.abc import Iterator

import matplotlib
import mlflow
import mlflow.sklearn
import pytest
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from compat_tests.clients import since

matplotlib.use("agg")

pytestmark = pytest.mark.usefixtures("experiment", "autolog")


@pytest.fixture
def autolog() -> Iterator[None]:
    mlflow.sklearn.autolog(log_models=False)
    yield
    mlflow.sklearn.autolog(disable=True)


def pipeline() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=200))


@since("2.4", "the names of these metrics")
def test_a_pipeline_logs_itself(client: MlflowClient) -> None:
    features, classes = load_iris(return_X_y=True, as_frame=True)
    with mlflow.start_run() as active:
        model = pipeline().fit(features, classes)
        score = model.score(features, classes)
    run = client.get_run(active.info.run_id)
    assert run.data.params["logisticregression__C"] == "0.5"
    assert run.data.params["standardscaler__with_mean"] == "True"
    assert run.data.metrics["training_accuracy_score"] == pytest.approx(score)
    assert {"training_f1_score", "training_log_loss", "training_roc_auc"} <= run.data.metrics.keys()
    assert run.data.tags["estimator_name"] == "Pipeline"
    [used] = run.inputs.dataset_inputs
    assert {tag.key: tag.value for tag in used.tags} == {"mlflow.data.context": "train"}
    assert used.dataset.digest
    files = {file.path: file.file_size for file in client.list_artifacts(run.info.run_id)}
    assert {"estimator.html", "training_confusion_matrix.png"} <= files.keys()
    assert min(files.values()) > 0


def test_a_run_is_made_where_there_is_none(client: MlflowClient) -> None:
    features, classes = load_iris(return_X_y=True)
    pipeline().fit(features, classes)
    run = mlflow.last_active_run()
    assert run is not None
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.autologging"] == "sklearn"


def test_a_grid_search_makes_nested_runs(client: MlflowClient) -> None:
    features, classes = load_iris(return_X_y=True)
    with mlflow.start_run() as active:
        GridSearchCV(pipeline(), {"logisticregression__C": [0.1, 1.0, 10.0]}, cv=2).fit(features, classes)
    children = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{active.info.run_id}'",
        order_by=["params.logisticregression__C"],
        output_format="list",
    )
    assert [run.data.params["logisticregression__C"] for run in children] == ["0.1", "1.0", "10.0"]
    assert "best_cv_score" in client.get_run(active.info.run_id).data.metrics
