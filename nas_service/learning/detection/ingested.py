"""A data set of pictures with boxes as it is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.datasets.fitting import stretched
from nas_service.datasets.names import PARTS
from nas_service.datasets.parted import parted
from nas_service.datasets.pictures import Pixels
from nas_service.datasets.report import Report, SetAside
from nas_service.datasets.walking import files_below
from nas_service.errors import InvalidData
from nas_service.learning.base import Progress
from nas_service.learning.detection.arrays import read_arrays
from nas_service.learning.detection.coco import annotation_files, read_coco
from nas_service.learning.detection.notes import notes_on, turned_notes
from nas_service.learning.detection.scenes import Scene, Scenes
from nas_service.learning.detection.shape import MIN_SIDE, BoxedImageShape
from nas_service.learning.detection.yolo import label_files, read_yolo

IntArray = npt.NDArray[np.int64]
_USUAL_SIDE = 96
_STEP = 8
_MOST_BOXES = 1000
"""Of a picture."""
_MOST_CLASSES = 256
_MOST_BYTES = 2 * 1024**3
_MOST_OUTPUTS = 2 * 1024**3
"""Bytes of what a network says of a part that it is judged on, in single precision."""


@dataclass(frozen=True)
class BoxedPictures:
    """Images `(n, s, s, c)`, rows of class, x1, y1, x2, y2 `(n, k, 5)`, parts `(n,)`.

    Corners are shares of the picture; rows of class -1 fill up.
    """

    images: Pixels
    boxes: npt.NDArray[np.float32]
    split: IntArray
    classes: tuple[str, ...]
    class_numbers: tuple[int, ...]
    """The number of each class in the source."""
    digest: str
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """See `Ingested.nbytes`."""
        return int(self.images.nbytes + self.boxes.nbytes)

    def facts(self) -> dict[str, Any]:
        """See `Ingested.facts`."""
        counts = np.bincount(self.split, minlength=len(PARTS))
        return {
            "size": int(self.images.shape[1]),
            "channels": int(self.images.shape[3]),
            "classes": list(self.classes),
            "class_numbers": list(self.class_numbers),
            "n_boxes": int((self.boxes[..., 0] >= 0).sum()),
            **{f"n_{part}": int(n) for part, n in zip(PARTS, counts, strict=True)},
            "report": dict(self.report),
        }

    def save(self, path: Path) -> None:
        """See `Ingested.save`."""
        with path.open("wb") as stream:
            np.savez(stream, images=self.images, boxes=self.boxes, split=self.split)


def read(
    source: Path, side: int | None, draws: bool, *, tell: Progress, within: Sequence[Path]
) -> BoxedPictures:
    """Read a source into square pictures, stretched to `side` pixels, and their boxes.

    Pictures have their median side (at most 96) unless it is given.

    Raises:
        InvalidData: says what is at fault, and where.
    """
    tell(0.1, "reading")
    found = _scenes(source, within)
    scenes = found.scenes
    if not any(len(one.boxes) for one in scenes):
        raise InvalidData(f"there is no box in {len(scenes)} pictures")
    tell(0.3, f"{len(scenes):,} pictures with {sum(len(one.boxes) for one in scenes):,} boxes")
    for one in scenes:
        if len(one.boxes) > _MOST_BOXES:
            raise InvalidData(
                f"{one.place} has {len(one.boxes)} boxes, at most {_MOST_BOXES} are read of one"
            )
    used = np.unique(np.concatenate([one.classes for one in scenes]))
    if len(used) > _MOST_CLASSES:
        raise InvalidData(
            f"boxes are of {len(used)} classes, at most {_MOST_CLASSES} are told apart"
        )
    classes = tuple(found.names[number] for number in used)
    side = side or _usual_side(scenes)
    channels = max(one.channels for one in scenes)
    if len(scenes) * side**2 * channels > _MOST_BYTES:
        raise InvalidData(
            f"{len(scenes)} pictures of {side} pixels a side take more than "
            f"{_MOST_BYTES / 1024**3:.0f} GB; give a smaller image size"
        )
    images = np.empty((len(scenes), side, side, channels), dtype=np.uint8)
    for number, one in enumerate(scenes):  # one by one: originals may be large
        images[number] = _square(one.image(side), side, channels)
        if number % 256 == 0:
            tell(0.3 + 0.6 * number / len(scenes), f"bringing them to {side} pixels")
    boxes = _rows(scenes, used)
    made = parted(
        images,
        _largest(boxes),
        [None if draws else one.part for one in scenes],
        [one.group for one in scenes],
        digest=_digest(images, boxes, classes),
        places=[one.place for one in scenes],
        aside=found.set_aside,
    )
    images, boxes, split = images[made.rows], boxes[made.rows], made.split
    _require_usable(boxes, split, BoxedImageShape(side, channels, len(classes)))
    chosen = set(used.tolist())
    unused = [name for number, name in enumerate(found.names) if number not in chosen]
    notes = [*found.notes, *turned_notes(found.scenes), *made.notes]
    notes += notes_on(images, boxes, split, classes, unused)
    report = Report(
        found.layout,
        classes,
        _counts(boxes, split, classes),
        (f"pictures of {side} pixels a side, the whole of each, stretched to a square",),
        tuple(notes),
        tuple(found.set_aside.as_list()),
    )
    numbers = tuple(int(one) for one in used)
    return BoxedPictures(images, boxes, split, classes, numbers, made.digest, report.as_dict())


def _scenes(source: Path, within: Sequence[Path]) -> Scenes:
    if source.suffix.lower() == ".npz":
        return read_arrays(source)
    if not source.is_dir():
        raise InvalidData(
            f"{source.name}: pictures with boxes are a folder, an archive of one, or an .npz"
        )
    aside = SetAside()
    files = files_below(source, aside, within)
    if told := annotation_files(files, aside):
        return read_coco(files, told, aside)
    if labels := label_files(files):
        return read_yolo(files, labels, aside)
    raise InvalidData(
        f"{source.name} has no boxes: neither COCO's annotations (a .json of images, annotations "
        "and categories) nor YOLO's (a .txt a picture)"
    )


def _usual_side(scenes: Sequence[Scene]) -> int:
    median = float(np.median([min(one.height, one.width) for one in scenes]))
    return int(min(_USUAL_SIDE, max(MIN_SIDE, median))) // _STEP * _STEP


def _square(image: Pixels, side: int, channels: int) -> Pixels:
    if image.shape[2] < channels:
        image = np.repeat(image, channels, axis=2)
    return stretched(image, side)


def _rows(scenes: Sequence[Scene], used: IntArray) -> npt.NDArray[np.float32]:
    """Boxes as shares of their pictures, filled up: `(n, k, 5)`."""
    most = max(len(one.boxes) for one in scenes)
    rows = np.zeros((len(scenes), most, 5), dtype=np.float32)
    rows[..., 0] = -1.0
    for number, one in enumerate(scenes):
        n = len(one.boxes)
        rows[number, :n, 0] = np.searchsorted(used, one.classes)
        rows[number, :n, 1:] = one.boxes / (one.width, one.height, one.width, one.height)
    return rows


def _digest(images: Pixels, boxes: npt.NDArray[np.float32], classes: tuple[str, ...]) -> str:
    digest = hashlib.sha256(json.dumps([images.shape, boxes.shape, classes]).encode())
    digest.update(np.ascontiguousarray(images).data)
    digest.update(boxes.tobytes())
    return digest.hexdigest()


def _require_usable(
    boxes: npt.NDArray[np.float32], split: IntArray, shape: BoxedImageShape
) -> None:
    has: npt.NDArray[np.bool_] = np.any(boxes[..., 0] >= 0, axis=1)
    for number, name in enumerate(PARTS):
        mine = split == number
        if not has[mine].any():
            raise InvalidData(f"of the pictures for {name} none has a box")
        if number and 4 * int(mine.sum()) * shape.n_outputs > _MOST_OUTPUTS:
            raise InvalidData(
                f"{int(mine.sum())} pictures for {name} are too many: what a network says of all "
                f"cells and classes takes more than {_MOST_OUTPUTS / 1024**3:.0f} GB"
            )


def _largest(boxes: npt.NDArray[np.float32]) -> IntArray:
    """Of each picture the class of its largest box; one beyond them where there is none."""
    sides = np.clip(boxes[..., 3:] - boxes[..., 1:3], 0.0, None)
    area = np.where(boxes[..., 0] >= 0, sides.prod(axis=2), -1.0)
    best = area.argmax(axis=1)
    found = boxes[np.arange(len(boxes)), best, 0].astype(np.int64)
    return np.where(found < 0, int(boxes[..., 0].max()) + 1, found)


def _counts(
    boxes: npt.NDArray[np.float32], split: IntArray, classes: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Boxes of each class by part."""
    return {
        part: {name: int((boxes[split == p][..., 0] == k).sum()) for k, name in enumerate(classes)}
        for p, part in enumerate(PARTS)
    }
