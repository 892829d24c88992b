"""A certificate: what was predicted and measured of a file on a target, and whether a limit holds.

Nothing rewrites a certificate. One whose target has moved since (another runtime, another table,
drift) goes stale and says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from nas_service.search.certification import RISK, Certifier

MIN_SESSIONS, MAX_SESSIONS = 3, 8
"""How often a file is measured before its certificate: noise shows between sessions."""
LEVEL = 0.9
"""Of the intervals that a certificate prints."""
CERTIFIED, REFUSED, UNDECIDED = "certified", "refused", "undecided"
PREDICTED_ONLY = "predicted only"
FAR = 2.0
"""A limit this many times as high as the slowest turn in any state holds in the reference state."""
_HOPELESS = 0.5
_REFERENCE_PROBABILITY = 0.95


def risk_of(probability: float) -> float:
    """The risk of one certificate where limits are to hold with this probability.

    Far below 1 - probability: the file that is published was picked as the best of several, which
    favours lucky measurements.
    """
    return RISK * (1.0 - probability) / (1.0 - _REFERENCE_PROBABILITY)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One limit on one target; `measured_*` are None where nothing was measured."""

    verdict: str
    metric: str
    statistic: str
    limit_ms: float
    limit_probability: float
    predicted_ms: float
    predicted_interval_ms: tuple[float, float] | None
    measured_ms: float | None
    measured_interval_ms: tuple[float, float] | None
    interval_level: float
    probability_over: float | None
    n_sessions: int
    noise: float | None
    why_unstable: str = ""
    at_most_ms: float | None = None
    """What the limit holds by where nothing was measured in the reference state: a bound."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @property
    def reason(self) -> str:
        """Why the limit is not certified; empty where it is."""
        if self.verdict == CERTIFIED:
            return ""
        if self.verdict == PREDICTED_ONLY:
            return "predicted only: the device could not be reached"
        if self.n_sessions == 0 or self.measured_ms is None or self.probability_over is None:
            why = f": {self.why_unstable}" if self.why_unstable else ""
            return f"the measurement was not stable, so there is no verdict{why}"
        if self.verdict == REFUSED:
            return (
                f"measured {self.measured_ms:.4g} ms: over the limit of {self.limit_ms:.4g} ms "
                f"with probability {self.probability_over:.2g}"
            )
        return (
            f"measured {self.measured_ms:.4g} ms in {self.n_sessions} sessions: too near the limit "
            f"of {self.limit_ms:.4g} ms to certify it (probability to be over it "
            f"{self.probability_over:.2g})"
        )


def predicted_only(
    limit_ms: float,
    probability: float,
    predicted_ms: float,
    spread: float | None,
    *,
    statistic: str = "p50",
) -> Certificate:
    """What can be said of a device that cannot be reached: never a certificate."""
    return Certificate(
        verdict=PREDICTED_ONLY,
        metric="latency_ms",
        statistic=statistic,
        limit_ms=limit_ms,
        limit_probability=probability,
        predicted_ms=predicted_ms,
        predicted_interval_ms=_around(predicted_ms, spread),
        measured_ms=None,
        measured_interval_ms=None,
        interval_level=LEVEL,
        probability_over=None,
        n_sessions=0,
        noise=None,
    )


def certificate_of(
    certifier: Certifier,
    row: int,
    probability: float,
    predicted_ms: float,
    spread: float | None,
    *,
    statistic: str = "p50",
    why_unstable: str = "",
    at_most_ms: Sequence[float | None] = (),
) -> Certificate:
    """What a certifier knows of one of its candidates; `predicted_ms` is from before measuring.

    `at_most_ms` are bounds of the sessions, those outside the reference state included: where too
    few were in it they certify a limit that is far above all of them.
    """
    values = certifier.values(row)
    few = len(values) < MIN_SESSIONS
    bound = far_below(certifier.limit, at_most_ms) if few else None
    if not values:
        none = predicted_only(
            certifier.limit, probability, predicted_ms, spread, statistic=statistic
        )
        if bound is not None:
            return replace(none, verdict=CERTIFIED, why_unstable=why_unstable, at_most_ms=bound)
        return replace(none, verdict=UNDECIDED, why_unstable=why_unstable)
    over = certifier.probability_over(row)
    if bound is not None or (row in certifier.certified() and not few):
        verdict = CERTIFIED
    else:
        verdict = REFUSED if over > _HOPELESS else UNDECIDED
    low, high = certifier.interval(row, LEVEL)
    return Certificate(
        verdict=verdict,
        metric="latency_ms",
        statistic=statistic,
        limit_ms=certifier.limit,
        limit_probability=probability,
        predicted_ms=predicted_ms,
        predicted_interval_ms=_around(predicted_ms, spread),
        measured_ms=round(certifier.mean(row), 6),
        measured_interval_ms=(round(low, 6), round(high, 6)),
        interval_level=LEVEL,
        probability_over=float(f"{over:.3g}"),
        n_sessions=len(values),
        noise=round(certifier.noise, 4),
        why_unstable=why_unstable if bound is not None else "",
        at_most_ms=bound,
    )


def far_below(limit_ms: float, at_most_ms: Sequence[float | None]) -> float | None:
    """The highest of the sessions' bounds in ms, where the limit is far above it; else None."""
    known = [one for one in at_most_ms if one is not None]
    if len(known) < max(MIN_SESSIONS, len(at_most_ms)):
        return None
    return max(known) if FAR * max(known) <= limit_ms else None


def settled(
    certifier: Certifier,
    rows: list[int],
    at_most_ms: Mapping[int, Sequence[float | None]] = MappingProxyType({}),
) -> bool:
    """Whether more sessions would change no verdict: all certified, or clearly over the limit.

    `at_most_ms` are the sessions' bounds of rows, as in `certificate_of`.
    """
    known = certifier.certified()
    for row in rows:
        n = len(certifier.values(row))
        if n < MIN_SESSIONS:
            if far_below(certifier.limit, at_most_ms.get(row, ())) is None:
                return False
            continue
        if row not in known and certifier.probability_over(row) < 0.99:
            return False
    return True


def _around(predicted_ms: float, spread: float | None) -> tuple[float, float] | None:
    """A central interval at `LEVEL` for errors of this size; None where the size is unknown."""
    if spread is None or not np.isfinite(spread):
        return None
    reach = float(np.exp(1.645 * spread))
    return round(predicted_ms / reach, 6), round(predicted_ms * reach, 6)
