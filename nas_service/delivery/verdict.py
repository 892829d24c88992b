"""What is published, of searches and of models alike, and why something is not.

A file has to be the network that it was made of, in the precision that it claims; to keep the
limits as measured; and to be worth something beside the original's file in fp32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nas_service.delivery.measured import Measured
from nas_service.search.certificate import CERTIFIED, LATENCY, PREDICTED_ONLY, Certificate

UNSTEADY = "not measured stably, so there is no comparison"
"""How the reason ends where nothing is wrong with a file but the machine it was measured on."""
_SURELY = 1.96
"""Standard errors that a difference of two latencies has to have."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of a file against the original in fp32.

    `max_loss` is the score that may be lost, a fraction; `least_speedup` what MACs that were pruned
    away promise. With `smaller`, one that is as fast within what was measured may be smaller
    instead of faster.
    """

    max_loss: float
    least_speedup: float = 1.0
    smaller: bool = True


OF_SEARCHES = Terms(max_loss=0.03, smaller=False)
"""Asked of a winner's files against its own fp32 file."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a file is published, whether the limits hold (None: no verdict), and why."""

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
    made: Measured,
    original: Measured | None,
    terms: Terms,
    certificates: Mapping[str, Certificate] | None = None,
) -> Verdict:
    """Decide on one file.

    Args:
        made: the file on its target.
        original: the original's in fp32 on the same target, where there is another one.
        terms: what is asked of the one against the other.
        certificates: of the limits, by quantity. What is not known of others than latency is shown
            and no reason to refuse; what was measured over its limit is not published.
    """
    limits = certificates or {}
    holds = _hold(limits)
    reason = _itself(made) or _within(limits)
    if not reason and original is not None and original is not made:
        at_most = limits[LATENCY].at_most if LATENCY in limits else None
        reason = _beside(made, original, terms, bounded=at_most is not None)
    return Verdict(not reason, holds, reason)


def _hold(limits: Mapping[str, Certificate]) -> bool | None:
    """Whether every limit holds, as far as it is known."""
    if any(one.holds is False for one in limits.values()):
        return False
    return limits[LATENCY].holds if LATENCY in limits else None


def _itself(made: Measured) -> str:
    if not made.same.ok:
        return f"not the same network: {made.same.why or 'outputs differ'}"
    if made.not_in_precision:
        return f"nothing of it is in {made.precision}: {made.not_in_precision}"
    return ""


def _within(limits: Mapping[str, Certificate]) -> str:
    """The first reason that limits give; those that are broken come before those that are open."""
    further = [one for name, one in limits.items() if name != LATENCY]
    broken = [one for one in further if one.holds is False]
    if broken:
        return broken[0].reason
    latency: Sequence[Certificate] = [limits[LATENCY]] if LATENCY in limits else []
    open_ = [one for one in latency if one.verdict != CERTIFIED]
    open_ += [one for one in further if one.verdict not in {CERTIFIED, PREDICTED_ONLY}]
    return open_[0].reason if open_ else ""


def _beside(made: Measured, original: Measured, terms: Terms, *, bounded: bool) -> str:
    """Why a file is worth nothing beside the original.

    `bounded`: no more is known of its latency than that it is below the limit.
    """
    if made.sha256 and made.sha256 == original.sha256:
        return "the same file as the original's in fp32, byte for byte"
    loss = original.accuracy - made.accuracy
    if not math.isfinite(loss):
        return f"its {made.metric}, or the original's, is no number"
    if loss > terms.max_loss + 1e-9:
        return (
            f"loses {100 * loss:.1f} points of {made.metric}, more than {100 * terms.max_loss:.1f}"
        )
    if made.latency_ms is None or original.latency_ms is None:
        return "not measured"
    if bounded or not (made.stable and original.stable):
        unsure = made if bounded or not made.stable else original
        return f"{unsure.precision} was {UNSTEADY}"
    against = f"{made.latency_ms:.4g} ms against {original.latency_ms:.4g} ms"
    if not terms.smaller and made.latency_ms >= original.latency_ms:
        return f"not faster than {original.precision} as measured: {against}"
    difference = _difference(made, original)
    if terms.smaller and difference > 0:
        return f"slower than {original.precision} as measured: {against}"
    speedup = original.latency_ms / made.latency_ms
    if terms.least_speedup > 1.0 and speedup < terms.least_speedup:
        return (
            f"{speedup:.2f} times as fast as measured, less than the {terms.least_speedup:.2f} "
            "times asked for by the MACs that were pruned away"
        )
    if terms.smaller and difference == 0 and made.size_bytes >= original.size_bytes:
        return (
            f"not smaller than {original.precision}, and as fast within what was measured: "
            f"{against}"
        )
    return ""


def _difference(made: Measured, original: Measured) -> int:
    """Whether a file is slower (1) or faster (-1) beyond the measuring interval, or neither (0)."""
    assert made.latency_ms is not None
    assert original.latency_ms is not None
    apart = math.log(made.latency_ms / original.latency_ms)
    reach = _SURELY * math.hypot(made.latency_error, original.latency_error)
    return 0 if abs(apart) <= reach else (1 if apart > 0 else -1)
