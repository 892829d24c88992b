"""Pictures and masks in folders, in which names say which belong together."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from nas_service.datasets.names import HELD_OUT, TEST, names_apart
from nas_service.datasets.pairing import IMAGE_ENDINGS, IMAGE_FOLDERS, by_name, part_above
from nas_service.datasets.pictures import (
    MAX_PIXELS,
    UPRIGHT,
    Header,
    Picture,
    Reading,
    header,
    orientation_of,
    pixels,
    upright_sides,
)
from nas_service.datasets.report import SetAside
from nas_service.datasets.walking import File, files_below
from nas_service.errors import InvalidData
from nas_service.learning.segmentation.pairs import MAX_NUMBER, Mask, Pair, Pairs
from nas_service.learning.segmentation.palettes import (
    Colours,
    Palette,
    colours_of,
    require_one_meaning,
)
from nas_service.learning.segmentation.turned import Turned, drawn_as_stored, upright

_MASKS = {
    *("masks", "mask", "labels", "label", "annotations", "annotation", "segmentation"),
    *("segmentations", "segmentationclass", "gt", "targets", "y"),
}
_TAILS = (
    *("_mask", "-mask", "_label", "_gt", "_seg", "_labels", "_masks", "_segmentation"),
    *("_annotation", "_groundtruth"),
)
_MOST_ALONE = 0.05
"""A larger share of pictures without a mask is no oversight."""
_NAMES = "classes.txt"
_ALONE = "picture without a mask"
_WITHOUT_PICTURE = "mask without a picture"


def read_folder(folder: Path, within: Sequence[Path]) -> Pairs:
    """Read a folder; links out of the folders `within` are not followed.

    Raises:
        InvalidData: says which file.
    """
    aside = SetAside()
    files = files_below(folder, aside, within)
    images = by_name(files, IMAGE_FOLDERS, IMAGE_ENDINGS)
    masks = by_name(files, _MASKS, IMAGE_ENDINGS)
    if not set(images) <= set(masks):  # else what looks like a tail is the picture's own
        masks = by_name(files, _MASKS, IMAGE_ENDINGS, tails=_TAILS)
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
    both = [_both(images[key], masks[key]) for key in sorted(set(images) & set(masks))]
    turned = [one.turned for one in both if one.turned is not None]
    as_stored = drawn_as_stored(turned)
    require_one_meaning([Palette(one.mask.place, one.colours, one.read_mask) for one in both])
    pairs = [_pair(one, one.image.place in as_stored) for one in both]
    return Pairs(pairs, _names(folder), "folders", _notes(turned, as_stored), aside)


@dataclass(frozen=True)
class _Both:
    """A picture and its mask, with what their headers say."""

    image: File
    mask: File
    header: Header
    size: tuple[int, int]
    """The mask's height and width, upright where it has a tag of its own."""
    colours: Colours
    turned: Turned | None
    """Where the picture is stored turned and the mask does not say so."""

    def read_mask(self) -> Mask:
        """The mask's numbers as they are stored."""
        return _mask(self.mask)


def _both(image: File, mask: File) -> _Both:
    told = header(Picture(image.place, "", image.path))
    if told.bits > 8:
        raise InvalidData(
            f"{image.place} has {told.bits} bits a channel; pictures with masks are of 8 bits: "
            "convert them, with what is to be black and white"
        )
    (height, width), own_tag, colours = _facts(mask)
    if told.turned and not own_tag:
        sides = (told.height, told.width)
        turned = Turned(image.place, told.orientation, sides, mask.place, (height, width))
        return _Both(image, mask, told, (height, width), colours, turned)
    if (height, width) != (told.height, told.width):
        raise InvalidData(
            f"{mask.place} is {width}x{height} pixels, its picture {image.place} is "
            f"{told.width}x{told.height}"
        )
    return _Both(image, mask, told, (height, width), colours, None)


def _pair(both: _Both, as_stored: bool) -> Pair:
    part = part_above(both.image)
    return Pair(
        both.image.place,
        (both.header.height, both.header.width, both.header.channels),
        partial(pixels, Picture(both.image.place, "", both.image.path), Reading()),
        partial(_mask, both.mask, both.header.orientation if as_stored else UPRIGHT),
        TEST if part == HELD_OUT else part,
    )


def _notes(turned: Sequence[Turned], as_stored: frozenset[str]) -> list[str]:
    if not turned:
        return []
    return [
        f"pictures turned upright as their EXIF orientation says: {len(turned)}; their masks were "
        f"drawn on the pixels as stored in {len(as_stored)} of them and are turned likewise"
    ]


def _facts(file: File) -> tuple[tuple[int, int], bool, Colours]:
    """Upright height and width of a mask, whether a tag turns it, and its palette's colours."""
    with _opened(file) as opened:
        if opened.format == "JPEG":
            raise InvalidData(f"{file.place} is a JPEG, which changes a mask's numbers")
        if opened.mode not in {"1", "L", "P", "I", "I;16", "I;16B", "I;16L"}:
            raise InvalidData(
                f"{file.place} is a picture in colours ({opened.mode}); a mask has a number "
                "(or a palette's colour) a pixel, that of its class"
            )
        turned = orientation_of(opened) != UPRIGHT
        return upright_sides(opened), turned, colours_of(opened)


def _mask(file: File, orientation: int = UPRIGHT) -> Mask:
    """A mask's numbers, upright; colours of a palette are its numbers."""
    with _opened(file) as opened:
        numbers = np.asarray(upright(opened, orientation)).astype(np.int64)
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
            # never by its path, see `datasets.pictures`
            with file.path.open("rb") as stream, Image.open(stream) as opened:
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
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise InvalidData(f"{_NAMES} is not UTF-8: {error}") from error
    names = tuple(one.strip() for one in lines)
    if "" in names:
        raise InvalidData(
            f"{_NAMES}: line {names.index('') + 1} is empty; a class a line is needed"
        )
    return names_apart(names, _NAMES)
