"""Data made by releases of MLflow, and what a client sees of it before and after it was imported."""
