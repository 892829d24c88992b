"""Boxes as COCO has them: a JSON of `images`, `annotations` and `categories` a part."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas_service.datasets.names import speaks_of_a_part
from nas_service.datasets.pairing import IMAGE_ENDINGS
from nas_service.datasets.pictures import Picture
from nas_service.datasets.report import SetAside
from nas_service.datasets.walking import File
from nas_service.errors import InvalidData
from nas_service.learning.detection.coco_files import part_of_file, picture_file
from nas_service.learning.detection.scenes import (
    Scene,
    Scenes,
    box_inside,
    header_of,
    pixels_of,
)

CROWD = "crowd, which no box is for"
ABSENT = "picture that is named and not there"
NO_JSON = "no JSON"
_MOST_ABSENT = 0.05

Record = Mapping[str, Any]


def annotation_files(files: Sequence[File], aside: SetAside) -> list[tuple[File, Record]]:
    """The files among these that are COCO's, with what they say.

    Raises:
        InvalidData: one that speaks of annotations is cut off.
    """
    found: list[tuple[File, Record]] = []
    for file in files:
        if file.path.suffix.lower() != ".json":
            continue
        content = file.path.read_bytes()
        try:
            told = json.loads(content)
        except (ValueError, RecursionError) as error:
            if b'"annotations"' in content or b'"images"' in content:
                raise InvalidData(f"{file.place} is no JSON, or is cut off: {error}") from error
            aside.add(NO_JSON, file.place)
            continue
        if isinstance(told, dict) and {"images", "annotations"} <= set(told):
            found.append((file, told))
    return found


def read_coco(
    files: Sequence[File], told: Sequence[tuple[File, Record]], aside: SetAside
) -> Scenes:
    """Scenes of all these files together.

    Raises:
        InvalidData: names the file, and the annotation or picture that is at fault.
    """
    by_base: dict[str, list[File]] = defaultdict(list)
    for one in files:
        if one.path.suffix.lower() in IMAGE_ENDINGS:
            by_base[one.names[-1]].append(one)
    names = _names(told)
    stems = [file.path.stem for file, _ in told]
    scenes: list[Scene] = []
    notes: list[str] = []
    taken: dict[Path, str] = {}
    absent = total = 0
    for file, record in told:
        rows = _by_picture(file, record, names, aside)
        part = part_of_file(file, stems)
        if part is None and speaks_of_a_part(file.path.stem):
            notes.append(f"{file.place} sounds like a part, and is not taken for one")
        images = _by_id(file, record)
        for number, image in images.items():
            total += 1
            place = f"{file.place}: picture {number}"
            found = picture_file(by_base, str(image.get("file_name") or ""), file, part, place)
            mine = rows.pop(number, [])
            if found is None:
                absent += 1
                aside.add(ABSENT, str(image.get("file_name")))
                continue
            if found.path in taken:
                raise InvalidData(f"{place} is {found.place}, as is {taken[found.path]}")
            taken[found.path] = place
            scenes.append(_scene(found, image, mine, part, aside))
        if rows:
            number = next(iter(rows))
            raise InvalidData(
                f"{file.place}: annotation {rows[number][0][0]} is of picture {number}, which is "
                "not among its images"
            )
    if absent > _MOST_ABSENT * total:
        first = aside.names[ABSENT][0]
        raise InvalidData(f"{absent} of {total} pictures are not there, the first is {first}")
    return Scenes(scenes, tuple(names.values()), "COCO", notes, aside)


def _by_id(file: File, record: Record) -> dict[int, Record]:
    """Pictures of a file by their ids, which are of one each."""
    found: dict[int, Record] = {}
    for image in _records(file, record, "images"):
        number = _id(image, f"{file.place}: a picture")
        if number in found:
            raise InvalidData(f"{file.place}: two pictures have the id {number}")
        found[number] = image
    return found


def _names(told: Sequence[tuple[File, Record]]) -> dict[int, str]:
    """Names of classes by their ids, which have to be the same in all files."""
    names: dict[int, str] = {}
    for file, record in told:
        if not record.get("categories"):
            raise InvalidData(f"{file.place} has no categories", field="categories")
        for one in _records(file, record, "categories"):
            number, name = _id(one, f"{file.place}: a category"), str(one.get("name", ""))
            if names.setdefault(number, name) != name:
                raise InvalidData(
                    f"{file.place}: category {number} is called {name!r}, elsewhere "
                    f"{names[number]!r}"
                )
    ordered = dict(sorted(names.items()))
    twice = [name for name in ordered.values() if list(ordered.values()).count(name) > 1]
    if twice:
        raise InvalidData(f"two categories are called {twice[0]!r}")
    return ordered


def _by_picture(
    file: File, record: Record, names: Mapping[int, str], aside: SetAside
) -> dict[int, list[tuple[Any, int, Any]]]:
    """Of each picture its annotations: their id, the place of their class, and their box."""
    place_of = {number: place for place, number in enumerate(names)}
    found: dict[int, list[tuple[Any, int, Any]]] = defaultdict(list)
    for one in _records(file, record, "annotations"):
        place = f"{file.place}: annotation {one.get('id')}"
        if one.get("iscrowd"):
            aside.add(CROWD, place)
            continue
        label = one.get("category_id")
        if isinstance(label, bool) or not isinstance(label, int) or label not in place_of:
            raise InvalidData(f"{place} is of category {label}, which is not among categories")
        box = one.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            raise InvalidData(f"{place} has bbox {box!r}; it is [x, y, width, height]")
        picture = one.get("image_id")
        if not isinstance(picture, int):
            raise InvalidData(f"{place} has image_id {picture!r}, which is no number")
        found[picture].append((one.get("id"), place_of[label], box))
    return found


def _scene(
    file: File,
    image: Record,
    rows: Sequence[tuple[Any, int, Any]],
    part: str | None,
    aside: SetAside,
) -> Scene:
    picture = Picture(file.place, "", file.path)
    told = header_of(picture)
    said = image.get("width") or told.width, image.get("height") or told.height
    if said != (told.width, told.height):
        raise InvalidData(
            f"{file.place} is {told.width}x{told.height} pixels, its annotations are for "
            f"{said[0]}x{said[1]}"
        )
    boxes, classes = [], []
    for number, label, (x, y, width, height) in rows:
        place = f"{file.place}: annotation {number}"
        box = box_inside((x, y, x + width, y + height), told.width, told.height, place, aside)
        if box is not None:
            boxes.append(box)
            classes.append(label)
    return Scene(
        file.place,
        told.height,
        told.width,
        told.channels,
        partial(pixels_of, picture),
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array(classes, dtype=np.int64),
        part,
        turned=told.turned,
    )


def _records(file: File, record: Record, name: str) -> Sequence[Record]:
    found = record[name]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidData(f"{file.place}: {name} is no list of records", field=name)
    return found


def _id(record: Record, place: str) -> int:
    number = record.get("id")
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidData(f"{place} has id {number!r}, which is no whole number")
    return number


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
