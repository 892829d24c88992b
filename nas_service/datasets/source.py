"""What a source holds once its layout is known: pictures with their labels, parts and groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nas_service.datasets.pictures import Picture
from nas_service.datasets.report import Question

Progress = Callable[[float, str], None]


@dataclass
class Source:
    """Pictures of a source; `classes` in the order of their numbers.

    With `questions` it can be read in more than one way, and pictures are those of one of them.
    """

    layout: str
    pictures: list[Picture]
    classes: tuple[str, ...]
    questions: list[Question] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def in_order(labels: Sequence[str]) -> tuple[str, ...]:
    """Distinct labels in order: of their value where all are whole numbers, else of their text."""
    distinct = set(labels)
    if all(label.lstrip("-").isdigit() and label.isascii() for label in distinct):
        return tuple(sorted(distinct, key=int))
    return tuple(sorted(distinct))
