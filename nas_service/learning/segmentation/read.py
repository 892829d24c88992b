"""Pictures and their masks: an `.npz`, or folders in which names say which belong together."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from nas_service.datasets.names import HELD_OUT, PARTS, TEST, normal, part_of
from nas_service.datasets.pictures import MAX_PIXELS, Picture, Pixels, Reading, pixels
from nas_service.datasets.report import SetAside
from nas_service.datasets.walking import File, files_below
from nas_service.errors import InvalidData

MIN_SIDE, MAX_SIDE = 16, 512
_IMAGES = {"images", "image", "imgs", "img", "pictures", "photos", "frames", "inputs", "x"}
_MASKS = {
    *("masks", "mask", "labels", "label", "annotations", "annotation", "segmentation"),
    *("segmentations", "segmentationclass", "gt", "targets", "y"),
}
_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm"}
_TAILS = ("_mask", "-mask", "_label", "_gt", "_seg", "_labels")
_MOST_ALONE = 0.05
"""A larger share of pictures without a mask is no oversight."""
_NAMES = "classes.txt"
_ALONE = "picture without a mask"
_WITHOUT_PICTURE = "mask without a picture"

Mask = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """A picture `(h, w, 1 or 3)`, its mask `(h, w)` of numbers, its part where that is given."""

    place: str
    image: Pixels
    mask: Mask
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


def read_pairs(source: Path, within: Sequence[Path]) -> Pairs:
    """Read pictures and masks; nothing in an `.npz` is unpickled.

    Raises:
        InvalidData: says which file, array or row.
    """
    if source.suffix.lower() == ".npz":
        return _arrays(source)
    if not source.is_dir():
        raise InvalidData(
            f"{source.name}: pictures with masks are a folder, an archive of one, or an .npz"
        )
    return _folder(source, within)


def _arrays(path: Path) -> Pairs:
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
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
        names = tuple(str(one) for one in found["classes"].ravel())
    others = sorted(set(found) - {"x", "y", "split", "groups", "classes"})
    notes = [f"arrays that are not read: {', '.join(others)}"] if others else []
    pairs = [
        Pair(
            f"row {row}",
            x[row],
            y[row].astype(np.int64),
            parts[row],
            None if groups is None else str(groups[row]),
        )
        for row in range(len(x))
    ]
    return Pairs(pairs, names, "arrays", notes)


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


def _folder(folder: Path, within: Sequence[Path]) -> Pairs:
    aside = SetAside()
    files = files_below(folder, aside, within)
    images, masks = _by_name(files, _IMAGES), _by_name(files, _MASKS, _TAILS)
    if not images or not masks:
        raise InvalidData(
            f"{folder.name}: there are {len(images)} pictures in folders named images and "
            f"{len(masks)} in folders named masks; pictures and masks lie in images/ and masks/ "
            "under the same names"
        )
    alone = sorted(set(images) - set(masks))
    for key in alone:
        aside.add(_ALONE, images[key].place)
    for key in sorted(set(masks) - set(images)):
        aside.add(_WITHOUT_PICTURE, masks[key].place)
    if len(alone) > _MOST_ALONE * len(images):
        raise InvalidData(
            f"{len(alone)} of {len(images)} pictures have no mask, the first is "
            f"{images[alone[0]].place}"
        )
    both = sorted(set(images) & set(masks))
    pairs = [_pair(images[key], masks[key]) for key in both]
    return Pairs(pairs, _names(folder), "folders", (), aside)


def _by_name(
    files: Sequence[File], names: set[str], tails: Sequence[str] = ()
) -> dict[tuple[str, ...], File]:
    """Pictures below a folder of one of these names, by their path without that and the ending."""
    found: dict[tuple[str, ...], File] = {}
    for file in files:
        folders = file.names[:-1]
        at = next((i for i, one in enumerate(folders) if one.lower() in names), None)
        if at is None or file.path.suffix.lower() not in _ENDINGS:
            continue
        stem = file.path.stem
        stem = next((stem[: -len(one)] for one in tails if stem.lower().endswith(one)), stem)
        key = (*folders[:at], *folders[at + 1 :], normal(stem))
        if key in found:
            raise InvalidData(f"{file.place} and {found[key].place} have the same name")
        found[key] = file
    return found


def _pair(image: File, mask: File) -> Pair:
    read = pixels(Picture(image.place, "", image.path), Reading())
    numbers = _mask(mask)
    if int(numbers.min()) < 0:
        raise InvalidData(f"{mask.place} has {int(numbers.min())}; classes are numbered from 0")
    if numbers.shape != read.shape[:2]:
        raise InvalidData(
            f"{mask.place} is {numbers.shape[1]}x{numbers.shape[0]} pixels, its picture "
            f"{image.place} is {read.shape[1]}x{read.shape[0]}"
        )
    part = next((found for one in image.names[:-1] if (found := part_of(one)) is not None), None)
    return Pair(image.place, read, numbers, TEST if part == HELD_OUT else part)


def _mask(file: File) -> Mask:
    """A mask's numbers; colours of a palette are its numbers."""
    try:
        with Image.open(file.path) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise InvalidData(f"{file.place}: {opened.width}x{opened.height} pixels are many")
            if opened.format == "JPEG":
                raise InvalidData(f"{file.place} is a JPEG, which changes a mask's numbers")
            if opened.mode not in {"1", "L", "P", "I", "I;16", "I;16B", "I;16L"}:
                raise InvalidData(
                    f"{file.place} is a picture in colours ({opened.mode}); a mask has a number "
                    "(or a palette's colour) a pixel, that of its class"
                )
            return np.asarray(opened).astype(np.int64)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InvalidData(f"{file.place}: corrupt mask ({error})") from error


def _names(folder: Path) -> tuple[str, ...] | None:
    """Names of classes, a line each, of a file beside the folders."""
    path = folder / _NAMES
    if not path.is_file():
        return None
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError as error:
        raise InvalidData(f"{_NAMES} is not UTF-8: {error}") from error
    return tuple(one.strip() for one in lines if one.strip())
