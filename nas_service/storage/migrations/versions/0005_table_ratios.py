"""What whole networks say of a table's estimates beside latency."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("lookup_tables", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ratios", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("lookup_tables", schema=None) as batch_op:
        batch_op.drop_column("ratios")
