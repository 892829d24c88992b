"""What the predictors share: scaling, left-out residuals, and refitting on everything."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from predictors.base import (
    FloatArray,
    IntArray,
    Prediction,
    PredictorError,
    checked,
    folds_of,
)


class Model(ABC):
    """A fitted regression on scaled features."""

    @abstractmethod
    def predict(self, scaled: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of each row."""


class Regressor(ABC):
    """An `AccuracyPredictor` made of one kind of `Model`, with residuals from folds."""

    def __init__(self, *, seed: int = 0, folds: int = 5) -> None:
        self._seed = seed
        self._folds = folds
        self._model: Model | None = None
        self._residuals: FloatArray = np.empty(0)
        self._left_out: FloatArray = np.empty(0)

    @abstractmethod
    def _train(self, scaled: FloatArray, accuracy: FloatArray, noise: FloatArray | None) -> Model:
        """Fit a model on scaled features."""

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
        self._centre = x.mean(axis=0)
        spread = x.std(axis=0)
        self._scale = np.where(spread > 1e-12, spread, 1.0)
        scaled = self._scaled(x)
        fold = folds_of(len(x), self._folds, self._seed, group)
        left_out = np.full(len(x), y.mean())
        for k in range(int(fold.max()) + 1):
            rest = fold != k
            if rest.sum() >= 2:
                part = None if noise is None else noise[rest]
                left_out[~rest] = self._train(scaled[rest], y[rest], part).predict(scaled[~rest])[0]
        self._left_out = np.clip(left_out, 0.0, 1.0)
        self._residuals = np.abs(self._left_out - y)
        self._model = self._train(scaled, y, noise)

    def predict(self, features: FloatArray) -> Prediction:
        """See `AccuracyPredictor.predict`."""
        if self._model is None:
            raise PredictorError("predict before fit")
        mean, std = self._model.predict(self._scaled(np.asarray(features, dtype=np.float64)))
        return Prediction(np.clip(mean, 0.0, 1.0), np.maximum(std, 0.0), self._residuals)

    @property
    def left_out(self) -> FloatArray:
        """Each training row as predicted without its fold: `(n,)`."""
        return self._left_out

    def _scaled(self, features: FloatArray) -> FloatArray:
        return np.asarray((features - self._centre) / self._scale, dtype=np.float64)
