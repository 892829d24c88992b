"""What is told to others, and what happens by the clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ForeignKey,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from nas_service.storage.models.base import Base
from nas_service.storage.scope import Owned


class WebhookRow(Owned, Base):
    """An address that is told of events."""

    __tablename__ = "webhooks"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[Any]]
    secret: Mapped[str | None]
    created_at: Mapped[datetime]


class DeliveryRow(Base):
    """One event on its way to one address."""

    __tablename__ = "deliveries"
    id: Mapped[str] = mapped_column(String(120), primary_key=True)
    webhook_id: Mapped[str] = mapped_column(
        ForeignKey("webhooks.id", ondelete="CASCADE"), index=True
    )
    event: Mapped[str] = mapped_column(String(40))
    body: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(20), index=True)
    attempts: Mapped[int]
    next_at: Mapped[datetime]
    answer: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


class ScheduleRow(Owned, Base):
    """A search that runs again by the clock."""

    __tablename__ = "schedules"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    search_id: Mapped[str] = mapped_column(
        ForeignKey("searches.id", ondelete="CASCADE"), index=True
    )
    cron: Mapped[str]
    next_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[datetime]
