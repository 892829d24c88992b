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
_SLACK = 0.01
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
    """Of one picture's corners and scores of classes, `(1, places, n)` or `(1, n, places)`."""
    corners, by_place = _by_place(boxes, scores)
    best = by_place.max(axis=1, keepdims=True)
    return best_of(corners[None], np.where(by_place == best, by_place, 0.0).T[None])


def require_corners(boxes: npt.NDArray[np.generic], scores: npt.NDArray[np.generic]) -> None:
    """Refuse an original's answers that are something else than corners and scores of classes.

    Raises:
        ValueError: says what the two are not.
    """
    corners, by_place = _by_place(boxes, scores)
    turned = (corners[:, 2] < corners[:, 0]) | (corners[:, 3] < corners[:, 1])
    if turned.mean() > _TURNED:
        raise ValueError(
            f"{turned.mean():.0%} of boxes end before they begin: corners x1, y1, x2, y2 are taken"
        )
    require_shares(by_place)


def require_shares(scores: npt.NDArray[np.generic]) -> None:
    """Refuse scores that are no shares of 1, as logits are.

    Raises:
        ValueError: says what they are.
    """
    low, high = float(scores.min(initial=0.0)), float(scores.max(initial=0.0))
    if low < -_SLACK or high > 1.0 + _SLACK:
        raise ValueError(f"scores are {low:.3g} to {high:.3g}: shares from 0 to 1 are taken")


def _by_place(
    boxes: npt.NDArray[np.generic], scores: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if boxes.ndim != 3 or scores.ndim != 3:
        raise ValueError(f"boxes are {boxes.shape}, scores {scores.shape}, not (1, places, n)")
    boxes, scores = boxes[0], scores[0]
    places = _places(boxes.shape)
    if places not in scores.shape:
        raise ValueError(f"there are boxes at {places:,} places, scores are {scores.shape}")
    if scores.shape[0] == scores.shape[1]:
        raise ValueError(f"scores are {scores.shape}: which axis has the places is not told")
    corners = np.asarray(boxes if boxes.shape[1] == _CORNERS else boxes.T, np.float64)
    by_place = np.asarray(scores if scores.shape[0] == places else scores.T, np.float64)
    return corners, by_place


def _places(shape: tuple[int, ...]) -> int:
    if _CORNERS not in shape or shape[0] == shape[1]:
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
