"""Parts and classes from names of folders: part/class, class/part, classes alone, or a question.

Every folder that holds pictures is read from its names: names of parts say the part, names that all
pictures share say nothing, what is left is the class. Where that has more than one meaning nothing
is guessed: a question says what the alternatives are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nas_service.datasets.answers import FLAT, GROUPS, IGNORE, LEAF, PATH, TOP, Answers
from nas_service.datasets.names import HELD_OUT, PARTS, TEST, TRAIN, part_of, speaks_of_a_part
from nas_service.datasets.report import Alternative, Question
from nas_service.errors import InvalidData

Names = tuple[str, ...]
NO_CLASS = "in no class folder"


@dataclass(frozen=True, slots=True)
class Place:
    """What a folder says of the pictures in it; `class_names` is empty where it says no class."""

    part: str | None
    class_names: Names
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """What each folder says, in words what was recognised, and what has to be asked."""

    name: str
    places: Mapping[Names, Place]
    questions: tuple[Question, ...]


def recognised(folders: Collection[Names], answers: Answers) -> Layout:
    """Read folders that hold pictures, each by its names below the source.

    Raises:
        InvalidData: a folder is below two different parts.
    """
    questions: dict[tuple[str, str], Question] = {}
    parts = _part_names(folders, answers, questions)
    places: dict[Names, Place] = {}
    for folder in folders:
        found = {parts[folder[: i + 1]] for i in range(len(folder)) if folder[: i + 1] in parts}
        if IGNORE in found:
            places[folder] = Place(None, (), ignored=True)
            continue
        if len(found) > 1:
            raise InvalidData(
                f"{'/'.join(folder)}: below {' and '.join(sorted(found))} at once; rename one, "
                "or say which is none with --split NAME=ignore",
                field="split",
            )
        rest = tuple(n for i, n in enumerate(folder) if folder[: i + 1] not in parts)
        places[folder] = Place(next(iter(found), None), rest)
    places = _without_shared_names(places)
    given = {place.part for place in places.values() if not place.ignored}
    if given - {None} and None in given:  # folders beside a part's are for training
        places = {
            folder: Place(place.part or TRAIN, place.class_names, place.ignored)
            for folder, place in places.items()
        }
    depths = {len(place.class_names) for place in places.values() if not place.ignored}
    if depths and max(depths) > 1 and answers.classes not in {LEAF, TOP, GROUPS, PATH}:
        _ask(questions, _nested(places))
    return Layout(_name(places, parts), places, tuple(questions.values()))


def class_of(place: Place, classes: str | None) -> tuple[str, str | None]:
    """A folder's class, and the group that folders within the class's are where they are some."""
    names = place.class_names
    if classes in {TOP, GROUPS}:
        return names[0], ("/".join(names[1:]) or None) if classes == GROUPS else None
    return (names[-1] if classes == LEAF else "/".join(names)), None


def _part_names(
    folders: Collection[Names], answers: Answers, questions: dict[tuple[str, str], Question]
) -> dict[Names, str]:
    """The folders whose own name is that of a part, by their names: a part, or `ignore`."""
    children: dict[Names, set[str]] = defaultdict(set)
    for folder in folders:
        for depth, name in enumerate(folder):
            children[folder[:depth]].add(name)
    holding = set(folders)
    parts: dict[Names, str] = {}
    for parent, names in children.items():
        answered = {name: answers.split[name] for name in names if name in answers.split}
        parts |= {(*parent, name): part for name, part in answered.items()}
        if answers.classes == FLAT and not answered:
            continue
        open_names = names - set(answered)
        named = {name: part for name in open_names if (part := part_of(name, names))}
        for name, part in sorted(named.items()):
            if part == HELD_OUT:
                _ask(questions, _held_out(name))
        plain = open_names - set(named)
        if not named:
            spoken = [name for name in sorted(plain) if speaks_of_a_part(name)]
            if len(spoken) > 1 and len(spoken) == len(plain):
                _ask(questions, _mixed_names(spoken))
            continue
        if plain and not _beside_classes(parent, named, plain, children, holding):
            for name in sorted(named):
                _ask(questions, _class_or_part(name, sorted(plain)))
            continue
        # what is held out is asked about, and is no class in the meantime
        parts |= {(*parent, name): part if part in PARTS else TEST for name, part in named.items()}
    return parts


def _beside_classes(
    parent: Names,
    named: Mapping[str, str],
    plain: set[str],
    children: Mapping[Names, set[str]],
    holding: set[Names],
) -> bool:
    """Whether folders named as parts hold folders of the very classes that stand beside them."""
    return all(
        (*parent, name) not in holding and bool(children[(*parent, name)] & plain) for name in named
    )


def _without_shared_names(places: dict[Names, Place]) -> dict[Names, Place]:
    """Names that all pictures share at a depth say nothing, as `images` in `train/images/cat`."""
    kept = [place for place in places.values() if not place.ignored]
    while kept:
        depths = {len(place.class_names) for place in kept}
        at = next(
            (i for i in range(min(depths)) if len({place.class_names[i] for place in kept}) == 1),
            None,
        )
        # the last name left is the class, however few there are
        if at is None or max(depths) < 2:
            break
        places = {
            folder: place
            if place.ignored
            else Place(place.part, place.class_names[:at] + place.class_names[at + 1 :])
            for folder, place in places.items()
        }
        kept = [place for place in places.values() if not place.ignored]
    return places


def _name(places: Mapping[Names, Place], parts: Mapping[Names, str]) -> str:
    if not any(part in PARTS for part in parts.values()):
        return "class folders"
    inside = any(folder in parts for folder, place in places.items() if place.class_names)
    return "part folders in class folders" if inside else "class folders in part folders"


def _ask(questions: dict[tuple[str, str], Question], question: Question) -> None:
    questions.setdefault((question.field, question.text), question)


def _held_out(name: str) -> Question:
    return Question(
        "split",
        f"folder {name!r} is held out, for validation or for testing",
        (
            Alternative(f"{name}=validation", "it chooses among networks"),
            Alternative(f"{name}=test", "it judges the winners"),
        ),
    )


def _class_or_part(name: str, beside: list[str]) -> Question:
    some = ", ".join(repr(one) for one in beside[:3]) + (", ..." if len(beside) > 3 else "")
    part = part_of(name, [name, *beside]) or TEST
    part = TEST if part == HELD_OUT else part
    return Question(
        "split",
        f"folder {name!r} stands beside {some}: a class of that name, or a part",
        (
            Alternative(f"{name}=ignore", "leave it out"),
            Alternative(f"{name}={part}", f"it holds the {part} part"),
            Alternative(FLAT, "it is a class", field="classes"),
        ),
    )


def _mixed_names(names: list[str]) -> Question:
    some = ", ".join(repr(one) for one in names[:3]) + (", ..." if len(names) > 3 else "")
    return Question(
        "classes",
        f"folders {some} are named after parts and something else",
        (Alternative(FLAT, "each is a class; otherwise put part folders around class folders"),),
    )


def _nested(places: Mapping[Names, Place]) -> Question:
    example = next(p.class_names for p in places.values() if len(p.class_names) > 1)
    return Question(
        "classes",
        f"classes are folders within folders, as {'/'.join(example)}",
        (
            Alternative(LEAF, f"the class is {example[-1]!r}"),
            Alternative(TOP, f"the class is {example[0]!r}"),
            Alternative(GROUPS, f"the class is {example[0]!r}, {example[1]!r} a group (a patient)"),
            Alternative(PATH, f"the class is {'/'.join(example)!r}"),
        ),
    )
