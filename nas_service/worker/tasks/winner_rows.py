"""What is told of a winner's file: its row in the results, and what its certificate says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookup_tables.measuring.observed import Steadiness
from lookup_tables.measuring.timing import Timing
from nas_service.search.certificates import Certificate
from nas_service.search.certify import Measured, held, judge
from nas_service.storage.searches import StoredWinner


def row_of(
    winner: StoredWinner,
    one: Measured | None,
    reference: Measured | None,
    certificate: Certificate,
    limits: Mapping[str, float],
    precision: str | None = None,
) -> dict[str, Any]:
    """Estimates and measurements side by side, each under a name of its own.

    `limits` are the search's, beside that of latency.
    """
    estimate = winner.estimates[precision or (one.precision if one else "")]
    row = {
        "winner": winner.id,
        "rank": winner.rank,
        "architecture": estimate["architecture"],
        "target": estimate["target"],
        "precision": estimate["precision"],
        "predicted_accuracy": estimate["predicted_accuracy"],
        "predicted_latency_ms": estimate["predicted_latency_ms"],
        "predicted_latency_upper_ms": estimate["latency_upper_ms"],
        "predicted_size_bytes": estimate["size_bytes"],
        "predicted_peak_memory_bytes": estimate["peak_memory_bytes"],
        "measured_peak_memory_bytes": None,
        "macs": estimate["macs"],
        "parameters": estimate["parameters"],
        "limit_ms": certificate.limit_ms,
        "verdict": certificate.verdict,
        "certificate": certificate.as_dict(),
        "measured_accuracy": None,
        "measured_accuracy_standard_error": None,
        "measured_latency_ms": None,
        "measured_size_bytes": None,
        "measured_energy_mj": None,
        "limits": held(limits, one),
        "limit_holds": None,
        "published": False,
        "reason": certificate.reason,
    }
    if one is None:
        return row
    verdict = judge(one, certificate, reference, limits)
    return row | {
        "measured_accuracy": round(one.accuracy, 6),
        "measured_accuracy_standard_error": round(one.accuracy_standard_error, 6),
        "n_test": one.n_test,
        "measured_latency_ms": certificate.measured_ms or one.latency_ms,
        "measured_size_bytes": one.size_bytes,
        "measured_peak_memory_bytes": one.peak_memory_bytes,
        "measured_energy_mj": one.energy_mj,
        "limit_holds": verdict.limit_holds,
        "parity_max_abs": one.parity_max_abs,
        "parity_agreement": one.agreement,
        "published": verdict.published,
        "reason": verdict.reason,
    }


def body_of(
    row: dict[str, Any],
    certificate: Certificate,
    target: str,
    tables: list[str],
    timing: Timing,
    steadiness: Steadiness | None,
    sustained_shift: float | None = None,
) -> dict[str, Any]:
    """What a certificate says, beside the latency that it is about.

    `observed_*` is what was seen over all turns, in whatever state the machine was; `state` is the
    one that the measured latency holds in.
    """
    return {
        **certificate.as_dict(),
        "state": timing.state,
        "state_share": timing.state_share,
        "observed_p50_ms": timing.observed_p50_ms,
        "observed_p90_ms": timing.observed_p90_ms,
        "reference_levels_ms": dict(steadiness.reference.levels_ms) if steadiness else None,
        "reference_doubt": steadiness.reference.doubt if steadiness else None,
        "sustained_shift": sustained_shift,
        "niceness": steadiness.niceness if steadiness else None,
        "core": steadiness.core if steadiness else None,
        "target": target,
        "tables": tables,
        "winner": row["winner"],
        "precision": row["precision"],
        "predicted_accuracy": row["predicted_accuracy"],
        "measured_accuracy": row["measured_accuracy"],
        "measured_accuracy_standard_error": row["measured_accuracy_standard_error"],
        "predicted_size_bytes": row["predicted_size_bytes"],
        "measured_size_bytes": row["measured_size_bytes"],
        "predicted_energy_mj": None,
        "measured_energy_mj": row["measured_energy_mj"],
        "predicted_peak_memory_bytes": row["predicted_peak_memory_bytes"],
        "measured_peak_memory_bytes": row["measured_peak_memory_bytes"],
        "limits": row["limits"],
        "published": row["published"],
    }
