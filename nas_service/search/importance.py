"""Which decisions matter: how much of a quantity's variance each explains alone."""

from __future__ import annotations

import numpy as np

from nas_service.space.base import FloatArray, IntArray


def main_effects(architectures: IntArray, values: FloatArray) -> FloatArray:
    """Shares of the variance of `values` `(n,)` by decision `(a,)`, from 0 to 1.

    The correlation ratio (eta squared): the variance of the means over candidates that share a
    decision's value, over the variance of all. `architectures` `(n, a)` are positions of values.
    What decisions do together is in none of them, and what candidates share by chance in all.
    """
    total = float(((values - values.mean()) ** 2).sum()) if len(values) else 0.0
    if total <= 0.0:
        return np.zeros(architectures.shape[1])
    return np.array([_between(column, values) / total for column in architectures.T])


def means_by_value(positions: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
    """Counts and means of `values` by position `0..m`; NaN where a position has none."""
    counts = np.bincount(positions)
    sums = np.bincount(positions, weights=values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(counts), np.asarray(sums / counts)


def _between(positions: IntArray, values: FloatArray) -> float:
    counts, means = means_by_value(positions, values)
    there = counts > 0
    return float((counts[there] * (means[there] - values.mean()) ** 2).sum())
