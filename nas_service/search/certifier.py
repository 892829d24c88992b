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
import numpy.typing as npt

from nas_service.errors import InvalidSpec
from nas_service.space.base import FloatArray, IntArray

RISK = 0.003
"""Probability of being over the limit that a certificate leaves, for each network."""
MIN_REPEATS = 2
"""A network measured once is never certified: one lucky draw looks like a fast network."""
_TAIL = 4.0
"""Degrees of freedom of the noise of a measurement."""
_MODEL_TAIL = 3.0
_STEP, _REACH = 1e-3, 0.3
"""Of the grids of true cost over the limit, in logarithms: beyond all that is known of a row."""
_FAR = 1.0
"""A row whose costs are all on one side of the limit, and so far away, is certain."""
_NOISES: FloatArray = np.geomspace(0.003, 0.15, 18)
_NOISE_PRIOR = (np.log(0.025), 0.8)
"""Measurements on quiet machines are off by one to five percent."""
_MAX_REPEATS = 4
_MIN_SPREAD = 0.01


Beliefs = tuple[dict[int, tuple[FloatArray, FloatArray]], FloatArray]
"""Of each measured candidate a grid and probabilities `(noises, grid)`; those of the noises."""


@dataclass(frozen=True)
class _State:
    """What is believed of all candidates `(n,)`, and the size of the noise."""

    centre: FloatArray
    spread: FloatArray
    repeats: IntArray
    done: npt.NDArray[np.bool_]
    size: float


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
    _priors: dict[int, tuple[float, float]] = field(default_factory=dict)
    _known: Beliefs | None = None

    def __post_init__(self) -> None:
        if not (self.limit > 0 and np.isfinite(self.limit)):
            raise InvalidSpec(f"a limit is a positive number, not {self.limit}", field="limit")
        if self.accuracy.shape != self.estimate.shape:
            raise InvalidSpec("accuracies and estimates are one a candidate", field="estimate")

    def revise(self, estimate: FloatArray, spread: float) -> None:
        """Take new estimates, as of a calibration that learned from the measurements.

        A network that was measured keeps the estimate it had before: the new one has seen its
        measurements, which would count twice.
        """
        self.estimate, self.spread = estimate, spread
        self._known = None

    def add(self, row: int, value: float) -> None:
        """Note that candidate `row` was measured at `value`."""
        if not (value > 0 and np.isfinite(value)):
            raise InvalidSpec(f"measured {value}, not a positive number", field="value")
        if row not in self._measured:
            spread = max(self.spread, _MIN_SPREAD)
            self._priors[row] = float(np.log(self.estimate[row] / self.limit)), spread
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
        grid, each = belief[row]
        return float(noise @ each[:, grid > 0].sum(axis=1))

    def interval(self, row: int, level: float) -> tuple[float, float]:
        """Bounds between which a measured candidate's true cost lies with probability `level`."""
        belief, noise = self._beliefs()
        grid, each = belief[row]
        below = np.cumsum(noise @ each)
        low, high = np.searchsorted(below, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
        last = len(grid) - 1
        return (
            float(self.limit * np.exp(grid[min(low, last)])),
            float(self.limit * np.exp(grid[min(high, last)])),
        )

    @property
    def noise(self) -> float:
        """Typical relative error of one measurement, as learned from repeats."""
        if not self._measured:
            return float(np.exp(_NOISE_PRIOR[0]))
        return float(self._beliefs()[1] @ _NOISES)

    def values(self, row: int) -> list[float]:
        """What a candidate was measured at, in order."""
        return [float(self.limit * np.exp(one)) for one in self._measured.get(row, [])]

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
        state = self._state()
        best = self.best()
        if best is not None:
            return self._worth(float(self.accuracy[best]), state, left)
        # without a certificate every network that keeps the limit is a gain, but first those of the
        # better half are tried
        below = state.centre <= 0
        inside = self.accuracy[below] if below.any() else self.accuracy
        half = float(np.quantile(inside, 0.5))
        nothing = float(self.accuracy.min()) - float(np.ptp(self.accuracy)) - 1e-3
        first = self._worth(half, state, left)
        if first is not None and state.centre[first] < 2.0 * state.spread[first]:
            return first
        return self._worth(nothing, state, left)

    def _state(self) -> _State:
        n = len(self.accuracy)
        centre = np.log(self.estimate / self.limit)
        spread = np.full(n, max(self.spread, _MIN_SPREAD))
        repeats, done = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
        size = float(np.exp(_NOISE_PRIOR[0]))
        if self._measured:
            belief, noise = self._beliefs()
            size = float(noise @ _NOISES)
            for row, (grid, each) in belief.items():
                mixed = noise @ each
                centre[row] = mixed @ grid
                spread[row] = np.sqrt(max(mixed @ (grid - centre[row]) ** 2, 1e-8))
                repeats[row] = len(self._measured[row])
            done[list(self.certified())] = True
        return _State(centre, spread, repeats, done, size)

    def _worth(self, floor: float, state: _State, left: int) -> int | None:
        """The candidate of the highest gain over `floor` times chance, or None where there is none.

        A candidate counts by what up to a few repeats would tell, for their number's root.
        """
        from scipy.special import ndtr, ndtri  # a third of a second, for who reads certificates

        gain = np.where(state.done, 0.0, np.maximum(self.accuracy - floor, 0.0))
        quantile = float(-ndtri(self.risk))
        value = np.zeros(len(gain))
        for more in range(1, min(left, _MAX_REPEATS) + 1):
            after = 1.0 / np.sqrt(1.0 / state.spread**2 + more / state.size**2)
            learned = np.sqrt(np.maximum(state.spread**2 - after**2, 1e-12))
            chance = ndtr((-quantile * after - state.centre) / learned)
            chance = np.where(state.repeats + more >= MIN_REPEATS, chance, 0.0)
            value = np.maximum(value, gain * chance / np.sqrt(more))
        return int(np.argmax(value)) if value.max() > 0 else None

    def _beliefs(self) -> Beliefs:
        if self._known is not None:
            return self._known
        from scipy.special import logsumexp  # as above

        weight = -0.5 * ((np.log(_NOISES) - _NOISE_PRIOR[0]) / _NOISE_PRIOR[1]) ** 2
        found: dict[int, tuple[FloatArray, FloatArray]] = {}
        for row, values in self._measured.items():
            centre, spread = self._priors[row]
            low, high = min(centre, *values), max(centre, *values)
            if low < _FAR and high > -_FAR:  # the limit, 0, matters
                low, high = min(low, 0.0), max(high, 0.0)
            first, last = np.floor((low - _REACH) / _STEP), np.ceil((high + _REACH) / _STEP)
            # the limit lies between two points
            grid = np.asarray((np.arange(first, last) + 0.5) * _STEP, dtype=np.float64)
            prior = _log_t((grid - centre) / spread, _MODEL_TAIL)
            away = (np.array(values)[:, None, None] - grid) / _NOISES[None, :, None]
            likelihood = _log_t(away, _TAIL).sum(axis=0)
            likelihood -= len(values) * np.log(_NOISES)[:, None]
            joint = likelihood + prior
            evidence = logsumexp(joint, axis=1)
            weight = weight + evidence
            found[row] = grid, np.exp(joint - evidence[:, None])
        self._known = found, np.asarray(np.exp(weight - logsumexp(weight)))
        return self._known


def _log_t(x: FloatArray, tail: float) -> FloatArray:
    """Student's t with so many degrees of freedom, up to a constant."""
    return np.asarray(-0.5 * (tail + 1.0) * np.log1p(x * x / tail))
