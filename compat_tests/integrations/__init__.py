"""Libraries that speak to MLflow for their users, as they come from the registry."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read as transformers is imported: nothing is asked of a hub
