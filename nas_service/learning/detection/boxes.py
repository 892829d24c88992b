"""Boxes, which of them are kept, and how well they meet others.

Boxes are x1, y1, x2, y2 on any scale. Sets of several pictures are padded to the same number:
what is none has class -1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SAME = 0.45
"""Boxes of a class that overlap more are one."""
MOST = 100
"""Boxes that are told of a picture."""
LEAST_SCORE = 0.01
_AT_ONCE = 16
"""Pictures whose boxes are compared together."""


@dataclass(frozen=True)
class Detections:
    """Of `n` pictures: boxes `(n, k, 4)`, classes `(n, k)` and scores `(n, k)`, the best first."""

    boxes: Floats
    classes: Ints
    scores: Floats

    def above(self, score: float) -> Detections:
        """Those with a better score."""
        classes = np.where(self.scores > score, self.classes, -1)
        return Detections(self.boxes, classes, self.scores)

    @classmethod
    def true(cls, rows: npt.NDArray[np.generic]) -> Detections:
        """Of rows of class, x1, y1, x2, y2 of each picture `(n, k, 5)`."""
        values = np.asarray(rows, np.float64)
        classes = values[..., 0].astype(np.int64)
        return cls(values[..., 1:], classes, (classes >= 0).astype(np.float64))


def best_of(boxes: Floats, scores: Floats) -> Detections:
    """The best of boxes `(n, places, 4)` by scores `(n, classes, places)`.

    Of several of a class that lie on each other the best alone is kept.
    """
    n, _, places = scores.shape
    flat = scores.reshape(n, -1)
    asked = int((flat > LEAST_SCORE).sum(axis=1).max(initial=0))
    most = max(1, min(2 * MOST, flat.shape[1], asked))
    chosen = np.argpartition(-flat, most - 1, axis=1)[:, :most]
    order = np.argsort(-np.take_along_axis(flat, chosen, axis=1), axis=1, kind="stable")
    chosen = np.take_along_axis(chosen, order, axis=1)
    found = np.take_along_axis(flat, chosen, axis=1)
    classes, place = np.divmod(chosen, places)
    here = np.take_along_axis(boxes, place[..., None], axis=1)
    kept = np.zeros(found.shape, dtype=bool)
    for start in range(0, n, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        kept[part] = _kept(here[part], classes[part], found[part] > LEAST_SCORE)
    first = np.argsort(~kept, axis=1, kind="stable")[:, : min(MOST, most)]
    kept, classes, found = (
        np.take_along_axis(one, first, axis=1) for one in (kept, classes, found)
    )
    return Detections(
        np.take_along_axis(here, first[..., None], axis=1), np.where(kept, classes, -1), found
    )


def _kept(boxes: Floats, classes: Ints, asked: Bools) -> Bools:
    """Which of boxes `(n, k, 4)`, the best first, do not lie on a better one of their class."""
    most = int(asked.sum(axis=1).max(initial=0))
    kept = asked.copy()
    boxes, classes = boxes[:, :most], classes[:, :most]
    on = (overlaps(boxes, boxes) > SAME) & (classes[:, :, None] == classes[:, None, :])
    for at in range(1, most):
        kept[:, at] &= ~(kept[:, :at] & on[:, at, :at]).any(axis=1)
    return kept


def overlaps(some: Floats, others: Floats) -> Floats:
    """Intersection over union of boxes `(..., n, 4)` with others `(..., m, 4)`: `(..., n, m)`."""
    left, right = (
        np.moveaxis(one, -1, 0) for one in (some[..., :, None, :], others[..., None, :, :])
    )
    across = np.minimum(left[2], right[2]) - np.maximum(left[0], right[0])
    down = np.minimum(left[3], right[3]) - np.maximum(left[1], right[1])
    both = np.clip(across, 0.0, None) * np.clip(down, 0.0, None)
    mine, theirs = (
        np.clip(one[2] - one[0], 0.0, None) * np.clip(one[3] - one[1], 0.0, None)
        for one in (left, right)
    )
    return np.asarray(both / np.maximum(mine + theirs - both, 1e-12))


def met(told: Detections, right: Detections, least: Floats) -> Bools:
    """Which boxes meet a true one of their class: `(t, n, k)` for each of `t` least overlaps.

    The best takes the true box that it overlaps most among those still free, as COCO's evaluation
    does.
    """
    n, k = told.scores.shape
    found = np.zeros((len(least), n, k), dtype=bool)
    for start in range(0, n, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        same = told.classes[part, :, None] == right.classes[part, None, :]
        same &= right.classes[part, None, :] >= 0
        shared = np.where(same, overlaps(told.boxes[part], right.boxes[part]), 0.0)
        found[:, part] = _taken(shared, least)
    return found


def _taken(shared: Floats, least: Floats) -> Bools:
    n, k, true = shared.shape
    found = np.zeros((len(least), n, k), dtype=bool)
    if not true:
        return found
    free = np.ones((len(least), n, true))
    levels, rows = np.ogrid[: len(least), :n]
    for at in range(k):
        if not shared[:, at].any():
            continue
        left = free * shared[None, :, at]
        best = left.argmax(axis=2)
        hit = left[levels, rows, best] >= least[:, None]
        found[:, :, at] = hit
        free[levels, rows, best] = np.where(hit, 0.0, free[levels, rows, best])
    return found


def average_precision(scores: Floats, hits: Bools, total: int) -> float:
    """Area under precision over recall of boxes of a class `(m,)` where there are `total` of it.

    Precision is made to fall with recall, as in COCO's evaluation; the area is exact.
    """
    if not len(scores):
        return 0.0
    order = np.argsort(-scores, kind="stable")
    so_far = np.cumsum(hits[order])
    precision = so_far / np.arange(1, len(order) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    recall = np.concatenate([[0.0], so_far / total])
    return float((np.diff(recall) * falling).sum())
