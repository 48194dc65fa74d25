"""The MLflow surface: translates MLflow's API to the native core."""
