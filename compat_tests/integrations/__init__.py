"""Libraries that speak to MLflow for their users, as they come from the registry."""
