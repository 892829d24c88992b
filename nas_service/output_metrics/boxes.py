"""Boxes of detectors of the YOLO family, and how well they meet others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nas_service.learning.detection.boxes import Detections, best_of, together
from nas_service.learning.detection.metrics import Boxes

_CORNERS = 4
_TURNED = 0.05
"""Of boxes, the share that may end before they begin: a network's own do now and then."""
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


def detections_apart(boxes: npt.NDArray[np.generic], scores: npt.NDArray[np.generic]) -> Detections:
    """Of one picture's corners and scores of classes, both `(places, n)` or `(n, places)`.

    Raises:
        ValueError: says what the two are not.
    """
    places = _places(boxes.shape)
    if scores.ndim != 2 or places not in scores.shape:
        raise ValueError(f"there are boxes at {places:,} places, scores are {scores.shape}")
    corners = np.asarray(boxes if boxes.shape[1] == _CORNERS else boxes.T, np.float64)
    by_place = np.asarray(scores if scores.shape[0] == places else scores.T, np.float64)
    turned = (corners[:, 2] < corners[:, 0]) | (corners[:, 3] < corners[:, 1])
    if turned.mean() > _TURNED:
        raise ValueError(
            f"{turned.mean():.0%} of boxes end before they begin: corners x1, y1, x2, y2 are taken"
        )
    best = by_place.max(axis=1, keepdims=True)
    return best_of(corners[None], np.where(by_place == best, by_place, 0.0).T[None])


def _places(shape: tuple[int, ...]) -> int:
    if len(shape) != 2 or _CORNERS not in shape or shape[0] == shape[1]:
        raise ValueError(f"boxes are {shape}, not four numbers at each of several places")
    return shape[0] if shape[1] == _CORNERS else shape[1]


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
