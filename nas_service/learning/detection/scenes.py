"""Pictures with their boxes as a source has them, whatever its layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nas_service.datasets.pictures import Pixels
from nas_service.datasets.report import SetAside
from nas_service.errors import InvalidData
from nas_service.learning.detection.boxes import Floats, Ints

EMPTY = "box without an area"
_SLACK = 1.0
"""Pixels that a box may lie outside by: its numbers were rounded."""
_SLACK_SHARE = 0.005


@dataclass(frozen=True)
class Scene:
    """A picture, its boxes `(k, 4)` as x1, y1, x2, y2 in pixels, and their classes `(k,)`.

    Pixels are read when they are asked for. `part` and `group` are None where none is given.
    """

    place: str
    height: int
    width: int
    channels: int
    image: Callable[[], Pixels]
    boxes: Floats
    classes: Ints
    part: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Scenes:
    """All that was read; `names` of classes by their numbers."""

    scenes: Sequence[Scene]
    names: tuple[str, ...]
    layout: str
    notes: Sequence[str] = ()
    set_aside: SetAside = field(default_factory=SetAside)


def box_inside(
    values: Sequence[float], width: int, height: int, place: str, aside: SetAside
) -> tuple[float, float, float, float] | None:
    """A box x1, y1, x2, y2 in pixels, cut to the picture where it was rounded; None without area.

    Raises:
        InvalidData: it is no box, or lies outside of its picture.
    """
    x1, y1, x2, y2 = (float(one) for one in values)
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
