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

from nas_service.search.certifier import RISK, Certifier
from nas_service.search.quantities.registry import quantities

MIN_SESSIONS, MAX_SESSIONS = 3, 8
"""How often a file is measured before its certificate: noise shows between sessions."""
LEVEL = 0.9
"""Of the intervals that a certificate prints."""
LATENCY = "latency_ms"
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
    """One limit of a quantity on one target; `measured` is None where nothing was measured.

    All values are in the quantity's unit; `statistic` is what of its measurements they are.
    """

    verdict: str
    quantity: str
    statistic: str
    limit: float
    limit_probability: float
    predicted: float | None
    predicted_interval: tuple[float, float] | None
    measured: float | None
    measured_interval: tuple[float, float] | None
    interval_level: float
    probability_over: float | None
    n_sessions: int
    noise: float | None
    why_unstable: str = ""
    at_most: float | None = None
    """What the limit holds by where nothing was measured in the reference state: a bound."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; of latencies also by the names that end in `_ms`."""
        values = asdict(self)
        in_ms = ("limit", "predicted", "predicted_interval", "measured", "measured_interval")
        if self.quantity == LATENCY:
            values |= {f"{name}_ms": values[name] for name in (*in_ms, "at_most")}
        return {**values, "metric": self.quantity}

    @property
    def holds(self) -> bool | None:
        """Whether the limit holds as measured, or by a bound; None where nothing tells."""
        value = self.measured if self.at_most is None else self.at_most
        return None if value is None else value <= self.limit

    @property
    def reason(self) -> str:
        """Why the limit is not certified; empty where it is."""
        if self.verdict == CERTIFIED:
            return ""
        if self.verdict == PREDICTED_ONLY:
            return "predicted only: the device could not be reached"
        if self.measured is not None and self.probability_over is None:  # measured exactly
            return (
                f"measured {self.quantity} {self.measured:,.6g} is over its limit of "
                f"{self.limit:,.6g}"
            )
        if self.n_sessions == 0 or self.measured is None or self.probability_over is None:
            why = f": {self.why_unstable}" if self.why_unstable else ""
            return f"the measurement was not stable, so there is no verdict{why}"
        of = quantities()[self.quantity]
        measured, limit = of.text(self.measured), of.text(self.limit)
        if self.verdict == REFUSED:
            return (
                f"measured {measured}: over the limit of {limit} "
                f"with probability {self.probability_over:.2g}"
            )
        return (
            f"measured {measured} in {self.n_sessions} sessions: too near the limit "
            f"of {limit} to certify it (probability to be over it {self.probability_over:.2g})"
        )


def predicted_only(
    limit: float,
    probability: float,
    predicted: float | None,
    spread: float | None,
    *,
    statistic: str = "p50",
    quantity: str = LATENCY,
) -> Certificate:
    """What can be said where nothing was measured."""
    return Certificate(
        verdict=PREDICTED_ONLY,
        quantity=quantity,
        statistic=statistic,
        limit=limit,
        limit_probability=probability,
        predicted=predicted,
        predicted_interval=None if predicted is None else _around(predicted, spread),
        measured=None,
        measured_interval=None,
        interval_level=LEVEL,
        probability_over=None,
        n_sessions=0,
        noise=None,
    )


def measured_exactly(
    quantity: str, limit: float, probability: float, predicted: float | None, measured: float | None
) -> Certificate:
    """Of a quantity that one measurement settles; predicted only where there is none."""
    none = predicted_only(
        limit, probability, predicted, None, statistic="as counted", quantity=quantity
    )
    if measured is None:
        return none
    verdict = CERTIFIED if measured <= limit else REFUSED
    return replace(none, verdict=verdict, measured=measured, n_sessions=1)


def certificate_of(
    certifier: Certifier,
    row: int,
    probability: float,
    predicted: float,
    spread: float | None,
    *,
    statistic: str = "p50",
    quantity: str = LATENCY,
    why_unstable: str = "",
    at_most: Sequence[float | None] = (),
) -> Certificate:
    """What a certifier knows of one of its candidates; `predicted` is from before measuring.

    `at_most` are bounds of the sessions, those outside the reference state included: where too
    few were in it they certify a limit that is far above all of them.
    """
    values = certifier.values(row)
    few = len(values) < MIN_SESSIONS
    bound = far_below(certifier.limit, at_most) if few else None
    none = predicted_only(
        certifier.limit, probability, predicted, spread, statistic=statistic, quantity=quantity
    )
    if not values:
        verdict = UNDECIDED if bound is None else CERTIFIED
        return replace(none, verdict=verdict, why_unstable=why_unstable, at_most=bound)
    over = certifier.probability_over(row)
    if bound is not None or (row in certifier.certified() and not few):
        verdict = CERTIFIED
    else:
        verdict = REFUSED if over > _HOPELESS else UNDECIDED
    low, high = certifier.interval(row, LEVEL)
    return replace(
        none,
        verdict=verdict,
        measured=round(certifier.mean(row), 6),
        measured_interval=(round(low, 6), round(high, 6)),
        probability_over=float(f"{over:.3g}"),
        n_sessions=len(values),
        noise=round(certifier.noise, 4),
        why_unstable=why_unstable if bound is not None else "",
        at_most=bound,
    )


def far_below(limit: float, at_most: Sequence[float | None]) -> float | None:
    """The highest of the sessions' bounds, where the limit is far above it; else None."""
    known = [one for one in at_most if one is not None]
    if len(known) < max(MIN_SESSIONS, len(at_most)):
        return None
    return max(known) if FAR * max(known) <= limit else None


def settled(
    certifier: Certifier,
    rows: list[int],
    at_most: Mapping[int, Sequence[float | None]] = MappingProxyType({}),
) -> bool:
    """Whether more sessions would change no verdict: all certified, or clearly over the limit.

    `at_most` are the sessions' bounds of rows, as in `certificate_of`.
    """
    known = certifier.certified()
    for row in rows:
        n = len(certifier.values(row))
        if n < MIN_SESSIONS:
            if far_below(certifier.limit, at_most.get(row, ())) is None:
                return False
            continue
        if row not in known and certifier.probability_over(row) < 0.99:
            return False
    return True


def _around(predicted: float, spread: float | None) -> tuple[float, float] | None:
    """A central interval at `LEVEL` for errors of this size; None where the size is unknown."""
    if spread is None or not np.isfinite(spread):
        return None
    reach = float(np.exp(1.645 * spread))
    return round(predicted / reach, 6), round(predicted * reach, 6)
