"""Pictures and their masks: an `.npz`, or folders in which names say which belong together."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from nas_service.datasets.names import HELD_OUT, PARTS, TEST, normal, part_of
from nas_service.datasets.pictures import (
    MAX_PIXELS,
    Picture,
    Pixels,
    Reading,
    header,
    pixels,
)
from nas_service.datasets.report import SetAside
from nas_service.datasets.walking import File, files_below
from nas_service.errors import InvalidData

MIN_SIDE, MAX_SIDE = 16, 512
MAX_NUMBER = 65_535
"""In a mask; classes are far fewer."""
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
        names = _apart(tuple(str(one) for one in found["classes"].ravel()), "classes")
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
    picture = Picture(image.place, "", image.path)
    told = header(picture)
    if told.bits > 8:
        raise InvalidData(
            f"{image.place} has {told.bits} bits a channel; pictures with masks are of 8 bits: "
            "convert them, with what is to be black and white"
        )
    height, width = _size_of(mask)
    if (height, width) != (told.height, told.width):
        raise InvalidData(
            f"{mask.place} is {width}x{height} pixels, its picture {image.place} is "
            f"{told.width}x{told.height}"
        )
    part = next((found for one in image.names[:-1] if (found := part_of(one)) is not None), None)
    return Pair(
        image.place,
        (height, width, told.channels),
        partial(pixels, picture, Reading()),
        partial(_mask, mask),
        TEST if part == HELD_OUT else part,
    )


def _size_of(file: File) -> tuple[int, int]:
    """Height and width of a mask, which has to be one."""
    with _opened(file) as opened:
        if opened.format == "JPEG":
            raise InvalidData(f"{file.place} is a JPEG, which changes a mask's numbers")
        if opened.mode not in {"1", "L", "P", "I", "I;16", "I;16B", "I;16L"}:
            raise InvalidData(
                f"{file.place} is a picture in colours ({opened.mode}); a mask has a number "
                "(or a palette's colour) a pixel, that of its class"
            )
        return opened.height, opened.width


def _mask(file: File) -> Mask:
    """A mask's numbers; colours of a palette are its numbers."""
    with _opened(file) as opened:
        numbers = np.asarray(opened).astype(np.int64)
    if int(numbers.min()) < 0 or int(numbers.max()) > MAX_NUMBER:
        raise InvalidData(
            f"{file.place} has numbers from {int(numbers.min())} to {int(numbers.max())}; classes "
            f"are numbered from 0 to {MAX_NUMBER} at most"
        )
    return numbers


@contextmanager
def _opened(file: File) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; large ones are refused here
            with Image.open(file.path) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise InvalidData(
                        f"{file.place}: {opened.width}x{opened.height} pixels are too many"
                    )
                yield opened
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
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
    return _apart(tuple(one.strip() for one in lines if one.strip()), _NAMES)


def _apart(names: tuple[str, ...], place: str) -> tuple[str, ...]:
    """Names of classes, each of one."""
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise InvalidData(f"{place}: two classes are called {twice[0]!r}")
    return names
