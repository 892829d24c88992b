"""From what a detector of this bundle gives to boxes. Needs numpy.

    from detections import boxes_of
    scores, boxes = session.run(["scores", "boxes"], {"input": prepare(pixels)})
    for label, score, (x1, y1, x2, y2) in boxes_of(scores, boxes):
        ...                          # corners are shares of the picture's width and height

Each cell of two square maps tells a score a class (through a sigmoid) and the distances from its
middle to the left, top, right and bottom side of a box, in cells (through a softplus).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Box = tuple[int, float, tuple[float, float, float, float]]

LEAST_SCORE, MOST, SAME = 0.01, 100, 0.45


def boxes_of(scores: Array, boxes: Array, least: float = 0.25) -> list[Box]:
    """Class number, score and corners of boxes of one picture, the best first.

    `scores` are `(1, classes, cells)` and `boxes` `(1, 4, cells)`, as a model gives them; boxes of
    a score below `least` are not told, nor those that lie on a better one of their class.
    """
    middles, sides = cells(scores.shape[2])
    reach = np.logaddexp(0.0, boxes[0].astype(np.float64)) * sides
    low, high = middles - reach[:2], middles + reach[2:]
    corners = np.clip(np.concatenate([low, high]).T, 0.0, 1.0)
    share = 1.0 / (1.0 + np.exp(-np.clip(scores[0].astype(np.float64), -60.0, 60.0)))
    order = np.argsort(-share.ravel(), kind="stable")[: 10 * MOST]
    found: list[Box] = []
    for at in order.tolist():
        label, place = divmod(at, share.shape[1])
        score = float(share[label, place])
        if score <= max(least, LEAST_SCORE) or len(found) == MOST:
            break
        box = corners[place]
        if all(overlap(box, np.array(other)) <= SAME for one, _, other in found if one == label):
            x1, y1, x2, y2 = (float(one) for one in box)
            found.append((label, score, (x1, y1, x2, y2)))
    return found


def cells(count: int) -> tuple[Array, Array]:
    """Middles `(2, cells)` as shares of the picture, and a cell's side `(cells,)`."""
    grid = 1
    while grid**2 + (-(-grid // 2)) ** 2 < count:
        grid += 1
    middles, sides = [], []
    for side in (grid, -(-grid // 2)):
        along = (np.arange(side) + 0.5) / side
        y, x = np.meshgrid(along, along, indexing="ij")
        middles.append(np.stack([x.ravel(), y.ravel()]))
        sides.append(np.full(side * side, 1.0 / side))
    return np.concatenate(middles, axis=1), np.concatenate(sides)


def overlap(one: Array, other: Array) -> float:
    """Intersection over union."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    both = float(np.prod(np.clip(high - low, 0.0, None)))
    whole = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - both
    return both / max(whole, 1e-12)


def mean_average_precision(told: list[list[Box]], right: list[list[Box]]) -> float:
    """mAP50 of boxes that were told of several pictures; `right` has the true ones."""
    values = []
    for label in sorted({one for some in right for one, _, _ in some}):
        hits, total = [], 0
        for ours, theirs in zip(told, right, strict=True):
            free = [np.array(box) for one, _, box in theirs if one == label]
            total += len(free)
            for one, score, box in ours:
                if one != label:
                    continue
                shared = [overlap(np.array(box), other) for other in free]
                met = bool(shared) and max(shared) >= 0.5
                if met:
                    free.pop(int(np.argmax(shared)))
                hits.append((score, met))
        hits.sort(key=lambda one: -one[0])
        so_far = np.cumsum([met for _, met in hits])
        precision = so_far / np.arange(1, len(hits) + 1)
        falling = np.maximum.accumulate(precision[::-1])[::-1]
        recall = np.concatenate([[0.0], so_far / total])
        values.append(float((np.diff(recall) * falling).sum()) if hits else 0.0)
    return float(np.mean(values)) if values else 0.0
