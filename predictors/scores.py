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
        inside = np.interp(scores, self._z, self._y)
        edge = max(1, len(self._y) // 10)
        low = (self._y[edge] - self._y[0]) / (self._z[edge] - self._z[0])
        high = (self._y[-1] - self._y[-1 - edge]) / (self._z[-1] - self._z[-1 - edge])
        return np.asarray(
            inside
            + low * np.minimum(scores - self._z[0], 0.0)
            + high * np.maximum(scores - self._z[-1], 0.0)
        )
