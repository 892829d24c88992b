"""The queue that a job waits on, its priority and its start tag there."""

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
    op.add_column("jobs", sa.Column("start_tag", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_jobs_waiting", "jobs", ["queue", "state", "priority", "start_tag"])
    op.create_index("ix_jobs_taken", "jobs", ["queue", "priority", "started_at"])
    taken_of = ["queue", "project_id", "priority", "started_at"]
    op.create_index("ix_jobs_taken_of", "jobs", taken_of)


def downgrade() -> None:
    """Undo."""
    for name in ("ix_jobs_taken_of", "ix_jobs_taken", "ix_jobs_waiting"):
        op.drop_index(name, "jobs")
    op.drop_column("jobs", "start_tag")
    op.drop_column("jobs", "priority")
    op.drop_column("jobs", "queue")
