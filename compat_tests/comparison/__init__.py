"""The same calls to MLflow's own server and to ours, and what each of them says."""
