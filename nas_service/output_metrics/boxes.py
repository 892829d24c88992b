"""Boxes, which of them are kept, and how well they meet others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LEAST_SCORE = 0.01
_MOST = 100
_SAME = 0.45
"""Boxes of a class that overlap more are one."""
_MET = 0.5


@dataclass(frozen=True)
class Detections:
    """Boxes `(n, 4)` as x1, y1, x2, y2, with classes and scores, the best first."""

    boxes: Floats
    classes: Ints
    scores: Floats

    def above(self, score: float) -> Detections:
        """Those with a better score."""
        kept = self.scores > score
        return Detections(self.boxes[kept], self.classes[kept], self.scores[kept])

    @classmethod
    def true(cls, rows: npt.NDArray[np.generic]) -> Detections:
        """Of rows of class, x1, y1, x2, y2; those of class -1 are none."""
        values = np.asarray(rows, np.float64).reshape(-1, 5)
        values = values[values[:, 0] >= 0]
        return cls(values[:, 1:], values[:, 0].astype(np.int64), np.ones(len(values)))


def detections_of(output: npt.NDArray[np.generic]) -> Detections:
    """Of `(4 + classes, places)`, boxes as their middle and size; one of several that overlap."""
    values = np.asarray(output, np.float64)
    classes, scores = values[4:].argmax(axis=0), values[4:].max(axis=0)
    order = np.flatnonzero(scores > _LEAST_SCORE)
    order = order[np.argsort(-scores[order], kind="stable")][: 10 * _MOST]
    middle, size = values[:2, order].T, values[2:4, order].T
    boxes = np.concatenate([middle - size / 2, middle + size / 2], axis=1)
    kept: list[int] = []
    for at in range(len(order)):
        same = [k for k in kept if classes[order[k]] == classes[order[at]]]
        if not same or overlaps(boxes[at : at + 1], boxes[same]).max() <= _SAME:
            kept.append(at)
        if len(kept) == _MOST:
            break
    chosen = order[kept]
    return Detections(boxes[kept].reshape(-1, 4), classes[chosen].astype(np.int64), scores[chosen])


def overlaps(some: Floats, others: Floats) -> Floats:
    """Intersection over union of each with each: `(n, m)`."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    both = np.prod(np.clip(high - low, 0.0, None), axis=2)
    mine, theirs = (
        np.prod(np.clip(b[:, 2:] - b[:, :2], 0.0, None), axis=1) for b in (some, others)
    )
    whole = mine[:, None] + theirs[None] - both
    return np.asarray(both / np.maximum(whole, 1e-12))


def mean_average_precision(told: Sequence[Detections], right: Sequence[Detections]) -> float:
    """Mean over classes that there are of the area under precision over recall, at an overlap .5.

    Precision is made to fall with recall, as in COCO's evaluation; the area is exact.
    """
    labels = sorted({int(one) for true in right for one in true.classes})
    if not labels:
        return 1.0 if not any(len(one.above(0.25).scores) for one in told) else 0.0
    return float(np.mean([_average_precision(told, right, label) for label in labels]))


def _average_precision(
    told: Sequence[Detections], right: Sequence[Detections], label: int
) -> float:
    hits: list[tuple[float, bool]] = []
    total = 0
    for ours, theirs in zip(told, right, strict=True):
        true = theirs.boxes[theirs.classes == label]
        total += len(true)
        free = np.ones(len(true), dtype=bool)
        mine = ours.classes == label
        for box, score in zip(ours.boxes[mine], ours.scores[mine], strict=True):
            shared = np.where(free, overlaps(box[None], true)[0], 0.0) if len(true) else np.zeros(1)
            best = int(np.argmax(shared))
            met = bool(shared[best] >= _MET)
            if met:
                free[best] = False
            hits.append((float(score), met))
    hits.sort(key=lambda one: -one[0])
    met_so_far = np.cumsum([met for _, met in hits])
    if not len(met_so_far):
        return 0.0
    precision = met_so_far / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.concatenate([[0.0], met_so_far / total])
    return float((np.diff(recall) * falling).sum())
