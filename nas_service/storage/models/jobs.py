"""Jobs, the workers that run them, and answers that are given once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ForeignKey,
    Index,
    String,
    Text,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from nas_service.storage.models.base import BIG, Base
from nas_service.storage.scope import Owned


class JobRow(Owned, Base):
    """One durable workflow as users see it."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_waiting", "queue", "state", "priority", "start_tag"),
        Index("ix_jobs_taken", "queue", "priority", "started_at"),
        Index("ix_jobs_taken_of", "queue", "project_id", "priority", "started_at"),
    )
    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(60), index=True)
    parent: Mapped[str | None] = mapped_column(String(80), index=True)
    state: Mapped[str] = mapped_column(String(20), index=True)
    queue: Mapped[str] = mapped_column(String(120), server_default="")
    priority: Mapped[str] = mapped_column(String(8), server_default="normal")
    start_tag: Mapped[int] = mapped_column(server_default="0")
    fraction: Mapped[float]
    message: Mapped[str] = mapped_column(Text)
    eta_s: Mapped[float | None]
    params: Mapped[dict[str, Any]]
    problem: Mapped[dict[str, Any] | None]
    cancel_requested: Mapped[bool]
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobEventRow(Base):
    """Append-only record of what a job's steps did."""

    __tablename__ = "job_events"
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    step: Mapped[str] = mapped_column(String(60))
    event: Mapped[str] = mapped_column(String(20))
    executor: Mapped[str]
    at: Mapped[datetime]


class LeaseRow(Base):
    """A sign of life of a worker."""

    __tablename__ = "leases"
    executor: Mapped[str] = mapped_column(primary_key=True)
    queues: Mapped[list[Any]]
    machine: Mapped[dict[str, Any] | None]
    expires_at: Mapped[datetime]
    taken_over: Mapped[bool] = mapped_column(server_default=false())


class AnswerRow(Owned, Base):
    """What a request was answered that may be sent again; without a status while it is being."""

    __tablename__ = "answers"
    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    request: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    location: Mapped[str | None] = mapped_column(Text)
    content_type: Mapped[str | None] = mapped_column(String(100))
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(index=True)


class IdempotencyRow(Owned, Base):
    """The answer that a repeated POST with the same key gets again."""

    __tablename__ = "idempotency_keys"
    key: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime]
