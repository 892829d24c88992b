"""Certificates: which networks keep a limit, told from few and noisy measurements.

Every network has a belief about what it truly costs: the estimate it came with (heavy-tailed, for
models are wrong now and then), and what was measured of it. How noisy measurements are is not known
either; it is learned from repeats of all networks together, and noise has heavy tails, too. Both
are worked out on a grid, so that nothing has to be normal. A network is certified when the
probability that it is over the limit has fallen below a small risk.

Measurements are spent one by one where accuracy gained times the chance of a certificate is
highest (expected improvement under a feasibility constraint: Gardner et al., 2014). Picking the
best of several certified networks favours those whose noise was lucky; the risk of each is set so
low that this selection still leaves the promise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import stats
from scipy.special import logsumexp

from nas_service.errors import InvalidSpec
from nas_service.space.base import FloatArray, IntArray

RISK = 0.003
"""Probability of being over the limit that a certificate leaves, for each network."""
MIN_REPEATS = 2
"""A network measured once is never certified: one lucky draw looks like a fast network."""
_TAIL = 4.0
"""Degrees of freedom of the noise of a measurement."""
_MODEL_TAIL = 3.0
_STEP, _REACH = 1e-3, 0.5
_GRID: FloatArray = np.arange(-_REACH + _STEP / 2, _REACH, _STEP)
"""Logarithms of true cost over the limit; the limit lies between two points."""
_OVER = _GRID > 0
_NOISES: FloatArray = np.geomspace(0.003, 0.15, 18)
_NOISE_PRIOR = (np.log(0.025), 0.8)
"""Measurements on quiet machines are off by one to five percent."""
_MAX_REPEATS = 4
_MIN_SPREAD = 0.01


@dataclass
class Certifier:
    """Beliefs about `n` candidates, and what to measure next.

    Args:
        limit: upper bound of the cost.
        accuracy: predicted accuracies `(n,)`.
        estimate: estimated costs `(n,)`.
        spread: typical relative error of the estimates.
        risk: of a certificate.
    """

    limit: float
    accuracy: FloatArray
    estimate: FloatArray
    spread: float
    risk: float = RISK
    _measured: dict[int, list[float]] = field(default_factory=dict)
    _known: tuple[dict[int, FloatArray], FloatArray] | None = None

    def __post_init__(self) -> None:
        if not (self.limit > 0 and np.isfinite(self.limit)):
            raise InvalidSpec(f"a limit is a positive number, not {self.limit}", field="limit")
        if self.accuracy.shape != self.estimate.shape:
            raise InvalidSpec("accuracies and estimates are one a candidate", field="estimate")

    def revise(self, estimate: FloatArray, spread: float) -> None:
        """Take new estimates, as of a calibration that learned from the measurements."""
        self.estimate, self.spread = estimate, spread
        self._known = None

    def add(self, row: int, value: float) -> None:
        """Note that candidate `row` was measured at `value`."""
        if not (value > 0 and np.isfinite(value)):
            raise InvalidSpec(f"measured {value}, not a positive number", field="value")
        self._measured.setdefault(row, []).append(float(np.log(value / self.limit)))
        self._known = None

    @property
    def measured(self) -> IntArray:
        """Candidates that were measured, in order of their first time."""
        return np.array(list(self._measured), dtype=np.int64)

    def mean(self, row: int) -> float:
        """The geometric mean of what a candidate was measured at."""
        return float(self.limit * np.exp(np.mean(self._measured[row])))

    def probability_over(self, row: int) -> float:
        """Probability that a measured candidate truly costs more than the limit."""
        belief, noise = self._beliefs()
        return float(noise @ belief[row][:, _OVER].sum(axis=1))

    def certified(self) -> dict[int, float]:
        """Certified candidates with their probabilities of being over the limit."""
        found = {row: self.probability_over(row) for row in self._measured}
        return {
            row: p
            for row, p in found.items()
            if p <= self.risk and len(self._measured[row]) >= MIN_REPEATS
        }

    def best(self) -> int | None:
        """The certified candidate of the highest predicted accuracy."""
        known = self.certified()
        return max(known, key=lambda row: self.accuracy[row]) if known else None

    def next(self, left: int) -> int | None:
        """Which candidate to measure next with `left` measurements to go; None to stop."""
        if left < 1:
            return None
        centre = np.log(self.estimate / self.limit)
        spread = np.full(len(centre), max(self.spread, _MIN_SPREAD))
        repeats = np.zeros(len(centre), dtype=np.int64)
        size = float(np.exp(_NOISE_PRIOR[0]))
        done = np.zeros(len(centre), dtype=np.bool_)
        if self._measured:
            belief, noise = self._beliefs()
            size = float(noise @ _NOISES)
            for row, each in belief.items():
                mixed = noise @ each
                centre[row] = mixed @ _GRID
                spread[row] = np.sqrt(max(mixed @ _GRID**2 - centre[row] ** 2, 1e-8))
                repeats[row] = len(self._measured[row])
            done[list(self.certified())] = True
        best = self.best()
        # without a certificate, any network that is expected to keep the limit is a gain
        inside = self.accuracy[centre <= 0] if (centre <= 0).any() else self.accuracy
        floor = float(np.quantile(inside, 0.5)) if best is None else float(self.accuracy[best])
        gain = np.where(done, 0.0, np.maximum(self.accuracy - floor, 0.0))
        if not (gain > 0).any():
            return None
        quantile = float(-stats.norm.ppf(self.risk))
        value = np.zeros(len(centre))
        for more in range(1, min(left, _MAX_REPEATS) + 1):
            after = 1.0 / np.sqrt(1.0 / spread**2 + more / size**2)
            learned = np.sqrt(np.maximum(spread**2 - after**2, 1e-12))
            chance = stats.norm.cdf((-quantile * after - centre) / learned)
            chance = np.where(repeats + more >= MIN_REPEATS, chance, 0.0)
            value = np.maximum(value, gain * chance / np.sqrt(more))
        return int(np.argmax(value)) if value.max() > 0 else None

    def _beliefs(self) -> tuple[dict[int, FloatArray], FloatArray]:
        """Of each measured candidate, probabilities `(noises, grid)`; and those of the noises."""
        if self._known is not None:
            return self._known
        weight = -0.5 * ((np.log(_NOISES) - _NOISE_PRIOR[0]) / _NOISE_PRIOR[1]) ** 2
        found = {}
        for row, values in self._measured.items():
            off = _GRID - np.log(self.estimate[row] / self.limit)
            prior = _log_t(off / max(self.spread, _MIN_SPREAD), _MODEL_TAIL)
            away = (np.array(values)[:, None, None] - _GRID) / _NOISES[None, :, None]
            likelihood = _log_t(away, _TAIL).sum(axis=0)
            likelihood -= len(values) * np.log(_NOISES)[:, None]
            joint = likelihood + prior
            evidence = logsumexp(joint, axis=1)
            weight = weight + evidence
            found[row] = np.exp(joint - evidence[:, None])
        self._known = found, np.asarray(np.exp(weight - logsumexp(weight)))
        return self._known


def _log_t(x: FloatArray, tail: float) -> FloatArray:
    """Student's t with so many degrees of freedom, up to a constant."""
    return np.asarray(-0.5 * (tail + 1.0) * np.log1p(x * x / tail))
