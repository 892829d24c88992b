"""Architectures that trainers outside are to teach."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "trials",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("search_id", sa.String(40), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("genotype", sa.JSON(), nullable=False),
        sa.Column("fidelity", sa.Float(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("trainer", sa.String(100), nullable=True),
        sa.Column("lease", sa.String(40), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fraction", sa.Float(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["search_id"],
            ["searches.id"],
            name="fk_trials_search_id_searches",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_trials"),
        sa.UniqueConstraint("search_id", "key", name="uq_trials_search_id_key"),
    )
    op.create_index("ix_trials_search_id", "trials", ["search_id"], unique=False)
    op.create_index("ix_trials_state", "trials", ["state"], unique=False)


def downgrade() -> None:
    """Undo."""
    op.drop_table("trials")
