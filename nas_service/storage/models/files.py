"""Files, what was measured of them, and the keys that they are signed with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from nas_service.storage.models.base import Base
from nas_service.storage.scope import Owned


class ArtifactRow(Owned, Base):
    """A stored file of somebody's: the name it goes by, and the blob that it is."""

    __tablename__ = "artifacts"
    __table_args__ = (UniqueConstraint("owner", "name"), Index("ix_artifacts_sha256", "sha256"))
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(60))
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(String(30))
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class MeasurementRow(Base):
    """What running an artifact on a target gave."""

    __tablename__ = "measurements"
    __table_args__ = (UniqueConstraint("artifact_id", "target_id", "measured_at"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    artifact_id: Mapped[str] = mapped_column(ForeignKey("artifacts.id", ondelete="CASCADE"))
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id", ondelete="CASCADE"), index=True)
    values: Mapped[dict[str, Any]]
    measured_at: Mapped[str] = mapped_column(String(40))
    lineage: Mapped[dict[str, Any]]


class CertificateRow(Owned, Base):
    """What was promised of an artifact on a target; only `stale` is ever changed."""

    __tablename__ = "certificates"
    __table_args__ = (UniqueConstraint("artifact_id", "target_id", "issued_at"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    search_id: Mapped[str] = mapped_column(
        ForeignKey("searches.id", ondelete="CASCADE"), index=True
    )
    artifact_id: Mapped[str] = mapped_column(ForeignKey("artifacts.id", ondelete="CASCADE"))
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id", ondelete="CASCADE"), index=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    verdict: Mapped[str] = mapped_column(String(20))
    body: Mapped[dict[str, Any]]
    stale: Mapped[str | None] = mapped_column(Text)
    issued_at: Mapped[datetime]
    lineage: Mapped[dict[str, Any]]


class SigningKeyRow(Base):
    """The public half of a key that bundles are signed with."""

    __tablename__ = "signing_keys"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    pem: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
