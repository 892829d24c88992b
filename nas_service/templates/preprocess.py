"""From a picture to what the models of this bundle read. Needs numpy; Pillow for files.

    from preprocess import Preprocessing
    prepare = Preprocessing.load("winner0/preprocessing.json")
    images = prepare(pixels)           # (height, width, channels) in 8 bits, or in 16
    images = prepare.file("cat.jpg")   # with Pillow

It does what the service did at the import and in training: the picture is composed over
the background where it has alpha, cut to its middle square (or, where boxes are found in it, left
whole and stretched), brought to the data set's size as Pillow does (bilinear, over all pixels of
larger pictures), normalised, brought to the model's size.
JPEGs of more than six times the size are read at a part of their size by `file`, as at the import;
their pixels in full differ by about half a level of 255.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_BITS = 22  # of the fixed-point numbers that Pillow weights pixels with


class Preprocessing:
    """What `preprocessing.json` says, as a function of pixels."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told

    @classmethod
    def load(cls, path: str | Path) -> Preprocessing:
        """Read a `preprocessing.json`."""
        return cls(json.loads(Path(path).read_text()))

    def __call__(self, pixels: Array) -> Array:
        """The model's input `(1, channels, size, size)` of pixels `(height, width[, channels])`."""
        told = self.told
        values = in_8_bits(np.asarray(pixels), told.get("value_range"))
        values = with_channels(values, told["channels"], told.get("background", "#ffffff"))
        return self.normalised(self.sized(values, told.get("stored_size", told["size"])))

    def file(self, path: str | Path) -> Array:
        """The model's input of a picture's file, read as the import read files."""
        from PIL import Image, ImageOps

        told = self.told
        side = told.get("stored_size", told["size"])
        # never by its path: turned TIFFs that are mapped into memory come out scrambled
        with Path(path).open("rb") as stream, Image.open(stream) as image:
            height, width = image.height, image.width
            if image.format == "JPEG":
                factor = 3 * side / min(image.size)
                image.draft(None, (int(image.width * factor), int(image.height * factor)))
            lies = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            if lies and image.format != "TIFF":  # what is told of a TIFF is upright already
                height, width = width, height
            # tag 262: TIFFs may count from white on, which Pillow heeds in 8 bits alone
            of_16_bits = image.mode.startswith("I;16")
            inverted = of_16_bits and getattr(image, "tag_v2", {}).get(262) == 0
            upright = ImageOps.exif_transpose(image)
            deep = upright.mode.startswith(("I", "F"))
            if not deep and upright.mode not in ("1", "L", "RGB", "RGBA", "LA"):
                alpha = upright.mode in ("PA", "La", "RGBa") or "transparency" in upright.info
                upright = upright.convert("RGBA" if alpha else "RGB")
            elif upright.mode == "1":
                upright = upright.convert("L")
            elif "transparency" in upright.info or upright.mode == "LA":
                upright = upright.convert("RGBA")
            pixels = np.asarray(upright)
        limits = told.get("value_range") or ((0, 65535) if deep else None)
        values = in_8_bits(pixels, limits if deep else None)
        values = 255 - values if inverted else values
        values = with_channels(values, told["channels"], told.get("background", "#ffffff"))
        return self.normalised(self.sized(values, side, (height, width)))

    def sized(self, pixels: Array, side: int, whole: tuple[int, int] | None = None) -> Array:
        """The picture at the data set's size."""
        if self.told.get("cut", "middle square") == "middle square":
            return fitted(pixels, side, whole)
        return stretched(pixels, side)

    def normalised(self, stored: Array) -> Array:
        """The model's input of a picture of the data set `(stored_size, stored_size, channels)`."""
        told = self.told
        mean, std = (np.array(told[name], dtype=np.float32) for name in ("mean", "std"))
        x = (stored.astype(np.float32) / np.float32(255.0) - mean) / std
        if x.shape[0] != told["size"]:
            x = resized_floats(x, told["size"])
        return np.ascontiguousarray(x.transpose(2, 0, 1)[None], dtype=np.float32)


