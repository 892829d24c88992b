"""All candidates of a search lie in a file beside its front, no longer in it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "candidate_sets",
        sa.Column("search_id", sa.String(40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("n_candidates", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["search_id"],
            ["searches.id"],
            name="fk_candidate_sets_search_id_searches",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("search_id", name="pk_candidate_sets"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("candidate_sets")
