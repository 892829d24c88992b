"""A data set of pictures with masks as it is stored."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.datasets.fitting import fitted
from nas_service.datasets.names import PARTS
from nas_service.datasets.parted import parted
from nas_service.datasets.pictures import Pixels
from nas_service.datasets.report import Report
from nas_service.errors import InvalidData
from nas_service.learning.base import Progress
from nas_service.learning.segmentation.arrays import read_arrays
from nas_service.learning.segmentation.folders import read_folder
from nas_service.learning.segmentation.metrics import IGNORED
from nas_service.learning.segmentation.pairs import Mask, Pair, Pairs
from nas_service.learning.segmentation.shape import MIN_SIDE

IntArray = npt.NDArray[np.int64]
_USUAL_SIDE = 96
_MOST_BYTES = 1024**3
"""Of all logits together, in single precision: masks are kept smaller where these do not fit."""
_STEP = 8
_MUCH, _LITTLE = 0.1, 0.2
"""So large a share of pixels are no edges; so few beside them are."""
_MOST_CLASSES = 64
_MOST_STEPS = 15
"""Between levels of grey that somebody drew."""
_RARE = 0.01


@dataclass(frozen=True)
class MaskedPictures:
    """Images `(n, s, s, c)`, masks `(n, m, m)` of class numbers or `IGNORED`, parts `(n,)`."""

    images: Pixels
    masks: Pixels
    split: IntArray
    classes: tuple[str, ...]
    mask_values: tuple[int, ...]
    """The number of each class in the source's masks."""
    digest: str
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """See `Ingested.nbytes`."""
        return int(self.images.nbytes + self.masks.nbytes)

    def facts(self) -> dict[str, Any]:
        """See `Ingested.facts`."""
        counts = np.bincount(self.split, minlength=len(PARTS))
        return {
            "size": int(self.images.shape[1]),
            "channels": int(self.images.shape[3]),
            "mask_side": int(self.masks.shape[1]),
            "classes": list(self.classes),
            "mask_values": list(self.mask_values),
            **{f"n_{part}": int(n) for part, n in zip(PARTS, counts, strict=True)},
            "report": dict(self.report),
        }

    def save(self, path: Path) -> None:
        """See `Ingested.save`."""
        with path.open("wb") as stream:
            np.savez(
                stream,
                images=self.images,
                masks=self.masks,
                split=self.split,
                n_classes=np.array(len(self.classes)),
            )


def read(
    source: Path, side: int | None, draws: bool, *, tell: Progress, within: Sequence[Path]
) -> MaskedPictures:
    """Read a source into square pictures and masks.

    Pictures have `side` pixels, their median (at most 96) unless given.

    Raises:
        InvalidData: says what is at fault, and where.
    """
    tell(0.1, "reading")
    found = _pairs(source, within)
    if not found.pairs:
        raise InvalidData("there is no picture with a mask")
    tell(0.2, f"{len(found.pairs):,} pictures; looking at their masks")
    classes, used, reading = _classes(found)
    side = side or _usual_side(found.pairs)
    mask_side = _mask_side(side, len(classes), len(found.pairs))
    tell(0.5, f"bringing them to {side} pixels")
    channels = max(one.shape[2] for one in found.pairs)
    images = np.empty((len(found.pairs), side, side, channels), dtype=np.uint8)
    small = np.empty((len(found.pairs), mask_side, mask_side), dtype=np.uint8)
    for number, one in enumerate(found.pairs):  # one by one: originals may be large
        images[number] = _square(one.image(), side, channels)
        small[number] = _numbered(nearest(one.mask(), mask_side), used)
    digest = hashlib.sha256(images.tobytes() + small.tobytes()).hexdigest()
    made = parted(
        images,
        _commonest(small),
        [None if draws else one.part for one in found.pairs],
        [one.group for one in found.pairs],
        digest=digest,
        places=[one.place for one in found.pairs],
        aside=found.set_aside,
    )
    images, small, split = images[made.rows], small[made.rows], made.split
    for number, name in enumerate(PARTS):
        if (small[split == number] == IGNORED).all():
            raise InvalidData(f"of the pictures for {name} nothing is asked about")
    counts = _counts(small, split, classes)
    notes = [*found.notes, *made.notes, *_notes(small, classes, counts)]
    report = Report(
        found.layout,
        classes,
        counts,
        (*reading, f"pictures of {side} and masks of {mask_side} pixels a side, middle squares"),
        tuple(notes),
        tuple(found.set_aside.as_list()),
    )
    values = tuple(int(one) for one in used)
    return MaskedPictures(images, small, split, classes, values, made.digest, report.as_dict())


def _pairs(source: Path, within: Sequence[Path]) -> Pairs:
    if source.suffix.lower() == ".npz":
        return read_arrays(source)
    if not source.is_dir():
        raise InvalidData(
            f"{source.name}: pictures with masks are a folder, an archive of one, or an .npz"
        )
    return read_folder(source, within)


def nearest(mask: Mask, side: int) -> Mask:
    """The middle square of a mask at `side` pixels, each that of the nearest one."""
    height, width = mask.shape
    inner = min(height, width)
    top, left = (height - inner) // 2, (width - inner) // 2
    at = np.minimum(((np.arange(side) + 0.5) * inner / side).astype(np.int64), inner - 1)
    found: Mask = mask[top + at[:, None], left + at[None, :]]
    return found


