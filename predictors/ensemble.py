"""The default: several predictors, mixed by how well each predicts rows that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from predictors.base import FloatArray, IntArray, PredictorError
from predictors.forest import ForestPredictor
from predictors.gaussian_process import GaussianProcessPredictor
from predictors.linear import RidgePredictor
from predictors.regressor import Regressor

MIN_WEIGHT = 0.1
"""A member that would weigh less is left out: it costs time and changes little."""
PULL = 30.0
"""Weights are drawn to the one best member as if that were seen on so many rows."""
MIN_GAIN = 0.1
"""Share of the left-out squared error that a slow member has to take away to be used."""


class EnsemblePredictor(Regressor):
    """Stacking (Wolpert, 1992): non-negative weights fitted to left-out predictions.

    Members that are slow to predict with take part only where they take away a good deal of the
    error: a search scores millions of candidates.

    The deviation joins the members' own with their disagreement.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        names: Sequence[str] = (),
        members: Sequence[Regressor] | None = None,
    ) -> None:
        super().__init__(seed=seed, names=names)
        self._members = list(
            members
            if members is not None
            else (
                RidgePredictor(seed=seed, names=names),
                GaussianProcessPredictor(seed=seed, names=names),
                ForestPredictor(seed=seed, names=names),
            )
        )
        self._weights: FloatArray | None = None

    def fresh(self) -> EnsemblePredictor:
        """See `Regressor.fresh`."""
        members = [member.fresh() for member in self._members]
        return EnsemblePredictor(seed=self._seed, names=self._names, members=members)

    @property
    def weights(self) -> dict[str, float]:
        """The members' weights by the names of their classes; they add up to one."""
        if self._weights is None:
            raise PredictorError("weights before fit")
        return {
            type(member).__name__: float(weight)
            for member, weight in zip(self._members, self._weights, strict=True)
        }

    def fit_scores(
        self,
        features: FloatArray,
        scores: FloatArray,
        *,
        noise: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> None:
        """See `Regressor.fit_scores`."""
        for member in self._members:
            member.fit_scores(features, scores, noise=noise, group=group)
        left_out = np.column_stack([member.left_out_mean for member in self._members])
        quick = np.array([not member.slow for member in self._members])
        weights = _stacked(left_out, scores)
        if quick.any() and not quick.all():
            without = np.zeros(len(weights))
            without[quick] = _stacked(left_out[:, quick], scores)
            reached = _error(left_out, weights, scores)
            if _error(left_out, without, scores) * (1 - MIN_GAIN) <= reached:
                weights = without
        self._weights = weights
        deviations = np.column_stack([member.left_out_std for member in self._members])
        self.left_out_mean, self.left_out_std = self._mixed(left_out.T, deviations.T)

    def predict_scores(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `Regressor.predict_scores`."""
        if self._weights is None:
            raise PredictorError("predict before fit")
        used = [
            member.predict_scores(features) if weight else None
            for member, weight in zip(self._members, self._weights, strict=True)
        ]
        present = [one for one in used if one is not None]
        if len(present) == 1:
            return present[0]
        nothing = np.zeros(len(features))
        parts = [(nothing, nothing) if one is None else one for one in used]
        return self._mixed(np.stack([m for m, _ in parts]), np.stack([s for _, s in parts]))

    def _mixed(self, means: FloatArray, deviations: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and deviation of the mixture of members `(k, n)`."""
        assert self._weights is not None
        mean = self._weights @ means
        within = self._weights @ deviations**2
        return mean, np.sqrt(within + self._weights @ (means - mean) ** 2)


def _stacked(left_out: FloatArray, scores: FloatArray) -> FloatArray:
    """Weights of members `(k,)` from their left-out predictions `(n, k)`; they add up to one."""
    errors = ((left_out - scores[:, None]) ** 2).sum(axis=0)
    best = (np.arange(len(errors)) == np.argmin(errors)).astype(np.float64)
    pull = np.sqrt(PULL) * np.eye(len(best))
    weights = nnls(np.vstack([left_out, pull]), np.concatenate([scores, pull @ best]))[0]
    if not weights.sum() > 0:  # nothing predicts anything: trust the least wrong
        weights = best
    weights /= weights.sum()
    weights[weights < MIN_WEIGHT] = 0.0
    return np.asarray(weights / weights.sum())


def _error(left_out: FloatArray, weights: FloatArray, scores: FloatArray) -> float:
    return float(((left_out @ weights - scores) ** 2).mean())
