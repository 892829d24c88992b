"""Look at a source: what is in it, how it will be read, what is set aside, what has to be asked.

Nothing is stored. Headers of pictures are read, not their pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nas_service.datasets.answers import Answers
from nas_service.datasets.arrays import read_arrays
from nas_service.datasets.copies import mostly_elsewhere, on_one_side
from nas_service.datasets.duplicates import same_bytes
from nas_service.datasets.folders import read_folder
from nas_service.datasets.names import PARTS
from nas_service.datasets.parquet import read_parquet
from nas_service.datasets.pictures import Header, Picture, Reading, header
from nas_service.datasets.reading_notes import counts_of, reading_of
from nas_service.datasets.report import MOST_NAMES, Alternative, Question, Report, SetAside
from nas_service.datasets.source import Progress, Source
from nas_service.datasets.walking import File
from nas_service.errors import InvalidData

MIN_PER_CLASS = 10
MAX_IMAGES = 2_000_000
UNEQUAL = 10.0
"""Classes this many times as large as others are told."""
_THREADS = 4
_UNREADABLE = "cannot be read"


@dataclass(frozen=True)
class Inspection:
    """A source as it was understood; with `report.questions` it is not to be read yet."""

    pictures: list[Picture]
    headers: list[Header]
    reading: Reading
    classes: tuple[str, ...]
    report: Report
    set_aside: SetAside


def quiet(_fraction: float, _message: str) -> None:
    """Progress that nobody watches."""


def inspect(
    path: Path,
    answers: Answers | None = None,
    *,
    tell: Progress = quiet,
    within: Sequence[Path] | None = None,
) -> Inspection:
    """Look at a folder, a `.npz` or a `.parquet` file.

    Links are followed to places below `within`, to anywhere where that is None.

    Raises:
        InvalidData: it holds nothing that could be a data set, and no answer would change that.
    """
    answers = answers or Answers()
    set_aside = SetAside()
    source = _open(path, answers, set_aside, tell, within)
    if answers.draws_parts:
        source.pictures = [replace(one, part=None) for one in source.pictures]
    if source.questions and not source.pictures:
        return _only_questions(source, set_aside)
    if len(source.pictures) > MAX_IMAGES:
        raise InvalidData(
            f"{len(source.pictures):,} images are more than the {MAX_IMAGES:,} supported"
        )
    if not source.pictures:
        raise InvalidData("the data set has no images")
    pictures, headers, broken = _headers(source.pictures, tell)
    questions = [*source.questions, *refused_unless_allowed(broken, len(source.pictures), answers)]
    for place, reason in broken:
        set_aside.add(f"{_UNREADABLE}: {reason}", place)
    if not pictures:
        raise InvalidData(f"none of {len(broken)} pictures can be read, as {broken[0][0]}")
    reading, sentences, asked = reading_of(pictures, headers, answers)
    notes = [*dict.fromkeys(source.notes)]
    if not source.questions:
        require_classes(pictures, source.classes)
        notes += _on_classes(pictures, source.classes) + _on_parts(pictures)
        asked += _on_one_sided_classes(pictures, source.classes)
    copies, from_copies = _on_copies(pictures, source.classes)
    notes += copies
    asked += from_copies
    report = Report(
        layout=source.layout,
        classes=source.classes,
        counts=counts_of(pictures, source.classes),
        reading=tuple(sentences),
        notes=tuple(notes),
        set_aside=tuple(set_aside.as_list()),
        questions=(*questions, *asked),
    )
    return Inspection(pictures, headers, reading, source.classes, report, set_aside)


def refused_unless_allowed(
    broken: Sequence[tuple[str, str]], n: int, answers: Answers
) -> list[Question]:
    """A question where more pictures cannot be read than was allowed."""
    if len(broken) <= answers.allow_unreadable * n:
        return []
    some = "; ".join(f"{place}: {reason}" for place, reason in broken[:MOST_NAMES])
    share = np.ceil(1000.0 * len(broken) / n) / 10.0
    return [
        Question(
            "allow_unreadable",
            f"{len(broken)} of {n} pictures cannot be read ({some})",
            (Alternative(f"{share:g}%", "leave them out; otherwise mend or remove them"),),
        )
    ]


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


def _open(
    path: Path,
    answers: Answers,
    set_aside: SetAside,
    tell: Progress,
    within: Sequence[Path] | None,
) -> Source:
    if path.is_dir():
        return read_folder(path, answers, set_aside, tell, within)
    if path.is_file() and path.suffix.lower() == ".npz":
        return read_arrays(path, answers)
    if path.is_file() and path.suffix.lower() == ".parquet":
        return read_parquet([File(path, (path.name,))], answers, tell)
    if not path.exists():
        raise InvalidData(f"{path} does not exist", field="path")
    raise InvalidData(f"{path.name} is none of: folder, .zip, .tar, .npz, .parquet", field="path")


def _only_questions(source: Source, set_aside: SetAside) -> Inspection:
    report = Report(
        source.layout, (), {}, (), (), tuple(set_aside.as_list()), tuple(source.questions)
    )
    return Inspection([], [], Reading(), (), report, set_aside)


def _headers(
    pictures: Sequence[Picture], tell: Progress
) -> tuple[list[Picture], list[Header], list[tuple[str, str]]]:
    """Headers of those that have one, and the others with the reason."""

    def read(picture: Picture) -> Header | str:
        try:
            return header(picture)
        except InvalidData as error:
            return error.detail.removeprefix(f"{picture.place}: ")

    kept, headers, broken = [], [], []
    with ThreadPoolExecutor(_THREADS) as pool:
        for number, (picture, got) in enumerate(
            zip(pictures, pool.map(read, pictures), strict=True)
        ):
            if number % 500 == 0:
                tell(
                    0.2 * number / len(pictures), f"looking at picture {number} of {len(pictures)}"
                )
            if isinstance(got, str):
                broken.append((picture.place, got))
            else:
                kept.append(picture)
                headers.append(got)
    return kept, headers, broken


def _on_classes(pictures: Sequence[Picture], classes: Sequence[str]) -> list[str]:
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
    return notes


def _on_parts(pictures: Sequence[Picture]) -> list[str]:
    parts = {one.part for one in pictures}
    if parts == {None}:
        return ["validation and test parts are drawn, a fifth each"]
    missing = [part for part in ("validation", "test") if part not in parts]
    return [f"no {part} part: it is drawn from the training part" for part in missing]


def _on_one_sided_classes(pictures: Sequence[Picture], classes: Sequence[str]) -> list[Question]:
    """Classes that cannot be learned, or not judged: in no picture of a part that is given."""
    given = {one.part for one in pictures} - {None}
    if "train" not in given and given:
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


def _on_copies(
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
    torn = [rows for rows in groups if len({pictures[i].label for i in rows}) > 1]
    if torn:
        notes.append(
            f"{len(torn)} pictures stand in more than one class, as "
            f"{' and '.join(pictures[i].place for i in torn[0][:2])}"
        )
    copy_of = np.arange(len(pictures))
    for rows in groups:
        copy_of[rows] = rows[0]
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[one.label] for one in pictures], dtype=np.int64)
    given = np.array([-1 if one.part is None else PARTS.index(one.part) for one in pictures])
    question = mostly_elsewhere(labels, given, on_one_side(given, copy_of), classes)
    return notes, [question] if question else []
