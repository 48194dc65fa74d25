"""The client that the tests run with: which release it is, and what it does not have."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from inspect import signature

import pytest
from packaging.version import Version


def _release() -> Version:
    try:
        return Version(version("mlflow"))
    except PackageNotFoundError:
        return Version(version("mlflow-skinny"))


RELEASE = _release()


def needs(*names: str) -> pytest.MarkDecorator:
    """Skips tests with a client that lacks one of these: `mlflow.log_table`, or `mlflow.log_metric.synchronous`."""
    lacking = [name for name in names if not _has(name)]
    return pytest.mark.skipif(bool(lacking), reason=f"this client has no {', '.join(lacking)}")


def since(release: str, what: str) -> pytest.MarkDecorator:
    """Skips tests with clients older than the release, which changed something that no name tells of."""
    return pytest.mark.skipif(Version(release) > RELEASE, reason=f"since MLflow {release}: {what}")


def not_with(series: str, what: str) -> pytest.MarkDecorator:
    """Skips tests with clients of a series, `3.0`, which do something else, with MLflow's own server too."""
    return pytest.mark.skipif(f"{RELEASE.major}.{RELEASE.minor}" == series, reason=f"with MLflow {series}: {what}")


def _has(name: str) -> bool:
    """Whether there is a module, an attribute of one, or a parameter of a function, of this name."""
    import mlflow

    found: object = mlflow
    for part in name.split(".")[1:]:
        module = getattr(found, "__name__", "")
        if hasattr(found, part):
            found = getattr(found, part)
        elif callable(found):
            return part in signature(found).parameters
        elif module and find_spec(module) and find_spec(f"{module}.{part}"):
            found = __import__(f"{module}.{part}", fromlist=["*"])
        else:
            return False
    return True


NEEDED = {
    "test_gc.py": "mlflow.MlflowClient.create_logged_model",
    "test_inputs.py": "mlflow.entities.Dataset",
    "test_logged_models.py": "mlflow.MlflowClient.create_logged_model",
    "test_models_round_trip.py": "mlflow.MlflowClient.get_logged_model",
    "test_prompts.py": "mlflow.load_prompt",
    "test_workspace_calls.py": "mlflow.set_workspace",
}
"""Modules of tests that are all about one thing, or do not even import without it."""


def lacking_modules() -> list[str]:
    """The modules that are nothing for this client."""
    return [module for module, name in NEEDED.items() if not _has(name)]
