"""Ways out: what this server has, written where MLflow reads it."""
