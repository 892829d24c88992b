"""A machine that is simulated: speeds with modes, spikes, drift and throttling, on its own clock.

It tests the protocol and the gates that rest on it: its files and anchors take time on a clock
that they move themselves, so that an hour of measuring passes in seconds and the truth is known.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr

from lookup_tables.measuring.anchor import Anchor
from lookup_tables.measuring.reference import TOLERANCE

ANCHORS_MS = {"compute": 0.2, "memory": 0.4, "dispatch": 0.2, "graph": 0.8}
FELT = {"compute": 1.0, "memory": 0.9, "dispatch": 0.95, "graph": 1.05}
"""How much of a mode's slowdown each anchor feels, in logarithms."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A speed: what it multiplies times by, its share of the time, and how stays in it differ.

    `wander` is the standard deviation, in logarithms, of the factor from one stay to the next.
    """

    factor: float
    share: float
    wander: float = 0.0


@dataclass
class SimulatedMachine:
    """Modes that last `dwell_s` on average, in random order, each as often as its share says.

    Every run varies by `jitter` beside.
    `spike_share` of all runs take `spike_factor` times as long. `drift_per_hour` makes everything
    slower by that share an hour. After `throttled_after_s` seconds of work everything takes
    `throttled_factor` times as long. `sensitivity` of a piece of work says how much of a mode's
    slowdown, in logarithms, it feels. A `Clock`.
    """

    modes: Sequence[Mode]
    dwell_s: float
    seed: int
    jitter: float = 0.01
    spike_share: float = 0.0
    spike_factor: float = 3.0
    drift_per_hour: float = 0.0
    throttled_after_s: float = np.inf
    throttled_factor: float = 1.0
    now_s: float = 0.0
    _until_s: float = field(init=False, default=0.0)
    _factor: float = field(init=False)

    def __post_init__(self) -> None:
        # that of the standard library: millions of single draws
        self._random = random.Random(self.seed)  # noqa: S311
        total = sum(mode.share for mode in self.modes)
        self._shares = [mode.share / total for mode in self.modes]
        self._change()

    def wall_ns(self) -> int:
        """See `Clock`."""
        return int(1e9 * self.now_s) + 1

    def cpu_ns(self) -> int:
        """See `Clock`."""
        return self.wall_ns()

    def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        self.now_s += seconds

    def runner(self, base_ms: float, sensitivity: float = 1.0) -> Callable[[], None]:
        """Work that takes `base_ms` where everything is at its fastest."""

        def run() -> None:
            self.now_s += self._took_ms(base_ms, sensitivity) / 1e3

        return run

    def anchors(self) -> list[Anchor]:
        """Anchors that feel modes a little differently."""
        return [Anchor(name, self.runner(ms, FELT[name])) for name, ms in ANCHORS_MS.items()]

    def densest(self) -> tuple[Mode, float]:
        """The mode with most time near it, and how much time that is: the true reference state."""
        near = [
            sum(
                share * _chance_near(other, mode)
                for other, share in zip(self.modes, self._shares, strict=True)
            )
            for mode in self.modes
        ]
        return self.modes[int(np.argmax(near))], float(max(near))

    def state_ms(self, levels_ms: Mapping[str, float], base_ms: float, sensitivity: float) -> float:
        """What work takes where the anchors have these levels."""
        logs = [np.log(level / ANCHORS_MS[name]) / FELT[name] for name, level in levels_ms.items()]
        return float(base_ms * np.exp(np.mean(logs) * sensitivity))

    def truth_ms(self, base_ms: float, sensitivity: float = 1.0) -> float:
        """What work takes in the true reference state, before drift and throttling."""
        return float(base_ms * self.densest()[0].factor ** sensitivity)

    def _took_ms(self, base_ms: float, sensitivity: float) -> float:
        while self.now_s >= self._until_s:
            self._change()
        slow = math.log(self._factor) * sensitivity
        slow += abs(self._random.gauss(0.0, self.jitter))
        slow += math.log1p(self.drift_per_hour * self.now_s / 3600.0)
        if self.now_s > self.throttled_after_s:
            slow += math.log(self.throttled_factor)
        if self._random.random() < self.spike_share:
            slow += math.log(self.spike_factor)
        return base_ms * math.exp(slow)

    def _change(self) -> None:
        (mode,) = self._random.choices(self.modes, self._shares)
        self._factor = mode.factor * math.exp(self._random.gauss(0.0, mode.wander))
        self._until_s = self.now_s + self._random.expovariate(1.0 / self.dwell_s)


def _chance_near(mode: Mode, centre: Mode) -> float:
    """Share of a mode's stays whose speed is within the tolerance of another mode's usual one."""
    away = np.log(mode.factor / centre.factor)
    if mode.wander == 0:
        return float(abs(away) <= TOLERANCE)
    low, high = (-TOLERANCE - away) / mode.wander, (TOLERANCE - away) / mode.wander
    return float(ndtr(high) - ndtr(low))
