"""Regression on signals: a number for each window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_service.learning.base import Array, Data
from nas_service.learning.metric import Judged, Metric
from nas_service.learning.outputs import NumbersTask
from nas_service.learning.signals.common import SignalTask

if TYPE_CHECKING:
    from torch import Tensor

_CLOSE = 0.1
"""Two networks say the same where they differ by less than this share of the answers' spread."""


@dataclass(frozen=True)
class Errors:
    """Squared errors of each answer, and the targets that they are of."""

    squared: Array
    targets: Array

    @property
    def n(self) -> int:
        """See `Judged.n`."""
        return len(self.targets)

    @property
    def variance(self) -> float:
        """Of the targets: the mean squared error of always guessing their mean."""
        return float(max(self.targets.var(), 1e-12))

    @property
    def r2(self) -> float:
        """Share of the variance that the answers explain."""
        return float(1.0 - self.squared.mean() / self.variance)

    @property
    def r2_error(self) -> float:
        """Standard error of `r2`, never below that of one answer in `n`."""
        spread = self.squared.std() / self.variance / np.sqrt(self.n)
        return float(max(spread, 1.0 / self.n))


class SignalRegression(SignalTask, NumbersTask):
    """Outputs and targets are numbers `(n, 1)`, in standard deviations from the training mean.

    `target_mean` and `target_std` among a data set's facts say what these are in its own unit;
    data sets of earlier versions have neither, and numbers as they are.
    """

    name = "signal_regression"
    label = "regression on signals"
    numbers = True
    metrics = (Metric("r2", "R²", lambda one: one.r2, lambda one: one.r2_error, bounded=False),)

    def n_outputs(self, facts: Mapping[str, Any]) -> int:
        """See `SignalTask.n_outputs`."""
        del facts
        return 1

    def loss(self, outputs: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
        """See `LearningTask.loss`: squared error."""
        from torch.nn import functional

        del smoothing
        return functional.mse_loss(outputs, targets)

    def judge(self, outputs: Array, targets: Array) -> Judged:
        """See `LearningTask.judge`."""
        return Errors(((outputs - targets) ** 2)[:, 0], targets[:, 0])

    def agreement(self, outputs: Array, reference: Array) -> float:
        """See `LearningTask.agreement`."""
        spread = max(float(reference.std()), 1e-9)
        return float((np.abs(outputs - reference) <= _CLOSE * spread).all(axis=1).mean())

    def details(self, judged: Judged, facts: Mapping[str, Any]) -> dict[str, Any]:
        """See `LearningTask.details`: errors in the targets' own unit."""
        assert isinstance(judged, Errors)
        absolute = np.sqrt(judged.squared) * float(facts.get("target_std", 1.0))
        return {
            "regression": {
                "mean_error": float(f"{absolute.mean():.6g}"),
                "largest_error": float(f"{absolute.max():.6g}"),
            }
        }

    def preprocessing(self, facts: Mapping[str, Any], data: Data, size: int) -> dict[str, Any]:
        """See `LearningTask.preprocessing`; `Preprocessing.answer` gives numbers in their unit."""
        return {
            **super().preprocessing(facts, data, size),
            "target_mean": float(facts.get("target_mean", 0.0)),
            "target_std": float(facts.get("target_std", 1.0)),
        }
