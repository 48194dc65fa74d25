"""All recorded calls, in the order they are sent: later ones see what earlier ones made."""

from compat_tests.comparison.artifacts import ARTIFACTS
from compat_tests.comparison.experiments import EXPERIMENTS
from compat_tests.comparison.inputs import INPUTS
from compat_tests.comparison.log import LOG
from compat_tests.comparison.logged_models import LOGGED_MODELS
from compat_tests.comparison.metrics import METRICS
from compat_tests.comparison.model_artifacts import FILES_OF_MODELS, MODEL_ARTIFACTS
from compat_tests.comparison.probes import PROBES
from compat_tests.comparison.registry import REGISTRY
from compat_tests.comparison.runs import RUNS
from compat_tests.comparison.search_experiments import SEARCH_EXPERIMENTS
from compat_tests.comparison.search_logged_models import SEARCH_LOGGED_MODELS
from compat_tests.comparison.search_runs import SEARCH_RUNS

CALLS = [
    *(PROBES + EXPERIMENTS + SEARCH_EXPERIMENTS + RUNS + LOG + INPUTS + METRICS + ARTIFACTS + MODEL_ARTIFACTS),
    *(SEARCH_RUNS + LOGGED_MODELS + SEARCH_LOGGED_MODELS + REGISTRY + FILES_OF_MODELS),
]

API = "/api/2.0/mlflow"
ENDPOINTS = [
    *(f"POST {API}/experiments/{verb}" for verb in ["create", "search", "update", "delete", "restore"]),
    *(f"POST {API}/experiments/{verb}" for verb in ["set-experiment-tag", "delete-experiment-tag"]),
    *(f"GET {API}/experiments/{verb}" for verb in ["get", "get-by-name", "search"]),
    "POST /ajax-api/2.0/mlflow/experiments/search-datasets",
    *(f"POST {API}/runs/{verb}" for verb in ["create", "update", "delete", "restore", "search"]),
    *(f"POST {API}/runs/{verb}" for verb in ["log-metric", "log-parameter", "log-batch", "set-tag", "delete-tag"]),
    *(f"POST {API}/runs/{verb}" for verb in ["log-model", "log-inputs", "outputs"]),
    *(f"{method} {API}/logged-models" for method in ["POST", "GET", "PATCH", "DELETE"]),
    f"POST {API}/logged-models/search",
    f"GET {API}/runs/get",
    f"GET {API}/metrics/get-history",
    f"GET {API}/metrics/get-history-bulk-interval",
    "GET /ajax-api/2.0/mlflow/metrics/get-history-bulk",
    f"GET {API}/artifacts/list",
    *(f"POST {API}/registered-models/{verb}" for verb in ["create", "rename", "get-latest-versions", "set-tag"]),
    *(f"{method} {API}/registered-models/alias" for method in ["POST", "GET", "DELETE"]),
    *(f"GET {API}/registered-models/{verb}" for verb in ["get", "search", "get-latest-versions"]),
    *(f"DELETE {API}/registered-models/{verb}" for verb in ["delete", "delete-tag"]),
    *(f"PATCH {API}/{noun}/update" for noun in ["registered-models", "model-versions"]),
    *(f"POST {API}/model-versions/{verb}" for verb in ["create", "transition-stage", "set-tag"]),
    *(f"GET {API}/model-versions/{verb}" for verb in ["get", "search", "get-download-uri"]),
    *(f"DELETE {API}/model-versions/{verb}" for verb in ["delete", "delete-tag"]),
    "GET /get-artifact",
    "GET /model-versions/get-artifact",
    "GET /ajax-api/2.0/mlflow/logged-models",
    "POST /ajax-api/2.0/mlflow/upload-artifact",
    *(f"{method} /api/2.0/mlflow-artifacts/artifacts" for method in ["PUT", "GET", "DELETE"]),
]
