"""Turns of a file between readings of the anchors, and what several of them say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lookup_tables.measuring.reference import FloatArray

_NORMAL = 1.4826
"""From a median absolute deviation to a standard deviation."""
_OF_MEDIAN = 1.2533
"""The standard error of a median over that of a mean, for normal errors."""


@dataclass(slots=True)
class Turn:
    """One turn of a file, with the readings on both sides."""

    before: Mapping[str, float]
    after: Mapping[str, float]
    runs_ms: list[float]
    median_ms: float
    cpu_ratio: float
    joules: float
    counts: bool = False


def medians_of(turns: list[Turn], *, counting: bool) -> FloatArray:
    """Medians of turns in ms, of those that count alone where `counting`: `(n,)`."""
    return np.array([turn.median_ms for turn in turns if turn.counts or not counting])


def deviation_of(medians: FloatArray) -> float:
    """Relative standard deviation of turns' medians, robust against single ones."""
    logs = np.log(medians)
    return float(_NORMAL * np.median(np.abs(logs - np.median(logs))))


def error_of_median(medians: FloatArray, deviation: float) -> float:
    """Relative standard error of the median of these medians."""
    return float(_OF_MEDIAN * deviation / np.sqrt(len(medians)))


def observed_of(turns: list[Turn], share: float) -> tuple[float, float]:
    """p50 and p90 over all runs, those in the reference state and the others by their time."""
    n_counting = sum(turn.counts for turn in turns)
    n_other = len(turns) - n_counting
    values, weights = [], []
    for turn in turns:
        of_state = share if turn.counts else 1.0 - share
        each = of_state / (n_counting if turn.counts else n_other) / len(turn.runs_ms)
        values += turn.runs_ms
        weights += [each] * len(turn.runs_ms)
    order = np.argsort(values, kind="stable")
    below = np.cumsum(np.array(weights)[order])
    if below[-1] <= 0:
        return float(np.median(values)), float(np.percentile(values, 90))
    places = np.searchsorted(below, np.array([0.5, 0.9]) * below[-1])
    p50, p90 = (float(values[order[min(int(i), len(order) - 1)]]) for i in places)
    return p50, p90
