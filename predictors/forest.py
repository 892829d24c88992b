"""A forest of extremely randomised trees (Geurts et al., 2006)."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from predictors.base import FloatArray
from predictors.regressor import Model, Regressor


class _Forest(Model):
    def __init__(self, trees: ExtraTreesRegressor) -> None:
        self._trees = trees

    def predict(self, scaled: FloatArray) -> tuple[FloatArray, FloatArray]:
        votes = np.stack([tree.predict(scaled) for tree in self._trees.estimators_])
        return votes.mean(axis=0), votes.std(axis=0)


class ForestPredictor(Regressor):
    """Trees vote; their disagreement is the standard deviation."""

    def __init__(self, *, seed: int = 0, folds: int = 5, n_trees: int = 100) -> None:
        super().__init__(seed=seed, folds=folds)
        self._n_trees = n_trees

    def _train(self, scaled: FloatArray, accuracy: FloatArray, noise: FloatArray | None) -> Model:
        trees = ExtraTreesRegressor(
            self._n_trees, min_samples_leaf=2, max_features=0.5, random_state=self._seed
        )
        weights = None if noise is None else 1.0 / np.maximum(noise, 1e-4) ** 2
        return _Forest(trees.fit(scaled, accuracy, sample_weight=weights))
