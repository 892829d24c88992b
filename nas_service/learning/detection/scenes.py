"""Pictures with their boxes as a source has them, whatever its layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nas_service.datasets.pictures import Header, Picture, Pixels, Reading, header, pixels
from nas_service.datasets.report import SetAside
from nas_service.errors import InvalidData
from nas_service.learning.detection.boxes import Floats, Ints

EMPTY = "box without an area"
MOST_NUMBER = 65_535
_SLACK = 1.0
"""Pixels that a box may lie outside by: its numbers were rounded."""
_SLACK_SHARE = 0.005


@dataclass(frozen=True)
class Scene:
    """A picture, its boxes `(k, 4)` as x1, y1, x2, y2 in pixels, and their classes `(k,)`.

    Pixels are read when they are asked for, for pictures of so many pixels a side. `part` and
    `group` are None where none is given.
    """

    place: str
    height: int
    width: int
    channels: int
    image: Callable[[int], Pixels]
    boxes: Floats
    classes: Ints
    part: str | None = None
    group: str | None = None
    turned: bool = False
    """Whether it is stored otherwise than upright, as it is read."""


@dataclass(frozen=True)
class Scenes:
    """All that was read; `names` of classes by their numbers."""

    scenes: Sequence[Scene]
    names: tuple[str, ...]
    layout: str
    notes: Sequence[str] = ()
    set_aside: SetAside = field(default_factory=SetAside)


def pixels_of(picture: Picture, side: int) -> Pixels:
    """A picture's pixels, a part of a large JPEG's where `side` asks for no more."""
    return pixels(picture, Reading(side=side))


def header_of(picture: Picture) -> Header:
    """The header of a picture of 8 bits a channel.

    Raises:
        InvalidData: it has more, and nobody says what is black and white in it.
    """
    told = header(picture)
    if told.bits > 8:
        raise InvalidData(
            f"{picture.place} has {told.bits} bits a channel; pictures with boxes are of 8 bits: "
            "convert them, with what is to be black and white"
        )
    return told


def require_number(number: int, place: str) -> None:
    """Raise `InvalidData` where a class has a number that no list of classes reaches."""
    if not 0 <= number <= MOST_NUMBER:
        raise InvalidData(
            f"{place}: class {number}; classes are numbered from 0 to {MOST_NUMBER} at most"
        )


def box_inside(
    values: Sequence[float], width: int, height: int, place: str, aside: SetAside
) -> tuple[float, float, float, float] | None:
    """A box x1, y1, x2, y2 in pixels, cut to the picture where it was rounded; None without area.

    Raises:
        InvalidData: it is no box, or lies outside of its picture.
    """
    try:
        x1, y1, x2, y2 = (float(one) for one in values)
    except OverflowError as error:
        raise InvalidData(f"{place}: a box has a side that is no number of pixels") from error
    if not np.isfinite([x1, y1, x2, y2]).all():
        raise InvalidData(f"{place}: a box has sides that are no numbers: {x1}, {y1}, {x2}, {y2}")
    slack_x, slack_y = (max(_SLACK, _SLACK_SHARE * one) for one in (width, height))
    if x1 < -slack_x or y1 < -slack_y or x2 > width + slack_x or y2 > height + slack_y:
        raise InvalidData(
            f"{place}: the box from ({x1:.6g}, {y1:.6g}) to ({x2:.6g}, {y2:.6g}) lies outside of "
            f"its picture of {width}x{height} pixels"
        )
    if x2 < x1 or y2 < y1:
        raise InvalidData(
            f"{place}: the box from ({x1:.6g}, {y1:.6g}) to ({x2:.6g}, {y2:.6g}) ends before it "
            "begins"
        )
    left, top = max(x1, 0.0), max(y1, 0.0)
    right, bottom = min(x2, float(width)), min(y2, float(height))
    if right <= left or bottom <= top:
        aside.add(EMPTY, place)
        return None
    return left, top, right, bottom
