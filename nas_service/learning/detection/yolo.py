"""Boxes as YOLO has them: a text file a picture, a line `class x y width height` a box.

Numbers are shares of the picture, x and y those of the box's middle. Names of classes are those of
a `data.yaml` (`names`), or lines of `classes.txt` or `obj.names`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from nas_service.datasets.names import HELD_OUT, TEST
from nas_service.datasets.pairing import IMAGE_ENDINGS, IMAGE_FOLDERS, Key, by_name
from nas_service.datasets.pictures import Picture
from nas_service.datasets.report import SetAside
from nas_service.datasets.walking import File
from nas_service.errors import InvalidData
from nas_service.learning.detection.scenes import (
    Scene,
    Scenes,
    box_inside,
    header_of,
    pixels_of,
    require_number,
)
from nas_service.learning.detection.yolo_names import (
    NAME_FILES,
    descriptions,
    notes_on_names,
    text_in,
)
from nas_service.learning.detection.yolo_parts import notes_on, part_in, parts_of_folders

WITHOUT_PICTURE = "boxes without a picture"
_MOST_ALONE = 0.2
"""A larger share of pictures without a file is no way to say that nothing is on them."""
_LABEL_FOLDERS = frozenset({"labels", "label", "annotations", "labels_yolo", "bboxes", "boxes"})
_PARTS_BY_LIST = frozenset({"train.txt", "val.txt", "valid.txt", "test.txt"})
_LISTS = frozenset({*NAME_FILES, *_PARTS_BY_LIST, "readme.txt"})


def label_files(files: Sequence[File]) -> dict[Key, File]:
    """Text files that may be boxes of pictures, by what they share with these.

    Lists of pictures and of names are none, unless a picture bears their name.
    """
    found, images = _named(files)
    return {
        key: one
        for key, one in found.items()
        if key in images or not _is_list(one.names[-1].lower())
    }


def _named(files: Sequence[File]) -> tuple[dict[Key, File], dict[Key, File]]:
    """Texts and pictures by what they share, in the way in which more of them do.

    Boxes of images/frames lie in labels/frames, or in images/labels.
    """
    first = _named_by(files, last=False)
    try:
        second = _named_by(files, last=True)
    except InvalidData:  # two have one name in that way
        return first
    shared = [len(texts.keys() & images.keys()) for texts, images in (first, second)]
    return second if shared[1] > shared[0] else first


def _named_by(files: Sequence[File], *, last: bool) -> tuple[dict[Key, File], dict[Key, File]]:
    texts, images = (
        by_name(files, IMAGE_FOLDERS | _LABEL_FOLDERS, endings, elsewhere=True, last=last)
        for endings in ({".txt"}, IMAGE_ENDINGS)
    )
    return texts, images


def _is_list(name: str) -> bool:
    return name in _LISTS or name.startswith("readme")


def read_yolo(files: Sequence[File], labels: Mapping[Key, File], aside: SetAside) -> Scenes:
    """Scenes of pictures and of the text files that bear their names.

    Raises:
        InvalidData: names the file, and the line.
    """
    _, images = _named(files)
    alone = sorted(set(images) - set(labels))
    for key in sorted(set(labels) - set(images)):
        aside.add(WITHOUT_PICTURE, labels[key].place)
    if len(alone) > _MOST_ALONE * len(images):
        raise InvalidData(
            f"{len(alone)} of {len(images)} pictures have no file of boxes, the first is "
            f"{images[alone[0]].place}; a picture with nothing on it has an empty one"
        )
    described = descriptions(files)
    named = described[0].names if described else ()
    with_folders = next((one for one in described if one.settings), None)
    folders = parts_of_folders(with_folders, list(images.values()))
    scenes = [
        _scene(image, labels.get(key), part_in(image, folders), aside)
        for key, image in sorted(images.items())
    ]
    most = max((int(one.classes.max()) for one in scenes if len(one.classes)), default=-1)
    if named and most >= len(named):
        first = next(one for one in scenes if len(one.classes) and one.classes.max() == most)
        raise InvalidData(f"{first.place} has a box of class {most}, {len(named)} are named")
    names = named or tuple(str(number) for number in range(most + 1))
    notes = [*notes_on_names(described), *notes_on(folders)]
    if alone:
        notes.append(f"pictures without a file of boxes: {len(alone)}; nothing is on them")
    lists = [one.place for one in files if one.names[-1].lower() in _PARTS_BY_LIST]
    if lists:
        notes.append(f"lists of pictures are not read, parts are those of folders: {lists[0]}")
    return Scenes(scenes, names, "YOLO", notes, aside)


def _scene(image: File, labels: File | None, part: str | None, aside: SetAside) -> Scene:
    picture = Picture(image.place, "", image.path)
    told = header_of(picture)
    boxes, classes = [], []
    for number, (label, *sides) in enumerate(_rows(labels) if labels else (), start=1):
        assert labels is not None
        place = f"{labels.place}: line {number}"
        x, y, width, height = sides
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        scale = (told.width, told.height) * 2
        box = box_inside(
            [one * by for one, by in zip(corners, scale, strict=True)],
            told.width,
            told.height,
            place,
            aside,
        )
        if box is not None:
            boxes.append(box)
            classes.append(int(label))
    return Scene(
        image.place,
        told.height,
        told.width,
        told.channels,
        partial(pixels_of, picture),
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array(classes, dtype=np.int64),
        TEST if part == HELD_OUT else part,
        turned=told.turned,
    )


def _rows(file: File) -> list[list[float]]:
    """A row a line: the class, then middle and size as shares of the picture."""
    found = []
    for number, line in enumerate(text_in(file).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        place = f"{file.place}: line {number}"
        if len(words) != 5:
            outline = ": is it an outline?" if len(words) > 6 and len(words) % 2 else ""
            raise InvalidData(
                f"{place} has {len(words)} numbers; a box is class, x, y, width, height{outline}"
            )
        try:
            row = [float(one) for one in words]
        except ValueError as error:
            raise InvalidData(f"{place} has words that are no numbers: {line.strip()!r}") from error
        if not row[0].is_integer() or row[0] < 0:
            raise InvalidData(f"{place}: class {words[0]} is no whole number from 0 on")
        require_number(int(row[0]), place)
        if max(row[1:]) > 1.5:
            raise InvalidData(
                f"{place} has {max(row[1:]):.6g}; numbers are shares of the picture, from 0 to 1"
            )
        found.append(row)
    return found
