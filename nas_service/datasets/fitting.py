"""Pictures at the size of the data set: the middle square of each, or the whole, stretched."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from nas_service.datasets.pictures import Pixels


def fitted(pixels: Pixels, side: int, whole: tuple[int, int] | None = None) -> Pixels:
    """Cut `(height, width, c)` to the middle square and bring it to `(side, side, c)`.

    Pillow's bilinear filter, which averages over all pixels of larger pictures. `whole` is height
    and width of a picture that was decoded at a part of its size: the square is cut where it would
    be in the whole one.
    """
    height, width = pixels.shape[:2]
    if (height, width) == (side, side):
        return pixels
    of_whole = whole or (height, width)
    inner = min(of_whole)
    scales = height / of_whole[0], width / of_whole[1]
    top, left = ((size - inner) // 2 * scale for size, scale in zip(of_whole, scales, strict=True))
    bottom, right = top + inner * scales[0], left + inner * scales[1]
    first_row, first_column = int(top), int(left)
    # what lies beside the square has no part in it, but for a pixel that its edge runs through
    pixels = pixels[first_row : math.ceil(bottom), first_column : math.ceil(right)]
    box = (left - first_column, top - first_row, right - first_column, bottom - first_row)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    resized = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box))
    return resized[..., None] if resized.ndim == 2 else resized


def stretched(pixels: Pixels, side: int) -> Pixels:
    """The whole of `(height, width, c)` at `(side, side, c)`, each axis by itself, as `fitted`."""
    if pixels.shape[:2] == (side, side):
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    resized = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
    return resized[..., None] if resized.ndim == 2 else resized
