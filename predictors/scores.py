"""Accuracies as normal scores and back: ranks are what predictors are fitted to."""

from __future__ import annotations

import numpy as np
from scipy import stats

from predictors.base import FloatArray


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

    def accuracy(self, scores: FloatArray) -> FloatArray:
        """Accuracies of scores, of the same shape; monotone."""
        if len(self._y) == 1:
            return np.full(scores.shape, self._y[0])
        return _along(self._z, self._y, scores)

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
