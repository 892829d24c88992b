"""Learning tasks that tell classes apart: what they share, whatever their samples are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nas_service.learning.base import Array
from nas_service.learning.classification.classes import Classification
from nas_service.learning.classification.metrics import METRICS, unequal
from nas_service.learning.metric import Judged, Metric
from nas_service.learning.outputs import LogitsTask

if TYPE_CHECKING:
    from torch import Tensor


class ClassificationTask(LogitsTask):
    """Outputs are logits `(n, classes)`, targets class numbers `(n,)`.

    Facts have `classes`, and `report` with the samples of each part by class.
    """

    metrics = METRICS
    has_classes = True

    def loss(self, outputs: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
        """See `LearningTask.loss`: cross entropy."""
        from torch.nn import functional

        return functional.cross_entropy(outputs, targets, label_smoothing=smoothing)

    def judge(self, outputs: Array, targets: Array) -> Judged:
        """See `LearningTask.judge`."""
        predicted = outputs.argmax(axis=1).astype(np.int64)
        return Classification.of(targets.astype(np.int64), predicted, outputs.shape[1])

    def agreement(self, outputs: Array, reference: Array) -> float:
        """See `LearningTask.agreement`: the same class comes first."""
        return float((outputs.argmax(axis=1) == reference.argmax(axis=1)).mean())

    def hopeless(self, metric: Metric, judged: Judged) -> bool:
        """See `LearningTask.hopeless`: no better than always naming the commonest class.

        By accuracy, within two standard errors of that class's share; a mean over classes is the
        same for such a guess whatever their shares are, so a network has to be above it, no more.
        """
        assert isinstance(judged, Classification)
        asked = judged.confusion.sum(axis=1)
        guesses = np.zeros_like(judged.confusion)
        guesses[:, asked.argmax()] = asked
        guess = metric.value(Classification(guesses))
        alike = metric.expected_error is not None
        slack = math.sqrt(guess * (1.0 - guess) / asked.sum()) if alike else 0.0
        return metric.value(judged) <= guess + 2.0 * slack

    def effective_samples(self, metric: Metric, facts: Mapping[str, Any], n: int) -> int:
        """See `LearningTask.effective_samples`.

        Accuracy counts each sample alike. A mean over classes is as uncertain as its smallest ones
        make it: with n_c samples a class it is that of C^2 / sum(1 / n_c) samples of equal classes.
        """
        counts = (facts.get("report") or {}).get("counts", {}).get("test") or {}
        asked = [one for one in counts.values() if one]
        if metric.expected_error is not None or not asked:
            return n
        return max(1, math.floor(len(asked) ** 2 / sum(1.0 / float(one) for one in asked)))

    def details(self, judged: Judged, facts: Mapping[str, Any]) -> dict[str, Any]:
        """See `LearningTask.details`: means over classes, and which are told apart worst."""
        assert isinstance(judged, Classification)
        return {"classification": judged.as_dict(facts["classes"])}

    def note(self, metric: Metric, facts: Mapping[str, Any]) -> str | None:
        """See `LearningTask.note`: accuracy says little where classes are unequal."""
        counts = (facts.get("report") or {}).get("counts", {})
        apart = [found for part in counts.values() if (found := unequal(part)) is not None]
        if metric.name != "accuracy" or not apart:
            return None
        most, fewest = max(apart, key=lambda one: one[0] / one[1])
        return (
            f"classes are unequal ({most} to {fewest} {self.samples}), so accuracy says little of "
            "the small ones: the metric balanced_accuracy or macro_f1 counts classes alike"
        )

    def remark(self, metric: Metric, rows: Sequence[Mapping[str, Any]]) -> str:
        """See `LearningTask.remark`: where accuracy tells little, as classes are unequal."""
        told = [row["classification"] for row in rows if row.get("classification")]
        if not told or metric.name != "accuracy":
            return ""
        counts = {str(number): sum(row) for number, row in enumerate(told[0]["confusion"] or [])}
        apart = unequal(counts)
        if apart is None:
            return ""
        low, high = (pick(one["balanced_accuracy"] for one in told) for pick in (min, max))
        return (
            f"; its classes are unequal ({apart[0]} to {apart[1]} {self.samples}), so look at "
            f"balanced accuracy: {100 * low:.1f} to {100 * high:.1f} % (a search may maximise it)"
        )
