"""Pictures and masks in an `.npz`: `x` (n, height, width, 1 or 3), `y` (n, height, width)."""

from __future__ import annotations

import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.datasets.names import PARTS
from nas_service.errors import InvalidData
from nas_service.learning.segmentation.pairs import MAX_NUMBER, Mask, Pair, Pairs, names_apart


def read_arrays(path: Path) -> Pairs:
    """Read an `.npz`; nothing in it is unpickled.

    Raises:
        InvalidData: says which array, and which row of it.
    """
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            raise InvalidData(f"{path.name} is one array; an .npz with x and y is needed")
        with stored:
            found = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidData(
            f"{path.name} cannot be read: it is damaged, or has Python objects in place of numbers"
        ) from error
    for name in ("x", "y"):
        if name not in found:
            raise InvalidData(
                f"{path.name} has no array {name}; x (n, height, width, 1 or 3) and y (n, height, "
                "width)",
                field=name,
            )
    x, y = found["x"], found["y"]
    x = x[..., None] if x.ndim == 3 else x
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[3] not in (1, 3) or 0 in x.shape:
        raise InvalidData(
            f"x is {x.dtype} {x.shape}; pictures are uint8 (n, height, width, 1 or 3)", field="x"
        )
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
    parts = _parts(found.get("split"), len(x))
    groups = found.get("groups")
    if groups is not None and groups.shape != (len(x),):
        raise InvalidData(f"groups is {groups.shape}, x has {len(x)} pictures", field="groups")
    names = None
    if "classes" in found:
        names = names_apart(tuple(str(one) for one in found["classes"].ravel()), "classes")
    others = sorted(set(found) - {"x", "y", "split", "groups", "classes"})
    notes = [f"arrays that are not read: {', '.join(others)}"] if others else []
    pairs = [
        Pair(
            f"row {row}",
            x.shape[1:],
            partial(x.__getitem__, row),
            partial(_row, y, row),
            parts[row],
            None if groups is None else str(groups[row]),
        )
        for row in range(len(x))
    ]
    return Pairs(pairs, names, "arrays", notes)


def _row(y: npt.NDArray[Any], row: int) -> Mask:
    return np.asarray(y[row], dtype=np.int64)


def _parts(split: npt.NDArray[Any] | None, n: int) -> list[str | None]:
    if split is None:
        return [None] * n
    if split.shape != (n,):
        raise InvalidData(f"split is {split.shape}, x has {n} pictures", field="split")
    texts = [str(one) for one in split]
    for row, text in enumerate(texts):
        if text not in PARTS:
            raise InvalidData(
                f"split has {text!r} in row {row}; parts are {', '.join(PARTS)}", field="split"
            )
    return list(texts)
