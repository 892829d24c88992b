"""The tables of who may do what: projects, people, tokens, logins, and what they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nas_service.storage.models.base import BIG, Base
from nas_service.storage.scope import Owned


class ProjectRow(Base):
    """What rows belong to and people are members of."""

    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class UserRow(Base):
    """Somebody whom an identity provider knows, by the provider's own name for them."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    issuer: Mapped[str]
    subject: Mapped[str]
    name: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime | None]


class MembershipRow(Owned, Base):
    """What a person is in a project; `by_group` where the provider's groups said so."""

    __tablename__ = "memberships"
    __table_args__ = (UniqueConstraint("project_id", "user_id"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(20))
    by_group: Mapped[bool]
    created_at: Mapped[datetime]


class TokenRow(Owned, Base):
    """A token: the digest of a secret that was shown once. `device_id`: an agent's."""

    __tablename__ = "tokens"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    permissions: Mapped[list[Any]]
    operator: Mapped[bool]
    device_id: Mapped[str | None] = mapped_column(
        ForeignKey("devices.id", ondelete="CASCADE"), index=True
    )
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class LoginRow(Base):
    """A browser that has logged in: with a token, or as a person in one of their projects."""

    __tablename__ = "logins"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    token_id: Mapped[str | None] = mapped_column(
        ForeignKey("tokens.id", ondelete="CASCADE"), index=True
    )
    user_id: Mapped[str | None] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    project_id: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class AuditRow(Owned, Base):
    """Who changed what; rows are added and never changed, which the database sees to."""

    __tablename__ = "audit_events"
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str]
    actor_name: Mapped[str]
    action: Mapped[str] = mapped_column(String(80))
    subject: Mapped[str]
    request_id: Mapped[str] = mapped_column(String(40))
