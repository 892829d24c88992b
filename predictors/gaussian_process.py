"""A Gaussian process with a linear part and a smooth one (Rasmussen and Williams, 2006)."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    ConstantKernel,
    DotProduct,
    Matern,
    WhiteKernel,
)

from predictors.base import FloatArray
from predictors.regressor import Model, Regressor


class _Scores:
    """Accuracies as normal scores and back: ranks are what the process is fitted to.

    Accuracies crowd near the best and thin out below; on ranks the process need not explain the
    few very bad ones. Between known accuracies the way back is linear, beyond them it keeps the
    slope of the outer tenth.
    """

    def __init__(self, accuracy: FloatArray) -> None:
        ranks = stats.rankdata(accuracy)
        self.scores: FloatArray = stats.norm.ppf((ranks - 0.5) / len(accuracy))
        self._y, first = np.unique(accuracy, return_index=True)
        self._z = self.scores[first]

    def accuracy(self, scores: FloatArray) -> FloatArray:
        if len(self._y) == 1:
            return np.full(len(scores), self._y[0])
        inside = np.interp(scores, self._z, self._y)
        edge = max(1, len(self._y) // 10)
        low = (self._y[edge] - self._y[0]) / (self._z[edge] - self._z[0])
        high = (self._y[-1] - self._y[-1 - edge]) / (self._z[-1] - self._z[-1 - edge])
        return np.asarray(
            inside
            + low * np.minimum(scores - self._z[0], 0.0)
            + high * np.maximum(scores - self._z[-1], 0.0)
        )


class _Process(Model):
    def __init__(self, process: GaussianProcessRegressor, scores: _Scores) -> None:
        self._process = process
        self._scores = scores

    def predict(self, scaled: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, std = self._process.predict(scaled, return_std=True)
        middle = self._scores.accuracy(mean)
        upper = self._scores.accuracy(mean + std)
        lower = self._scores.accuracy(mean - std)
        return middle, (upper - lower) / 2.0


class GaussianProcessPredictor(Regressor):
    """Fitted to normal scores of the accuracies, hyperparameters by marginal likelihood."""

    def _train(self, scaled: FloatArray, accuracy: FloatArray, noise: FloatArray | None) -> Model:
        del noise  # on ranks a known noise in accuracy has no fixed size; the kernel learns one
        scores = _Scores(accuracy)
        size = np.sqrt(scaled.shape[1])
        kernel = (
            ConstantKernel(0.1, (1e-4, 1e2)) * DotProduct(sigma_0=1.0, sigma_0_bounds="fixed")
            + ConstantKernel(0.5, (1e-3, 1e2)) * Matern(size, (0.2 * size, 20 * size), nu=2.5)
            + WhiteKernel(0.1, (1e-4, 1.0))
        )
        process = GaussianProcessRegressor(kernel, alpha=1e-8)
        with warnings.catch_warnings():
            # a hyperparameter at its bound is an answer, not a fault
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(scaled, scores.scores)
        return _Process(process, scores)
