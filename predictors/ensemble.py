"""The default: several predictors, weighted by how well each predicts rows that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from predictors.base import FloatArray, IntArray, Prediction, PredictorError, checked
from predictors.forest import ForestPredictor
from predictors.gaussian_process import GaussianProcessPredictor
from predictors.linear import RidgePredictor
from predictors.regressor import Regressor


class EnsemblePredictor:
    """Stacking (Wolpert, 1992): non-negative weights fitted to left-out predictions.

    The standard deviation joins the members' own with their disagreement.
    """

    def __init__(self, *, seed: int = 0, members: Sequence[Regressor] | None = None) -> None:
        self._members = list(
            members
            if members is not None
            else (
                RidgePredictor(seed=seed),
                GaussianProcessPredictor(seed=seed),
                ForestPredictor(seed=seed),
            )
        )
        self._weights: FloatArray | None = None
        self._residuals: FloatArray = np.empty(0)

    @property
    def weights(self) -> FloatArray:
        """The members' weights, which add up to one."""
        if self._weights is None:
            raise PredictorError("weights before fit")
        return self._weights

    def fit(
        self,
        features: FloatArray,
        accuracy: FloatArray,
        *,
        noise: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> None:
        """See `AccuracyPredictor.fit`."""
        x, y = checked(features, accuracy)
        for member in self._members:
            member.fit(x, y, noise=noise, group=group)
        left_out = np.column_stack([member.left_out for member in self._members])
        errors = np.mean((left_out - y[:, None]) ** 2, axis=0)
        prior = 1.0 / np.maximum(errors, 1e-12)
        # a fifth of the weight goes by error alone, so that few rows cannot silence a member
        stacked = nnls(left_out - y.mean(), y - y.mean())[0]
        if stacked.sum() > 0:
            weights = 0.8 * stacked / stacked.sum() + 0.2 * prior / prior.sum()
        else:
            weights = prior / prior.sum()
        self._weights = weights
        self._residuals = np.abs(left_out @ weights - y)

    def predict(self, features: FloatArray) -> Prediction:
        """See `AccuracyPredictor.predict`."""
        if self._weights is None:
            raise PredictorError("predict before fit")
        parts = [member.predict(features) for member in self._members]
        means = np.stack([part.mean for part in parts])
        mean = self._weights @ means
        own = self._weights @ np.stack([part.std for part in parts]) ** 2
        between = self._weights @ (means - mean) ** 2
        return Prediction(mean, np.sqrt(own + between), self._residuals)
