"""Boxes as YOLO has them: a text file a picture, a line `class x y width height` a box.

Numbers are shares of the picture, x and y those of the box's middle. Names of classes are those of
a `data.yaml` (`names`), or lines of `classes.txt` or `obj.names`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from lookup_tables.yaml_text import read_yaml_text
from nas_service.datasets.names import HELD_OUT, TEST, names_apart
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
from nas_service.learning.detection.yolo_parts import notes_on, part_in, parts_of_folders

WITHOUT_PICTURE = "boxes without a picture"
_MOST_ALONE = 0.2
"""A larger share of pictures without a file is no way to say that nothing is on them."""
_LABEL_FOLDERS = frozenset({"labels", "label", "annotations", "labels_yolo", "bboxes", "boxes"})
_NAME_FILES = ("classes.txt", "obj.names", "classes.names", "names.txt", "labels.txt")
_PARTS_BY_LIST = frozenset({"train.txt", "val.txt", "valid.txt", "test.txt"})
_LISTS = frozenset({*_NAME_FILES, *_PARTS_BY_LIST, "readme.txt"})


def label_files(files: Sequence[File]) -> dict[Key, File]:
    """Text files that may be boxes of pictures, by what they share with these.

    Lists of pictures and of names are none, unless a picture bears their name.
    """
    folders = IMAGE_FOLDERS | _LABEL_FOLDERS
    found = by_name(files, folders, {".txt"}, elsewhere=True)
    images = by_name(files, folders, IMAGE_ENDINGS, elsewhere=True)
    return {
        key: one
        for key, one in found.items()
        if key in images or not _is_list(one.names[-1].lower())
    }


def _is_list(name: str) -> bool:
    return name in _LISTS or name.startswith("readme")


def read_yolo(files: Sequence[File], labels: Mapping[Key, File], aside: SetAside) -> Scenes:
    """Scenes of pictures and of the text files that bear their names.

    Raises:
        InvalidData: names the file, and the line.
    """
    images = by_name(files, IMAGE_FOLDERS | _LABEL_FOLDERS, IMAGE_ENDINGS, elsewhere=True)
    alone = sorted(set(images) - set(labels))
    for key in sorted(set(labels) - set(images)):
        aside.add(WITHOUT_PICTURE, labels[key].place)
    if len(alone) > _MOST_ALONE * len(images):
        raise InvalidData(
            f"{len(alone)} of {len(images)} pictures have no file of boxes, the first is "
            f"{images[alone[0]].place}; a picture with nothing on it has an empty one"
        )
    named, said = _names(files)
    folders = parts_of_folders(*_described(files), list(images.values()))
    scenes = [
        _scene(image, labels.get(key), part_in(image, folders), aside)
        for key, image in sorted(images.items())
    ]
    most = max((int(one.classes.max()) for one in scenes if len(one.classes)), default=-1)
    if named and most >= len(named):
        first = next(one for one in scenes if len(one.classes) and one.classes.max() == most)
        raise InvalidData(f"{first.place} has a box of class {most}, {len(named)} are named")
    names = named or tuple(str(number) for number in range(most + 1))
    notes = [*said, *notes_on(folders)]
    if alone:
        notes.append(f"pictures without a file of boxes: {len(alone)}; nothing is on them")
    lists = [one.place for one in files if one.names[-1].lower() in _PARTS_BY_LIST]
    if lists:
        notes.append(f"lists of pictures are not read, parts are those of folders: {lists[0]}")
    if not named:
        notes.append("classes have no names: there is no data.yaml, and no classes.txt")
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
    for number, line in enumerate(_text(file).splitlines(), start=1):
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


def _names(files: Sequence[File]) -> tuple[tuple[str, ...], list[str]]:
    """Names of classes of the outermost file that says them, and what others say otherwise."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for file in sorted(files, key=lambda one: len(one.names)):
        try:
            names = _names_in(file)
        except InvalidData:
            if not found:  # else what it says is no more than a note
                raise
            continue
        if names is not None:
            found.append((file.place, names))
    if not found:
        return (), []
    place, names = found[0]
    others = [one for one, other in found if other != names]
    notes = [f"classes are named as in {place}, otherwise than in {others[0]}"] if others else []
    return names_apart(names, place), notes


def _names_in(file: File) -> tuple[str, ...] | None:
    """The names of classes that a file says; None where it is of something else."""
    if file.path.suffix.lower() in {".yaml", ".yml"}:
        told = _yaml(file)
        named = isinstance(told, dict) and "names" in told
        return _listed(told["names"], file.place) if named else None
    if file.names[-1].lower() not in _NAME_FILES:
        return None
    lines = tuple(one.strip() for one in _text(file).rstrip().splitlines())
    if "" in lines:
        empty = lines.index("") + 1
        raise InvalidData(f"{file.place}: line {empty} is empty; a class a line is needed")
    return lines


def _described(files: Sequence[File]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the outermost YAML file with names of classes says, and the folder that it is in."""
    for file in sorted(files, key=lambda one: len(one.names)):
        if file.path.suffix.lower() in {".yaml", ".yml"}:
            try:
                told = _yaml(file)
            except InvalidData:  # of an inner one; of the outermost it was raised before
                continue
            if isinstance(told, dict) and "names" in told:
                return {str(key): value for key, value in told.items()}, file.names[:-1]
    return {}, ()


def _yaml(file: File) -> Any:
    try:
        return read_yaml_text(_text(file), as_written=True)
    except ValueError as error:
        raise InvalidData(f"{file.place} is no YAML: {error}") from error


def _listed(told: Any, place: str) -> tuple[str, ...]:
    if isinstance(told, dict) and all(str(one).isdecimal() for one in told):
        told = {int(key): name for key, name in told.items()}
    numbered = isinstance(told, dict) and all(type(one) is int for one in told)
    if numbered and sorted(told) == list(range(len(told))):
        told = [told[number] for number in range(len(told))]
    if not isinstance(told, list):
        raise InvalidData(f"{place}: names are a list, or numbers from 0 on with a name each")
    for one in told:
        if isinstance(one, bool) or not isinstance(one, str | int | float):
            raise InvalidData(f"{place}: name {one!r} is no text; put it into quotes")
    return tuple(str(one) for one in told)


def _text(file: File) -> str:
    try:
        return file.path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidData(f"{file.place} is not UTF-8: {error}") from error
