"""Ridge regression with its penalty chosen by generalised cross-validation (Golub et al., 1979)."""

from __future__ import annotations

import numpy as np

from predictors.base import FloatArray
from predictors.regressor import Model, Regressor


class _Ridge(Model):
    def __init__(self, scaled: FloatArray, accuracy: FloatArray) -> None:
        n = len(scaled)
        self._mean = accuracy.mean()
        left, singular, right = np.linalg.svd(scaled, full_matrices=False)
        target = left.T @ (accuracy - self._mean)
        best = np.inf
        for penalty in n * np.logspace(-3, 2, 16):
            shrunk = singular**2 / (singular**2 + penalty)
            rest = accuracy - self._mean - left @ (shrunk * target)
            score = float(rest @ rest) / n / (1.0 - (shrunk.sum() + 1.0) / (n + 1.0)) ** 2
            if score < best:
                best = score
                self._weights = right.T @ (shrunk * target / np.maximum(singular, 1e-12))
        self._noise = float(np.sqrt(best))

    def predict(self, scaled: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self._mean + scaled @ self._weights, np.full(len(scaled), self._noise)


class RidgePredictor(Regressor):
    """Linear in the features."""

    def _train(self, scaled: FloatArray, accuracy: FloatArray, noise: FloatArray | None) -> Model:
        del noise  # the penalty already answers to the noise as a whole
        return _Ridge(scaled, accuracy)
