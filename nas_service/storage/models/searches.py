"""Searches, and what they are made of and come to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Float,
    ForeignKey,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from nas_service.storage.models.base import BIG, Base
from nas_service.storage.scope import Owned


class SearchRow(Owned, Base):
    """A search; `revision` counts its fronts."""

    __tablename__ = "searches"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    spec: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(20), index=True)
    revision: Mapped[int]
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"), index=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    follows: Mapped[list[Any] | None]
    reopens: Mapped[str | None] = mapped_column(String(40), index=True)
    facts: Mapped[dict[str, Any]]
    problem: Mapped[dict[str, Any] | None]
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class EvaluationRow(Base):
    """One query of a search: an Optuna trial."""

    __tablename__ = "evaluations"
    __table_args__ = (
        UniqueConstraint("search_id", "number"),
        UniqueConstraint("search_id", "architecture_key"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    search_id: Mapped[str] = mapped_column(ForeignKey("searches.id", ondelete="CASCADE"))
    number: Mapped[int]
    batch: Mapped[int]
    architecture_key: Mapped[str] = mapped_column(Text)
    genotype: Mapped[list[Any]]
    accuracy: Mapped[float] = mapped_column(Float)
    attributes: Mapped[dict[str, Any]]
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class TrialRow(Base):
    """An architecture to evaluate, by a trainer outside or by workers; `score` is what came of it.

    Those of workers go when their batch has ended.
    """

    __tablename__ = "trials"
    __table_args__ = (UniqueConstraint("search_id", "key"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    search_id: Mapped[str] = mapped_column(
        ForeignKey("searches.id", ondelete="CASCADE"), index=True
    )
    key: Mapped[str] = mapped_column(String(64))
    genotype: Mapped[list[Any]]
    fidelity: Mapped[float] = mapped_column(Float)
    by_workers: Mapped[bool] = mapped_column(server_default=false())
    state: Mapped[str] = mapped_column(String(20), index=True)
    attempts: Mapped[int]
    trainer: Mapped[str | None] = mapped_column(String(100))
    lease: Mapped[str | None] = mapped_column(String(40))
    lease_expires_at: Mapped[datetime | None]
    fraction: Mapped[float] = mapped_column(Float)
    score: Mapped[float | None] = mapped_column(Float)
    problem: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class FrontRow(Base):
    """A front revision, immutable: the JSON that clients poll, whole."""

    __tablename__ = "fronts"
    search_id: Mapped[str] = mapped_column(
        ForeignKey("searches.id", ondelete="CASCADE"), primary_key=True
    )
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[str] = mapped_column(Text)
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class CandidateSetRow(Base):
    """All candidates of a search as of its newest front: a blob of columns."""

    __tablename__ = "candidate_sets"
    search_id: Mapped[str] = mapped_column(
        ForeignKey("searches.id", ondelete="CASCADE"), primary_key=True
    )
    revision: Mapped[int]
    n_candidates: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))


class WinnerRow(Owned, Base):
    """A front member on its way through compression and measurement."""

    __tablename__ = "winners"
    __table_args__ = (UniqueConstraint("search_id", "rank"),)
    id: Mapped[str] = mapped_column(String(60), primary_key=True)
    search_id: Mapped[str] = mapped_column(ForeignKey("searches.id", ondelete="CASCADE"))
    rank: Mapped[int]
    genotype: Mapped[list[Any]]
    estimates: Mapped[dict[str, Any]]
    compressed: Mapped[dict[str, Any] | None]
    results: Mapped[list[Any] | None]
    state: Mapped[str] = mapped_column(String(20))
    problem: Mapped[dict[str, Any] | None]
    lineage: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
