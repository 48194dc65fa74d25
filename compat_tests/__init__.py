"""The real mlflow client against a running server."""

import os

# The client reads these when it is imported: nothing phones home, and a 500 fails at once, not after minutes.
os.environ.update(
    DO_NOT_TRACK="true",
    MLFLOW_DISABLE_TELEMETRY="true",
    GIT_PYTHON_REFRESH="quiet",
    MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
)
