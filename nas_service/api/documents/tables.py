"""Lookup tables: how they were measured, calibrated and checked."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from nas_service.api.documents.base import Decisions, Document, Lineage, Own, Sent
from nas_service.api.documents.devices import DeviceFacts, ReferenceState


class Latencies(Document):
    """Percentiles of a file's runs in ms, and how far they are to be trusted."""

    p10_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    spread: float | None = None
    n: int | None = None
    stable: bool | None = None
    measured_at: str | None = None
    cpu_ratio: float | None = None
    energy_mj: float | None = None
    state: str | None = Field(default=None, description="The machine's, that this holds in.")
    n_turns: int | None = None
    error: float | None = Field(default=None, description="Relative standard error of p50_ms.")
    observed_p50_ms: float | None = None
    observed_p90_ms: float | None = None
    state_share: float | None = None
    at_most_ms: float | None = None
    reason: str | None = None


class MeasuredNetwork(Latencies):
    """A whole network of a table's calibration."""

    architecture: Decisions | None = None
    n_sessions: int | None = None


class TableSteadiness(Document):
    """How steady a device was while its table was measured."""

    core: int | None = None
    niceness: int | None = None
    watched_s: float | None = None
    state_share: float | None = None
    n_files: int | None = None
    n_stable: int | None = None
    n_unsettled: int | None = None
    more_s: float | None = None
    median_error: float | None = None
    observed_p90_over_p50: float | None = None


class Provenance(Document):
    """Where a table's entries came from; an uploaded table says what its file says."""

    space: str | None = None
    runtime: str | None = None
    threads: int | None = None
    device_facts: DeviceFacts | None = None
    protocol: Own | None = None
    references: dict[str, ReferenceState] = {}
    steadiness: TableSteadiness | None = None
    n_unstable_left_out: int | None = None
    quarantined: Own = {}
    fill: Own | None = None
    calibration_networks: list[MeasuredNetwork] = []
    profiled_s: float | None = None
    budget_s: float | None = None


class Calibration(Document):
    """How sums of entries become latencies of networks."""

    form: str | None = None
    statistic: str | None = None
    ratio: float | None = None
    per_block_ms: float | None = None
    per_layer_ms: float | None = None
    constant_ms: float | None = None
    per_variant_ms: dict[str, float] = {}
    per_junction_ms: dict[str, float] = {}
    relative_errors: list[float] = []
    errors_of_forms: dict[str, float | None] = {}


class Ratio(Document):
    """What a counted quantity is multiplied by on a target, and how far that is off."""

    ratio: float | None = None
    relative_errors: list[float] = []


class EstimatedNetwork(Document):
    """A network that a table was checked on."""

    estimated_ms: float | None = None
    measured_ms: float | None = None


class LatencyCheck(Document):
    """Estimates beside measurements of networks that the calibration has not seen."""

    n: int | None = None
    statistic: str | None = None
    mean_error: float | None = None
    max_error: float | None = None
    mean_error_of_plain_sum: float | None = None
    spearman: float | None = None
    n_unstable: int | None = None
    networks: list[EstimatedNetwork] = []


class TableOut(Sent):
    """What is known of a lookup table besides its entries."""

    id: str
    target_id: str
    version: str
    sha256: str
    n_entries: int
    n_measured: int
    spaces: list[str] = Field(description="Digests of the spaces that it prices.")
    provenance: Provenance
    calibration: Calibration | None
    ratios: dict[str, Ratio] | None
    latency_check: LatencyCheck | None
    lineage: Lineage
    created_at: datetime
    used_from: datetime | None
    retired_at: datetime | None
