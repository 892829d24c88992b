"""Read a source into the stored form of a data set: images, labels, parts. Needs no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_service.datasets.answers import Answers
from nas_service.datasets.class_notes import IN_TWO_CLASSES, on_two_classes, require_classes
from nas_service.datasets.copies import mostly_elsewhere, on_one_side
from nas_service.datasets.duplicates import nearly_same, same_pixels
from nas_service.datasets.fitting import fitted
from nas_service.datasets.inspection import Inspection, inspect, quiet, refused_unless_allowed
from nas_service.datasets.names import PARTS
from nas_service.datasets.parted import with_parts
from nas_service.datasets.pictures import Picture, Pixels, Reading, pixels
from nas_service.datasets.reading_notes import side_of
from nas_service.datasets.report import Report, Undecided
from nas_service.datasets.source import Progress
from nas_service.datasets.splits import notes_on_groups, split_of
from nas_service.errors import InvalidData

IntArray = npt.NDArray[np.int64]
_COPY = "copy of a picture in another part"


@dataclass(frozen=True)
class Ingested:
    """Images `(n, s, s, c)`, labels `(n,)`, parts `(n,)`, class names, a digest of it all."""

    images: Pixels
    labels: IntArray
    split: IntArray
    classes: tuple[str, ...]
    digest: str
    report: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)
    """What lies below alpha, and what is black and white beyond 8 bits, as `preprocess.py` asks."""

    @property
    def nbytes(self) -> int:
        """Bytes of the stored images."""
        return int(self.images.nbytes)

    def facts(self) -> dict[str, Any]:
        """What users are told of the data set."""
        counts = np.bincount(self.split, minlength=3)
        return {
            "size": int(self.images.shape[1]),
            "channels": int(self.images.shape[3]),
            "classes": list(self.classes),
            "n_train": int(counts[0]),
            "n_validation": int(counts[1]),
            "n_test": int(counts[2]),
            "report": dict(self.report),
            "reading": dict(self.reading),
        }

    def save(self, path: Path) -> None:
        """Write the stored form."""
        with path.open("wb") as stream:
            np.savez(stream, images=self.images, labels=self.labels, split=self.split)


def digits() -> Ingested:
    """Handwritten digits of scikit-learn: 1,797 images of 8x8.

    Two fifths test, as few images tell winners apart badly.
    Enlarged images would be easier, and tiny networks as good as large ones.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = np.asarray(bunch.target, dtype=np.int64)
    names = tuple(str(n) for n in range(10))
    name = _digest(images, labels, names)
    split = split_of(images, labels, np.full(len(labels), -1), int(name[:12], 16), test_fifths=2)
    report = Report(
        layout="built in",
        classes=names,
        counts=_counts(labels, split, names),
        reading=("8x8 pixels, grey, one channel",),
        notes=("a fifth is drawn for validation, two for testing",),
        set_aside=(),
    )
    return _shuffled(images, labels, split, names, name, report)


def ingest(
    source: Path,
    answers: Answers | None = None,
    *,
    tell: Progress = quiet,
    within: Sequence[Path] | None = None,
    threads: int = 2,
) -> Ingested:
    """Read `source` as inspected, or as answered.

    Raises:
        Undecided: it can be read in more than one way; the error has the questions.
        InvalidData: says which file, row or class is at fault.
    """
    answers = answers or Answers()
    seen = inspect(source, answers, tell=tell, within=within)
    if seen.report.questions:
        raise Undecided(seen.report.questions)
    side = side_of(seen.headers, answers)
    channels = max(one.channels for one in seen.headers)
    images = np.empty((len(seen.pictures), side, side, channels), dtype=np.uint8)
    broken = _decode(seen, images, tell, threads)
    pictures = seen.pictures
    if broken:
        questions = refused_unless_allowed(list(broken.values()), len(pictures), answers)
        if questions:
            raise Undecided(questions)
        for place, reason in broken.values():
            seen.set_aside.add(f"cannot be read: {reason}", place)
        kept = np.array([i not in broken for i in range(len(pictures))])
        images, pictures = images[kept], [p for p, k in zip(pictures, kept, strict=True) if k]
        require_classes(pictures, seen.classes)
    tell(0.88, "comparing pictures")
    reading = {
        "background": "#" + bytes(seen.reading.background).hex(),
        "value_range": seen.reading.value_range,
    }
    return replace(_assembled(images, pictures, seen), reading=reading)


