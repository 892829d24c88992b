"""A Gaussian process over architectures (Rasmussen and Williams, 2006), on ranks of accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from predictors.base import FloatArray, IntArray
from predictors.kernel import (
    JITTER,
    Floats,
    Hyperparameters,
    Scaling,
    Smooth,
    groups_of,
    learn,
)
from predictors.regressor import Regressor
from predictors.scores import Scores

_MIN_LEARNED = 8
GROWTH = 1.15
"""Hyperparameters are learned again each time the data has grown by this factor."""
MOST_LEARNED = 500
"""From so many rows at most: beyond them they change little, and cost the cube of their number."""
_IGNORED = 0.1
"""Of a typical left-out variance: so much may on average be added to that of predictions."""
_CHUNK = 1024
"""Rows predicted at a time: their covariances fit the processor's cache."""


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


class GaussianProcessPredictor(Regressor):
    """A process on scores; `names` group the features by their prefix.

    Hyperparameters are learned from the first rows, as many as the last step of a growing schedule
    allows, and are remembered for as long as those rows stay: refitting after each evaluation costs
    one factorisation, and depends on nothing but the data.
    """

    def __init__(self, *, seed: int = 0, names: Sequence[str] = ()) -> None:
        super().__init__(seed=seed, names=names)
        self._learned: tuple[bytes, Scaling, Hyperparameters] | None = None

    def fit_scores(
        self,
        features: FloatArray,
        scores: FloatArray,
        *,
        noise: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> None:
        """See `Regressor.fit_scores`; on ranks a known noise has no fixed size: one is learned."""
        del noise
        scaling, theta = self._hyperparameters(features, scores)
        self._theta = theta
        rows = scaling(features)
        smooth = Smooth(rows, scaling.groups, theta)
        total = smooth(rows) + theta.linear * (rows @ rows.T)
        total += (theta.noise + JITTER) * np.eye(len(scores))
        values, vectors = linalg.eigh(total, check_finite=False)
        inverse = (vectors / values) @ vectors.T
        weights = inverse @ scores
        self._leave_out(scores, inverse, weights, group)
        spared = _IGNORED * float(np.median(self.left_out_std)) ** 2
        self._posterior = _posterior(rows, scaling, theta, weights, values, vectors, spared)

    def predict_scores(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """See `Regressor.predict_scores`; noise is part of the deviation."""
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

    def _leave_out(
        self, scores: FloatArray, inverse: FloatArray, weights: FloatArray, group: IntArray | None
    ) -> None:
        """Leave-one-out in closed form (Rasmussen and Williams, 2006, section 5.4.2)."""
        if group is None:
            variance = 1.0 / np.diag(inverse)
            mean = scores - weights * variance
        else:
            mean, variance = np.empty(len(scores)), np.empty(len(scores))
            for one in np.unique(group):
                rows = np.flatnonzero(group == one)
                block = np.linalg.inv(inverse[np.ix_(rows, rows)])
                mean[rows] = scores[rows] - block @ weights[rows]
                variance[rows] = np.diag(block)
        self.left_out_mean = mean
        self.left_out_std = np.sqrt(variance)

    def _hyperparameters(
        self, features: FloatArray, scores: FloatArray
    ) -> tuple[Scaling, Hyperparameters]:
        n = len(scores)
        known = n
        if n > _MIN_LEARNED:  # the largest step of the schedule that the data reaches
            steps = np.floor(np.log(n / _MIN_LEARNED) / np.log(GROWTH) + 1e-9)
            known = min(n, int(_MIN_LEARNED * GROWTH**steps), MOST_LEARNED)
        x = features[:known]
        target = Scores(scores[:known]).scores  # ranks among these alone
        key = x.tobytes() + target.tobytes()
        if self._learned is None or self._learned[0] != key:
            scaling = Scaling.of(x, groups_of(self._names, x.shape[1]))
            self._learned = (key, scaling, learn(scaling(x), scaling.groups, target))
        return self._learned[1], self._learned[2]


def _posterior(
    rows: FloatArray,
    scaling: Scaling,
    theta: Hyperparameters,
    weights: FloatArray,
    values: FloatArray,
    vectors: FloatArray,
    spared: float,
) -> _Posterior:
    # K^-1 = V diag(1/lambda) V'. What a direction explains of a row like the known ones is, on
    # average, (lambda - noise)^2 / (n lambda): the smallest are left out
    explained = np.maximum(values - theta.noise, 0.0) ** 2 / values / len(values)
    kept = np.cumsum(explained) > spared
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
