"""The protocol of anything that finds out an architecture's accuracy."""

from __future__ import annotations

from typing import Protocol

from nas_service.space.base import FloatArray, IntArray


class AccuracyEvaluator(Protocol):
    """Evaluates architectures on validation data.

    Equal genotypes, fidelity and seed give equal accuracies. `evaluate` may be called from one
    thread at a time.
    """

    def evaluate(self, genotypes: IntArray, *, fidelity: float, seed: int) -> FloatArray:
        """Accuracy of each architecture `(n, d) -> (n,)`; `fidelity` 1 is the full effort."""
        ...
