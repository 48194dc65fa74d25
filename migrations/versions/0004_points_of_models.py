"""The points that a run logged of models are found by the run, as a purge does."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index(op.f("ix_logged_model_metrics_run_id"), "logged_model_metrics", ["run_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_logged_model_metrics_run_id"), "logged_model_metrics")
