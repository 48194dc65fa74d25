"""A training loop with MLflow's own Python client."""

import json
import os
import subprocess
from functools import partial

from benchmarks import processes, sample, servers, wire
from benchmarks.checks import require
from benchmarks.scenario import Outcome, Target

MOST_SECONDS = 20.0
KEYS = 5
LOOP = """
import json, sys, time
import mlflow

steps, keys, most = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
with mlflow.start_run() as run:
    begun, step = time.perf_counter(), 0
    while step < steps and time.perf_counter() - begun < most:
        mlflow.log_metrics({f"loss-{key}": 1 / (step + 1) for key in range(keys)}, step=step)
        step += 1
    seconds = time.perf_counter() - begun
print(json.dumps({"run_id": run.info.run_id, "steps": step, "seconds": seconds}))
"""


def steps(target: Target) -> Outcome:
    """The loop alone, without its import of the client; cut after MOST_SECONDS."""
    command = [servers.mlflow_python(), "-c", LOOP, str(target.size.steps), str(KEYS), str(MOST_SECONDS)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{target.port}", "DO_NOT_TRACK": "true"}
    loop = partial(subprocess.run, command, env=environment, check=True, capture_output=True, text=True)
    finished, spent = processes.watch(target.server.pid, loop)
    told = json.loads(finished.stdout.splitlines()[-1])
    for key in range(KEYS):
        request = wire.get("metrics/get-history", run_id=told["run_id"], metric_key=f"loss-{key}")
        (history,) = wire.ask(target.port, request)
        points = {point["step"]: point["value"] for point in history["metrics"]}
        require(points == {step: sample.value_at(step) for step in range(told["steps"])}, "every step, once")
    share = target.size.steps / told["steps"]
    return Outcome(told["seconds"] * share, told["steps"], spent, scaled=share > 1)
