"""From estimates of a quantity to whole networks, and bounds that measured values stay below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lookup_tables.errors import LookupTableError
from lookup_tables.source import FloatArray

MIN_NETWORKS = 5
"""Whole networks below which nothing is fitted, and no bound is known."""


def upper_factor(relative_errors: Sequence[float], probability: float) -> float:
    """What to multiply an estimate by so that the measured value stays below it.

    Student's t on the logarithms of left-out errors, one-sided: a measured value is the
    estimate divided by one plus its error. Errors of more than a factor of two count as that
    much: of few networks a fit on the others may miss one by anything. Infinite below five
    networks.
    """
    n = len(relative_errors)
    if n < MIN_NETWORKS:
        return float("inf")
    from scipy.special import stdtrit  # a third of a second that whoever only reads need not wait

    logs = np.log1p(np.clip(relative_errors, -0.5, 1.0))
    scale = float(np.sqrt(np.mean(np.square(logs))))
    return float(np.exp(stdtrit(n - 1, probability) * scale))


@dataclass(frozen=True, slots=True)
class Ratio:
    """measured = ratio * estimate, of whole networks.

    `relative_errors` are left-one-out: each network predicted by the ratio of the others, as
    (predicted - measured) / measured.
    """

    ratio: float
    relative_errors: tuple[float, ...]

    def upper_factor(self, probability: float) -> float:
        """What a corrected estimate is multiplied by to stay above the measured value."""
        return upper_factor(self.relative_errors, probability)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "relative_errors": list(self.relative_errors)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Ratio:
        """The inverse of `as_dict`; raises `LookupTableError` where a number is none."""
        found = cls(float(values["ratio"]), tuple(map(float, values["relative_errors"])))
        if not (np.isfinite(found.relative_errors).all() and 0 < found.ratio < np.inf):
            raise LookupTableError("a ratio is positive, and its errors are finite")
        if len(found.relative_errors) < MIN_NETWORKS:
            raise LookupTableError(f"a ratio rests on at least {MIN_NETWORKS} networks")
        return found


def fit_ratio(estimated: FloatArray, measured: FloatArray) -> Ratio:
    """The geometric mean of measured over estimated `(n,)`, n >= 5, all positive.

    Raises:
        LookupTableError: fewer than five networks, or a value that is not positive.
    """
    n = len(measured)
    if n < MIN_NETWORKS:
        raise LookupTableError(f"a ratio needs at least {MIN_NETWORKS} measured networks, got {n}")
    for values in (estimated, measured):
        if not np.all(np.isfinite(values) & (values > 0)):
            raise LookupTableError("estimates and measurements have to be positive and finite")
    logs = np.log(measured / estimated)
    without = (logs.sum() - logs) / (n - 1)
    errors = np.expm1(without - logs)
    return Ratio(float(np.exp(logs.mean())), tuple(round(float(one), 6) for one in errors))
