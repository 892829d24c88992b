"""Pictures and boxes in an `.npz`: a row of `boxes`, `picture` and `y` for each box."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.datasets.pictures import Pixels
from nas_service.datasets.report import SetAside
from nas_service.datasets.stored_arrays import (
    Arrays,
    groups_of,
    names_of,
    notes_on_others,
    opened,
    parts_of,
    pictures_of,
)
from nas_service.datasets.texts import text_of
from nas_service.errors import InvalidData
from nas_service.learning.detection.boxes import Ints
from nas_service.learning.detection.scenes import Scene, Scenes, box_inside, require_number

_SAID = (
    "x (n, height, width, 1 or 3), boxes (m, 4) as left, top, right, bottom in pixels, their "
    "pictures as rows of x (m,) in picture, and their classes (m,) in y"
)
_OWN = ("boxes", "picture", "y")


def read_arrays(path: Path) -> Scenes:
    """Read an `.npz`; nothing in it is unpickled.

    Raises:
        InvalidData: says which array, and which row of it.
    """
    found = opened(path, ("x", *_OWN), _SAID)
    x = pictures_of(found)
    boxes, picture, y = (_whole(found[name]) if name != "boxes" else found[name] for name in _OWN)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind not in "iuf":
        raise InvalidData(
            f"boxes is {boxes.dtype} {boxes.shape}; a row is left, top, right, bottom",
            field="boxes",
        )
    for name, one in (("picture", picture), ("y", y)):
        if one.shape != (len(boxes),):
            raise InvalidData(f"{name} is {one.shape}, boxes are {len(boxes)}", field=name)
    if picture.dtype.kind not in "iu":
        raise InvalidData(f"picture has {picture.dtype}; it has rows of x", field="picture")
    if len(picture) and not 0 <= int(picture.min()) <= int(picture.max()) < len(x):
        row = int(np.argmax((picture < 0) | (picture >= len(x))))
        raise InvalidData(
            f"picture[{row}] is {int(picture[row])}, x has {len(x)} pictures", field="picture"
        )
    classes, names = _classes(y, found)
    aside = SetAside()
    height, width = x.shape[1:3]
    inside = [
        box_inside(one, width, height, f"boxes[{row}]", aside)
        for row, one in enumerate(boxes.tolist())
    ]
    kept = np.array([one is not None for one in inside], dtype=bool)
    corners = np.array([one for one in inside if one is not None]).reshape(-1, 4)
    picture, classes = picture[kept].astype(np.int64), classes[kept]
    order = np.argsort(picture, kind="stable")
    picture, corners, classes = picture[order], corners[order], classes[order]
    first = np.searchsorted(picture, np.arange(len(x) + 1))
    parts, groups = parts_of(found, len(x)), groups_of(found, len(x))
    scenes = [
        Scene(
            f"row {row}",
            height,
            width,
            x.shape[3],
            partial(_picture, x, row),
            corners[first[row] : first[row + 1]],
            classes[first[row] : first[row + 1]],
            parts[row],
            groups[row],
        )
        for row in range(len(x))
    ]
    return Scenes(scenes, names, "arrays", notes_on_others(found, _OWN), aside)


def _classes(y: npt.NDArray[Any], arrays: Arrays) -> tuple[Ints, tuple[str, ...]]:
    """Numbers of classes and their names; texts are names themselves."""
    named = names_of(arrays)
    if y.dtype.kind in "US":
        texts = np.array([_text(one, row) for row, one in enumerate(y)])
        names = named or tuple(sorted(set(texts.tolist())))
        unknown = sorted(set(texts.tolist()) - set(names))
        if unknown:
            raise InvalidData(f"y has {unknown[0]!r}, which is not in classes", field="y")
        return np.array([names.index(one) for one in texts], dtype=np.int64), names
    if y.dtype.kind not in "iu":
        raise InvalidData(f"y has {y.dtype}; classes are whole numbers or names", field="y")
    for row, number in enumerate(y.tolist()):
        require_number(number, f"y[{row}]")
    most = int(y.max()) if len(y) else -1
    if named is not None and most >= len(named):
        row = int(np.argmax(y))
        raise InvalidData(f"y[{row}] is {most}, {len(named)} classes are named", field="y")
    return y.astype(np.int64), named or tuple(str(number) for number in range(most + 1))


def _whole(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Numbers as whole ones where all of them are; others as they are."""
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == values.round()).all():
        return values.astype(np.int64)
    return values


def _text(one: Any, row: int) -> str:
    try:
        return text_of(one)
    except InvalidData as error:
        raise InvalidData(f"y[{row}]: {error}", field="y") from error


def _picture(x: Pixels, row: int, side: int) -> Pixels:
    del side
    found: Pixels = x[row]
    return found
