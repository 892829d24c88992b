"""What every accuracy predictor offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
NODES: FloatArray = _NODES
"""Standard deviations from the mean at which a prediction's distribution is looked at."""
NODE_WEIGHTS: FloatArray = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()
"""Their probabilities (Gauss-Hermite quadrature)."""


class PredictorError(Exception):
    """Anything this library refuses."""


@dataclass(frozen=True, slots=True)
class Latent:
    """A normal distribution on another scale, `(n,)` each, and the way to accuracies.

    `back` is monotone. `residuals` gives errors on that scale, of rows not seen while fitting, over
    the deviation that was predicted for them; it is asked when an interval is.
    """

    mean: FloatArray
    std: FloatArray
    residuals: Callable[[], FloatArray]
    back: Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True)
class Prediction:
    """Accuracies `(n,)` in [0, 1] with their standard deviations `(n,)`.

    The intervals rest on errors of the predictor on rows that it had not seen while fitting
    (conformal prediction, Vovk et al., 2005), on the scale on which it predicts. The rows are left
    out in turns, not split off, so that the level is met closely and not by theorem (the jackknife+
    of Barber et al., 2021, is the form that has one).
    """

    mean: FloatArray
    std: FloatArray
    latent: Latent | None = None

    def interval(self, level: float) -> FloatArray:
        """Lower and upper bound `(n, 2)` that hold with probability `level`.

        Infinite while there are too few residuals to promise that level.
        """
        if not 0.0 < level < 1.0:
            raise PredictorError(f"an interval's level is between 0 and 1, not {level}")
        width = (
            float("inf") if self.latent is None else conformal_width(self.latent.residuals(), level)
        )
        if self.latent is None or not np.isfinite(width):
            return np.tile([-np.inf, np.inf], (len(self.mean), 1))
        away = width * self.latent.std
        ends = self.latent.mean[:, None] + np.column_stack([-away, away])
        return np.clip(self.latent.back(ends), 0.0, 1.0)

    def levels(self) -> FloatArray:
        """Accuracies at `NODES` standard deviations: `(n, len(NODES))`."""
        if self.latent is None:
            return np.asarray(self.mean[:, None] + self.std[:, None] * NODES)
        return self.latent.back(self.latent.mean[:, None] + self.latent.std[:, None] * NODES)


def conformal_width(residuals: FloatArray, level: float) -> float:
    """The residual that a fresh one exceeds with probability at most 1 - `level`."""
    n = len(residuals)
    rank = int(np.ceil((n + 1) * level))
    return float("inf") if rank > n else float(np.sort(residuals)[rank - 1])


class AccuracyPredictor(Protocol):
    """A regressor from features `(n, f)` to top-1 accuracy.

    `fit` may be called again and forgets what went before. Equal data, options and seed give
    equal predictions. Arguments are not changed. `predict` before `fit` raises `PredictorError`.
    A plug-in is a callable that takes `seed` and `names`, the names of the features: what stands
    before the first dot of a name is the group that the feature belongs to.
    """

    def fit(
        self,
        features: FloatArray,
        accuracy: FloatArray,
        *,
        noise: FloatArray | None = None,
        group: IntArray | None = None,
    ) -> None:
        """Learn from rows `(n, f)` and accuracies `(n,)` in [0, 1].

        Args:
            features: one row an architecture.
            accuracy: fractions, not percent.
            noise: standard deviation of each accuracy, where known.
            group: equal numbers mark rows that must not be split between folds.
        """
        ...

    def predict(self, features: FloatArray) -> Prediction:
        """Predict rows `(m, f)`."""
        ...


def checked(
    features: FloatArray, accuracy: FloatArray, minimum: int = 2
) -> tuple[FloatArray, FloatArray]:
    """The training set as float arrays, or an error that names the first bad row."""
    x = np.asarray(features, dtype=np.float64)
    y = np.asarray(accuracy, dtype=np.float64)
    if x.ndim != 2 or y.shape != (len(x),):
        raise PredictorError(f"features {x.shape} and accuracy {y.shape} do not fit together")
    if len(x) < minimum:
        raise PredictorError(f"this predictor needs at least {minimum} rows, got {len(x)}")
    bad = ~np.isfinite(x).all(axis=1) | ~np.isfinite(y) | (y < 0) | (y > 1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise PredictorError(
            f"row {row}: accuracy {y[row]} or its features are not finite numbers, "
            "accuracy a fraction in [0, 1]"
        )
    return x, y


def folds_of(n: int, k: int, seed: int, group: IntArray | None = None) -> IntArray:
    """A fold for each row `(n,)`; rows of one group share theirs."""
    labels = np.arange(n) if group is None else np.unique(group, return_inverse=True)[1]
    n_groups = int(labels.max()) + 1
    order = np.random.default_rng(seed).permutation(n_groups)
    fold_of_group = np.empty(n_groups, dtype=np.int64)
    fold_of_group[order] = np.arange(n_groups) % min(k, n_groups)
    return np.asarray(fold_of_group[labels], dtype=np.int64)
