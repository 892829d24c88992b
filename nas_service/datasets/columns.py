"""Which column is what, by the names that people give columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nas_service.datasets.answers import IGNORE, Answers
from nas_service.datasets.names import HELD_OUT, PARTS, part_of
from nas_service.datasets.report import Alternative, Question
from nas_service.errors import InvalidData

IMAGE_NAMES = (
    *("image", "img", "picture", "path", "file", "filename", "file_name", "filepath", "file_path"),
    *("image_path", "img_path", "image_name", "image_id", "id"),
)
LABEL_NAMES = ("label", "labels", "class", "class_name", "classname", "category", "target", "y")
SPLIT_NAMES = ("split", "part", "subset", "partition", "set")
GROUP_NAMES = (
    *("group", "group_id", "patient", "patient_id", "subject", "subject_id", "session"),
    *("session_id", "video", "video_id"),
)
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How tables begin that spreadsheet programs save as Unicode text."""


def named_column(
    header: Sequence[str], answered: str | None, known: Sequence[str], place: str, field: str
) -> int | None:
    """The position of the column that was answered, or that has a name that is known for it.

    Raises:
        InvalidData: the answered column is not there.
    """
    if answered is not None:
        if answered in header:
            return list(header).index(answered)
        raise InvalidData(
            f"{field}: {place} has no column {answered!r}; it has {', '.join(header)}", field=field
        )
    lower = [plain(name) for name in header]
    for name in known:
        if name in lower:
            return lower.index(name)
    return None


def on_group_column(name: str) -> str:
    """What is to be said of a column, or an array, of groups."""
    return f"pictures of one {name} stay on one side where parts are drawn"


def plain(name: str) -> str:
    """A column's name as the lists above have them: `PatientID` and `patient id` are one."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())  # `VIDEO_ID` is left as it is
    return re.sub(r"[\s-]", "_", apart).lower()


def part_column(header: Sequence[str], rows: Sequence[Sequence[str]], used: set[int]) -> int | None:
    """The one column beside those `used` in which all that is written are parts, two at least."""
    found = []
    for i in range(len(header)):
        cells = {row[i].strip() for row in rows if len(row) > i} if i not in used else set()
        if len(cells - {""}) > 1 and all(part_of(one) for one in cells - {""}):
            found.append(i)
    return found[0] if len(found) == 1 else None


def part_answered(name: str, answers: Answers, questions: list[Question]) -> str | None:
    """The part that a name of a split means; a question where nothing says so.

    None where nothing is written, or a question is open.
    """
    name = name.strip()
    if name in answers.split:
        return answers.split[name]
    if not name or answers.draws_parts:
        return None
    part = part_of(name)
    if part in PARTS:
        return part
    ways = PARTS[1:] if part == HELD_OUT else PARTS
    question = Question(
        "split",
        f"part {name!r} is none of {', '.join(PARTS)}",
        (
            *(Alternative(f"{name}={one}", f"it is the {one} part") for one in ways),
            Alternative(f"{name}={IGNORE}", "leave it out"),
        ),
    )
    if all(one.text != question.text for one in questions):
        questions.append(question)
    return None
