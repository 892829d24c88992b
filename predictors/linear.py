"""Ridge regression with its penalty chosen by leave-one-out error (Allen, 1974)."""

from __future__ import annotations

import numpy as np

from predictors.base import FloatArray, IntArray
from predictors.regressor import Regressor, constant_std

_PENALTIES = np.logspace(-3, 2, 16)


class RidgePredictor(Regressor):
    """Linear in the features."""

    def fit_scores(
        self,
        features: FloatArray,
        scores: FloatArray,
        *,
        noise: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> None:
        """See `Regressor.fit_scores`; a row is left out by itself, whatever its group."""
        del noise, group  # the penalty already answers to the noise as a whole
        n = len(scores)
        self._centre, spread = features.mean(axis=0), features.std(axis=0)
        self._scale = np.where(spread > 1e-12, spread, 1.0)
        self._mean = float(scores.mean())
        left, singular, right = np.linalg.svd(
            (features - self._centre) / self._scale, full_matrices=False
        )
        target = left.T @ (scores - self._mean)
        best = np.inf
        for penalty in n * _PENALTIES:
            shrunk = singular**2 / (singular**2 + penalty)
            rest = scores - self._mean - left @ (shrunk * target)
            leverage = np.minimum(1.0 / n + (left**2) @ shrunk, 1.0 - 1e-6)
            errors = rest / (1.0 - leverage)
            error = float(errors @ errors)
            if error < best:
                best = error
                self._weights = right.T @ (shrunk * target / np.maximum(singular, 1e-12))
                self.left_out_mean = scores - errors
                self.left_out_std = constant_std(errors)

    def predict_scores(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `Regressor.predict_scores`; the deviation is that of left-out errors."""
        weights = self._weights / self._scale
        mean = features @ weights + (self._mean - self._centre @ weights)
        return mean, np.full(len(features), self.left_out_std[0])
