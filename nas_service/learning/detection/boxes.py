"""Boxes, which of them are kept, and how well they meet others.

Boxes are x1, y1, x2, y2 on any scale. Sets of several pictures are padded to the same number:
what is none has class -1.
"""

from __future__ import annotations

from collections.abc import Sequence
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
_CANDIDATES = 10 * MOST
"""Of a picture, the best ones, of which those on a better one are left out."""
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

    def padded(self, most: int) -> Detections:
        """With as many boxes of each picture, of class -1 where there are fewer."""
        more = ((0, 0), (0, max(0, most - self.classes.shape[1])))
        return Detections(
            np.pad(self.boxes, (*more, (0, 0))),
            np.pad(self.classes, more, constant_values=-1),
            np.pad(self.scores, more),
        )

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
    parts = [
        _best_of(boxes[start : start + _AT_ONCE], scores[start : start + _AT_ONCE])
        for start in range(0, len(scores), _AT_ONCE)
    ]
    if not parts:
        return Detections(np.zeros((0, 0, 4)), np.zeros((0, 0), np.int64), np.zeros((0, 0)))
    most = max(one.scores.shape[1] for one in parts)
    return together([one.padded(most) for one in parts])


def _best_of(boxes: Floats, scores: Floats) -> Detections:
    n, _, places = scores.shape
    flat = scores.reshape(n, -1)
    asked = int((flat > LEAST_SCORE).sum(axis=1).max(initial=0))
    n_candidates = max(1, min(_CANDIDATES, flat.shape[1], asked))
    chosen = np.argpartition(-flat, n_candidates - 1, axis=1)[:, :n_candidates]
    chosen.sort(axis=1)  # of equal scores the first
    left = np.take_along_axis(flat, chosen, axis=1)
    classes, place = np.divmod(chosen, places)
    here = np.take_along_axis(boxes, place[..., None], axis=1)
    rows = np.arange(n)
    found = [np.zeros((n, 0), np.int64)]
    for _ in range(MOST):
        best = left.argmax(axis=1)
        on_it = overlaps(here[rows, best][:, None], here)[:, 0] > SAME
        told = left[rows, best] > LEAST_SCORE
        if not told.any():
            break
        found.append(np.where(told, best, -1)[:, None])
        left = np.where(on_it & (classes == classes[rows, best][:, None]), -np.inf, left)
        left[rows, best] = -np.inf
    at = np.concatenate(found, axis=1)
    none, at = at < 0, np.maximum(at, 0)
    values = np.take_along_axis(np.take_along_axis(flat, chosen, axis=1), at, axis=1)
    return Detections(
        np.take_along_axis(here, at[..., None], axis=1),
        np.where(none, -1, np.take_along_axis(classes, at, axis=1)),
        np.where(none, 0.0, values),
    )


def together(some: Sequence[Detections]) -> Detections:
    """Of pictures that are told apart, with as many boxes each."""
    return Detections(
        np.concatenate([one.boxes for one in some]),
        np.concatenate([one.classes for one in some]),
        np.concatenate([one.scores for one in some]),
    )


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
