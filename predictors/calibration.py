"""How far predictions are off on rows that were not seen: what intervals rest on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from predictors.base import FloatArray, IntArray, Prediction, folds_of

REFITTED = 200
"""Up to so many rows, a predictor is fitted again without a tenth of them at a time.

Left-out errors in closed form share what was chosen on all rows (hyperparameters, penalties,
weights) and are a little too small for it; with more rows that no longer shows.
"""
_FOLDS = 10
_MIN_TRAINED = 4


class Calibrated(Protocol):
    """A predictor that can say where accuracies lie on the scale on which it predicts."""

    def fit(
        self,
        features: FloatArray,
        accuracy: FloatArray,
        *,
        noise: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> None:
        """See `AccuracyPredictor.fit`."""

    def predict(self, features: FloatArray) -> Prediction:
        """See `AccuracyPredictor.predict`."""

    def scores_of(self, accuracy: FloatArray) -> FloatArray:
        """Accuracies `(n,)` on the scale of the fitted predictor."""


class Residuals:
    """`residuals` of one fit, worked out when first asked for."""

    def __init__(
        self,
        fresh: Callable[[], Calibrated],
        features: FloatArray,
        accuracy: FloatArray,
        noise: FloatArray | None,
        group: IntArray | None,
        closed: FloatArray,
    ) -> None:
        """See `residuals`."""
        self._fit = fresh, features, accuracy, noise, group, closed
        self._found: FloatArray | None = None

    def __call__(self) -> FloatArray:
        """The residuals `(n,)`."""
        if self._found is None:
            self._found = residuals(*self._fit)
        return self._found


def residuals(
    fresh: Callable[[], Calibrated],
    features: FloatArray,
    accuracy: FloatArray,
    noise: FloatArray | None,
    group: IntArray | None,
    closed: FloatArray,
) -> FloatArray:
    """Absolute errors over predicted deviations `(n,)`, each of a row not seen while fitting.

    Args:
        fresh: makes an unfitted predictor.
        features: rows `(n, f)`.
        accuracy: of each `(n,)`.
        noise: see `AccuracyPredictor.fit`.
        group: see `AccuracyPredictor.fit`.
        closed: the same errors by the predictor's own shortcut, for many rows or very few.
    """
    n = len(accuracy)
    if n > REFITTED:
        return closed
    fold = folds_of(n, _FOLDS, 0, group)
    if n - np.bincount(fold).max() < _MIN_TRAINED:
        return closed
    found = np.empty(n)
    for k in range(int(fold.max()) + 1):
        rest, held = fold != k, fold == k
        predictor = fresh()
        predictor.fit(
            features[rest],
            accuracy[rest],
            noise=None if noise is None else noise[rest],
            group=None if group is None else group[rest],
        )
        latent = predictor.predict(features[held]).latent
        if latent is None:
            return closed
        found[held] = np.abs(latent.mean - predictor.scores_of(accuracy[held])) / latent.std
    return found
