"""Colours of masks' numbers: where files have palettes of their own, a number is one colour in all.

Programs that save a picture of few colours with a palette number these in the order in which they
meet them, so that number 1 is a road in one file and a car in the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from nas_service.errors import InvalidData
from nas_service.learning.segmentation.pairs import Mask

_Colour = tuple[int, ...]
Colours = tuple[_Colour, ...]


@dataclass(frozen=True)
class Palette:
    """Colours of the numbers from 0 on in one mask, and its pixels when these are asked for."""

    place: str
    colours: Colours
    mask: Callable[[], Mask]


def colours_of(opened: Image.Image) -> Colours:
    """Red, green and blue of each number; none where the file has no palette."""
    flat = opened.getpalette("RGB") if opened.mode == "P" else None
    return tuple(zip(*[iter(flat or ())] * 3, strict=True))


def require_one_meaning(palettes: Sequence[Palette]) -> None:
    """Refuse masks in which a number that is used has one colour here and another there.

    Raises:
        InvalidData: names both files.
    """
    palettes = [one for one in palettes if one.colours]
    if len({one.colours for one in palettes}) < 2:
        return
    known: dict[int, tuple[_Colour | None, str]] = {}
    for one in palettes:
        for number in np.unique(one.mask()).tolist():
            colour = one.colours[number] if number < len(one.colours) else None
            before, place = known.setdefault(number, (colour, one.place))
            if colour != before:
                raise InvalidData(
                    f"{one.place}: number {number} is the colour {_shown(colour)}, in {place} it "
                    f"is {_shown(before)}: their palettes are in different orders. Save all masks "
                    "with one palette, or as grey pictures of class numbers"
                )


def _shown(colour: _Colour | None) -> str:
    return "no colour" if colour is None else "#" + "".join(f"{one:02x}" for one in colour)
