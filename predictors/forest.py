"""A forest of extremely randomised trees (Geurts et al., 2006)."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from predictors.base import FloatArray, IntArray
from predictors.regressor import Regressor, constant_std

N_TREES = 100


class ForestPredictor(Regressor):
    """Trees vote; their disagreement joins the error on rows that trees were grown without."""

    slow = True

    def fit_scores(
        self,
        features: FloatArray,
        scores: FloatArray,
        *,
        noise: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> None:
        """See `Regressor.fit_scores`; left out are the rows that a tree's sample lacks."""
        del group
        weights = None if noise is None else 1.0 / np.maximum(noise, 1e-4) ** 2
        self._trees = ExtraTreesRegressor(
            N_TREES, max_features=0.5, bootstrap=True, random_state=self._seed
        ).fit(features, scores, sample_weight=weights)
        rows = np.asarray(features, dtype=np.float32)
        votes = np.full((N_TREES, len(scores)), np.nan)
        samples = self._trees.estimators_samples_  # made anew at each access
        for number, tree in enumerate(self._trees.estimators_):
            out = np.ones(len(scores), dtype=np.bool_)
            out[samples[number]] = False
            votes[number, out] = tree.tree_.predict(rows[out])[:, 0]
        count = np.isfinite(votes).sum(axis=0)
        some = np.maximum(count, 1)
        mean = np.where(count > 0, np.nansum(votes, axis=0) / some, scores.mean())
        variance = np.nansum((votes - mean) ** 2, axis=0) / some
        self.left_out_mean = mean
        self._error = constant_std(mean - scores)[0]
        self.left_out_std = np.sqrt(variance + self._error**2)

    def predict_scores(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `Regressor.predict_scores`."""
        # in single precision, which trees compare in, the rows are converted once and not by each
        rows = np.asarray(features, dtype=np.float32)
        votes = np.stack([tree.tree_.predict(rows)[:, 0] for tree in self._trees.estimators_])
        return votes.mean(axis=0), np.hypot(votes.std(axis=0), self._error)
