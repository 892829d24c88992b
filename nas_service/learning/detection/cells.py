"""Where the cells of a detector are, and the boxes that its distances are.

A cell of a map of `g` a side is a `1/g` of the picture. Its numbers are distances from its middle
to the sides of a box, in cells, through softplus: they are never negative, and above two as they
are.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from lookup_tables.blocks.box_head import LEVELS, SIDES, cells_of
from nas_service.learning.base import Array
from nas_service.learning.detection.boxes import Detections, Floats, best_of, together

_AT_ONCE = 128
"""Pictures whose outputs are read together, in double precision."""


@cache
def cells(grid: int) -> tuple[Floats, Floats]:
    """Middles `(cells, 2)` as shares of the picture, and a cell's side `(cells,)`."""
    middles, sides = [], []
    for _, stride in LEVELS:
        side = -(-grid // stride)
        along = (np.arange(side) + 0.5) / side
        y, x = np.meshgrid(along, along, indexing="ij")
        middles.append(np.stack([x.ravel(), y.ravel()], axis=1))
        sides.append(np.full(side * side, 1.0 / side))
    return np.concatenate(middles), np.concatenate(sides)


@cache
def grid_of(count: int) -> int:
    """Cells a side of the finer map, where both have `count` together."""
    side = 1
    while cells_of(side) < count:
        side += 1
    if cells_of(side) != count:
        raise ValueError(f"{count} cells are not those of a square map and its half")
    return side


def detections_of(outputs: Array) -> Detections:
    """Boxes, as shares of the picture, of outputs `(n, classes + 4, cells)`."""
    if len(outputs) > _AT_ONCE:
        parts = [
            detections_of(outputs[start : start + _AT_ONCE])
            for start in range(0, len(outputs), _AT_ONCE)
        ]
        most = max(one.scores.shape[1] for one in parts)
        return together([one.padded(most) for one in parts])
    values = np.asarray(outputs, dtype=np.float64)
    middles, sides = cells(grid_of(values.shape[2]))
    reach = np.logaddexp(0.0, values[:, -SIDES:]) * sides
    x, y = middles.T
    left, top, right, bottom = reach.transpose(1, 0, 2)
    boxes = np.stack([x - left, y - top, x + right, y + bottom], axis=2)
    scores = 1.0 / (1.0 + np.exp(-np.clip(values[:, :-SIDES], -60.0, 60.0)))
    return best_of(np.clip(boxes, 0.0, 1.0), scores)
