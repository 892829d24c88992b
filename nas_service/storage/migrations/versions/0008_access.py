"""Projects, people, tokens, logins and the audit log; agents' tokens are tokens like others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime(timezone=True)
_REFUSE = """
CREATE FUNCTION audit_is_append_only() RETURNS trigger AS $$
BEGIN RAISE EXCEPTION 'audit_events is append-only'; END $$ LANGUAGE plpgsql
"""


def _id(size: int = 40) -> sa.Column[str]:
    return sa.Column("id", sa.String(size), nullable=False)


def _text(name: str, size: int = 255, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(size), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, _TIME, nullable=nullable)


def _owned() -> sa.Column[str]:
    return sa.Column("project_id", sa.String(40), nullable=False, server_default="default")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "projects",
        _id(),
        _text("name"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
    )
    op.execute("INSERT INTO projects VALUES ('default', 'default', CURRENT_TIMESTAMP)")
    op.create_table(
        "users",
        _id(),
        _text("issuer"),
        _text("subject"),
        _text("name"),
        _time("created_at"),
        _time("seen_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("issuer", "subject", name="uq_users_issuer_subject"),
    )
    op.create_table(
        "memberships",
        _id(),
        _text("user_id", 40),
        _text("role", 20),
        sa.Column("by_group", sa.Boolean(), nullable=False),
        _time("created_at"),
        _owned(),
        _cascade("memberships", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name="pk_memberships"),
        sa.UniqueConstraint("project_id", "user_id", name="uq_memberships_project_id_user_id"),
    )
    op.create_table(
        "tokens",
        _id(),
        _text("name"),
        _text("sha256", 64),
        sa.Column("permissions", sa.JSON(), nullable=False),
        sa.Column("operator", sa.Boolean(), nullable=False),
        _text("device_id", 40, nullable=True),
        _text("created_by"),
        _time("created_at"),
        _time("expires_at", nullable=True),
        _time("last_used_at", nullable=True),
        _time("revoked_at", nullable=True),
        _owned(),
        _cascade("tokens", "device_id", "devices"),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("sha256", name="uq_tokens_sha256"),
    )
    op.create_table(
        "logins",
        _text("sha256", 64),
        _text("token_id", 40, nullable=True),
        _text("user_id", 40, nullable=True),
        _text("project_id", 40),
        _time("created_at"),
        _time("expires_at"),
        _cascade("logins", "token_id", "tokens"),
        _cascade("logins", "user_id", "users"),
        sa.PrimaryKeyConstraint("sha256", name="pk_logins"),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", _BIG, nullable=False),
        _time("at"),
        _text("actor"),
        _text("actor_name"),
        _text("action", 80),
        _text("subject"),
        _text("request_id", 40),
        _owned(),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    for table, column in (
        ("memberships", "user_id"),
        ("memberships", "project_id"),
        ("tokens", "device_id"),
        ("tokens", "project_id"),
        ("logins", "token_id"),
        ("logins", "user_id"),
        ("audit_events", "at"),
        ("audit_events", "project_id"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column], unique=False)
    _append_only()
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    permissions, no = ("'[\"device\"]'", "0") if on_sqlite else ("'[\"device\"]'::json", "false")
    op.execute(
        "INSERT INTO tokens (id, name, sha256, permissions, operator, device_id, created_by, "  # noqa: S608  # nosec B608  # constants of ours
        "created_at, project_id) SELECT 'tok_' || agents.device_id, 'agent of ' || devices.name, "
        f"agents.token_sha256, {permissions}, {no}, agents.device_id, "
        "'an earlier version', agents.created_at, devices.project_id "
        "FROM agents JOIN devices ON devices.id = agents.device_id"
    )
    with op.batch_alter_table("webhooks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("secret", sa.String(255), nullable=True))
    with op.batch_alter_table("agents", schema=None) as batch_op:
        batch_op.drop_constraint("uq_agents_token_sha256", type_="unique")
        batch_op.drop_column("token_sha256")


def _cascade(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{other}.id"], name=f"fk_{table}_{column}_{other}", ondelete="CASCADE"
    )


def _append_only() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{change.lower()} BEFORE {change} ON audit_events "
                "BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END"
            )
        return
    op.execute(_REFUSE)
    op.execute(
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit_events "
        "FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()"
    )


def downgrade() -> None:
    """Undo; of each agent the newest token that is worth something stays."""
    with op.batch_alter_table("agents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("token_sha256", sa.String(64), nullable=True))
    op.execute(
        "UPDATE agents SET token_sha256 = COALESCE((SELECT sha256 FROM tokens WHERE "
        "tokens.device_id = agents.device_id AND revoked_at IS NULL "
        "ORDER BY created_at DESC LIMIT 1), agents.device_id)"
    )
    with op.batch_alter_table("agents", schema=None) as batch_op:
        batch_op.alter_column("token_sha256", existing_type=sa.String(64), nullable=False)
        batch_op.create_unique_constraint("uq_agents_token_sha256", ["token_sha256"])
    with op.batch_alter_table("webhooks", schema=None) as batch_op:
        batch_op.drop_column("secret")
    for table in ("audit_events", "logins", "tokens", "memberships", "users", "projects"):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION audit_is_append_only()")
