"""A sheet of pictures with their boxes, as they were stored."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from nas_service.datasets.splits import TRAIN

ACROSS, DOWN, TILE, GAP = 6, 3, 112, 4
_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#00a0a0", "#808000", "#9a6324")


def sheet(path: Path) -> bytes:
    """A PNG of stored training pictures; boxes of a class have a colour."""
    with np.load(path, allow_pickle=False) as stored:
        chosen = np.flatnonzero(stored["split"] == TRAIN)[: ACROSS * DOWN]
        images, boxes = stored["images"][chosen], stored["boxes"][chosen]
    rows = -(-len(chosen) // ACROSS)
    size = (ACROSS * (TILE + GAP) - GAP, rows * (TILE + GAP) - GAP)
    picture = Image.new("RGB", size, "white")
    for number, (pixels, some) in enumerate(zip(images, boxes, strict=True)):
        row, column = divmod(number, ACROSS)
        grey = pixels.shape[-1] == 1
        tile = Image.fromarray(pixels[..., 0] if grey else pixels).convert("RGB")
        tile = tile.resize((TILE, TILE), Image.Resampling.BILINEAR)
        pen = ImageDraw.Draw(tile)
        for label, *corners in some.tolist():
            if label >= 0:
                place = [one * (TILE - 1) for one in corners]
                pen.rectangle(place, outline=_COLOURS[int(label) % len(_COLOURS)], width=2)
        picture.paste(tile, (column * (TILE + GAP), row * (TILE + GAP)))
    content = io.BytesIO()
    picture.save(content, format="PNG", optimize=True)
    return content.getvalue()
