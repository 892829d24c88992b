"""Pictures with boxes that tests make: discs and squares on noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lookup_tables.blocks.box_head import cells_of
from nas_service.learning.detection.cells import cells

SIZE = 48
CLASSES = ("disc", "square")


def scenes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pictures `(n, 48, 48, 3)`, boxes `(m, 4)` in pixels, their pictures and classes `(m,)`."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    images = generator.integers(0, 70, (n, SIZE, SIZE, 3))
    boxes, picture, labels = [], [], []
    for number in range(n):
        taken = np.zeros((SIZE, SIZE), dtype=bool)
        for _ in range(int(generator.integers(1, 4))):
            side = int(generator.integers(9, 23))
            top, left = generator.integers(0, SIZE - side, 2)
            inside = (slice(top, top + side), slice(left, left + side))
            if taken[inside].any():
                continue
            taken[inside] = True
            label = int(generator.integers(0, 2))
            y, x = top + side / 2, left + side / 2
            shape = taken & (rows > top) & (rows < top + side) & (columns > left)
            shape &= columns < left + side
            if label == 0:
                shape &= (rows - y) ** 2 + (columns - x) ** 2 < (side / 2) ** 2
            images[number][shape] = generator.integers(0, 70, (int(shape.sum()), 3))
            images[number][shape] += generator.integers(90, 180, 3)
            boxes.append((left, top, left + side, top + side))
            picture.append(number)
            labels.append(label)
    return (
        images.astype(np.uint8),
        np.array(boxes, dtype=np.float64),
        np.array(picture),
        np.array(labels),
    )


def save_scenes(path: Path, n: int = 120, seed: int = 0) -> Path:
    """The same as an `.npz` that is read for detection."""
    images, boxes, picture, labels = scenes(n, seed)
    np.savez(path, x=images, boxes=boxes, picture=picture, y=labels, classes=np.array(CLASSES))
    return path


def answers_to(targets: np.ndarray, n_classes: int, grid: int) -> np.ndarray:
    """Outputs of a network that tells every box of rows `(n, k, 5)`: `(n, classes + 4, cells)`."""
    middles, sides = cells(grid)
    found = np.zeros((len(targets), n_classes + 4, cells_of(grid)))
    found[:, :n_classes] = -9.0
    for number, some in enumerate(targets):
        for label, *corners in some:
            if label < 0:
                continue
            middle = (np.array(corners[:2]) + np.array(corners[2:])) / 2
            off = np.abs(middles[: grid**2] - middle).max(axis=1)
            at = int(np.argmin(np.where(found[number, :n_classes, : grid**2].max(0) > 0, 9.0, off)))
            low, high = middles[at] - corners[:2], np.array(corners[2:]) - middles[at]
            reach = np.maximum(np.concatenate([low, high]) / sides[at], 1e-3)
            found[number, int(label), at] = 9.0
            found[number, n_classes:, at] = np.log(np.expm1(reach))  # softplus undone
    return found