def _decode(
    seen: Inspection, images: Pixels, tell: Progress, threads: int
) -> dict[int, tuple[str, str]]:
    """Fill `images`; gives place and reason of those that cannot be decoded, by row."""
    side = images.shape[1]
    reading = replace(seen.reading, side=side)

    def read(row: int) -> str:
        try:
            images[row] = _fitted(seen, row, reading)
        except InvalidData as error:
            return error.detail.removeprefix(f"{seen.pictures[row].place}: ")
        return ""

    broken = {}
    n = len(images)
    with ThreadPoolExecutor(threads) as pool:
        for row, reason in enumerate(pool.map(read, range(n))):
            if row % 100 == 0:
                tell(0.2 + 0.65 * row / n, f"reading picture {row} of {n}")
            if reason:
                broken[row] = (seen.pictures[row].place, reason)
    return broken


def _fitted(seen: Inspection, row: int, reading: Reading) -> Pixels:
    head = seen.headers[row]
    return fitted(pixels(seen.pictures[row], reading), reading.side, (head.height, head.width))


def _assembled(images: Pixels, pictures: Sequence[Picture], seen: Inspection) -> Ingested:
    number = {name: i for i, name in enumerate(seen.classes)}
    labels = np.array([number[one.label] for one in pictures], dtype=np.int64)
    given = np.array(
        [-1 if one.part is None else PARTS.index(one.part) for one in pictures], dtype=np.int64
    )
    copy_of = same_pixels(images)
    kept = on_one_side(given, copy_of)
    notes = list(seen.report.notes)
    if in_two := on_two_classes(
        pictures, labels, copy_of
    ):  # of pixels, among which those of bytes are
        notes = [*(one for one in notes if IN_TWO_CLASSES not in one), *in_two]
    if not kept.all():
        if question := mostly_elsewhere(labels, given, kept, seen.classes):
            raise Undecided([question])
        for row in np.flatnonzero(~kept):
            seen.set_aside.add(_COPY, pictures[int(row)].place)
        notes.append(
            f"{int((~kept).sum())} pictures have the pixels of one in another part and are left out"
        )
        images, labels, given = images[kept], labels[kept], given[kept]
        pictures = [one for one, k in zip(pictures, kept, strict=True) if k]
        copy_of = same_pixels(images)
    name = _digest(images, labels, seen.classes)
    groups = _groups(pictures)
    split = split_of(images, labels, given, int(name[:12], 16), copy_of=copy_of, groups=groups)
    notes += notes_on_groups(groups, split)
    for part, what in enumerate(("training", "validation", "test")):
        if not (split == part).any():
            raise InvalidData(f"the data set leaves no images for {what}")
    pairs = nearly_same(images, split)
    if pairs:
        one, other = (pictures[i].place for i in pairs[0])
        notes.append(
            f"{len(pairs)} pairs of pictures in different parts are nearly the same, as {one} and "
            f"{other}: what is tested may be known from training"
        )
    report = replace(
        seen.report,
        counts=_counts(labels, split, seen.classes),
        notes=tuple(notes),
        set_aside=tuple(seen.set_aside.as_list()),
    )
    name = with_parts(name, given, split)
    return _shuffled(images, labels, split, seen.classes, name, report)


def _groups(pictures: Sequence[Picture]) -> IntArray | None:
    """Numbers of the pictures' groups; those without one are groups of their own."""
    if all(one.group is None for one in pictures):
        return None
    names: dict[tuple[str, object], int] = {}
    keys: list[tuple[str, object]] = [
        ("alone", i) if one.group is None else ("group", one.group)
        for i, one in enumerate(pictures)
    ]
    return np.array([names.setdefault(key, len(names)) for key in keys], dtype=np.int64)


def _counts(labels: IntArray, split: IntArray, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    counts = [np.bincount(labels[split == part], minlength=len(classes)) for part in range(3)]
    return {
        part: dict(zip(classes, of_part.tolist(), strict=True))
        for part, of_part in zip(PARTS, counts, strict=True)
    }


def _shuffled(
    images: Pixels,
    labels: IntArray,
    split: IntArray,
    classes: tuple[str, ...],
    name: str,
    report: Report,
) -> Ingested:
    order = np.random.default_rng(int(name[12:24], 16)).permutation(len(labels))
    _permute(images, order)
    return Ingested(images, labels[order], split[order], classes, name, report.as_dict())


def _permute(images: Pixels, order: IntArray) -> None:
    """Bring images into this order where they are: a second copy might not fit into memory."""
    done = np.zeros(len(order), dtype=np.bool_)
    for start in range(len(order)):
        if done[start] or order[start] == start:
            continue
        first, at = images[start].copy(), start
        while not done[at]:
            done[at] = True
            source = int(order[at])
            images[at] = first if source == start else images[source]
            at = source


def _digest(images: Pixels, labels: IntArray, classes: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for part in _identity(images, labels, classes):
        digest.update(part)
    return digest.hexdigest()


def _identity(images: Pixels, labels: IntArray, classes: tuple[str, ...]) -> Iterator[Any]:
    yield json.dumps([list(images.shape), list(classes)]).encode()
    yield labels.tobytes()
    yield np.ascontiguousarray(images).data
