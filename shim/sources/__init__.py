"""Where MLflow keeps its data: a database, a folder, a running server; read only."""
