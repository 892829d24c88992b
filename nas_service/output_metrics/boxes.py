"""Boxes of detectors of the YOLO family, and how well they meet others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas_service.learning.detection.boxes import Detections, best_of, together
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
    most = max(one.classes.shape[1] for one in some)
    return together([one.padded(most) for one in some])
