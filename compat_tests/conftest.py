"""A server for the session, and a fresh experiment for each test.

COMPAT_TARGET=stock runs the same tests against MLflow's own server: what they claim must be true of MLflow first.
COMPAT_TARGET=postgresql runs them against ours on PostgreSQL; sqlite-s3 and postgresql-s3 with artifacts in a bucket.
MLFLOW_SHIM_COMMAND and MLFLOW_COMMAND name the two programs where they are not in their usual places.
"""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from packaging.version import Version

from compat_tests import targets
from compat_tests.clients import RELEASE, lacking_modules

with warnings.catch_warnings():  # old clients use what newer libraries would rather not have
    warnings.simplefilter("ignore")
    import mlflow
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

collect_ignore = lacking_modules()
if find_spec("flask") is None:  # the skinny client comes without a server to compare with
    collect_ignore += ["test_comparison.py", "test_graphql.py"]
if find_spec("flask") is None or Version("3.17") > RELEASE:  # reads with the newest client, beside its server
    collect_ignore += ["test_export.py", "test_import.py"]
if find_spec("optuna") is None:  # `make integrations` has an environment of its own
    collect_ignore.append("integrations")
if Version("3.17") > RELEASE:  # whose queries they are
    collect_ignore.append("test_graphql.py")
if find_spec("playwright") is None:  # the browser tests are about the newest UI, in its environment
    collect_ignore.append("ui")
if targets.TARGET == "stock":  # our list of what we do not serve says nothing of MLflow's own server
    collect_ignore.append("test_endpoints.py")
if targets.TARGET == "stock":  # MLflow's own server has workspaces only if they are switched on
    collect_ignore += ["test_workspaces.py", "test_workspace_calls.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, but for those of what MLflow itself calls: it tries its best with newer libraries."""
    for category in ("DeprecationWarning", "FutureWarning", "UserWarning"):
        for caller in ("mlflow", "pandas", "sklearn"):
            config.addinivalue_line("filterwarnings", f"ignore::{category}:{caller}.*")
    if Version("2.22") > RELEASE:  # and so do the libraries of its time
        for category in ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning", "ResourceWarning"):
            config.addinivalue_line("filterwarnings", f"ignore::{category}")


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with targets.running(targets.TARGET, tmp_path_factory.mktemp("server")) as uri:
        mlflow.set_tracking_uri(uri)
        yield uri


@pytest.fixture(scope="session")
def stock_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with targets.running("stock", tmp_path_factory.mktemp("stock")) as uri:
        yield uri


@pytest.fixture(scope="session")
def client(tracking_uri: str) -> MlflowClient:
    return MlflowClient(tracking_uri)


@pytest.fixture
def experiment(tracking_uri: str, request: pytest.FixtureRequest) -> Iterator[Experiment]:
    """A fresh experiment, which the fluent calls of the test log to."""
    yield mlflow.set_experiment(request.node.nodeid)
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def run_id(client: MlflowClient, experiment: Experiment) -> str:
    """A fresh run in the fresh experiment."""
    return str(client.create_run(experiment.experiment_id).info.run_id)
