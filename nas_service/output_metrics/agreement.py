"""Agreement with the original: no labels are needed."""

from __future__ import annotations

import numpy as np

from nas_service.output_metrics.base import OutputMetric
from nas_service.recorded.columns import Floats
from nas_service.recorded.outputs import JudgedOutputs


class Fidelity(OutputMetric):
    """Share of the original's variance over the samples that is met; of the worst output."""

    name = "fidelity"
    label = "fidelity"

    def value(self, judged: JudgedOutputs) -> float:
        """See `OutputMetric.value`; below 0 where the noise is larger than what varies."""
        pairs = self.every(judged)
        if not all(pair.same_sizes for pair in pairs):
            return 0.0
        return min(pair.same_decisions if pair.whole else pair.fidelity for pair in pairs)


class SameDecision(OutputMetric):
    """Share of places where both decide the same: the largest along the last axis.

    Where that axis has one number: its side of the middle, .5 where all lie between 0 and 1.
    """

    name = "same_decision"
    label = "same decision"

    def value(self, judged: JudgedOutputs) -> float:
        """See `OutputMetric.value`."""
        pair = self.chosen(judged)
        return pair.same_decisions if pair.same_sizes else 0.0


class Cosine(OutputMetric):
    """Mean cosine of both answers as vectors, as for embeddings; of the worst output."""

    name = "cosine"
    label = "cosine"

    def value(self, judged: JudgedOutputs) -> float:
        """See `OutputMetric.value`."""
        found = []
        for pair in self.every(judged):
            if not pair.same_sizes:
                return 0.0
            cosines = []
            for ours, theirs in zip(pair.found, pair.original, strict=True):
                one, other = (part.astype(np.float64).ravel() for part in (ours, theirs))
                cosines.append(_cosine(one, other))
            found.append(float(np.mean(cosines)))
        return min(found)


def _cosine(one: Floats, other: Floats) -> float:
    """Of two vectors; those of no length are alike, and like no other."""
    lengths = np.linalg.norm(one), np.linalg.norm(other)
    if 0.0 in lengths:
        return float(lengths[0] == lengths[1])
    return float(one @ other / (lengths[0] * lengths[1]))
