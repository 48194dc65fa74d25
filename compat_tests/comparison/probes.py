"""What is asked before any tracking: is it alive, which version, does this exist."""

from compat_tests.comparison.call import Call, get, post

PROBES = [
    get("health", "/health"),
    get("version", "/version"),
    get("server-info", "/api/3.0/mlflow/server-info"),
    get("server-info for the UI", "/ajax-api/3.0/mlflow/server-info"),
    get("the default experiment", "experiments/get", {"experiment_id": "0"}),
    get("the default experiment by name", "experiments/get-by-name", {"experiment_name": "Default"}),
    get("the default experiment for the UI", "/ajax-api/2.0/mlflow/experiments/get", {"experiment_id": "0"}),
    get("nothing at all", "/nothing"),
    get("nothing in the API", "nothing"),
    post("post to nothing", "nothing", {}),
    Call("patch nothing", "PATCH", "/api/2.0/mlflow/nothing", body={}),
    get("nothing for the UI", "/ajax-api/2.0/mlflow/nothing"),
    get("an API of the future", "/api/9.0/mlflow/experiments/get", {"experiment_id": "0"}),
    get("an API of the past", "/api/2.0/preview/mlflow/experiments/get", {"experiment_id": "0"}),
    get("2.0 under 3.0", "/api/3.0/mlflow/experiments/get", {"experiment_id": "0"}),
    get("a slash too many at the end", "experiments/get/", {"experiment_id": "0"}),
    get("a slash too many in between", "/api/2.0/mlflow//experiments/get", {"experiment_id": "0"}),
    get("capitals", "Experiments/Get", {"experiment_id": "0"}),
    post("server-features of a hosted MLflow", "/api/3.0/mlflow/server-features", {}),
    get("get what is posted", "runs/create"),
    post("post what is gotten", "runs/get", {"run_id": "x"}),
    Call("put what is posted", "PUT", "/api/2.0/mlflow/experiments/create", body={"name": "x"}),
    Call("delete what is posted", "DELETE", "/api/2.0/mlflow/experiments/delete", body={"experiment_id": "0"}),
    get("get a search of runs", "runs/search", {"experiment_ids": "0"}),
    post("post to health", "/health", {}),
]
