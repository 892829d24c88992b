"""Metrics that need to know what would be right: `targets` beside the samples' inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas_service.errors import InvalidSpec
from nas_service.output_metrics.base import OutputMetric
from nas_service.recorded.feeds import Array
from nas_service.recorded.outputs import JudgedOutputs


class Accuracy(OutputMetric):
    """Share of targets, class numbers, that an output tells.

    Of scores by the largest along the last axis, of one score a place by its side of the middle, of
    whole numbers as they are; see `OutputPair.decided`.
    """

    name = "accuracy"
    label = "accuracy"
    needs_targets = True

    def value(self, judged: JudgedOutputs) -> float:
        """See `OutputMetric.value`."""
        right: list[Array] = []
        pair = self.chosen(judged)
        targets = targets_of(judged, self.name)
        n_classes = None if pair.whole else max((2, *pair.original[0].shape[-1:]))
        for told, target in zip(pair.decided(pair.found), targets, strict=True):
            if target.size != told.size:
                raise InvalidSpec(
                    f"metric accuracy: output {pair.name} tells {told.size} classes of a sample, "
                    f"its targets are {target.shape}",
                    field="metric",
                )
            self._require_classes(target, n_classes, pair.name)
            right.append(told == target.ravel())
        return float(np.concatenate(right).mean())

    @staticmethod
    def _require_classes(target: Array, n_classes: int | None, output: str) -> None:
        """Targets are numbers of classes, and of those that scores are given for."""
        for one in target.ravel().tolist():
            if float(one) != int(one) or (n_classes is not None and not 0 <= one < n_classes):
                of = "" if n_classes is None else f"; output {output} has {n_classes} classes"
                raise InvalidSpec(
                    f"metric accuracy: a target is {one}, which is no class{of}", field="metric"
                )


class Auc(OutputMetric):
    """Area under the receiver's curve: targets are 0 or 1, an output's last number is the score."""

    name = "auc"
    label = "AUC"
    needs_targets = True

    def value(self, judged: JudgedOutputs) -> float:
        """See `OutputMetric.value`."""
        from sklearn.metrics import roc_auc_score

        scores = [float(one.ravel()[-1]) for one in self.chosen(judged).found]
        targets = np.array([int(one.ravel()[0]) for one in targets_of(judged, self.name)])
        if set(targets.tolist()) != {0, 1}:
            raise InvalidSpec(
                "metric auc: targets have to be 0 and 1, both of them", field="metric"
            )
        return float(roc_auc_score(targets, scores))


def targets_of(judged: JudgedOutputs, metric: str) -> Sequence[Array]:
    """What would be right.

    Raises:
        InvalidSpec: nothing was given.
    """
    if judged.targets is None:
        raise InvalidSpec(
            f"metric {metric} needs to know what is right: give targets beside the inputs of "
            "--test",
            field="metric",
        )
    return judged.targets
