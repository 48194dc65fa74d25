"""The libraries may warn as they like; what these tests do themselves may not."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    for caller in ("accelerate", "lightgbm", "lightning", "optuna", "torch", "transformers", "xgboost"):
        config.addinivalue_line("filterwarnings", f"ignore::Warning:{caller}.*")
