"""Gradient boosting (Friedman, 2001; stochastic, 2002)."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor

from predictors.base import FloatArray
from predictors.regressor import Fitted, FoldedRegressor


class _Boosted(Fitted):
    def __init__(self, trees: GradientBoostingRegressor) -> None:
        self._trees = trees

    def __call__(self, scaled: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self._trees.predict(scaled), np.zeros(len(scaled))


class BoostingPredictor(FoldedRegressor):
    """Shallow trees, each fitted to half of the rows and a third of the features."""

    slow = True

    def train(self, features: FloatArray, scores: FloatArray, noise: FloatArray | None) -> Fitted:
        """See `FoldedRegressor.train`."""
        weights = None if noise is None else 1.0 / np.maximum(noise, 1e-4) ** 2
        trees = GradientBoostingRegressor(
            n_estimators=200,
            learning_rate=0.07,
            max_depth=3,
            subsample=0.5,
            max_features=0.33,
            random_state=self._seed,
        )
        return _Boosted(trees.fit(features, scores, sample_weight=weights))
