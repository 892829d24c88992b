"""Metrics of what outputs are decoded to: masks, texts, boxes; of the original's without targets.

Text is read as from a CTC head (Graves et al., ICML 2006): the largest class of each step, repeats
joined, class 0 left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from nas_service.errors import InvalidSpec
from nas_service.learning.detection.boxes import Detections
from nas_service.output_metrics.base import OutputMetric
from nas_service.output_metrics.boxes import (
    TAKEN,
    detections_apart,
    detections_of,
    mean_average_precision,
    require_corners,
    require_shares,
)
from nas_service.recorded.feeds import Array
from nas_service.recorded.outputs import JudgedOutputs

_IGNORED = 255


class ExactMatch(OutputMetric):
    """Share of samples whose whole decoded text is the same as the original's.

    Of an output of whole numbers, tokens, these are the text.
    """

    name = "exact_match"
    label = "exact match"

    def value(self, judged: JudgedOutputs) -> float:
        """See `OutputMetric.value`; targets, where given, are class numbers, filled up with -1."""
        pair = self.chosen(judged)
        if not pair.whole and any(not one.ndim for one in pair.original):
            raise InvalidSpec(
                f"metric exact_match: output {pair.name} is one number, which is no text",
                field="metric",
            )
        read = _whole if pair.whole else _text
        told = [read(one) for one in pair.found]
        if judged.targets is None:
            right = [read(one) for one in pair.original]
        else:
            right = [tuple(int(n) for n in one.ravel() if n >= 0) for one in judged.targets]
        return float(np.mean([ours == theirs for ours, theirs in zip(told, right, strict=True)]))


class MeanIou(OutputMetric):
    """Mean intersection over union of masks `(1, classes, height, width)`, over classes there are.

    One class is a foreground, above the middle; targets are class numbers of pixels. Pixels of 255
    are not asked about; beside a foreground 0 and 255 are 0 and 1.
    """

    name = "miou"
    label = "mIoU"

    def value(self, judged: JudgedOutputs) -> float:
        """See `OutputMetric.value`."""
        pair = self.chosen(judged)
        if any(one.ndim != 4 or len(one) != 1 for one in pair.original):
            shape = pair.original[0].shape
            raise InvalidSpec(
                f"metric miou takes (1, classes, height, width), output {pair.name} is {shape}",
                field="metric",
            )
        cut = 0.5 if all(one.min() >= 0 and one.max() <= 1 for one in pair.original) else 0.0
        told = [_mask(one, cut) for one in pair.found]
        if judged.targets is None:
            return _mean_iou(told, [_mask(one, cut) for one in pair.original])
        right = _masks_of(judged.targets, pair.original[0].shape[1])
        for mine, theirs in zip(told, right, strict=True):
            if mine.shape != theirs.shape:
                raise InvalidSpec(
                    f"metric miou: a target is {theirs.shape}, its mask {mine.shape}",
                    field="metric",
                )
        return _mean_iou(told, right)


class MeanAveragePrecision(OutputMetric):
    """Mean average precision at an overlap of .5 of boxes (middle, size) with scores of classes.

    The output is `(1, 4 + classes, places)`, as detectors of the YOLO family give it. Two outputs,
    `map50:BOXES+SCORES`, are corners and scores of classes, `(1, places, n)` or `(1, n, places)`.
    Without targets the original's detections above .25 are taken as true. Targets are rows of
    class, x1, y1, x2, y2, filled up with rows of class -1.
    """

    name = "map50"
    label = "mAP50"

    def value(self, judged: JudgedOutputs) -> float:
        """See `OutputMetric.value`."""
        self.require_output(judged.names)
        told, original = self._apart(judged) if self._two(judged) else self._of_one(judged)
        right = [one.above(TAKEN) for one in original]
        if judged.targets is not None:
            n_classes = self._n_classes(judged)
            right = [Detections.true(_boxes_of(one, n_classes)) for one in judged.targets]
        return mean_average_precision(told, right)

    def require_output(self, names: Sequence[str]) -> None:
        """See `OutputMetric.require_output`; one name, or two with a + between them."""
        asked = self.output.split("+")
        if self.output in names or len(asked) == 1:
            super().require_output(names)
            return
        if len(set(asked)) != 2 or len(asked) != 2 or not all(asked):
            raise InvalidSpec(
                f"metric map50 takes one output, or BOXES+SCORES, not {self.output}", field="metric"
            )
        for one in asked:
            OutputMetric.require_output(type(self)(one), names)

    def _two(self, judged: JudgedOutputs) -> bool:
        return "+" in self.output and self.output not in judged.names

    def _of_one(self, judged: JudgedOutputs) -> tuple[list[Detections], list[Detections]]:
        pair = judged.pair(self.output or judged.names[0])
        if any(one.ndim != 3 or one.shape[1] < 5 or len(one) != 1 for one in pair.original):
            raise InvalidSpec(
                f"metric map50 takes (1, 4 + classes, places), output {pair.name} is "
                f"{pair.original[0].shape}; map50:BOXES+SCORES takes two",
                field="metric",
            )
        try:
            for one in pair.original:
                require_shares(one[0, 4:])
        except ValueError as error:
            raise InvalidSpec(f"metric map50: {error}", field="metric") from error
        return [detections_of(one[0]) for one in pair.found], [
            detections_of(one[0]) for one in pair.original
        ]

    def _n_classes(self, judged: JudgedOutputs) -> int:
        """How many classes there are scores for."""
        if not self._two(judged):
            return int(judged.pair(self.output or judged.names[0]).original[0].shape[1]) - 4
        boxes, scores = (judged.pair(name).original[0].shape for name in self.output.split("+"))
        n_places = boxes[1] if boxes[2] == 4 else boxes[2]
        return int(scores[2] if scores[1] == n_places else scores[1])

    def _apart(self, judged: JudgedOutputs) -> tuple[list[Detections], list[Detections]]:
        boxes, scores = (judged.pair(name) for name in self.output.split("+"))
        right = list(zip(boxes.original, scores.original, strict=True))
        if any(len(one) != 1 for both in right for one in both):
            raise InvalidSpec("metric map50 takes answers to one picture each", field="metric")
        try:
            for box, score in right:
                require_corners(box, score)
        except ValueError as error:
            raise InvalidSpec(f"metric map50: {error}", field="metric") from error
        told = zip(boxes.found, scores.found, strict=True)
        return (
            [detections_apart(box, score) for box, score in told],
            [detections_apart(box, score) for box, score in right],
        )


def _masks_of(targets: Sequence[Array], n_channels: int) -> list[Array]:
    """Class numbers of pixels; 255 is kept as it is, where it is no foreground."""
    masks = [one[0] if one.ndim == 3 and len(one) == 1 else one for one in targets]
    n_classes = max(2, n_channels)
    seen = set(np.unique(np.concatenate([one.ravel() for one in masks])).tolist())
    if n_channels == 1 and seen <= {0, _IGNORED}:
        return [np.asarray(one == _IGNORED, np.int64) for one in masks]
    if n_classes == 2 and seen == {0, _IGNORED}:
        raise InvalidSpec(
            f"metric miou: targets are 0 and {_IGNORED}, which is not asked about: give 0 and 1",
            field="metric",
        )
    odd = sorted(seen - {*range(n_classes), _IGNORED})
    if odd:
        raise InvalidSpec(
            f"metric miou: a target is {odd[0]}, which is no class; the output has {n_classes}",
            field="metric",
        )
    return masks


def _boxes_of(rows: Array, n_classes: int) -> Array:
    """True boxes `(1, k, 5)` of one picture."""
    rows = np.asarray(rows, np.float64)
    rows = rows.reshape(1, 0, 5) if not rows.size else rows
    rows = rows[None] if rows.ndim == 2 else rows
    if rows.ndim != 3 or rows.shape[0] != 1 or rows.shape[2] != 5:
        raise InvalidSpec(
            f"metric map50: targets of a picture are {rows.shape[-2:]}; rows of class, x1, y1, x2, "
            "y2 are taken",
            field="metric",
        )
    for one in rows[0, :, 0].tolist():
        if one != -1 and one not in range(n_classes):
            raise InvalidSpec(
                f"metric map50: a target's class is {one:g}; the output has {n_classes}",
                field="metric",
            )
    return rows


def _whole(tokens: Array) -> tuple[int, ...]:
    return tuple(int(one) for one in tokens.ravel())


def _text(scores: Array) -> tuple[int, ...]:
    steps = scores.reshape(-1, scores.shape[-1]).argmax(axis=1)
    return tuple(int(one) for one, _ in groupby(steps) if one != 0)


def _mask(scores: Array, cut: float) -> Array:
    if scores.shape[1] == 1:
        return np.asarray(scores[0, 0] > cut, np.int64)
    return np.asarray(scores[0].argmax(axis=0), np.int64)


def _mean_iou(told: Sequence[Array], right: Sequence[Array]) -> float:
    ours = np.concatenate([one.ravel() for one in told])
    theirs = np.concatenate([one.ravel() for one in right])
    if ours.shape != theirs.shape:
        raise InvalidSpec(
            "metric miou: answers have other sizes than the original's", field="metric"
        )
    asked = theirs != _IGNORED
    if not asked.any():
        raise InvalidSpec("metric miou: no pixel is asked about", field="metric")
    ours, theirs = ours[asked], theirs[asked]
    found = []
    for label in np.unique(theirs):
        both = float(((ours == label) & (theirs == label)).sum())
        found.append(both / float(((ours == label) | (theirs == label)).sum()))
    return float(np.mean(found))
