"""How fast the server is beside MLflow's own: same machine, same client, in turn."""
