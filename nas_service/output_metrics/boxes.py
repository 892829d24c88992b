"""Boxes of detectors of the YOLO family, and how well they meet others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas_service.learning.detection.boxes import MOST, Detections, best_of
from nas_service.learning.detection.metrics import Boxes

TAKEN = 0.25
"""The score from which on an original's boxes are taken for true."""


def detections_of(output: npt.NDArray[np.generic]) -> Detections:
    """Of one picture's `(4 + classes, places)`, boxes as their middle and size.

    A place tells its best class; one of several boxes that overlap is kept.
    """
    values = np.asarray(output, np.float64)
    best = values[4:].max(axis=0)
    scores = np.where(values[4:] == best, values[4:], 0.0)
    middle, size = values[:2].T, values[2:4].T
    boxes = np.concatenate([middle - size / 2, middle + size / 2], axis=1)
    return best_of(boxes[None], scores[None])


def mean_average_precision(told: Sequence[Detections], right: Sequence[Detections]) -> float:
    """mAP50 of boxes of several pictures, each by itself.

    Where there are no true ones at all, it is 1 if none is told either, else 0.
    """
    ours, theirs = _together(told), _together(right)
    if not (theirs.classes >= 0).any():
        return float(not (ours.above(TAKEN).classes >= 0).any())
    n_classes = 1 + int(max(ours.classes.max(initial=0), theirs.classes.max()))
    return Boxes.of(ours, theirs, n_classes).map50


def _together(some: Sequence[Detections]) -> Detections:
    """Of pictures one by one, filled up to as many boxes."""
    most = max(MOST, *(one.classes.shape[1] for one in some))

    def filled(values: npt.NDArray[np.generic], by: float) -> npt.NDArray[np.generic]:
        missing = most - values.shape[1]
        return np.pad(
            values, ((0, 0), (0, missing), *[(0, 0)] * (values.ndim - 2)), constant_values=by
        )

    return Detections(
        np.concatenate([filled(one.boxes, 0.0) for one in some]).astype(np.float64),
        np.concatenate([filled(one.classes, -1) for one in some]).astype(np.int64),
        np.concatenate([filled(one.scores, 0.0) for one in some]).astype(np.float64),
    )
