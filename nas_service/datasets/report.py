"""What an import understood of a source, what it set aside, and what it has to ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nas_service.errors import InvalidData

MOST_NAMES = 20
"""Of names that are listed where something was set aside."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to read something: `value` is what to answer, in `field` where it is another one."""

    value: str
    meaning: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Something that can be read in more than one way; `field` of the answers settles it."""

    field: str
    text: str
    alternatives: tuple[Alternative, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the command line's option for each alternative."""
        return {
            "field": self.field,
            "text": self.text,
            "alternatives": [
                {**asdict(one), "field": one.field or self.field, "option": self.option(one)}
                for one in self.alternatives
            ],
        }

    def option(self, alternative: Alternative) -> str:
        """What to add to a command for this answer."""
        field = (alternative.field or self.field).replace("_", "-")
        return f"--{field} {alternative.value}"

    def line(self) -> str:
        """The question in one line, with what answers it."""
        ways = "; ".join(f"{self.option(one)} ({one.meaning})" for one in self.alternatives)
        return f"{self.text}. Answer with {ways}"


class Undecided(InvalidData):
    """A source that can be read in more than one way: `fields["questions"]` says what to answer."""

    def __init__(self, questions: Sequence[Question]) -> None:
        first = questions[0]
        more = f" ({len(questions) - 1} more questions)" if len(questions) > 1 else ""
        super().__init__(
            first.line() + more,
            field=first.field,
            questions=[one.as_dict() for one in questions],
        )


LEFT_OUT = "left out as answered"


@dataclass
class SetAside:
    """What is not read, by reason: how many, and the names of up to twenty."""

    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        """One more that is not read for this reason."""
        self.counts[reason] += 1
        listed = self.names.setdefault(reason, [])
        if len(listed) < MOST_NAMES:
            listed.append(name)

    def as_list(self) -> list[dict[str, Any]]:
        """A record a reason, the most common first."""
        return [
            {"reason": reason, "n": n, "names": self.names[reason]}
            for reason, n in self.counts.most_common()
        ]


@dataclass(frozen=True, slots=True)
class Report:
    """What was understood; see `as_dict` for the names under which it is stored and shown."""

    layout: str
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    """Pictures a part (`train`, `validation`, `test`, or `drawn` where the import draws the parts)
    and class."""
    reading: tuple[str, ...]
    """Sentences on how pictures are read: colours, depth, alpha, orientation, size."""
    notes: tuple[str, ...]
    """Sentences on what deserves a look: duplicates, imbalance, classes in one part only."""
    set_aside: tuple[Mapping[str, Any], ...]
    questions: tuple[Question, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "layout": self.layout,
            "classes": list(self.classes),
            "counts": {part: dict(of_part) for part, of_part in self.counts.items()},
            "reading": list(self.reading),
            "notes": list(self.notes),
            "set_aside": [dict(one) for one in self.set_aside],
            "questions": [one.as_dict() for one in self.questions],
        }
