"""The covariance of the accuracies of two architectures, from their features.

A sum: a linear part over all features, a smooth part for each group of features, and a smooth part
over all of them together, in which the groups keep their own lengths (additive processes as in
Duvenaud et al., 2011); where there is one group, these two are one. Groups matter because features
of an architecture speak of different things - its sizes, what each layer holds, how its paths run
- that matter to different degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

from predictors.base import FloatArray, IntArray, PredictorError

Floats = npt.NDArray[np.floating]
JITTER = 1e-6


def groups_of(names: Sequence[str], n_features: int) -> tuple[IntArray, ...]:
    """Columns by what stands before the first dot of their names; one group where none is given.

    Raises:
        PredictorError: there are names, but not one a column.
    """
    if names and len(names) != n_features:
        raise PredictorError(f"{n_features} features, but {len(names)} names for them")
    prefixes = [name.partition(".")[0] if "." in name else "" for name in names]
    prefixes = prefixes or [""] * n_features
    return tuple(
        np.flatnonzero([one == prefix for one in prefixes]) for prefix in dict.fromkeys(prefixes)
    )


@dataclass(frozen=True)
class Scaling:
    """Centres features, tames rare ones, and gives each group of columns a mean length of one.

    Dividing by the root of the deviation, not by the deviation, keeps a feature that two
    architectures in a hundred have from deciding every distance.
    """

    centre: FloatArray
    scale: FloatArray
    groups: tuple[IntArray, ...]

    @classmethod
    def of(cls, features: FloatArray, groups: Sequence[IntArray]) -> Scaling:
        """Learned from rows `(n, f)`."""
        centre = features.mean(axis=0)
        spread = features.std(axis=0)
        scale = np.where(spread > 1e-9, np.sqrt(np.maximum(spread, 1e-18)), np.inf)
        scaled = (features - centre) / scale
        for one in groups:
            length = float(np.sqrt((scaled[:, one] ** 2).sum(axis=1).mean()))
            scale[one] *= length or 1.0
        return cls(centre, scale, tuple(groups))

    def __call__(self, features: FloatArray) -> FloatArray:
        """Scaled rows `(n, f)`."""
        return np.asarray((features - self.centre) / self.scale)


@dataclass(frozen=True)
class Hyperparameters:
    """The logarithms, in this order.

    Linear amplitude; amplitude and length of each group; joint amplitude and stretch; noise.
    """

    values: FloatArray

    @classmethod
    def prior(cls, n_groups: int) -> tuple[FloatArray, FloatArray]:
        """Mean and deviation of each logarithm before any data, for targets of unit variance.

        Smooth functions of one group of features are expected, not straight lines and not
        functions of everything at once: with 20 to 50 rows that is what predicts best.
        """
        mean = [np.log(0.005), *[np.log(0.3), 0.8] * n_groups, np.log(0.1), 0.7, np.log(0.15)]
        deviation = [1.5, *[1.5, 0.7] * n_groups, 1.5, 0.7, 1.0]
        return np.array(mean), np.array(deviation)

    @property
    def linear(self) -> float:
        """Amplitude of the linear part."""
        return float(np.exp(self.values[0]))

    @property
    def amplitudes(self) -> FloatArray:
        """Of the smooth part of each group."""
        return np.asarray(np.exp(self.values[1:-3:2]))

    @property
    def lengths(self) -> FloatArray:
        """Of each group."""
        return np.asarray(np.exp(self.values[2:-3:2]))

    @property
    def joint(self) -> float:
        """Amplitude of the part over all groups."""
        return float(np.exp(self.values[-3]))

    @property
    def stretch(self) -> float:
        """Lengths in the joint part over those of the groups."""
        return float(np.exp(self.values[-2]))

    @property
    def noise(self) -> float:
        """Variance of the noise."""
        return float(np.exp(self.values[-1]))


def squared_distances(left: FloatArray, right: FloatArray) -> FloatArray:
    """Between all rows of two matrices: `(n, f), (m, f) -> (n, m)`."""
    found = left @ right.T
    found *= -2
    found += (left * left).sum(axis=1)[:, None]
    found += (right * right).sum(axis=1)[None, :]
    return np.maximum(found, 0, out=found)


def learn(rows: FloatArray, groups: Sequence[IntArray], target: FloatArray) -> Hyperparameters:
    """The hyperparameters most probable after the data: evidence times prior, by L-BFGS."""
    n = len(target)
    linear = rows @ rows.T
    distances = [squared_distances(rows[:, one], rows[:, one]) for one in groups]
    prior, deviation = Hyperparameters.prior(len(groups))
    identity = np.eye(n)

    def loss(values: FloatArray) -> tuple[float, FloatArray]:
        theta = Hyperparameters(values)
        squared = [d / length**2 for d, length in zip(distances, theta.lengths, strict=True)]
        smooth = [a * np.exp(-0.5 * d) for d, a in zip(squared, theta.amplitudes, strict=True)]
        shrink = theta.stretch**-2
        everything = sum(squared) * shrink
        joint = theta.joint * np.exp(-0.5 * everything) if len(groups) > 1 else 0.0 * linear
        total = theta.linear * linear + sum(smooth) + joint + (theta.noise + JITTER) * identity
        factor = linalg.cholesky(total, lower=True, check_finite=False)
        inverse = linalg.cho_solve((factor, True), identity, check_finite=False)
        weights = inverse @ target
        away = (values - prior) / deviation
        value = 0.5 * target @ weights + np.log(np.diag(factor)).sum() + 0.5 * away @ away
        inner = inverse - np.outer(weights, weights)
        slopes = [theta.linear * np.vdot(inner, linear)]
        for part, d in zip(smooth, squared, strict=True):
            slopes += [np.vdot(inner, part), np.vdot(inner, (part + shrink * joint) * d)]
        slopes += [np.vdot(inner, joint), np.vdot(inner, joint * everything)]
        slopes.append(theta.noise * np.trace(inner))
        return float(value), 0.5 * np.array(slopes) + away / deviation

    bounds = [(m - 5 * s, m + 5 * s) for m, s in zip(prior, deviation, strict=True)]
    found = optimize.minimize(
        loss, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 50}
    )
    return Hyperparameters(np.asarray(found.x))


class Smooth:
    """The smooth parts between any rows and fixed ones: `(n, f) -> (n, m)`.

    Each group's exponent, norms included, is one matrix product with two columns added.
    """

    def __init__(
        self,
        rows: FloatArray,
        groups: Sequence[IntArray],
        theta: Hyperparameters,
        dtype: type[np.floating] = np.float64,
    ) -> None:
        self._theta = theta
        self._dtype = dtype
        self._groups = [
            slice(int(one[0]), int(one[-1]) + 1) if np.ptp(one) == len(one) - 1 else one
            for one in groups
        ]
        self._right = []
        logs = np.log(theta.amplitudes)
        for one, length, log in zip(self._groups, theta.lengths, logs, strict=True):
            part = rows[:, one] / length
            norms = log - 0.5 * (part * part).sum(axis=1)
            self._right.append(np.column_stack([part, np.ones(len(part)), norms]).T.astype(dtype))
        self._shrink = dtype(theta.stretch**-2)
        # the amplitudes are in the exponents, and the joint part's exponent is made of those
        self._joint = dtype(np.log(theta.joint) * theta.stretch**2 - logs.sum())

    def __call__(self, rows: Floats) -> Floats:
        """Covariances of rows `(n, f)` of the same dtype."""
        kind = self._dtype
        total: Floats | None = None
        found: Floats | None = None
        for one, right, length in zip(self._groups, self._right, self._theta.lengths, strict=True):
            left = np.empty((len(rows), len(right)), kind)
            np.divide(rows[:, one], kind(length), out=left[:, :-2])
            np.einsum("nf,nf->n", left[:, :-2], left[:, :-2], out=left[:, -2])
            left[:, -2] *= kind(-0.5)
            left[:, -1] = 1
            exponent = left @ right
            if len(self._groups) > 1:
                total = exponent + self._joint if total is None else np.add(total, exponent, total)
            np.exp(exponent, out=exponent)
            found = exponent if found is None else np.add(found, exponent, out=found)
        if found is None:
            raise ValueError("a covariance needs at least one group of features")
        if total is None:
            return found
        total *= self._shrink
        np.exp(total, out=total)
        found += total
        return found

    @property
    def variance(self) -> float:
        """Of any row with itself."""
        joint = self._theta.joint if len(self._groups) > 1 else 0.0
        return float(self._theta.amplitudes.sum()) + joint
