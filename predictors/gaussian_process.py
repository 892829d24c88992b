"""A Gaussian process over architectures (Rasmussen and Williams, 2006), on ranks of accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, stats

from predictors.base import NODES, FloatArray, IntArray, Prediction, PredictorError, checked
from predictors.kernel import (
    JITTER,
    Floats,
    Hyperparameters,
    Scaling,
    Smooth,
    groups_of,
    learn,
)

GROWTH = 1.15
"""Hyperparameters are learned again each time the data has grown by this factor."""
_IGNORED = 0.05
"""Of the noise's variance: so much explained variance may be left out of a prediction's."""
_CHUNK = 512
"""Rows predicted at a time: their covariances fit the processor's cache."""


class Scores:
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
        """Accuracies of scores, of the same shape."""
        if len(self._y) == 1:
            return np.full(scores.shape, self._y[0])
        inside = np.interp(scores, self._z, self._y)
        edge = max(1, len(self._y) // 10)
        low = (self._y[edge] - self._y[0]) / (self._z[edge] - self._z[0])
        high = (self._y[-1] - self._y[-1 - edge]) / (self._z[-1] - self._z[-1 - edge])
        return np.asarray(
            inside
            + low * np.minimum(scores - self._z[0], 0.0)
            + high * np.maximum(scores - self._z[-1], 0.0)
        )


@dataclass(frozen=True)
class _Posterior:
    """What prediction needs, in single precision.

    With E the smooth covariances of new rows x: the mean is `E smooth_weights + x linear_weights`,
    the explained variance the squared length of `E smooth_factor + x linear_factor`.
    """

    centre: Floats
    scale: Floats
    smooth: Smooth
    smooth_part: Floats
    linear_part: Floats


class GaussianProcessPredictor:
    """Fitted to normal scores of the accuracies; `names` group the features by their prefix.

    Hyperparameters are learned from the first rows, as many as the last step of a growing schedule
    allows, and are remembered for as long as those rows stay: refitting after each evaluation costs
    one factorisation, and depends on nothing but the data.
    """

    minimum = 2

    def __init__(self, *, seed: int = 0, names: Sequence[str] = ()) -> None:
        del seed  # nothing here is random
        self._names = tuple(names)
        self._learned: tuple[bytes, Scaling, Hyperparameters] | None = None
        self._posterior: _Posterior | None = None
        self._left_out: FloatArray = np.empty(0)
        self._left_out_std: FloatArray = np.empty(0)

    def fit(
        self,
        features: FloatArray,
        accuracy: FloatArray,
        *,
        noise: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> None:
        """See `AccuracyPredictor.fit`; on ranks a known noise has no fixed size: one is learned."""
        del noise
        x, y = checked(features, accuracy)
        scaling, theta = self._hyperparameters(x, y)
        self._theta, self._scaling, self._y = theta, scaling, y
        self._scores = Scores(y)
        rows = scaling(x)
        smooth = Smooth(rows, scaling.groups, theta)
        total = smooth(rows) + theta.linear * (rows @ rows.T)
        total += (theta.noise + JITTER) * np.eye(len(y))
        values, vectors = linalg.eigh(total, check_finite=False)
        inverse = (vectors / values) @ vectors.T
        weights = inverse @ self._scores.scores
        self._leave_out(inverse, weights, group)
        self._posterior = _posterior(rows, scaling, theta, weights, values, vectors)

    def predict(self, features: FloatArray) -> Prediction:
        """See `AccuracyPredictor.predict`."""
        mean, std = self.scores(features)
        scores = self._scores
        middle = scores.accuracy(mean)
        upper = scores.accuracy(mean + std)
        lower = scores.accuracy(mean - std)
        return Prediction(
            np.clip(middle, 0.0, 1.0),
            (upper - lower) / 2.0,
            np.abs(self._left_out - self._y),
            lambda: scores.accuracy(mean[:, None] + std[:, None] * NODES),
        )

    def scores(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and deviation of each row's normal score, noise included: `(m,)` each."""
        if self._posterior is None:
            raise PredictorError("predict before fit")
        held, theta = self._posterior, self._theta
        n = len(features)
        mean, variance = np.empty(n), np.empty(n)
        for start in range(0, n, _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = np.asarray(features[part], dtype=np.float32) - held.centre
            rows *= held.scale
            found = held.smooth(rows) @ held.smooth_part
            found += rows @ held.linear_part
            mean[part] = found[:, 0]
            explained = np.einsum("nr,nr->n", found[:, 1:], found[:, 1:])
            linear = theta.linear * np.einsum("nf,nf->n", rows, rows)
            variance[part] = linear + held.smooth.variance - explained
        return mean, np.sqrt(np.maximum(variance, 0.0) + theta.noise)

    @property
    def left_out(self) -> FloatArray:
        """Each training row as predicted without it (without its group, where given): `(n,)`."""
        return self._left_out

    def _leave_out(self, inverse: FloatArray, weights: FloatArray, group: IntArray | None) -> None:
        """Leave-one-out in closed form (Rasmussen and Williams, 2006, section 5.4.2)."""
        scores = self._scores.scores
        if group is None:
            left = scores - weights / np.diag(inverse)
        else:
            left = np.empty(len(scores))
            for one in np.unique(group):
                rows = np.flatnonzero(group == one)
                block = inverse[np.ix_(rows, rows)]
                left[rows] = scores[rows] - np.linalg.solve(block, weights[rows])
        self._left_out = np.clip(self._scores.accuracy(left), 0.0, 1.0)

    def _hyperparameters(
        self, features: FloatArray, accuracy: FloatArray
    ) -> tuple[Scaling, Hyperparameters]:
        n = len(accuracy)
        # the largest step of the schedule that the data reaches
        known = int(GROWTH ** np.floor(np.log(n) / np.log(GROWTH) + 1e-9)) if n > 8 else n
        known = max(min(known, n), min(n, 8))
        x, y = features[:known], accuracy[:known]
        key = x.tobytes() + y.tobytes()
        if self._learned is None or self._learned[0] != key:
            scaling = Scaling.of(x, groups_of(self._names, x.shape[1]))
            rows = scaling(x)
            self._learned = (key, scaling, learn(rows, scaling.groups, Scores(y).scores))
        return self._learned[1], self._learned[2]


def _posterior(
    rows: FloatArray,
    scaling: Scaling,
    theta: Hyperparameters,
    weights: FloatArray,
    values: FloatArray,
    vectors: FloatArray,
) -> _Posterior:
    # K^-1 = V diag(1/lambda) V'. What a direction explains of a row like the known ones is, on
    # average, (lambda - noise)^2 / (n lambda): the smallest are left out
    explained = np.maximum(values - theta.noise, 0.0) ** 2 / values / len(values)
    kept = np.cumsum(explained) > _IGNORED * theta.noise
    factor = vectors[:, kept] / np.sqrt(values[kept])
    smooth_part = np.column_stack([weights, factor])
    scale = np.where(np.isfinite(scaling.scale), 1.0 / scaling.scale, 0.0)
    return _Posterior(
        scaling.centre.astype(np.float32),
        scale.astype(np.float32),
        Smooth(rows, scaling.groups, theta, np.float32),
        smooth_part.astype(np.float32),
        (theta.linear * (rows.T @ smooth_part)).astype(np.float32),
    )
