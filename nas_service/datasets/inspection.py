"""Look at a source: what is in it, how it will be read, what is set aside, what has to be asked.

Nothing is stored. Headers of pictures are read, not their pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nas_service.datasets.answers import ARRAYS, PARQUET, Answers
from nas_service.datasets.arrays import read_arrays
from nas_service.datasets.class_notes import (
    on_classes,
    on_copies,
    on_one_sided_classes,
    on_parts,
    require_classes,
)
from nas_service.datasets.consulted import require_concerned, require_consulted, watched
from nas_service.datasets.folders import read_folder
from nas_service.datasets.parquet import read_parquet
from nas_service.datasets.pictures import Header, Picture, Reading, header
from nas_service.datasets.reading_notes import counts_of, reading_of
from nas_service.datasets.report import MOST_NAMES, Alternative, Question, Report, SetAside
from nas_service.datasets.source import Progress, Source
from nas_service.datasets.walking import File
from nas_service.errors import InvalidData

MAX_IMAGES = 2_000_000
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
    answers, on_parts_asked = watched(answers or Answers())
    set_aside = SetAside()
    source = _open(path, answers, set_aside, tell, within)
    require_consulted(on_parts_asked)
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
        notes += on_classes(pictures, source.classes) + on_parts(pictures)
        asked += on_one_sided_classes(pictures, source.classes)
    copies, from_copies = on_copies(pictures, source.classes)
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
        require_concerned(answers, ARRAYS)
        return read_arrays(path, answers, set_aside)
    if path.is_file() and path.suffix.lower() == ".parquet":
        require_concerned(answers, PARQUET)
        return read_parquet([File(path, (path.name,))], answers, tell, set_aside)
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
