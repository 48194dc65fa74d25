"""Every endpoint that MLflow's own description names is either served, or listed as not served."""

import ast
import json
import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import mlflow
from mlflow.protos import databricks_pb2, mlflow_artifacts_pb2, model_registry_pb2, service_pb2

LIST = Path(__file__).parent.parent / "shim" / "endpoints.py"


def described() -> list[tuple[str, str]]:
    """Method and path of each, with a word in place of every parameter."""
    services = [
        service_pb2.MlflowService,
        model_registry_pb2.ModelRegistryService,
        mlflow_artifacts_pb2.MlflowArtifactsService,
    ]
    rows = [
        (row.method, f"/api/{row.since.major}.0/{row.path.lstrip('/')}")
        for service in services
        for method in service.DESCRIPTOR.methods
        for row in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints
    ]
    return sorted({(method, filled(path)) for method, path in rows})


def filled(path: str) -> str:
    return re.sub(r"<[^>]*>|{[^}]*}", "word", path)


def not_served() -> list[str]:
    """The list that stands below the endpoints, read as text: these tests import neither package."""
    for node in ast.parse(LIST.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NOT_SERVED":
            return [filled(path) for path in ast.literal_eval(node.value)]
    raise AssertionError("shim/endpoints.py has no NOT_SERVED")


def is_served(uri: str, method: str, path: str) -> bool:
    request = Request(uri + path, b"{}", {"Content-Type": "application/json"}, method=method)
    try:
        with urlopen(request) as answer:
            return bool(answer.status == 200)
    except HTTPError as error:
        return bool(json.loads(error.read())["error_code"] != "ENDPOINT_NOT_FOUND")


def test_each_is_served_or_listed_as_not_served(tracking_uri: str) -> None:
    missing = [path for method, path in described() if not is_served(tracking_uri, method, path)]
    names = [re.sub(r"^/api/[23].0/(mlflow(-artifacts)?/)?", "", path) for path in missing]
    listed = not_served()
    assert [name for name in names if not name.startswith(tuple(listed))] == []
    if mlflow.__version__.startswith("3."):  # the list is that of the newest release
        assert [beginning for beginning in listed if not any(name.startswith(beginning) for name in names)] == []