def _classes(found: Pairs) -> tuple[tuple[str, ...], IntArray, tuple[str, ...]]:
    """Names of classes, the number of each in masks, and how masks are read."""
    seen: Counter[int] = Counter()
    first: dict[int, str] = {}
    for one in found.pairs:
        values, counts = np.unique(one.mask(), return_counts=True)
        seen.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        first = dict.fromkeys(values.tolist(), one.place) | first
    two = set(seen) == {0, IGNORED} and (found.names is None or len(found.names) == 2)
    levels = two or (found.names is None and _are_levels(seen))
    used = sorted(set(seen) if levels else set(seen) - {IGNORED})
    if found.names is None and not two:
        _require_no_smoothed_edges(seen, first)
    if found.names is not None and not two:
        beyond = [value for value in used if value >= len(found.names)]
        if beyond:
            raise InvalidData(
                f"{first[beyond[0]]}: its mask has class {beyond[0]}, {len(found.names)} are named"
            )
        used = list(range(len(found.names)))
    if len(used) < 2:
        raise InvalidData(
            f"every pixel is of class {used[0] if used else IGNORED}: two classes are needed"
        )
    if len(used) > _MOST_CLASSES:
        raise InvalidData(
            f"masks have {len(used)} different numbers, at most {_MOST_CLASSES} classes are told "
            "apart: are these masks, or pictures?"
        )
    names = found.names or tuple(str(value) for value in used)
    reading = [f"a class a number in masks: {', '.join(names)}"]
    if levels and not two:
        reading.append("levels of grey that are evenly spread from black to white are a class each")
    elif not two and seen[IGNORED]:
        share = seen[IGNORED] / sum(seen.values())
        reading.append(f"pixels of {IGNORED} ({share:.1%}) are not asked about")
    return names, np.array(used, dtype=np.int64), tuple(reading)


def _are_levels(seen: Collection[int]) -> bool:
    """Whether numbers are levels of grey, evenly spread from 0 to 255, as 0, 128 and 255 are."""
    steps = len(seen) - 1
    if not 2 <= steps <= _MOST_STEPS:
        return False
    even = np.linspace(0, IGNORED, steps + 1)
    return bool((np.abs(np.array(sorted(seen)) - even) <= 1).all())


def _require_no_smoothed_edges(seen: Mapping[int, int], first: Mapping[int, str]) -> None:
    """Refuse masks of black and white in which a few pixels are grey: none of them is a class."""
    grey = sorted(set(seen) - {0, IGNORED})
    total = sum(seen.values())
    white, between = seen.get(IGNORED, 0), sum(seen[one] for one in grey)
    numbered = grey == list(range(1, len(grey) + 1))  # as classes are
    if grey and not numbered and white > _MUCH * total and between < _LITTLE * white:
        raise InvalidData(
            f"{first[grey[0]]}: its mask has {grey[0]} beside 0 and {IGNORED}, as smoothed edges "
            "do; make every pixel one or the other, or name the classes in classes.txt"
        )


def _numbered(mask: Mask, used: IntArray) -> Mask:
    """A mask with the place of each number among those that are `used`, the others `IGNORED`."""
    place = np.minimum(np.searchsorted(used, mask), len(used) - 1)
    return np.where(used[place] == mask, place, IGNORED)


def _usual_side(pairs: Sequence[Pair]) -> int:
    median = float(np.median([min(one.shape[:2]) for one in pairs]))
    return int(min(_USUAL_SIDE, max(MIN_SIDE, median))) // _STEP * _STEP


def _square(image: Pixels, side: int, channels: int) -> Pixels:
    if image.shape[2] < channels:
        image = np.repeat(image, channels, axis=2)
    return fitted(image, side)


def _mask_side(side: int, n_classes: int, n: int) -> int:
    """As the pictures', or a half, a quarter of it where all logits do not fit otherwise."""
    while 4 * n * n_classes * side**2 > _MOST_BYTES:
        if side // 2 < MIN_SIDE:
            raise InvalidData(
                f"{n} pictures of {n_classes} classes are too many: what a network says of all "
                f"pixels takes more than {_MOST_BYTES / 1024**3:.0f} GB"
            )
        side //= 2
    return side


def _commonest(masks: Pixels) -> IntArray:
    """Of each picture the class that has most pixels beside the one that has most of all."""
    counts = np.stack([np.bincount(one.ravel(), minlength=IGNORED + 1) for one in masks])
    counts = counts[:, :IGNORED]
    counts[:, counts.sum(axis=0).argmax()] = 0
    found: IntArray = np.where(counts.max(axis=1) > 0, counts.argmax(axis=1), IGNORED)
    return found.astype(np.int64)


def _counts(masks: Pixels, split: IntArray, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """In how many pictures of a part each class is."""
    has = [np.array([(one == number).any() for one in masks]) for number in range(len(classes))]
    return {
        part: {name: int((has[k] & (split == p)).sum()) for k, name in enumerate(classes)}
        for p, part in enumerate(PARTS)
    }


def _notes(
    masks: Pixels, classes: Sequence[str], counts: Mapping[str, Mapping[str, int]]
) -> list[str]:
    notes = []
    pixels = np.bincount(masks.ravel(), minlength=IGNORED + 1)[: len(classes)]
    rare = [
        f"{name} ({n / pixels.sum():.2%})"
        for name, n in zip(classes, pixels, strict=True)
        if n < _RARE * pixels.sum()
    ]
    if rare:
        notes.append(f"classes of few pixels: {', '.join(rare)}")
    for part, of_part in counts.items():
        if missing := [name for name, n in of_part.items() if not n]:
            notes.append(f"classes without a picture in {part}: {', '.join(missing)}")
    return notes
