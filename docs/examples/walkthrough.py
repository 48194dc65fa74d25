"""The native API from a fresh server to a leaderboard, with nothing but requests and scikit-learn.

python docs/examples/walkthrough.py http://127.0.0.1:5000
"""

import hashlib
import pickle
import sys
from pathlib import Path
from tempfile import mkdtemp

import requests
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split


class Api:
    """The native API, as one caller."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.session = requests.Session()

    def call(self, method: str, path: str, **sent):
        answer = self.session.request(method, f"{self.server}/api{path}", **sent)
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def post(self, path: str, body):
        return self.call("POST", path, json=body)

    def get(self, path: str, **query):
        return self.call("GET", path, params=query)


def main(server: str, email: str = "ada@example.org", password: str = "correct horse battery") -> dict:
    """Walk through it; the ids of what was made."""
    api = Api(server)

    # Who we are: an account, and the token for all that follows.
    account = {"email": email, "full_name": "Ada", "password": password}
    api.session.headers["Authorization"] = f"Bearer {api.post('/auth/register', account)['access_token']}"

    # Where we are: an organisation, a project in it, and what is measured.
    org = api.post("/orgs", {"name": f"flowers of {email}"})
    project = api.post("/projects", {"org_id": org["org_id"], "name": f"iris of {email}"})
    for key, goal in (("accuracy", "max"), ("loss", "min")):
        if not api.get("/metric-definitions", key=key)["items"]:  # they are shared by the whole server
            api.post("/metric-definitions", {"key": key, "goal": goal})

    # What we train on: a dataset, and the very version of it.
    features, labels = load_iris(return_X_y=True)
    dataset = api.post(
        "/datasets", {"project_id": project["project_id"], "name": "iris", "task_type": "classification"}
    )
    version = api.post(
        "/dataset-versions",
        {
            "dataset_id": dataset["dataset_id"],
            "version_label": "1.0",
            "storage_uri": "sklearn:load_iris",
            "content_hash": hashlib.sha256(features.tobytes() + labels.tobytes()).hexdigest(),
            "row_count": len(features),
            "size_bytes": features.nbytes + labels.nbytes,
            "schema_json": {"features": 4, "classes": 3},
        },
    )

    # A run in an experiment, with its config.
    experiment = api.post(
        "/experiments",
        {"project_id": project["project_id"], "name": "linear models", "objective": "How far does a line get us?"},
    )
    params = {"alpha": 0.001, "epochs": 20, "shuffle": True}
    run = api.post(
        "/runs",
        {
            "experiment_id": experiment["experiment_id"],
            "dataset_version_id": version["dataset_version_id"],
            "run_name": "sgd",
            "config": {"params_json": params, "command_line": "python walkthrough.py", "seed": 7},
        },
    )
    run_id = run["run_id"]

    # Training, with a point of each metric at every step.
    train_x, val_x, train_y, val_y = train_test_split(features, labels, random_state=7, stratify=labels)
    model = SGDClassifier(loss="log_loss", alpha=params["alpha"], shuffle=params["shuffle"], random_state=7)
    for epoch in range(params["epochs"]):
        model.partial_fit(train_x, train_y, classes=[0, 1, 2])
        accuracy, loss = evaluate(model, val_x, val_y)
        points = [
            ("accuracy", "val", accuracy),
            ("loss", "val", loss),
            ("loss", "train", evaluate(model, train_x, train_y)[1]),
        ]
        api.post(
            f"/runs/{run_id}/metrics",
            [{"metric_key": key, "scope": scope, "step": epoch, "value": value} for key, scope, value in points],
        )

    # The end of the run, with its final values.
    accuracy, loss = evaluate(model, val_x, val_y)
    final = [("accuracy", accuracy), ("loss", loss)]
    run = api.post(
        f"/runs/{run_id}/complete",
        {
            "status": "finished",
            "final_metrics": [
                {"metric_key": key, "scope": "val", "step": None, "value": value} for key, value in final
            ],
        },
    )

    # The model, where we keep it, linked to the run.
    file = Path(mkdtemp()) / "model.pkl"
    file.write_bytes(pickle.dumps(model))
    artifact = api.post(
        "/artifacts",
        {
            "project_id": project["project_id"],
            "artifact_type": "model",
            "uri": file.as_uri(),
            "checksum": hashlib.sha256(file.read_bytes()).hexdigest(),
            "size_bytes": file.stat().st_size,
        },
    )
    api.post("/run-artifacts", {"run_id": run_id, "artifact_id": artifact["artifact_id"], "alias": "model"})

    # What came of it.
    leaderboard = api.get(
        f"/reports/experiments/{experiment['experiment_id']}/leaderboard", metric_key="accuracy", scope="val"
    )
    dashboard = api.get(f"/reports/projects/{project['project_id']}/dashboard", metric_key="accuracy", scope="val")
    audit_log = api.get("/audit-log", limit=1000)
    for row in leaderboard["items"]:
        print(f"{row['run_name']:>10} {row['metric_value']:.3f} {row['status']}")
    print(f"{dashboard['runs_count']} run(s), {dashboard['success_rate_pct']:.0f} % of them well ended")
    print(f"{len(audit_log['items'])} changes in the audit log")
    print(f"The same, seen by MLflow: MLFLOW_TRACKING_URI={server}/workspaces/{project['slug']}")
    return {"project": project, "experiment": experiment, "run": run, "accuracy": accuracy, "loss": loss}


def evaluate(model: SGDClassifier, features, labels) -> tuple[float, float]:
    """Accuracy and log loss on some data."""
    accuracy = accuracy_score(labels, model.predict(features))
    return float(accuracy), float(log_loss(labels, model.predict_proba(features), labels=[0, 1, 2]))


if __name__ == "__main__":
    main(*sys.argv[1:])
