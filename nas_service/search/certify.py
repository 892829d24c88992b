"""Estimates against measurements: what is published, and why something is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from nas_service.search.certificates import CERTIFIED, LATENCY, PREDICTED_ONLY, Certificate
from nas_service.search.values import Measurements

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
    measurements: Measurements
    stable: bool
    parity_ok: bool
    parity_max_abs: float | None
    agreement: float
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


def held(certificates: Mapping[str, Certificate]) -> dict[str, dict[str, Any]]:
    """Each limit beside the latency's with what was measured, and whether it holds.

    None is for what this file's measurement does not tell: costs on other devices, the energy of a
    device without a meter, memory that the runtime does not report.
    """
    return {
        name: {"limit": one.limit, "measured": one.measured, "holds": one.holds}
        for name, one in certificates.items()
    }


def judge(
    measured: Measured,
    certificate: Certificate,
    reference: Measured | None,
    further: Mapping[str, Certificate] = MappingProxyType({}),
) -> Verdict:
    """Decide on one file; `reference` is the fp32 file of the same network, where there is one.

    `certificate` is that of latency, `further` those of other limits: what is not known of these
    is shown and no reason to refuse, what was measured over one is not published.
    """
    holds = certificate.holds
    broken = [one for one in further.values() if one.holds is False]
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
        return Verdict(False, False, broken[0].reason)
    for one in (certificate, *further.values()):
        if one.verdict != CERTIFIED and (one is certificate or one.verdict != PREDICTED_ONLY):
            return Verdict(False, holds, one.reason)
    if reference is not None and reference is not measured:
        bounded = certificate.at_most is not None  # known to be fast enough, not how fast
        if bounded or not reference.stable:
            unsure = measured if bounded else reference
            reason = f"{unsure.precision} was not measured stably, so there is no comparison"
            return Verdict(False, True, reason)
        latency_ms, slowest_ms = (one.measurements[LATENCY] for one in (measured, reference))
        if latency_ms >= slowest_ms:
            return Verdict(
                False,
                True,
                f"not faster than {reference.precision} as measured: "
                f"{latency_ms:.4g} ms against {slowest_ms:.4g} ms",
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
