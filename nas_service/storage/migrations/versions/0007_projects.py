"""What belongs to somebody belongs to a project; all that is there, to the default one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

OWNED = (
    "devices",
    "targets",
    "lookup_tables",
    "datasets",
    "supernets",
    "predictors",
    "searches",
    "winners",
    "artifacts",
    "certificates",
    "webhooks",
    "schedules",
    "jobs",
    "idempotency_keys",
)
NAMED = {
    "devices": "name",
    "targets": "key",
    "datasets": "name",
    "supernets": "natural_key",
    "predictors": "natural_key",
}


def upgrade() -> None:
    """Apply."""
    for table in OWNED:
        column = sa.Column("project_id", sa.String(40), nullable=False, server_default="default")
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(column)
            batch_op.create_index(f"ix_{table}_project_id", ["project_id"], unique=False)
    for table, name in NAMED.items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(f"uq_{table}_{name}", type_="unique")
            batch_op.create_unique_constraint(f"uq_{table}_project_id_{name}", ["project_id", name])


def downgrade() -> None:
    """Undo; names of several projects that are the same have to be changed before."""
    for table, name in NAMED.items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(f"uq_{table}_project_id_{name}", type_="unique")
            batch_op.create_unique_constraint(f"uq_{table}_{name}", [name])
    for table in OWNED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_index(f"ix_{table}_project_id")
            batch_op.drop_column("project_id")
