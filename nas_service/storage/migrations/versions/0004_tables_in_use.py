"""Lookup tables that are taken out of use, and put back as the current ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("lookup_tables", schema=None) as batch_op:
        batch_op.add_column(sa.Column("used_from", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("lookup_tables", schema=None) as batch_op:
        batch_op.drop_column("retired_at")
        batch_op.drop_column("used_from")
