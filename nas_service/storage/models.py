"""The tables, typed. Repositories translate between rows and values; nothing else sees rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from nas_service.storage.scope import Ours, Owned

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


BIG = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by INTEGER alone."""


class UtcTime(TypeDecorator[datetime]):
    """Times in UTC, aware on the way in and on the way out; SQLite alone would drop the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(Ours, DeclarativeBase):
    """Base of all rows."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads it as declared
        dict[str, Any]: JSON,
        list[Any]: JSON,
        datetime: UtcTime,
        str: String(255),
    }


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


class SigningKeyRow(Base):
    """The public half of a key that bundles are signed with."""

    __tablename__ = "signing_keys"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    pem: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


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
