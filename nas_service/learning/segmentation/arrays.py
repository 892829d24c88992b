"""Pictures and masks in an `.npz`: `x` (n, height, width, 1 or 3), `y` (n, height, width)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.datasets.stored_arrays import (
    groups_of,
    names_of,
    notes_on_others,
    opened,
    parts_of,
    pictures_of,
)
from nas_service.errors import InvalidData
from nas_service.learning.segmentation.pairs import MAX_NUMBER, Mask, Pair, Pairs

_SAID = "x (n, height, width, 1 or 3) and y (n, height, width)"


def read_arrays(path: Path) -> Pairs:
    """Read an `.npz`; nothing in it is unpickled.

    Raises:
        InvalidData: says which array, and which row of it.
    """
    found = opened(path, ("x", "y"), _SAID)
    x, y = pictures_of(found), found["y"]
    if y.dtype.kind not in "iub":
        raise InvalidData(f"y has {y.dtype}; masks are whole numbers", field="y")
    if y.shape != x.shape[:3]:
        raise InvalidData(f"y is {y.shape}, masks of these pictures are {x.shape[:3]}", field="y")
    if int(y.max()) > MAX_NUMBER:
        raise InvalidData(f"y has {int(y.max())}; a mask's numbers are small", field="y")
    if int(y.min()) < 0:
        row = int(np.argmax(y.reshape(len(y), -1).min(axis=1) < 0))
        raise InvalidData(
            f"y[{row}] has {int(y[row].min())}; classes are numbered from 0", field="y"
        )
    parts, groups = parts_of(found, len(x)), groups_of(found, len(x))
    pairs = [
        Pair(
            f"row {row}",
            x.shape[1:],
            partial(x.__getitem__, row),
            partial(_row, y, row),
            parts[row],
            groups[row],
        )
        for row in range(len(x))
    ]
    return Pairs(pairs, names_of(found), "arrays", notes_on_others(found, ("y",)))


def _row(y: npt.NDArray[Any], row: int) -> Mask:
    return np.asarray(y[row], dtype=np.int64)
