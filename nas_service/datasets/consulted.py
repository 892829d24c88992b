"""Answers that nothing asks for are refused: a slip would otherwise be no answer at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nas_service.datasets.answers import ARRAYS, FOLDERS, PARQUET, TABLE, Answers
from nas_service.errors import InvalidSpec

_SAID = {
    FOLDERS: "class folders",
    TABLE: "pictures that a table describes",
    PARQUET: "Parquet files with pictures",
    ARRAYS: "arrays",
}
_WITHOUT: Mapping[str, tuple[str, ...]] = {
    FOLDERS: ("image_column", "label_column", "group_column"),
    TABLE: ("classes",),
    PARQUET: ("classes",),
    ARRAYS: ("classes", "image_column", "label_column"),
}
"""What is no question where a source has this layout."""


class Consulted(Mapping[str, str]):
    """Answers by name, which remember the names that were asked for."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = dict(given)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._given[name]

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return name in self._given

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


def watched(answers: Answers) -> tuple[Answers, Consulted]:
    """The same answers, and what is asked of those on parts."""
    split = Consulted(answers.split)
    return replace(answers, split=split), split


def require_concerned(answers: Answers, layout: str) -> None:
    """Refuse answers to questions that a source of this layout does not pose.

    Raises:
        InvalidSpec: names the answer.
    """
    if answers.layout not in {None, layout}:
        raise InvalidSpec(
            f"layout: the source is {_SAID[layout]}, not {_SAID[str(answers.layout)]}",
            field="layout",
        )
    for name in _WITHOUT[layout]:
        if getattr(answers, name) is not None:
            raise InvalidSpec(f"{name}: the source is {_SAID[layout]}: it is not read", field=name)


def require_consulted(split: Consulted) -> None:
    """Refuse parts of a name that the source does not have.

    Raises:
        InvalidSpec: names it.
    """
    for name in split:
        if name != "*" and name not in split.asked:
            raise InvalidSpec(f"split: the source has no part {name!r}", field="split")
