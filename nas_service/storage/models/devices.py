"""What is measured on: devices, their targets, tables and agents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ForeignKey,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from nas_service.storage.models.base import Base
from nas_service.storage.scope import Owned


class DeviceRow(Owned, Base):
    """A device."""

    __tablename__ = "devices"
    __table_args__ = (UniqueConstraint("project_id", "name"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str]
    facts: Mapped[dict[str, Any]]
    local: Mapped[bool]
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class TargetRow(Owned, Base):
    """A target of a device."""

    __tablename__ = "targets"
    __table_args__ = (UniqueConstraint("project_id", "key"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"), index=True)
    key: Mapped[str]
    precision: Mapped[str] = mapped_column(String(20))
    facts: Mapped[dict[str, Any]]
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class TableRow(Owned, Base):
    """A lookup table: its text is a blob named by `sha256`."""

    __tablename__ = "lookup_tables"
    __table_args__ = (UniqueConstraint("target_id", "version"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id", ondelete="CASCADE"))
    version: Mapped[str] = mapped_column(String(12))
    sha256: Mapped[str] = mapped_column(String(64))
    n_entries: Mapped[int]
    n_measured: Mapped[int]
    spaces: Mapped[list[Any]]
    provenance: Mapped[dict[str, Any]]
    calibration: Mapped[dict[str, Any] | None]
    ratios: Mapped[dict[str, Any] | None]
    latency_check: Mapped[dict[str, Any] | None]
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    used_from: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]


class AgentRow(Base):
    """The agent of a device: what it said of itself, when it was heard."""

    __tablename__ = "agents"
    device_id: Mapped[str] = mapped_column(
        ForeignKey("devices.id", ondelete="CASCADE"), primary_key=True
    )
    facts: Mapped[dict[str, Any]]
    seen_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class DeviceTaskRow(Base):
    """Files that an agent is to time; `result` is what it reported."""

    __tablename__ = "device_tasks"
    id: Mapped[str] = mapped_column(String(120), primary_key=True)
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(20), index=True)
    attempts: Mapped[int]
    lease: Mapped[str | None] = mapped_column(String(40))
    leased_by: Mapped[str | None] = mapped_column(String(40))
    lease_expires_at: Mapped[datetime | None]
    fraction: Mapped[float]
    note: Mapped[str | None] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None]
    problem: Mapped[str | None] = mapped_column(Text)
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
