"""Which pictures COCO's annotation files mean, and which parts these files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from nas_service.datasets.names import HELD_OUT, TEST, normal, part_of, words
from nas_service.datasets.pairing import part_above
from nas_service.datasets.walking import File
from nas_service.errors import InvalidData

_FROM_ELSEWHERE = ("/", "..", "~")
_FILLING = {
    *("instances", "annotations", "annotation", "coco", "bbox", "boxes", "labels"),
    *("person", "keypoints"),
}


def picture_file(
    by_base: Mapping[str, Sequence[File]], name: str, beside: File, part: str | None, place: str
) -> File | None:
    """The file that is meant: of several of that name the one that shares most folders with it."""
    wanted = PurePosixPath(normal(name.replace("\\", "/"))).parts
    if not wanted:
        raise InvalidData(f"{place} has no file_name")
    called = by_base.get(wanted[-1], [])
    fitting = [one for one in called if one.names[-len(wanted) :] == wanted]
    if not fitting and (
        wanted[0] in _FROM_ELSEWHERE or wanted[0][1:] == ":"
    ):  # a path of another machine
        inside = [one for one in called if wanted[-len(one.names) :] == one.names]
        shared = [one for one in called if set(one.names[:-1]) & set(wanted[:-1])]
        fitting = inside or (shared if len(called) == 1 else [])
    if part is not None:  # one of another part is not meant
        fitting = [one for one in fitting if _part_above(one) in (None, part)]
    if len(fitting) > 1:
        in_part = [one for one in fitting if _part_above(one) == part]
        near = [one for one in fitting if one.names[: len(beside.names) - 1] == beside.names[:-1]]
        fitting = next((some for some in (near, in_part) if len(some) == 1), fitting)
    if len(fitting) > 1:
        raise InvalidData(
            f"{place} is called {name}, which are {fitting[0].place} and {fitting[1].place}"
        )
    return fitting[0] if fitting else None


def part_of_file(file: File, stems: Sequence[str]) -> str | None:
    """The part that a file's own name says (`instances_val2017`), or a folder above it.

    What the names of all files share says nothing of one: `cars_train` beside `cars_val`.
    """

    def without_filling(stem: str) -> str:
        return " ".join(one for one in words(stem) if one not in _FILLING)

    own = without_filling(file.path.stem)
    found = part_of(own, {without_filling(one) for one in stems}) or part_above(file)
    return TEST if found == HELD_OUT else found


def _part_above(file: File) -> str | None:
    found = part_above(file)
    return TEST if found == HELD_OUT else found
