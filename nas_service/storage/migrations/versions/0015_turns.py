"""The queue that a job waits on, its priority and its turn there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("queue", sa.String(120), nullable=False, server_default=""))
    op.add_column(
        "jobs", sa.Column("priority", sa.String(8), nullable=False, server_default="normal")
    )
    op.add_column("jobs", sa.Column("turn", sa.Integer(), nullable=False, server_default="1"))
    op.create_index("ix_jobs_turns", "jobs", ["queue", "state", "priority", "turn"])


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_jobs_turns", "jobs")
    op.drop_column("jobs", "turn")
    op.drop_column("jobs", "priority")
    op.drop_column("jobs", "queue")