def in_8_bits(pixels: Array, limits: Any = None) -> Array:
    """Pixels in 8 bits `(height, width, channels)`; `limits` are black and white beyond 8 bits."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.dtype == np.uint8 and limits is None:
        return pixels
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if limits is None:
        small = pixels.dtype.kind == "f" and pixels.max(initial=0) <= 1
        limits = (0, 1 if small else 65535 if pixels.dtype == np.uint16 else 255)
    low, high = limits
    share = (pixels.astype(np.float64) - low) / (high - low)
    levels: Array = np.rint(255.0 * np.clip(share, 0.0, 1.0))
    return levels.astype(np.uint8)


def with_channels(pixels: Array, channels: int, background: str) -> Array:
    """Alpha composed over the background, then as many channels as the model has."""
    if pixels.shape[2] in (2, 4):
        colour = [int(background[i : i + 2], 16) for i in (1, 3, 5)]
        colours = np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] == 2 else pixels[..., :3]
        pixels = composed(colours, pixels[..., -1:], np.array(colour))
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    red, green, blue = (pixels[..., i].astype(np.int64) for i in range(3))
    grey: Array = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return grey.astype(np.uint8)[..., None]


def composed(colours: Array, alpha: Array, background: Array) -> Array:
    """As Pillow's `alpha_composite` over an opaque background."""
    share = alpha.astype(np.int64) * 128
    mixed: Array = colours.astype(np.int64) * share + background * (255 * 128 - share) + (0x80 << 7)
    shares: Array = (((mixed >> 8) + mixed) >> 8) >> 7
    return shares.astype(np.uint8)


def fitted(pixels: Array, side: int, whole: tuple[int, int] | None = None) -> Array:
    """The middle square at `side` pixels, as Pillow resizes 8 bits.

    `whole` is height and width of a picture that was read at a part of its size.
    """
    height, width = pixels.shape[:2]
    if (height, width) == (side, side):
        return pixels
    whole = whole or (height, width)
    inner = min(whole)
    down, across = height / whole[0], width / whole[1]
    top, left = (whole[0] - inner) // 2 * down, (whole[1] - inner) // 2 * across
    bottom, right = top + inner * down, left + inner * across
    row, column = int(top), int(left)
    pixels = pixels[row : math.ceil(bottom), column : math.ceil(right)]
    rows = weights(pixels.shape[0], side, top - row, bottom - row)
    columns = weights(pixels.shape[1], side, left - column, right - column)
    return weighted(weighted(pixels, columns, 1), rows, 0)


def stretched(pixels: Array, side: int) -> Array:
    """The whole picture at `side` pixels both ways."""
    height, width = pixels.shape[:2]
    rows, columns = (weights(one, side, 0.0, float(one)) for one in (height, width))
    return weighted(weighted(pixels, columns, 1), rows, 0)


def weights(size: int, side: int, start: float, end: float) -> Array:
    """What each of `size` pixels from `start` to `end` is in `side` new ones: `(side, size)`."""
    # Pillow keeps, and subtracts, the ends in single precision
    scale = float(np.float32(end) - np.float32(start)) / side
    start = float(np.float32(start))
    reach = max(scale, 1.0)
    found = np.zeros((side, size))
    for number in range(side):
        centre = start + (number + 0.5) * scale
        first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), size)
        places = np.arange(first, last)
        share = np.maximum(1.0 - np.abs((places - centre + 0.5) * (1.0 / reach)), 0.0)
        found[number, first:last] = share / np.cumsum(share)[-1]  # one after the other, as Pillow
    return found


def weighted(pixels: Array, shares: Array, axis: int) -> Array:
    """Sums along an axis in the fixed-point numbers of Pillow."""
    if shares.shape[0] == shares.shape[1] and np.allclose(shares, np.eye(len(shares))):
        return pixels
    fixed = np.floor(shares * (1 << _BITS) + 0.5).astype(np.int64)
    sums = np.tensordot(fixed, pixels.astype(np.int64), axes=(1, axis)) + (1 << (_BITS - 1))
    values = np.clip(sums >> _BITS, 0, 255).astype(np.uint8)
    return np.moveaxis(values, 0, axis)


def resized_floats(values: Array, side: int) -> Array:
    """The same filter without rounding, as torch's antialiased bilinear interpolation."""
    for axis in (1, 0):
        shares = weights(values.shape[axis], side, 0.0, float(values.shape[axis]))
        values = np.moveaxis(np.tensordot(shares, values, axes=(1, axis)), 0, axis)
    return values
