"""Accuracies as normal scores and back: ranks are what predictors are fitted to."""

from __future__ import annotations

import numpy as np
from scipy import stats

from predictors.base import FloatArray

_REACH = 8.0
"""Scores beyond are taken to be there: no accuracy is that unusual."""
_STEP = 1.0 / 512.0
"""Of the table that `nearly` reads, far below any deviation that is predicted."""


class Scores:
    """The normal scores of a training set's accuracies.

    Accuracies crowd near the best and thin out below; on ranks a predictor need not explain the
    few very bad ones. Between known accuracies the way back is linear, beyond them it keeps the
    slope of the outer tenth.
    """

    def __init__(self, accuracy: FloatArray) -> None:
        ranks = stats.rankdata(accuracy)
        self.scores: FloatArray = stats.norm.ppf((ranks - 0.5) / len(accuracy))
        self._y, first = np.unique(accuracy, return_index=True)
        self._z = self.scores[first]
        self._table: FloatArray | None = None

    def accuracy(self, scores: FloatArray) -> FloatArray:
        """Accuracies of scores, of the same shape; monotone."""
        if len(self._y) == 1:
            return np.full(scores.shape, self._y[0])
        return _along(self._z, self._y, scores)

    def nearly(self, scores: FloatArray) -> FloatArray:
        """`accuracy` ten times as fast, from a table: within a 1024th of a score; monotone."""
        if self._table is None:
            self._table = self.accuracy(np.arange(-_REACH, _REACH + 2 * _STEP, _STEP))
        place = np.clip(scores, -_REACH, _REACH)
        place += _REACH
        place /= _STEP
        low = place.astype(np.intp)
        place -= low
        below = self._table[low]
        place *= self._table[low + 1] - below
        place += below
        return place

    def of(self, accuracy: FloatArray) -> FloatArray:
        """Scores of any accuracies, the way back undone; infinite where only one was known."""
        if len(self._y) == 1:
            away = np.asarray(accuracy) - self._y[0]
            return np.asarray(np.where(away == 0, self._z[0], np.copysign(np.inf, away)))
        return _along(self._y, self._z, np.asarray(accuracy))


def _along(x: FloatArray, y: FloatArray, at: FloatArray) -> FloatArray:
    """The line through rising points, straight beyond them with the slope of the outer tenth."""
    edge = max(1, len(y) // 10)
    low = (y[edge] - y[0]) / (x[edge] - x[0])
    high = (y[-1] - y[-1 - edge]) / (x[-1] - x[-1 - edge])
    return np.asarray(
        np.interp(at, x, y) + low * np.minimum(at - x[0], 0.0) + high * np.maximum(at - x[-1], 0.0)
    )
