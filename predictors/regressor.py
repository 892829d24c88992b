"""What the predictors share: ranks as targets, left-out errors, and the way back to accuracies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from predictors.base import (
    FloatArray,
    IntArray,
    Latent,
    Prediction,
    PredictorError,
    checked,
    folds_of,
)
from predictors.calibration import Residuals
from predictors.scores import Scores


class Regressor(ABC):
    """An `AccuracyPredictor` that regresses normal scores of accuracies on features."""

    minimum = 2
    """Rows without which there is nothing to fit."""
    slow = False
    """Whether predicting takes more than a few matrix products."""

    def __init__(self, *, seed: int = 0, names: Sequence[str] = ()) -> None:
        self._seed = seed
        self._names = tuple(names)
        self._scores: Scores | None = None
        self.left_out_mean: FloatArray = np.empty(0)
        self.left_out_std: FloatArray = np.empty(0)

    @abstractmethod
    def fit_scores(
        self,
        features: FloatArray,
        scores: FloatArray,
        *,
        noise: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> None:
        """Learn scores `(n,)`, and set `left_out_mean` and `left_out_std` `(n,)`.

        They are what each row's score is predicted to be without that row, or without its fold.
        """

    @abstractmethod
    def predict_scores(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of each row's score: `(m,)` each."""

    def fit(
        self,
        features: FloatArray,
        accuracy: FloatArray,
        *,
        noise: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> None:
        """See `AccuracyPredictor.fit`."""
        x, y = (part.copy() for part in checked(features, accuracy, self.minimum))
        self._scores = None
        scores = Scores(y)
        self.fit_scores(x, scores.scores, noise=noise, group=group)
        closed = np.abs(self.left_out_mean - scores.scores) / self.left_out_std
        self._residuals = Residuals(self.fresh, x, y, noise, group, closed)
        self._scores = scores

    def predict(self, features: FloatArray) -> Prediction:
        """See `AccuracyPredictor.predict`."""
        if self._scores is None:
            raise PredictorError("predict before fit")
        back = self._scores.accuracy
        mean, std = self.predict_scores(np.asarray(features))
        middle, upper, lower = self._scores.nearly(np.stack([mean, mean + std, mean - std]))
        return Prediction(
            np.clip(middle, 0.0, 1.0),
            (upper - lower) / 2.0,
            Latent(mean, std, self._residuals, back),
        )

    def fresh(self) -> Regressor:
        """An unfitted one of the same kind and options."""
        return type(self)(seed=self._seed, names=self._names)

    def scores_of(self, accuracy: FloatArray) -> FloatArray:
        """Accuracies `(n,)` on the scale on which this predictor predicts."""
        if self._scores is None:
            raise PredictorError("scores_of before fit")
        return self._scores.of(accuracy)

    @property
    def left_out(self) -> FloatArray:
        """Each training row's accuracy as predicted without it, or without its fold: `(n,)`."""
        if self._scores is None:
            raise PredictorError("left_out before fit")
        return np.clip(self._scores.accuracy(self.left_out_mean), 0.0, 1.0)


class FoldedRegressor(Regressor):
    """A regressor without a closed form for rows left out: it is fitted once a fold."""

    folds = 5

    @abstractmethod
    def train(self, features: FloatArray, scores: FloatArray, noise: FloatArray | None) -> Fitted:
        """Fit one model on standardised features."""

    def fit_scores(
        self,
        features: FloatArray,
        scores: FloatArray,
        *,
        noise: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> None:
        """See `Regressor.fit_scores`."""
        self._centre = features.mean(axis=0)
        spread = features.std(axis=0)
        self._scale = np.where(spread > 1e-12, spread, 1.0)
        scaled = (features - self._centre) / self._scale
        fold = folds_of(len(scaled), self.folds, self._seed, group)
        left_out, spread_out = np.full(len(scaled), scores.mean()), np.zeros(len(scaled))
        for k in range(int(fold.max()) + 1):
            rest = fold != k
            if rest.sum() >= self.minimum:
                part = None if noise is None else noise[rest]
                model = self.train(scaled[rest], scores[rest], part)
                left_out[~rest], spread_out[~rest] = model(scaled[~rest])
        self.left_out_mean = left_out
        self._error = constant_std(left_out - scores)[0]
        self.left_out_std = np.hypot(spread_out, self._error)
        self._model = self.train(scaled, scores, noise)

    def predict_scores(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `Regressor.predict_scores`; left-out errors are part of the deviation."""
        mean, std = self._model((features - self._centre) / self._scale)
        return mean, np.hypot(std, self._error)


class Fitted(ABC):
    """A fitted model on standardised features."""

    @abstractmethod
    def __call__(self, scaled: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of each row."""


def constant_std(errors: FloatArray) -> FloatArray:
    """The root mean square of errors, once a row; never zero."""
    return np.full(len(errors), max(float(np.sqrt(np.mean(errors**2))), 1e-6))
