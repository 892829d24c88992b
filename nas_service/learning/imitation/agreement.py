"""How far a network's answers are those of the one that it imitates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas_service.learning.base import Array
from nas_service.learning.metric import Metric

_TINY = 1e-12


@dataclass(frozen=True)
class Imitated:
    """Outputs and the teacher's answers, both `(n, k)`."""

    outputs: Array
    answers: Array

    @property
    def n(self) -> int:
        """See `Judged.n`."""
        return len(self.answers)

    @cached_property
    def _missed(self) -> Array:
        """Of each sample, its squared error over the mean variance of a column: `(n,)`."""
        variance = max(float(self.answers.var(axis=0).mean()), _TINY)
        missed: Array = ((self.outputs - self.answers) ** 2).mean(axis=1) / variance
        return missed

    @property
    def fidelity(self) -> float:
        """Share of the answers' variance that is met: 1 less the noise over the signal."""
        return 1.0 - float(self._missed.mean())

    @property
    def sqnr_db(self) -> float:
        """The same as signal over noise, in decibels."""
        return float(-10.0 * np.log10(max(1.0 - self.fidelity, _TINY)))

    @property
    def decisions(self) -> Array:
        """On which samples both decide the same: `(n,)`; see `decided`."""
        same: Array = decided(self.outputs, self.answers) == decided(self.answers, self.answers)
        return same

    @property
    def cosines(self) -> Array:
        """Of each sample's two answers as vectors: `(n,)`."""
        lengths = np.linalg.norm(self.outputs, axis=1) * np.linalg.norm(self.answers, axis=1)
        found: Array = (self.outputs * self.answers).sum(axis=1) / np.maximum(lengths, _TINY)
        return found

    def error_of(self, values: Array) -> float:
        """Standard error of a mean over samples, never below that of one sample in `n`."""
        return max(float(values.std() / np.sqrt(self.n)), 1.0 / self.n)

    @property
    def fidelity_error(self) -> float:
        """Standard error of `fidelity`."""
        return self.error_of(self._missed)


def decided(outputs: Array, answers: Array) -> Array:
    """What outputs decide: the largest of several, the side of one number `(n,)`.

    One number is cut in the middle of 0 and 1 where all of the teacher's lie there, else at 0.
    """
    if answers.shape[1] > 1:
        largest: Array = outputs.argmax(axis=1)
        return largest
    inside = answers.min() >= 0.0 and answers.max() <= 1.0
    side: Array = outputs[:, 0] > (0.5 if inside else 0.0)
    return side


FIDELITY = Metric(
    "fidelity",
    "fidelity",
    lambda one: one.fidelity,
    lambda one: one.fidelity_error,
    bounded=False,
)
DECISIONS = Metric(
    "same_decision",
    "same decision",
    lambda one: float(one.decisions.mean()),
    lambda one: one.error_of(one.decisions.astype(float)),
)
COSINE = Metric(
    "cosine",
    "cosine",
    lambda one: float(one.cosines.mean()),
    lambda one: one.error_of(one.cosines),
    bounded=False,
)
METRICS = (FIDELITY, DECISIONS, COSINE)
