"""Certificates: what was predicted and measured of a file on a target, and whether limits hold."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from nas_service.api.documents.base import Document, Estimate, Lineage, Sent

Interval = tuple[float, float]


class LimitCertificate(Document):
    """One limit of a quantity; values are in the quantity's unit."""

    verdict: str
    quantity: str | None = None
    statistic: str | None = Field(default=None, description="What of its measurements values are.")
    limit: float | None = None
    limit_probability: float | None = None
    predicted: float | None = None
    predicted_interval: Interval | None = None
    measured: float | None = None
    measured_interval: Interval | None = None
    interval_level: float | None = None
    probability_over: float | None = None
    n_sessions: int | None = None
    noise: float | None = None
    why_unstable: str = ""
    at_most: float | None = None
    limit_ms: float | None = None
    predicted_ms: float | None = None
    predicted_interval_ms: Interval | None = None
    measured_ms: float | None = None
    measured_interval_ms: Interval | None = None
    at_most_ms: float | None = None
    metric: str | None = None


class HeldLimit(Document):
    """A limit beside latency's: what was measured, and whether it holds; null is unknown."""

    limit: float
    measured: float | None = None
    holds: bool | None = None


class CertificateBody(LimitCertificate):
    """What a certificate says beside the latency that it is about."""

    state: str | None = None
    state_share: float | None = None
    observed_p50_ms: float | None = None
    observed_p90_ms: float | None = None
    reference_levels_ms: dict[str, float] | None = None
    reference_doubt: str | None = None
    sustained_shift: float | None = None
    niceness: int | None = None
    core: int | None = None
    target: str | None = None
    tables: list[str] = []
    winner: str | None = None
    precision: str | None = None
    predicted_accuracy: float | None = None
    measured_accuracy: float | None = None
    measured_accuracy_standard_error: float | None = None
    predicted_size_bytes: int | None = None
    measured_size_bytes: int | None = None
    predicted_energy_mj: float | None = None
    measured_energy_mj: float | None = None
    predicted_peak_memory_bytes: int | None = None
    measured_peak_memory_bytes: int | None = None
    limits: dict[str, HeldLimit] = {}
    certificates: dict[str, LimitCertificate] = {}
    estimates: dict[str, Estimate] = {}
    measurements: dict[str, float] = {}
    published: bool | None = None


class CertificateOut(Sent):
    """A certificate of the file `sha256`; `stale` says what has moved since, if anything has."""

    id: str
    search_id: str
    artifact_id: str
    target_id: str
    sha256: str
    verdict: str
    body: CertificateBody
    stale: str | None
    issued_at: datetime
    lineage: Lineage
