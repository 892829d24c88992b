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
    """Area under the receiver's curve: targets are 0 or 1, an output's last number is the score.

    An output has one number a sample, or two, of which the last is that of class 1; targets may be
    in two columns, too, of which one is 1.
    """

    name = "auc"
    label = "AUC"
    needs_targets = True

    def value(self, judged: JudgedOutputs) -> float:
        """See `OutputMetric.value`."""
        from sklearn.metrics import roc_auc_score

        pair = self.chosen(judged)
        if any(
            one.size not in {1, 2} or one.shape[-1:] not in {(), (one.size,)} for one in pair.found
        ):
            raise InvalidSpec(
                f"metric auc takes a number a sample, or two; output {pair.name} is "
                f"{pair.found[0].shape}",
                field="metric",
            )
        scores = [float(one.ravel()[-1]) for one in pair.found]
        targets = [self._target(one) for one in targets_of(judged, self.name)]
        if set(targets) != {0.0, 1.0}:
            odd = next((one for one in targets if one not in {0.0, 1.0}), None)
            raise InvalidSpec(
                "metric auc: targets have to be 0 and 1, both of them"
                + ("" if odd is None else f"; one is {odd:g}"),
                field="metric",
            )
        return float(roc_auc_score(targets, scores))

    @staticmethod
    def _target(target: Array) -> float:
        values = [float(one) for one in target.ravel()]
        if len(values) == 1 or (len(values) == 2 and sorted(values) == [0.0, 1.0]):
            return values[-1]
        raise InvalidSpec(
            f"metric auc takes one target a sample, or 0 and 1 in two columns; one is {values[:3]}",
            field="metric",
        )


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
