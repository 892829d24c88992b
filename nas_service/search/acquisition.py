"""Expected hypervolume improvement where accuracy is uncertain and every cost is known.

With known costs the integral over the uncertain outcome (Emmerich et al., 2006) falls apart: a
candidate dominates the part of the costs' box above its own costs, and gains there what its
accuracy exceeds the best accuracy already to be had at those costs. With one cost the box is a
line and the sum is exact; with more it is taken over points that fill the box evenly. Costs enter
by their logarithms: a tenth faster counts the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from nas_service.space.base import FloatArray, IntArray

N_POINTS = 512
"""Points that fill the box of two or more costs."""
_TINY = 1e-12
_CHUNK = 65_536
"""Candidates looked at together: a million at once would need gigabytes."""


@dataclass(frozen=True)
class Region:
    """What counts: accuracy above `accuracy`, costs below `costs` `(k,)`; `lowest` are bounds."""

    accuracy: float
    costs: FloatArray
    lowest: FloatArray

    def box(self) -> FloatArray:
        """Logarithms of costs at which improvement is looked at for k >= 2: `(points, k)`."""
        unit = qmc.Sobol(len(self.costs), scramble=False).random(N_POINTS)
        low, high = _logs(self.lowest), _logs(self.costs)
        return np.asarray(low + (unit + 0.5 / N_POINTS) * (high - low))


class Improvement:
    """What candidates would add to a front, which grows as candidates are taken."""

    def __init__(
        self, region: Region, costs: FloatArray, levels: FloatArray, weights: FloatArray
    ) -> None:
        """Candidates' costs `(n, k)`; accuracies `(n, q)` that come true with `weights` `(q,)`."""
        self._region = region
        self._costs = _logs(costs)
        self._levels = levels
        self._weights = weights
        self._front_costs = np.empty((0, costs.shape[1]))
        self._front = np.empty(0)
        self._points = region.box() if costs.shape[1] > 1 else np.empty((0, 1))

    def add(self, costs: FloatArray, accuracy: FloatArray) -> None:
        """Count rows `(m, k)` with accuracies `(m,)` as had."""
        self._front_costs = np.concatenate([self._front_costs, _logs(costs)])
        self._front = np.concatenate([self._front, accuracy])

    def expected(self, rows: IntArray | slice = slice(None)) -> FloatArray:
        """Expected improvement of the candidates in `rows`, in accuracy times log costs."""
        costs, levels = self._costs[rows], self._levels[rows]
        found = np.zeros(len(costs))
        for start in range(0, len(costs), _CHUNK):
            part = slice(start, start + _CHUNK)
            one = costs[part]
            heights, widths = self._line(one) if one.shape[1] == 1 else self._volume(one)
            for number, weight in enumerate(self._weights):
                gain = levels[part, number, None] - heights
                np.maximum(gain, 0.0, out=gain)
                found[part] += weight * np.einsum("nh,nh->n", gain, widths)
        return found

    def _line(self, costs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Accuracies had along the one cost, and how much of each is above a candidate's cost."""
        order = np.lexsort((-self._front, self._front_costs[:, 0]))
        best = np.maximum.accumulate(np.concatenate([[self._region.accuracy], self._front[order]]))
        starts = np.concatenate([[-np.inf], self._front_costs[order, 0]])
        steps = np.flatnonzero(np.concatenate([[True], best[1:] > best[:-1]]))
        heights, left = best[steps], starts[steps]
        right = np.concatenate([left[1:], _logs(self._region.costs)])
        widths = right - np.maximum(left, costs)
        return heights, np.asarray(np.maximum(widths, 0.0))

    def _volume(self, costs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The same over the points of the box: shares of points at each accuracy had."""
        had = np.full(len(self._points), self._region.accuracy)
        for row, accuracy in zip(self._front_costs, self._front, strict=True):
            inside = (row <= self._points).all(axis=1)
            had[inside] = np.maximum(had[inside], accuracy)
        heights, level = np.unique(had, return_inverse=True)
        member = np.zeros((len(self._points), len(heights)), dtype=np.float32)
        member[np.arange(len(self._points)), level] = 1.0 / len(self._points)
        above = np.ones((len(costs), len(self._points)), dtype=np.bool_)
        for column in range(costs.shape[1]):
            above &= costs[:, column, None] <= self._points[None, :, column]
        return heights, np.asarray(above.astype(np.float32) @ member, dtype=np.float64)


def greedy(
    improvement: Improvement,
    costs: FloatArray,
    expected: FloatArray,
    twins: IntArray,
    n: int,
    *,
    preference: FloatArray | None = None,
) -> list[int]:
    """Up to `n` candidates that add most together; equal numbers in `twins` are taken once.

    What one adds counts `preference` `(c,)` times. A taken candidate counts as had at its
    `expected` accuracy `(c,)`. What the others add can only shrink by that, so a shortlist is
    enough for as long as its best beats what the rest added at first; then all are looked at again.
    """
    size = max(256, 16 * n)
    liked = np.ones(len(costs)) if preference is None else preference
    left = np.ones(len(costs), dtype=np.bool_)
    chosen: list[int] = []
    shortlist, gains, bound = _best(liked * improvement.expected(), size)
    while len(chosen) < n:
        now = np.where(left[shortlist], gains, -1.0)
        pick = int(np.argmax(now))
        if now[pick] < bound:
            everything = np.where(left, liked * improvement.expected(), -1.0)
            shortlist, now, bound = _best(everything, size)
            pick = 0
        if now[pick] <= 0.0:
            break
        row = int(shortlist[pick])
        chosen.append(row)
        left &= twins != twins[row]
        if len(chosen) < n:
            improvement.add(costs[row : row + 1], expected[row : row + 1])
            gains = liked[shortlist] * improvement.expected(shortlist)
    return chosen


def _best(gains: FloatArray, size: int) -> tuple[IntArray, FloatArray, float]:
    """The rows of the largest gains, those gains, and the largest of the others."""
    order = np.argsort(-gains, kind="stable")
    rest = float(gains[order[size]]) if len(order) > size else -np.inf
    return order[:size], gains[order[:size]], rest


def _logs(costs: FloatArray | Sequence[float]) -> FloatArray:
    return np.log(np.maximum(np.asarray(costs, dtype=np.float64), _TINY))
