"""What all `.npz` files of pictures may have: `x`, `split`, `groups`, `classes`."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.datasets.names import PARTS, names_apart
from nas_service.datasets.pictures import Pixels
from nas_service.datasets.sound import require_sound
from nas_service.datasets.texts import group_of, part_named, text_of
from nas_service.errors import InvalidData

Arrays = dict[str, npt.NDArray[Any]]
_BESIDE = {"x", "split", "groups", "classes"}


def opened(path: Path, wanted: Sequence[str], said: str) -> Arrays:
    """The arrays of a file; nothing in it is unpickled. `said` is what such a file has.

    Raises:
        InvalidData: it cannot be read, or one of the `wanted` is missing.
    """
    try:
        require_sound(path)
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            raise InvalidData(f"{path.name} is one array; an .npz with {said} is needed")
        with stored:
            found = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidData(
            f"{path.name} cannot be read: it is damaged, or has Python objects in place of numbers"
        ) from error
    for name in wanted:
        if name not in found:
            raise InvalidData(f"{path.name} has no array {name}; it takes {said}", field=name)
    return found


def pictures_of(arrays: Arrays) -> Pixels:
    """`x` as `(n, height, width, 1 or 3)`."""
    x = arrays["x"]
    x = x[..., None] if x.ndim == 3 else x
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[3] not in (1, 3) or 0 in x.shape:
        raise InvalidData(
            f"x is {x.dtype} {x.shape}; pictures are uint8 (n, height, width, 1 or 3)", field="x"
        )
    return x


def given_parts(split: npt.NDArray[Any], n: int, of: str) -> list[str]:
    """The parts that an array `split` `(n,)` names, one a picture or what else it is `of`.

    Raises:
        InvalidData: it has another shape, or something that is no part; says where.
    """
    if split.shape != (n,):
        raise InvalidData(f"split is {split.shape}, x has {n} {of}s", field="split")
    parts = []
    for number, value in enumerate(split):
        part = part_named(value)
        if part is None:
            raise InvalidData(
                f"split has {text_of(value)!r} in {of} {number}; parts are {', '.join(PARTS)}",
                field="split",
            )
        parts.append(part)
    return parts


def numbers_of_hot(y: npt.NDArray[Any], name: str, of: str) -> npt.NDArray[np.int64]:
    """The class `(n,)` of each row of an array `name` `(n, classes)` of one 1 among 0s.

    Raises:
        InvalidData: names the first row, one a picture or what else it is `of`, that is not so.
    """
    hot = ((y == 0) | (y == 1)).all(axis=1) & (y.sum(axis=1) == 1)
    if not hot.all():
        raise InvalidData(
            f"{name} has shape {y.shape}, and {of} {int(np.argmin(hot))} is not one 1 among 0s",
            field=name,
        )
    numbers: npt.NDArray[np.int64] = y.argmax(axis=1).astype(np.int64)
    return numbers


def parts_of(arrays: Arrays, n: int) -> list[str | None]:
    """The part that `split` names for each picture; None without it."""
    split = arrays.get("split")
    return [None] * n if split is None else [*given_parts(split, n, "picture")]


def groups_of(arrays: Arrays, n: int) -> list[str | None]:
    """The group of each picture; None without `groups`."""
    groups = arrays.get("groups")
    if groups is None:
        return [None] * n
    if groups.shape != (n,):
        raise InvalidData(f"groups is {groups.shape}, x has {n} pictures", field="groups")
    return [group_of(one) for one in groups]


def names_of(arrays: Arrays) -> tuple[str, ...] | None:
    """Names of classes by their numbers, where there are any."""
    if "classes" not in arrays:
        return None
    return names_apart(tuple(text_of(one) for one in arrays["classes"].ravel()), "classes")


def notes_on_others(arrays: Arrays, own: Sequence[str]) -> list[str]:
    """What is to be said of arrays that nobody reads."""
    others = sorted(set(arrays) - _BESIDE - set(own))
    return [f"arrays that are not read: {', '.join(others)}"] if others else []
