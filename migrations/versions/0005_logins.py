"""Logins that were ended before the time of their access tokens was over."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Column
from sqlalchemy import PrimaryKeyConstraint as PrimaryKey

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "ended_logins",
        Column("login_id", sa.Text(), nullable=False),
        Column("expires_at", sa.BigInteger(), nullable=False),
        PrimaryKey("login_id", name=op.f("pk_ended_logins")),
    )
    op.create_index(op.f("ix_ended_logins_expires_at"), "ended_logins", ["expires_at"])


def downgrade() -> None:
    op.drop_table("ended_logins")
