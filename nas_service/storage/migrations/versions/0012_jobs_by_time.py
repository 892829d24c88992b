"""Jobs are listed newest first: by an index, not by sorting all of them."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_jobs_created_at", "jobs", ["created_at"], unique=False)


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_jobs_created_at", table_name="jobs")
