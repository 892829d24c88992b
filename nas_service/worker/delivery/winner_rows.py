"""What is told of a winner's file: its row in the results, and what its certificate says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookup_tables.measuring.observed import Steadiness
from lookup_tables.measuring.timing import Timing
from nas_service.delivery.measured import Measured
from nas_service.delivery.verdict import OF_SEARCHES, held, judge
from nas_service.learning.metric import Metric
from nas_service.search.certificate import LATENCY, Certificate
from nas_service.search.quantities.registry import quantities
from nas_service.search.values import Estimates, Measurements, estimates_of
from nas_service.storage.searches import StoredWinner

_NAMED = (LATENCY, "size_bytes", "peak_memory_bytes", "energy_mj")
"""Quantities that rows have under names of their own, beside `estimates` and `measurements`."""


def row_of(
    winner: StoredWinner,
    one: Measured | None,
    reference: Measured | None,
    certificate: Certificate,
    further: Mapping[str, Certificate],
    precision: str | None = None,
) -> dict[str, Any]:
    """Estimates and measurements side by side, each under a name of its own.

    `certificate` is that of latency, `further` those of the search's other limits by name.
    """
    stored = winner.estimates[precision or (one.precision if one else "")]
    estimates = estimates_of(stored)
    measured = {} if one is None else dict(one.measurements)
    row = {
        "winner": winner.id,
        "rank": winner.rank,
        "architecture": stored["architecture"],
        "target": stored["target"],
        "precision": stored["precision"],
        "predicted_accuracy": stored["predicted_accuracy"],
        **{f"predicted_{name}": _predicted(estimates, name) for name in _NAMED},
        "predicted_latency_upper_ms": estimates[LATENCY].upper,
        **{f"measured_{name}": _measured(measured, name) for name in _NAMED},
        "estimates": {name: value.as_dict() for name, value in estimates.items()},
        "measurements": measured,
        "quantities": _texts(estimates, measured),
        "macs": stored["macs"],
        "parameters": stored["parameters"],
        "limit_ms": certificate.limit,
        "verdict": certificate.verdict,
        "certificate": certificate.as_dict(),
        "certificates": {name: each.as_dict() for name, each in further.items()},
        "measured_accuracy": None,
        "measured_accuracy_standard_error": None,
        "limits": held(further),
        "limit_holds": None,
        "published": False,
        "reason": certificate.reason,
    }
    if one is None:
        return row
    verdict = judge(one, reference, OF_SEARCHES, {LATENCY: certificate, **further})
    return row | {
        "measured_accuracy": round(one.accuracy, 6),
        "measured_accuracy_standard_error": round(one.accuracy_standard_error, 6),
        "n_test": one.n_test,
        "measured_latency_ms": certificate.measured or one.measurements[LATENCY],
        "limit_holds": verdict.limit_holds,
        "parity_max_abs": one.same.max_abs,
        "parity_agreement": one.same.agreement,
        "published": verdict.published,
        "reason": verdict.reason,
    }


def metric_texts(metric: Metric, predicted: float, one: Measured | None) -> dict[str, Any]:
    """The metric's values as people read them; in other fields `accuracy` stands for its scores."""
    measured = None
    if one is not None:
        error = one.accuracy_standard_error * abs(metric.best - metric.worst)
        measured = metric.text(metric.of_score(one.accuracy), error)
    return {
        "metric_label": metric.label,
        "predicted_metric": metric.text(metric.of_score(predicted)),
        "measured_metric": measured,
    }


def _predicted(estimates: Estimates, name: str) -> float | None:
    return _whole(name, estimates[name].value) if name in estimates else None


def _measured(measured: Measurements, name: str) -> float | None:
    return _whole(name, measured[name]) if name in measured else None


def _whole(name: str, value: float) -> float:
    """Bytes are whole numbers."""
    return int(value) if name.endswith("_bytes") else value


def _texts(estimates: Estimates, measured: Measurements) -> list[dict[str, Any]]:
    """Every quantity of a file as people read it: what page, command line and bundle show."""
    return [
        {
            "name": name,
            "label": one.label,
            "predicted": one.text(estimates[name].value) if name in estimates else None,
            "upper": one.text(estimates[name].upper) if name in estimates else None,
            "measured": one.text(measured[name]) if name in measured else None,
            "counted": one.counted,
        }
        for name, one in quantities().items()
        if name in estimates or name in measured
    ]


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
        "predicted_energy_mj": row["predicted_energy_mj"],
        "measured_energy_mj": row["measured_energy_mj"],
        "predicted_peak_memory_bytes": row["predicted_peak_memory_bytes"],
        "measured_peak_memory_bytes": row["measured_peak_memory_bytes"],
        "limits": row["limits"],
        "certificates": row["certificates"],
        "estimates": row["estimates"],
        "measurements": row["measurements"],
        "published": row["published"],
    }
