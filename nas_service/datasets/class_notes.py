"""What deserves a look in the classes and parts of a source: notes, questions, refusals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from nas_service.datasets.copies import mostly_elsewhere, on_one_side
from nas_service.datasets.duplicates import IntArray, same_bytes
from nas_service.datasets.names import PARTS
from nas_service.datasets.pictures import Picture
from nas_service.datasets.report import Alternative, Question
from nas_service.errors import InvalidData

MIN_PER_CLASS = 10
UNEQUAL = 10.0
"""Classes this many times as large as others are told."""
IN_TWO_CLASSES = "pictures stand in more than one class"

_IMAGES = {"images", "image", "imgs", "img", "pictures", "photos"}
_MASKS = {"masks", "mask", "annotations", "labels", "segmentation", "gt"}
"""Folders that are no classes but pictures and what belongs to each."""


def require_classes(pictures: Sequence[Picture], classes: Sequence[str]) -> None:
    """Raise unless there are two classes or more, each with enough pictures."""
    counts = dict.fromkeys(classes, 0)
    for one in pictures:
        counts[one.label] += 1
    present = [name for name, n in counts.items() if n]
    if len(present) < 2:
        raise InvalidData(
            f"the data set has one class ({present[0]!r}); at least 2 are needed", field="classes"
        )
    least = min(counts, key=lambda name: counts[name])
    if counts[least] < MIN_PER_CLASS:
        raise InvalidData(
            f"class {least!r} has {counts[least]} images, at least {MIN_PER_CLASS} are needed",
            field="classes",
        )


def on_classes(pictures: Sequence[Picture], classes: Sequence[str]) -> list[str]:
    """Notes on sizes and names of classes."""
    counts = {name: sum(row.values()) for name, row in _by_class(pictures, classes).items()}
    most, least = max(counts, key=lambda n: counts[n]), min(counts, key=lambda n: counts[n])
    notes = []
    if counts[most] >= UNEQUAL * counts[least]:
        notes.append(
            f"classes are unequal: {counts[most]} pictures of {most!r}, {counts[least]} of "
            f"{least!r}; accuracy says little of the small ones"
        )
    folded: dict[str, list[str]] = {}
    for name in classes:
        folded.setdefault("".join(name.casefold().split()), []).append(name)
    notes += [
        f"classes {' and '.join(map(repr, names))} differ in letter case or spaces alone"
        for names in folded.values()
        if len(names) > 1
    ]
    masks, images = (sorted(set(folded) & some) for some in (_MASKS, _IMAGES))
    if masks and images:
        notes.append(
            f"classes {images[0]!r} and {masks[0]!r} sound like pictures and their masks: "
            "`--task segmentation` reads those"
        )
    return notes


def on_parts(pictures: Sequence[Picture]) -> list[str]:
    """Notes on parts that are drawn."""
    parts = {one.part for one in pictures}
    if parts == {None}:
        return ["validation and test parts are drawn, a fifth each"]
    missing = [part for part in ("validation", "test") if part not in parts]
    return [f"no {part} part: it is drawn from the training part" for part in missing]


def on_one_sided_classes(pictures: Sequence[Picture], classes: Sequence[str]) -> list[Question]:
    """Classes that cannot be learned, or not judged: in no picture of a part that is given."""
    given = {one.part for one in pictures} - {None}
    if "train" not in given and given and all(one.part for one in pictures):
        return [
            _draw_anew(f"there is no training part, but {' and '.join(sorted(map(str, given)))}")
        ]
    lacking = [
        (name, part)
        for name, row in _by_class(pictures, classes).items()
        for part in sorted(map(str, given))
        if not row.get(part)
    ]
    if not lacking:
        return []
    some = ", ".join(f"{name!r} in {part}" for name, part in lacking[:5])
    return [_draw_anew(f"classes without a picture in a part: {some}")]


def _draw_anew(text: str) -> Question:
    return Question(
        "split",
        text,
        (Alternative("draw", "put all parts together and draw them anew"),),
    )


def _by_class(
    pictures: Iterable[Picture], classes: Sequence[str]
) -> dict[str, dict[str | None, int]]:
    counts: dict[str, dict[str | None, int]] = {name: {} for name in classes}
    for one in pictures:
        row = counts[one.label]
        row[one.part] = row.get(one.part, 0) + 1
    return counts


def on_two_classes(pictures: Sequence[Picture], labels: IntArray, copy_of: IntArray) -> list[str]:
    """What is to be said of pictures whose pixels stand in another class, too.

    `copy_of` `(n,)` says for each the first that has its pixels, `labels` `(n,)` its class.
    """
    rows = np.flatnonzero(labels != labels[copy_of])
    if not len(rows):
        return []
    one, other = pictures[int(copy_of[rows[0]])].place, pictures[int(rows[0])].place
    return [f"{len(np.unique(copy_of[rows]))} {IN_TWO_CLASSES}, as {one} and {other}"]


def on_copies(
    pictures: Sequence[Picture], classes: Sequence[str]
) -> tuple[list[str], list[Question]]:
    """Notes on copies byte for byte, and a question where they are most of a class."""
    groups = same_bytes(pictures)
    if not groups:
        return [], []
    n = sum(len(rows) - 1 for rows in groups)
    notes = [
        f"{n} pictures are copies of others, as {pictures[groups[0][1]].place} of "
        f"{pictures[groups[0][0]].place}"
    ]
    across = [rows for rows in groups if len({pictures[i].part for i in rows}) > 1]
    if across:
        notes.append(
            f"{len(across)} pictures stand in more than one part, as "
            f"{' and '.join(pictures[i].place for i in across[0][:2])}; they are kept in one: "
            "test before validation before training"
        )
    copy_of = np.arange(len(pictures))
    for rows in groups:
        copy_of[rows] = rows[0]
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[one.label] for one in pictures], dtype=np.int64)
    notes += on_two_classes(pictures, labels, copy_of)
    given = np.array([-1 if one.part is None else PARTS.index(one.part) for one in pictures])
    question = mostly_elsewhere(labels, given, on_one_side(given, copy_of), classes)
    return notes, [question] if question else []
