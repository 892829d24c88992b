"""Pictures with their masks as a source has them, whatever its layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nas_service.datasets.pictures import Pixels
from nas_service.datasets.report import SetAside

MAX_NUMBER = 65_535
"""In a mask; classes are far fewer."""

Mask = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """A picture and its mask: their sizes, and their pixels when these are asked for.

    `part` and `group` are None where none is given.
    """

    place: str
    shape: tuple[int, int, int]
    """Height, width and channels."""
    image: Callable[[], Pixels]
    mask: Callable[[], Mask]
    part: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Pairs:
    """All that was read; `names` of classes by their numbers, where the source has them."""

    pairs: Sequence[Pair]
    names: tuple[str, ...] | None
    layout: str
    notes: Sequence[str] = ()
    set_aside: SetAside = field(default_factory=SetAside)
