"""A sheet of a data set's images: some of each class, as they were stored."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from nas_service.datasets.splits import TRAIN
from nas_service.learning.base import Array

MOST_CLASSES, A_CLASS, TILE, GAP = 12, 10, 56, 4


def sheet(path: Path) -> bytes:
    """A PNG of stored images: a row a class, in the order of their numbers, training part alone.

    Of small images pixels are shown as squares, not smoothed away.
    """
    with np.load(path, allow_pickle=False) as stored:
        labels, split = stored["labels"], stored["split"]
        rows = [
            np.flatnonzero((split == TRAIN) & (labels == one))[:A_CLASS]
            for one in range(min(MOST_CLASSES, int(labels.max()) + 1))
        ]
        images: Array = stored["images"]
    across, down = A_CLASS * (TILE + GAP) - GAP, len(rows) * (TILE + GAP) - GAP
    picture = Image.new("RGB", (across, down), "white")
    for row, chosen in enumerate(rows):
        for column, index in enumerate(chosen.tolist()):
            place = (column * (TILE + GAP), row * (TILE + GAP))
            picture.paste(_tile(images[index]), place)
    content = io.BytesIO()
    picture.save(content, format="PNG", optimize=True)
    return content.getvalue()


def _tile(pixels: Array) -> Image.Image:
    """One image `(s, s, c)` in 8 bits, of one or three channels, as large as a tile."""
    made = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    how = Image.Resampling.NEAREST if made.width < TILE else Image.Resampling.BILINEAR
    return made.resize((TILE, TILE), how)
