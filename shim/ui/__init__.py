"""MLflow's web UI on this server: its files, and what it asks for beside MLflow's REST API."""
