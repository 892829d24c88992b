"""Estimates against measurements: what is published, and why something is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from nas_service.search.certificates import CERTIFIED, Certificate

MAX_INT8_LOSS = 0.03
"""Accuracy that int8 may lose against the fp32 file of the same network."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One shipped file as it was found on its target.

    `accuracy` is the search's metric, which `metric` calls by the words that people read.
    """

    precision: str
    accuracy: float
    n_test: int
    accuracy_standard_error: float
    latency_ms: float
    stable: bool
    size_bytes: int
    parity_ok: bool
    parity_max_abs: float | None
    agreement: float
    peak_memory_bytes: int | None = None
    energy_mj: float | None = None
    metric: str = "accuracy"
    why_not_same: str = ""
    """What differs where `parity_ok` is not."""
    not_in_precision: str = ""
    """What the file counts of itself, where none of it is in the precision that it claims."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a file is published, whether the limit holds (None: no verdict), and why."""

    published: bool
    limit_holds: bool | None
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def held(limits: Mapping[str, float], measured: Measured | None) -> dict[str, dict[str, Any]]:
    """Each limit beside the latency's with what was measured, and whether it holds.

    None is for what this file's measurement does not tell: costs on other devices, the energy of a
    device without a meter, memory that the runtime does not report. MACs and parameters are
    counted, not measured, and not told here.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, limit in limits.items():
        if name in {"size_bytes", "peak_memory_bytes", "energy_mj"}:
            value = None if measured is None else getattr(measured, name)
        elif "@" in name:
            value = None
        else:
            continue
        holds = None if value is None else bool(value <= limit)
        found[name] = {"limit": limit, "measured": value, "holds": holds}
    return found


def judge(
    measured: Measured,
    certificate: Certificate,
    reference: Measured | None,
    limits: Mapping[str, float] = MappingProxyType({}),
) -> Verdict:
    """Decide on one file; `reference` is the fp32 file of the same network, where there is one.

    `limits` are those beside the latency's, by name: what was measured over one is not published.
    """
    found_ms = certificate.measured_ms
    holds = None if found_ms is None else found_ms <= certificate.limit_ms
    if certificate.at_most_ms is not None:
        holds = certificate.at_most_ms <= certificate.limit_ms
    broken = {k: one for k, one in held(limits, measured).items() if one["holds"] is False}
    if broken:
        holds = False
    if not measured.parity_ok:
        return Verdict(
            False,
            holds,
            f"not the same network: {measured.why_not_same or 'outputs differ'}",
        )
    if measured.not_in_precision:
        reason = f"nothing of it is in {measured.precision}: {measured.not_in_precision}"
        return Verdict(False, holds, reason)
    if broken:
        name, one = next(iter(broken.items()))
        reason = f"measured {name} {one['measured']:,.6g} is over its limit of {one['limit']:,.6g}"
        return Verdict(False, False, reason)
    if certificate.verdict != CERTIFIED:
        return Verdict(False, holds, certificate.reason)
    if reference is not None and reference is not measured:
        bounded = certificate.at_most_ms is not None  # known to be fast enough, not how fast
        if bounded or not reference.stable:
            unsure = measured if bounded else reference
            reason = f"{unsure.precision} was not measured stably, so there is no comparison"
            return Verdict(False, True, reason)
        if measured.latency_ms >= reference.latency_ms:
            return Verdict(
                False,
                True,
                f"not faster than {reference.precision} as measured: "
                f"{measured.latency_ms:.4g} ms against {reference.latency_ms:.4g} ms",
            )
        loss = reference.accuracy - measured.accuracy
        if loss > MAX_INT8_LOSS:
            return Verdict(
                False,
                True,
                f"loses {100 * loss:.1f} points of {measured.metric} "
                f"against {reference.precision}, "
                f"more than {100 * MAX_INT8_LOSS:.0f}",
            )
    return Verdict(True, True, "")
