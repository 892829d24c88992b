"""Data sets and what was trained on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ForeignKey,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from nas_service.storage.models.base import Base
from nas_service.storage.scope import Owned


class DatasetRow(Owned, Base):
    """A data set: its arrays are a blob named by `sha256` once it is imported."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("project_id", "name"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str]
    digest: Mapped[str | None] = mapped_column(String(64), index=True)
    sha256: Mapped[str | None] = mapped_column(String(64))
    source: Mapped[dict[str, Any]]
    facts: Mapped[dict[str, Any]]
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class SupernetRow(Owned, Base):
    """Shared weights for a space on a data set, named by what they follow from."""

    __tablename__ = "supernets"
    __table_args__ = (UniqueConstraint("project_id", "natural_key"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    natural_key: Mapped[str] = mapped_column(String(64))
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    space: Mapped[str]
    space_digest: Mapped[str] = mapped_column(String(12))
    recipe: Mapped[dict[str, Any]]
    seed: Mapped[int]
    sha256: Mapped[str | None] = mapped_column(String(64))
    metrics: Mapped[dict[str, Any]]
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class PredictorRow(Owned, Base):
    """An accuracy predictor: its training set is a blob; `shipping` learned on probes."""

    __tablename__ = "predictors"
    __table_args__ = (UniqueConstraint("project_id", "natural_key"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    natural_key: Mapped[str] = mapped_column(String(64))
    supernet_id: Mapped[str | None] = mapped_column(
        ForeignKey("supernets.id", ondelete="CASCADE"), index=True
    )
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    space: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str | None] = mapped_column(String(64))
    quality: Mapped[dict[str, Any]]
    shipping: Mapped[dict[str, Any]]
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
