"""Has a target moved away from its table?

A few networks that were measured when the table was made are measured again. A runtime upgrade, a
governor, heat or a neighbour makes all of them slower or faster by about the same share, so the
mean of the logarithms of new over old is held against its own standard error (Student's t). A
shift below what anybody would act on is none, however certain.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lookup_tables.errors import LookupTableError
from lookup_tables.source import FloatArray

MIN_PROBES, MAX_PROBES = 4, 10
FALSE_ALARM = 0.004
"""Significance; false alarms stay below 1 % where single probes are off by up to 3 %."""
LEAST_SHIFT = 0.02
"""Smaller shifts are within what tables promise."""
_USUAL_SPREAD, _WORTH = 0.025, 5.0
"""Ratios usually spread so; known as well as from so many probes."""


@dataclass(frozen=True, slots=True)
class Drift:
    """By what share a target is slower (positive) or faster, with an interval, and the verdict."""

    moved: bool
    shift: float
    interval: tuple[float, float]
    p_value: float
    n_probes: int

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def drift(then_ms: FloatArray, now_ms: FloatArray) -> Drift:
    """Compare latencies of the same networks, `(n,)` each, 4 networks at least.

    Raises:
        LookupTableError: too few probes, or a latency that is not a positive number.
    """
    if then_ms.shape != now_ms.shape or then_ms.ndim != 1:
        raise LookupTableError(f"{then_ms.shape} latencies then, {now_ms.shape} now")
    n = len(then_ms)
    if n < MIN_PROBES:
        raise LookupTableError(f"a drift test needs at least {MIN_PROBES} probes, got {n}")
    for name, values in (("then", then_ms), ("now", now_ms)):
        if not np.all(np.isfinite(values) & (values > 0)):
            raise LookupTableError(f"latencies {name} have to be positive and finite")
    from scipy.special import stdtr, stdtrit  # whoever only reads of a drift need not wait for it

    ratios = np.log(now_ms / then_ms)
    # the middle of the probes: one of them may have met a neighbour
    centre = float(_huber(ratios))
    off = ratios - centre
    own = float(np.minimum(off**2, (3.0 * _scale(off)) ** 2).sum())
    freedom = n - 1 + _WORTH
    spread = np.sqrt((own + _WORTH * _USUAL_SPREAD**2) / freedom)
    error = float(spread / np.sqrt(n))
    t = centre / error
    p_value = float(2.0 * stdtr(freedom, -abs(t)))
    reach = float(stdtrit(freedom, 0.975)) * error
    return Drift(
        moved=p_value < FALSE_ALARM and abs(_share(centre)) > LEAST_SHIFT,
        shift=_share(centre),
        interval=(_share(centre - reach), _share(centre + reach)),
        p_value=p_value,
        n_probes=n,
    )


def _share(log_ratio: float) -> float:
    return round(float(np.expm1(log_ratio)), 5)


def _scale(off: FloatArray) -> float:
    return max(1.4826 * float(np.median(np.abs(off))), 0.3 * _USUAL_SPREAD)


def _huber(values: FloatArray) -> float:
    """A mean in which far values count less (Huber, 1964)."""
    centre = float(np.median(values))
    for _ in range(20):
        off = np.abs(values - centre)
        reach = 1.5 * _scale(values - centre)
        weights = np.minimum(1.0, reach / np.maximum(off, 1e-12))
        centre = float((weights * values).sum() / weights.sum())
    return centre
